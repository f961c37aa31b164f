"""What our reader accepts, pycrdt's static functions survive, and merging keeps all of it.

`fuzz_static.py` is the long version of the last test.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from tests.protocol.corpus import hostile_sequences, real_updates, yjs_files
from tests.protocol.fuzz_static import HARMLESS, job_of_accepted, judge
from tests.protocol.static_functions import StaticFunctions


def test_a_crash_is_seen_and_survived() -> None:
    with StaticFunctions() as functions:
        answers = [
            functions.run(job) for job in ([b"\0\0"], hostile_sequences()["crash_nesting"], [b"\xff"], [b"\0\0"])
        ]
    assert [answer.split(" ")[0] for answer in answers] == ["ok", "died", "refused", "ok"]


def test_merging_real_updates_keeps_all_of_them() -> None:
    with StaticFunctions() as functions:
        for file in yjs_files():
            if not file.refused:
                updates = [bytes.fromhex(row["hex"]) for row in file.updates]
                for job in (updates, updates[::-1], updates[::2], updates[2::3] + updates[::3]):
                    assert judge(job, functions.run(job)) == "ok", file.name


def test_merging_inside_a_surrogate_pair_loses_a_unit() -> None:
    """A limit of pycrdt to know about: who merges has to compare the clock ranges before and after.

    `left` and `right` are the halves of an emoji as an author's edits carry them, `whole` is the author's later state.
    """
    left = bytes.fromhex("010105000401017404") + "a\ufffd".encode() + b"\0"
    right = bytes.fromhex("0101050284050104") + "\ufffdb".encode() + b"\0"
    whole = bytes.fromhex("010105000401017406") + "a💍b".encode() + b"\0"
    with StaticFunctions() as functions:
        assert judge([left, right], functions.run([left, right])) == "ok"
        assert judge([whole, left, right], functions.run([whole, left, right])) == "ok"
        assert judge([left, right, whole], functions.run([left, right, whole])) == "split-pair"


@pytest.mark.parametrize("seed", [1, 2])
def test_accepted_damage_is_survived(seed: int) -> None:
    random = Random(seed)
    pool = [data for data in real_updates() if len(data) < 1000]
    with StaticFunctions() as functions:
        for _ in range(1500):
            job = job_of_accepted(random, pool, Counter())
            answer = functions.run(job)
            assert judge(job, answer) in HARMLESS, (seed, answer, [data.hex() for data in job])

"""Looks for updates that our reader accepts and pycrdt's static functions do not survive.

    python -m tests.protocol.fuzz_static [--seconds 60] [--seed N]

Also checks that a merged update holds exactly the clock ranges and deletions of its parts. Prints every finding with
its bytes: a finding belongs into tests/protocol/test_static_functions.py as a named case, and the reader has to refuse
it. An update that pycrdt refuses with an ordinary error is only counted.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Iterable
from random import Random

from crdt_server.errors import ProtocolError
from crdt_server.protocol.update import decode_update
from tests.protocol.corpus import real_updates
from tests.protocol.grammar import damaged, random_update
from tests.protocol.static_functions import StaticFunctions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    options = parser.parse_args()
    print("seed", options.seed)
    random = Random(options.seed)
    counts: Counter[str] = Counter()
    findings = 0
    deadline = time.monotonic() + options.seconds
    pool = [data for data in real_updates() if len(data) < 2000]
    with StaticFunctions() as functions:
        while time.monotonic() < deadline:
            job = job_of_accepted(random, pool, counts)
            answer = functions.run(job)
            verdict = judge(job, answer)
            counts[verdict] += 1
            if verdict not in HARMLESS:
                findings += 1
                print(verdict, answer[:300], [data.hex() for data in job], flush=True)
    for name, count in counts.most_common():
        print(f"{count:9} {name}")
    return 1 if findings else 0


HARMLESS = ("ok", "refused", "split-pair")


def judge(job: list[bytes], answer: str) -> str:
    """One word for the answer of `StaticFunctions`; what was merged must hold exactly what went in.

    `split-pair`: it does not, and there are characters of two UTF-16 units about. Merging text that another part ends
    inside such a character loses a unit (`test_static_functions.py` shows it at its smallest).
    """
    verdict, _, rest = answer.partition(" ")
    if verdict != "ok" or _holds_all(bytes.fromhex(rest), job):
        return verdict
    return "split-pair" if any(_FOUR_BYTES.search(data) for data in job) else "merged-differs"


_FOUR_BYTES = re.compile(rb"[\xf0-\xf4][\x80-\xbf]{3}")


def _holds_all(merged: bytes, parts: list[bytes]) -> bool:
    try:
        whole = decode_update(merged, max_bytes=1 << 24)
    except ProtocolError:
        return False
    updates = [decode_update(data, max_bytes=1 << 24) for data in parts]
    return all(
        _covered(getattr(whole, name)) == _covered(one for update in updates for one in getattr(update, name))
        for name in ("ranges", "deletes")
    )


def _covered(ranges: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    joined: list[tuple[int, int, int]] = []
    for client, first, following in sorted(ranges):
        if joined and joined[-1][0] == client and first <= joined[-1][2]:
            joined[-1] = (client, joined[-1][1], max(following, joined[-1][2]))
        else:
            joined.append((client, first, following))
    return joined


def job_of_accepted(random: Random, pool: list[bytes], counts: Counter[str]) -> list[bytes]:
    """Two or three accepted updates."""
    job: list[bytes] = []
    wanted = random.choice((2, 2, 3))
    while len(job) < wanted:
        update = random_update(random) if random.random() < 0.5 else damaged(random, random.choice(pool), pool)
        try:
            decode_update(update, max_bytes=1 << 20)
        except ProtocolError as error:
            counts[f"not accepted by us: {error.code}"] += 1
        else:
            job.append(update)
            if random.random() < 0.2:
                job.append(random.choice(pool))
    return job


if __name__ == "__main__":
    raise SystemExit(main())

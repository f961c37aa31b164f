"""What was accepted can be read again: whole, merged, and in parts."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from crdt_server.judge.document import Document
from crdt_server.judge.merging import merge
from crdt_server.protocol.update import decode_update
from tests.judge.impossible import impossible_update
from tests.support.effort import examples

MOST_BYTES = 1 << 20
SEEDS = examples(150, 50)
SECONDS = 60


def in_a_child(work: Callable[[], None]) -> str:
    """How ``work`` ends in a process of its own: "" when well."""
    pid = os.fork()
    if not pid:
        signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            work()
        except AssertionError:
            os._exit(2)
        except BaseException:  # noqa: BLE001 - a panic of the library is no Exception
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {0: "", 1: "raised", 2: "wrong"}.get(code, f"signal {-code}")


def accepted_rows(random: Random, *, with_doc: bool) -> tuple[list[bytes], dict[int, int]]:
    """What a document stores of a few dozen impossible updates, and the clocks it has then.

    A Doc refuses none of them, but may kill the process.
    """
    document = Document(MOST_BYTES, bytes_only=not with_doc)
    rows: list[bytes] = []
    for _ in range(random.randrange(3, 40)):
        batch = [impossible_update(random, document.clocks) for _ in range(random.choice((1, 1, 2, 3)))]
        document.apply([(update, None) for update in batch], lambda _: None)
        rows += document.take_outgoing()
    return rows, document.clocks


def read_again(seed: int, *, with_doc: bool) -> None:
    random = Random(seed)
    rows, clocks = accepted_rows(random, with_doc=with_doc)
    cut = random.randrange(len(rows) + 1)
    for stored in (rows, merge(rows), [*merge(rows[:cut]), *rows[cut:]]):
        again = Document(MOST_BYTES)
        again.load(stored)
        assert again.clocks == clocks
        if with_doc:
            again.build()


def test_all_of_it_as_bytes() -> None:
    failed = {
        seed: end for seed in range(SEEDS) if (end := in_a_child(lambda seed=seed: read_again(seed, with_doc=False)))
    }  # type: ignore[misc]
    assert not failed


def test_nearly_all_of_it_as_a_doc() -> None:
    """One in a thousand of these documents kills pycrdt when it is merged (torn surrogate pairs); its room then goes on
    without a Doc. The rules of the decoder keep it that rare."""
    ends = Counter(in_a_child(partial(read_again, seed, with_doc=True)) for seed in range(SEEDS))
    assert ends[""] >= SEEDS - 2, ends
    assert not ends["wrong"], ends


@pytest.mark.parametrize(
    ("parent", "accepted"),
    [
        pytest.param("0101010004010474657874016100", False, id="a letter"),
        pytest.param("01010100070104746578740100", True, id="a map"),
        pytest.param("01010100000100", True, id="something without content"),
        pytest.param("01010100010104746578740100", True, id="something deleted"),
    ],
)
def test_who_may_be_a_parent(parent: str, accepted: bool) -> None:
    update, child = bytes.fromhex(parent), bytes.fromhex("0101020004000100016200")
    document = Document(MOST_BYTES)
    assert not document.apply([(update, None)], lambda _: None)
    assert bool(document.apply([(child, None)], lambda _: None)) is not accepted
    together = Document(MOST_BYTES).apply([(update, None), (child, None)], lambda _: None)
    assert bool(together) is not accepted
    reloaded = Document(MOST_BYTES)
    reloaded.load([update])
    assert bool(reloaded.apply([(child, None)], lambda _: None)) is not accepted


def test_the_decoder_names_types_parents_and_what_came_without_content() -> None:
    structs = ("0701047465787401", "040001000161", "0001", "0001", "0101047465787402")
    update = decode_update(bytes.fromhex("01050100" + "".join(structs) + "00"), max_bytes=99)
    assert update.types == ((1, 0),)
    assert update.parents == ((1, 0),)
    assert update.collected == ((1, 2, 6),)

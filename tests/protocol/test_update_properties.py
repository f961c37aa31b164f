"""Any bytes give a value or a ProtocolError, within bounded work and memory."""

from __future__ import annotations

import sys
import tracemalloc
from collections.abc import Callable, Iterable, Sequence
from random import Random
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import write_var_uint
from crdt_server.protocol.update import (
    MAX_CLOCK,
    Update,
    decode_state_vector,
    decode_update,
    encode_delete_set,
    missing,
)
from crdt_server.protocol.update_split import split_update
from tests.protocol.corpus import real_updates
from tests.protocol.grammar import damaged, random_update
from tests.support.wire import Replica

LIMIT = 1 << 24
REAL = [data for data in real_updates() if len(data) < 3000]


def attempt(data: bytes) -> Update | None:
    try:
        return decode_update(data, max_bytes=LIMIT)
    except ProtocolError:
        return None


def check(update: Update) -> None:
    """What every accepted update has to be."""
    for name in ("ranges", "skips", "deletes"):
        for client, first, following in getattr(update, name):
            assert 0 <= client < 2**53
            assert 0 <= first < following <= MAX_CLOCK
    ends: dict[int, int] = {}
    for client, first, following in sorted(update.ranges + update.skips):
        assert ends.get(client, first) == first
        ends[client] = following
    for client, first, following in update.deletes:
        assert first >= ends.get(-client - 1, 0)
        ends[-client - 1] = following
    assert all(0 < clock <= MAX_CLOCK for clock in update.requires.values())
    named = [client for client, *_ in update.ranges + update.skips + update.deletes]
    assert not missing(update, dict.fromkeys([*named, *update.requires], MAX_CLOCK))


@given(st.binary(max_size=200))
def test_any_bytes_as_an_update(data: bytes) -> None:
    if update := attempt(data):
        check(update)


@given(
    st.one_of(st.sampled_from(REAL), st.integers(0, 1 << 30).map(lambda seed: random_update(Random(seed)))),
    st.integers(1, 200),
)
def test_pieces_hold_what_the_whole_holds(data: bytes, piece_bytes: int) -> None:
    whole = attempt(data)
    if whole is None:
        return
    pieces = [decode_update(piece, max_bytes=LIMIT) for piece in split_update(data, piece_bytes)]
    if len(pieces) == 1:
        return
    assert joined(piece.ranges for piece in pieces) == joined([whole.ranges])
    assert joined(piece.deletes for piece in pieces) == joined([whole.deletes])
    assert sorted(parent for piece in pieces for parent in piece.parents) == sorted(whole.parents)
    known = {client: first for client, first, _ in reversed(whole.ranges + whole.skips)}
    known |= {client: max(known.get(client, 0), clock) for client, clock in whole.requires.items()}
    for client, _, following in whole.skips:
        known[client] = max(known[client], following)
    for piece in (piece for piece in pieces if piece.ranges):
        assert not missing(piece, known)
        for client, _, following in piece.ranges:
            known[client] = max(known[client], following)


def joined(found: Iterable[Sequence[tuple[int, int, int]]]) -> list[tuple[int, int, int]]:
    """All ranges, sorted; what follows on another is one with it, what overlaps is not."""
    whole: list[tuple[int, int, int]] = []
    for client, first, following in sorted(each for ranges in found for each in ranges):
        if whole and (whole[-1][0], whole[-1][2]) == (client, first):
            first = whole.pop()[1]
        whole.append((client, first, following))
    return whole


def test_a_large_update_comes_in_pieces_of_bounded_size() -> None:
    letters = [b"\x04\1\1t\1x", *(b"\x84\5" + write_var_uint(clock) + b"\1x" for clock in range(20_000))]
    data = _update(letters)[:-1] + encode_delete_set([(5, 2 * n, 2 * n + 1) for n in range(9_000)])
    pieces = split_update(data, 10_000)
    assert len(pieces) > 10
    assert max(map(len, pieces)) <= 10_100
    assert sum(map(len, pieces)) < len(data) + 40 * len(pieces)


@given(st.binary(max_size=100))
def test_any_bytes_as_a_state_vector(data: bytes) -> None:
    try:
        clocks = decode_state_vector(data)
    except ProtocolError:
        return
    assert all(0 <= client < 2**53 and 0 <= clock <= MAX_CLOCK for client, clock in clocks.items())


@given(st.sampled_from(REAL), st.randoms(use_true_random=False))
def test_damaged_real_updates(data: bytes, random: Random) -> None:
    if update := attempt(damaged(random, data, REAL)):
        check(update)


@given(st.randoms(use_true_random=False))
def test_updates_by_the_grammar(random: Random) -> None:
    if update := attempt(random_update(random)):
        check(update)


def test_no_truncation_of_a_real_update_is_accepted() -> None:
    for data in REAL:
        if len(data) < 300:
            for cut in range(len(data)):
                assert attempt(data[:cut]) is None, (data.hex(), cut)


@pytest.mark.parametrize("extra", [b"\0", b"\1", b"\xff", b"\0\0"])
def test_nothing_may_follow(extra: bytes) -> None:
    assert all(attempt(data + extra) is None for data in REAL)


def _update(structs: list[bytes]) -> bytes:
    return b"\1" + write_var_uint(len(structs)) + b"\5\0" + b"".join(structs) + b"\0"


def _item(content: bytes) -> bytes:
    return _update([content[:1] + b"\1\1t" + content[1:]])


def _json(raw: bytes) -> bytes:
    return _item(b"\5" + write_var_uint(len(raw)) + raw)


def _deletes(count: int) -> bytes:
    return b"\0\1\5" + write_var_uint(count) + b"".join(write_var_uint(2 * clock) + b"\1" for clock in range(count))


def _sections(count: int) -> bytes:
    return (
        write_var_uint(count) + b"".join(b"\1" + write_var_uint(client) + b"\0\0\1" for client in range(count)) + b"\0"
    )


# Shapes of n repetitions that cost the most for their size, or once did in some decoder.
COSTLY: dict[str, Callable[[int], bytes]] = {
    "collected items": lambda n: _update([b"\0\1"] * n),
    "holes": lambda n: _update([b"\0\1", b"\x0a\1"] * (n // 2)),
    "deletions": _deletes,
    "sections": _sections,
    "references to many clients": lambda n: _update(
        [b"\x84" + write_var_uint(2**28 + client) + b"\1\1a" for client in range(n)]
    ),
    "flat values": lambda n: _item(b"\x08" + write_var_uint(n) + b"\x7e" * n),
    "empty arrays": lambda n: _item(b"\x08\1\x75" + write_var_uint(n) + b"\x75\0" * n),
    "empty maps": lambda n: _item(b"\x08\1\x75" + write_var_uint(n) + b"\x76\0" * n),
    "formats": lambda n: _update([b"\6\1\1t\1b\0011"] * n),
    "text": lambda n: _item(b"\4" + write_var_uint(4 * n) + "💍".encode() * n),
    "varint that never ends": lambda n: b"\xff" * n,
    "json objects": lambda n: _json(b"[" + b"{}," * n + b"1]"),
    "json strings": lambda n: _json(b"[" + b'"",' * n + b"1]"),
    "json never closed": lambda n: _json(b"[" * 60 + b"[]," * n),
    "json string never closed": lambda n: _json(b"[" * 99 + b'"' + b'\\"' * n),
    "json digits": lambda n: _json(b"9" * n),
}


@pytest.mark.parametrize("shape", COSTLY)
def test_work_grows_with_size(shape: str) -> None:
    """Lines of Python executed: at most in proportion, and a bounded number for each byte."""
    small, large = COSTLY[shape](500), COSTLY[shape](2000)
    work = _lines_executed(large)
    assert work <= 8 * _lines_executed(small) + 1000
    assert work <= 25 * len(large) + 1000


@pytest.mark.parametrize("shape", COSTLY)
def test_memory_grows_with_size(shape: str) -> None:
    data = COSTLY[shape](50_000)
    tracemalloc.start()
    try:
        attempt(data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= 96 * len(data)  # holes: two tuples of three for every four bytes


def _lines_executed(data: bytes) -> int:
    lines = 0

    def trace(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        attempt(data)
    finally:
        sys.settrace(before)
    return lines


def written_in_turns(turns: int, letters: int = 1) -> bytes:
    """An update of two clients that have typed in turns, each behind the other."""
    one, two = Replica(5), Replica(900)
    for turn in range(turns):
        writer, reader = (one, two) if turn % 2 else (two, one)
        reader.receive(writer.type("abc"[turn % 3] * letters))
    return one.all()


@pytest.mark.parametrize(("turns", "letters", "piece_bytes"), [(300, 1, 200), (40, 30, 100), (7, 1, 10)])
def test_clients_that_refer_to_one_another_are_split_in_an_order_that_can_be_applied(
    turns: int, letters: int, piece_bytes: int
) -> None:
    data = written_in_turns(turns, letters)
    pieces = split_update(data, piece_bytes)
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= piece_bytes + 60
    reader = Replica(1)
    for piece in pieces:
        reader.receive(piece)
        assert not reader.pending
    assert str(reader) == "".join("abc"[turn % 3] * letters for turn in range(turns))


@given(st.integers(1, 60), st.integers(1, 300))
def test_pieces_of_such_an_update_wait_for_nothing_behind_them(turns: int, piece_bytes: int) -> None:
    known: dict[int, int] = {}
    for piece in split_update(written_in_turns(turns), piece_bytes):
        update = decode_update(piece, max_bytes=LIMIT)
        assert not missing(update, known)
        known |= {client: following for client, _, following in update.ranges}


def test_structs_that_wait_for_one_another_are_left_whole() -> None:
    data = b"\2\1\5\0\x84\6\0\1a\1\6\0\x84\5\0\1b\0"
    assert split_update(data, 3) == [data]

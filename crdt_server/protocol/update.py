"""Reader of Yjs updates (v1) and state vectors: their content, without integrating it.

An update is sections of structs, one section per client id with consecutive clocks, and then a delete set.
A struct is an Item, a GC (a collected item) or a Skip (a hole). The reader walks them once, checks what a decoder
in another process may rely on, and keeps clock ranges and references; the structs themselves only in `decode_structs`.

Refused on purpose although Yjs accepts them, because pycrdt reads them as something else or not at all:
JSON content of old Yjs versions, XmlHook, weak links, numbers and lone surrogates in embeds that serde_json rejects.
Refused although pycrdt accepts it, because Yjs clients cannot read it: Move.
The loop over structs runs for every inbound edit: hence local names and no object per section.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import read_var_uint, truncated, write_var_uint
from crdt_server.protocol.structs import DELETED, GC, SKIP, TYPE, Id, Struct
from crdt_server.protocol.update_contents import CONTENT, check_count, read_string

MAX_CLOCK = 2**31 - 1
"""Clocks and ends of clock ranges are at most this: pycrdt computes with signed 32-bit clocks."""

EMPTY_UPDATE = b"\0\0"
EMPTY_STATE_VECTOR = b"\0"

ORIGIN, RIGHT_ORIGIN, _PARENT_SUB, _CONTENT_BITS = 0x80, 0x40, 0x20, 0x1F
_WITHOUT_CONTENT = frozenset((GC, SKIP))

_new = tuple.__new__  # the constructor of a named tuple costs twice as much

_END_OF_BYTES = (IndexError, struct.error)
"""The errors of reading past the end: no length is compared where the next read fails anyway."""


class Update(NamedTuple):
    """The content of one update. Ranges are `(client, first clock, next clock)`: `next` is not part of them."""

    data: bytes
    ranges: tuple[tuple[int, int, int], ...]
    """Runs of items and collected items, in the order of the bytes; a Skip ends a run, so a client may have several."""
    skips: tuple[tuple[int, int, int], ...]
    """Holes between runs, as the sender declares them."""
    requires: dict[int, int]
    """Other client -> the clock its structs must reach before this update can be integrated (its own included)."""
    deletes: tuple[tuple[int, int, int], ...]
    """Deleted ranges, sorted by clock within each client."""
    types: tuple[Id, ...] = ()
    """Ids `(client, clock)` of its shared types, which may be parents."""
    collected: tuple[tuple[int, int, int], ...] = ()
    """Runs of structs that came without their content: whether they were shared types is not known."""
    parents: tuple[Id, ...] = ()
    """Ids that its items name as their parent."""
    structs: Sequence[Struct] = ()
    """The structs in the order of the bytes, without Skips; only of `decode_structs`."""
    sizes: Sequence[tuple[int, int]] = ()
    """Client -> bytes of its structs; only of `decode_structs`."""


_EMPTY = Update(EMPTY_UPDATE, (), (), {}, ())


def decode_update(data: bytes, *, max_bytes: int) -> Update:
    """Reads and checks one update. Raises `ProtocolError`; never reads, allocates or recurses beyond `data`."""
    if len(data) > max_bytes:
        raise ProtocolError("too_large", f"an update of {len(data)} bytes; the limit is {max_bytes}")
    if data == EMPTY_UPDATE:
        return _EMPTY
    return _read_update(data, _Found())


def decode_structs(data: bytes) -> Update:
    """As `decode_update`, with the structs. Raises `ProtocolError`."""
    structs: list[Struct] = []
    return _read_update(data, _Found(structs=structs))


def decode_runs(data: bytes, run_bytes: int) -> tuple[Update, list[Run]]:
    """As `decode_update`, with runs of structs of about ``run_bytes``. Raises `ProtocolError`."""
    found = _Found(run_bytes)
    return _read_update(data, found), found.runs


def encode_delete_set(deletes: Sequence[tuple[int, int, int]]) -> bytes:
    """Deleted ranges as they end an update, grouped by client as they come."""
    clients: dict[int, list[tuple[int, int]]] = {}
    for client, first_clock, following in deletes:
        clients.setdefault(client, []).append((first_clock, following - first_clock))
    out = [write_var_uint(len(clients))]
    for client, ranges in clients.items():
        out += (write_var_uint(client), write_var_uint(len(ranges)))
        out += [write_var_uint(number) for pair in ranges for number in pair]
    return b"".join(out)


def with_deletes(data: bytes, deletes: Sequence[tuple[int, int, int]]) -> bytes:
    """The structs of an update with another delete set, whatever the one it has. Raises `ProtocolError`."""
    try:
        return data[: _read_sections(data, len(data), _Found())] + encode_delete_set(deletes)
    except _END_OF_BYTES:
        raise truncated() from None


def decode_state_vector(data: bytes) -> dict[int, int]:
    """Client -> next clock. Raises `ProtocolError`."""
    try:
        return _read_state_vector(data, len(data))
    except _END_OF_BYTES:
        raise truncated() from None


def is_empty(update: Update) -> bool:
    """Whether integrating it would change nothing on any document."""
    return not (update.ranges or update.skips or update.deletes)


def missing(update: Update, clocks: Mapping[int, int]) -> bool:
    """Whether a document with these next clocks lacks something `update` builds on.

    Integrating it then would leave a hole: a run starts above what is known, a Skip is not covered, or a reference or
    a deletion points to a struct neither known nor part of the update.
    """
    reached: dict[int, int] = {}
    for client, first, following in update.ranges:
        known = reached.get(client) or clocks.get(client, 0)
        if first > known:
            return True
        reached[client] = max(following, known)
    for client, _, following in update.skips:
        if following > clocks.get(client, 0):
            return True
    for client, following in update.requires.items():
        if following > (reached.get(client) or clocks.get(client, 0)):
            return True
    for client, _, following in update.deletes:  # noqa: SIM110 - for every edit: a generator costs as much as the rest
        if following > (reached.get(client) or clocks.get(client, 0)):
            return True
    return False


class Run(NamedTuple):
    """Neighbouring structs of one client as they stand in an update: `data[start:end]`."""

    client: int
    clock: int
    structs: int
    start: int
    end: int


class _Found:
    """The content of the sections that were read so far; see `Update`."""

    __slots__ = (
        "client",
        "client_bytes",
        "collected",
        "known",
        "parents",
        "ranges",
        "requires",
        "run_bytes",
        "runs",
        "skips",
        "structs",
        "types",
    )

    def __init__(self, run_bytes: int = 1 << 62, structs: list[Struct] | None = None) -> None:
        self.run_bytes = run_bytes
        self.structs = structs
        self.client = 0  # whose section is read
        self.client_bytes = b""
        self.runs: list[Run] = []
        self.ranges: list[tuple[int, int, int]] = []
        self.skips: list[tuple[int, int, int]] = []
        self.requires: dict[int, int] = {}
        self.types: list[Id] = []
        self.collected: list[tuple[int, int, int]] = []
        self.parents: list[Id] = []
        self.known: dict[bytes, int] = {}  # client ids that take five bytes, as most do


def _read_update(data: bytes, found: _Found) -> Update:
    end = len(data)
    deletes: list[tuple[int, int, int]] = []
    try:
        pos = _read_sections(data, end, found)
        pos = _read_delete_set(data, pos, end, found.known, deletes)
    except _END_OF_BYTES:
        raise truncated() from None
    if pos != end:
        raise ProtocolError("trailing", f"{end - pos} bytes after the end")
    return Update(
        data,
        tuple(found.ranges),
        tuple(found.skips),
        found.requires,
        tuple(deletes),
        tuple(found.types),
        tuple(found.collected),
        tuple(found.parents),
        found.structs or (),
        () if found.structs is None else [(run.client, run.end - run.start) for run in found.runs],
    )


def _read_sections(data: bytes, end: int, found: _Found) -> int:
    """Read all structs. Returns the position of the delete set."""
    sections, pos = read_var_uint(data, 0)
    check_count(sections, 5, end - pos)
    if sections == 1:
        return _read_section(data, pos, end, found)
    clients: set[int] = set()
    for _ in range(sections):
        pos = _read_section(data, pos, end, found)
        clients.add(found.client)
    if len(clients) < sections:
        raise ProtocolError("structure", "two sections of one client")
    return pos


def _read_section(data: bytes, pos: int, end: int, found: _Found) -> int:
    """Read the structs of one client. Returns the next position."""
    count, clock, pos = _read_section_head(data, pos, end, found)
    client, structs, run_bytes = found.client, found.structs, found.run_bytes
    first = clock
    run_clock, run_start, run_begin, run_end = clock, pos, 0, pos + run_bytes
    for index in range(count):
        if pos > run_end:
            found.runs.append(Run(client, run_clock, index - run_begin, run_start, pos))
            run_clock, run_start, run_begin, run_end = clock, pos, index, pos + run_bytes
        info = data[pos]
        pos += 1
        content = info & _CONTENT_BITS
        origin: Id | None = None
        right_origin: Id | None = None
        parent: str | Id | None = None
        key: str | None = None
        value = None
        if info in _WITHOUT_CONTENT:
            length, pos = read_var_uint(data, pos)
            if info == SKIP:
                first = _skip(found, first, clock, length)
        else:
            if info & ORIGIN:
                origin, pos = _read_id(data, pos, clock, found)
            if info & RIGHT_ORIGIN:
                right_origin, pos = _read_id(data, pos, clock, found)
            elif info < RIGHT_ORIGIN:
                parent, key, pos = _read_parent(data, pos, end, info, clock, found)
            length, value, pos = CONTENT[content](data, pos, end)
            if content == TYPE:
                found.types.append((client, clock))
        if not length:
            raise ProtocolError("structure", "a struct of length zero")
        following = clock + length
        if content <= DELETED:
            _add_run(found.collected, client, clock, following)
        if structs is not None and content != SKIP:
            structs.append(_new(Struct, (client, clock, length, content, origin, right_origin, parent, key, value)))
        clock = following
        if pos > end:
            raise truncated()
    if clock > MAX_CLOCK:
        raise ProtocolError("clock", "a clock beyond 2**31 - 1")
    if first < clock:
        found.ranges.append((client, first, clock))
    found.runs.append(Run(client, run_clock, count - run_begin, run_start, pos))
    return pos


def _read_section_head(data: bytes, pos: int, end: int, found: _Found) -> tuple[int, int, int]:
    """Read the head of a section. Returns the number of structs, the first clock and the next position."""
    count, pos = read_var_uint(data, pos)
    start = pos
    found.client, pos = read_var_uint(data, pos)
    found.client_bytes = data[start:pos]
    if pos - start == 5:
        found.known[found.client_bytes] = found.client
    clock, pos = read_var_uint(data, pos)
    check_count(count, 2, end - pos)
    if not count:
        raise ProtocolError("structure", "a section without structs")
    return count, clock, pos


def _skip(found: _Found, first: int, clock: int, length: int) -> int:
    """A hole after a run that began at ``first``; returns where the next run begins."""
    if first < clock:
        found.ranges.append((found.client, first, clock))
    found.skips.append((found.client, clock, clock + length))
    return clock + length


def _add_run(runs: list[tuple[int, int, int]], client: int, first: int, following: int) -> None:
    if runs and runs[-1][2] == first and runs[-1][0] == client:
        first = runs.pop()[1]
    runs.append((client, first, following))


def _read_parent(
    data: bytes, pos: int, end: int, info: int, clock: int, found: _Found
) -> tuple[str | Id, str | None, int]:
    """Parent, key and the next position."""
    by_name = data[pos]
    pos += 1
    parent: str | Id
    if by_name == 1:
        parent, pos = read_string(data, pos, end)
    elif by_name:
        raise ProtocolError("structure", "a parent that is neither a name nor an id")
    else:
        parent, pos = _read_id(data, pos, clock, found)
        found.parents.append(parent)
    if info & _PARENT_SUB:
        key, pos = read_string(data, pos, end)
        return parent, key, pos
    return parent, None, pos


def _read_id(data: bytes, pos: int, clock: int, found: _Found) -> tuple[Id, int]:
    """The id of an earlier struct of the same client, or of another client's struct."""
    own = found.client_bytes
    if data.startswith(own, pos):
        pos += len(own)
        reference = data[pos]
        pos += 1
        if reference >= 128:
            reference, pos = read_var_uint(data, pos - 1)
        if reference >= clock:
            raise ProtocolError("structure", "a struct that refers to itself or to a later one of its client")
        return (found.client, reference), pos
    client = found.known.get(data[pos : pos + 5])
    if client is None:
        start = pos
        client, pos = read_var_uint(data, pos)
        if pos - start == 5:
            found.known[data[start:pos]] = client
    else:
        pos += 5
    reference, pos = read_var_uint(data, pos)
    if reference >= MAX_CLOCK:
        raise ProtocolError("clock", "a reference beyond clock 2**31 - 1")
    if reference >= found.requires.get(client, 0):
        found.requires[client] = reference + 1
    return (client, reference), pos


def _read_delete_set(
    data: bytes, pos: int, end: int, known: Mapping[bytes, int], deletes: list[tuple[int, int, int]]
) -> int:
    clients, pos = read_var_uint(data, pos)
    if not clients:
        return pos
    check_count(clients, 2, end - pos)
    seen: set[int] = set()
    for _ in range(clients):
        client = known.get(data[pos : pos + 5], -1)
        if client < 0:
            client, pos = read_var_uint(data, pos)
        else:
            pos += 5
        count, pos = read_var_uint(data, pos)
        check_count(count, 2, end - pos)
        seen.add(client)
        following = 0
        for _ in range(count):
            first, pos = read_var_uint(data, pos)
            length, pos = read_var_uint(data, pos)
            # pycrdt merges ranges as if sorted; out of order it loses some of them.
            if first < following or not length:
                raise ProtocolError("structure", "deleted ranges out of order, overlapping or empty")
            following = first + length
            deletes.append((client, first, following))
        if following > MAX_CLOCK:
            raise ProtocolError("clock", "a deletion beyond clock 2**31 - 1")
    if len(seen) < clients:
        raise ProtocolError("structure", "one client twice in the delete set")
    return pos


def _read_state_vector(data: bytes, end: int) -> dict[int, int]:
    count, pos = read_var_uint(data, 0)
    check_count(count, 2, end - pos)
    clocks: dict[int, int] = {}
    for _ in range(count):
        client, pos = read_var_uint(data, pos)
        clock, pos = read_var_uint(data, pos)
        if clock > MAX_CLOCK:
            raise ProtocolError("clock", "a clock beyond 2**31 - 1")
        clocks[client] = clock
    if len(clocks) < count:
        raise ProtocolError("structure", "one client twice in a state vector")
    if pos != end:
        raise ProtocolError("trailing", f"{end - pos} bytes after the end")
    return clocks

"""Reader of Yjs updates (v1) and state vectors: what is in them, without integrating anything.

An update is sections of structs, one section per client id with consecutive clocks, and then a delete set.
A struct is an Item, a GC (a collected item) or a Skip (a hole). The reader walks them once, checks what a decoder
in another process may rely on, and keeps only clock ranges and references, not the structs.

Refused on purpose although Yjs knows them, because pycrdt reads them as something else or not at all:
JSON content of old Yjs versions, XmlHook, weak links, numbers and lone surrogates in embeds that serde_json rejects.
Refused although pycrdt knows it, because Yjs clients cannot read it: Move.
The loop over structs runs for every inbound edit: hence local names, inlined short paths, and no object per struct.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import MAX_SAFE_INTEGER, invalid_utf8, read_var_uint, truncated, write_var_uint

MAX_CLOCK = 2**31 - 1
"""Clocks and ends of clock ranges are at most this: pycrdt computes with signed 32-bit clocks."""

MAX_NESTING = 64
"""Arrays and maps inside one another in one value: every decoder of them is recursive."""

EMPTY_UPDATE = b"\0\0"
EMPTY_STATE_VECTOR = b"\0"

_GC, _DELETED, _JSON, _BINARY, _STRING, _EMBED, _FORMAT, _TYPE, _ANY, _DOC, _SKIP, _MOVE = range(12)
_ORIGIN, _RIGHT_ORIGIN, _PARENT_SUB, _KIND = 0x80, 0x40, 0x20, 0x1F

_WITHOUT_CONTENT = frozenset((_GC, _SKIP))

_ARRAY, _MAP = 117, 118  # of lib0 values

_XML_ELEMENT, _XML_HOOK, _XML_TEXT, _WEAK_LINK = 3, 5, 6, 7


class Update(NamedTuple):
    """What one update contains. Ranges are `(client, first clock, next clock)`: `next` is not part of them."""

    data: bytes
    ranges: tuple[tuple[int, int, int], ...]
    """Runs of items and collected items, in the order of the bytes; a Skip ends a run, so a client may have several."""
    skips: tuple[tuple[int, int, int], ...]
    """Holes the sender says it left between runs."""
    requires: dict[int, int]
    """Other client -> the clock its structs must reach before this update can be integrated (its own included)."""
    deletes: tuple[tuple[int, int, int], ...]
    """What is deleted, sorted by clock within each client."""
    types: tuple[tuple[int, int], ...] = ()
    """Ids `(client, clock)` of its shared types: what may be a parent."""
    collected: tuple[tuple[int, int, int], ...] = ()
    """Runs of structs that came without their content: whether they were shared types is not known."""
    parents: tuple[tuple[int, int], ...] = ()
    """Ids that its items name as their parent."""


def decode_update(data: bytes, *, max_bytes: int) -> Update:
    """Reads and checks one update. Raises `ProtocolError`; never reads, allocates or recurses beyond `data`."""
    end = len(data)
    if end > max_bytes:
        raise ProtocolError("too_large", f"an update of {end} bytes; the limit is {max_bytes}")
    if data == EMPTY_UPDATE:
        return Update(data, (), (), {}, ())
    try:
        return _read_update(data, end, _Found())
    except IndexError:
        raise truncated() from None


def split_update(data: bytes, piece_bytes: int) -> list[bytes]:
    """The same content as updates of about ``piece_bytes``, to be applied in their order; at least one.

    What is left whole: a struct that is larger by itself, and an update in which new structs of several clients refer
    to one another (which of them goes first is known only to those who integrate them). Raises `ProtocolError`.
    """
    found = _Found(piece_bytes)
    try:
        update = _read_update(data, len(data), found)
    except IndexError:
        raise truncated() from None
    first: dict[int, int] = {}
    for run in found.runs:
        first.setdefault(run.client, run.clock)
    if len(data) <= piece_bytes or any(clock > first.get(client, clock) for client, clock in update.requires.items()):
        return [data]
    pieces: list[bytes] = []
    group: list[Run] = []
    for run in found.runs:
        if group and (run.client == group[-1].client or run.end - group[0].start > piece_bytes):
            pieces.append(_join_runs(data, group))
            group = []
        group.append(run)
    if group:
        pieces.append(_join_runs(data, group))
    ranges = max(1, piece_bytes // 8)
    pieces += [
        b"\0" + encode_delete_set(update.deletes[begin : begin + ranges])
        for begin in range(0, len(update.deletes), ranges)
    ]
    return pieces or [data]


def _join_runs(data: bytes, runs: Sequence[Run]) -> bytes:
    out = [write_var_uint(len(runs))]
    for run in runs:
        out += (write_var_uint(run.structs), write_var_uint(run.client), write_var_uint(run.clock))
        out.append(data[run.start : run.end])
    out.append(b"\0")
    return b"".join(out)


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
    except IndexError:
        raise truncated() from None


def decode_state_vector(data: bytes) -> dict[int, int]:
    """Client -> next clock. Raises `ProtocolError`."""
    try:
        return _read_state_vector(data, len(data))
    except IndexError:
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
    return any(following > (reached.get(client) or clocks.get(client, 0)) for client, _, following in update.deletes)


class Run(NamedTuple):
    """Neighbouring structs of one client as they stand in an update: `data[start:end]`."""

    client: int
    clock: int
    structs: int
    start: int
    end: int


class _Found:
    """What the sections of one update have come to so far; see `Update`."""

    __slots__ = ("collected", "known", "parents", "ranges", "requires", "run_bytes", "runs", "skips", "types")

    def __init__(self, run_bytes: int = 1 << 62) -> None:
        self.run_bytes = run_bytes
        self.runs: list[Run] = []
        self.ranges: list[tuple[int, int, int]] = []
        self.skips: list[tuple[int, int, int]] = []
        self.requires: dict[int, int] = {}
        self.types: list[tuple[int, int]] = []
        self.collected: list[tuple[int, int, int]] = []
        self.parents: list[tuple[int, int]] = []
        self.known: dict[bytes, int] = {}  # client ids that take five bytes, as most do


def _read_update(data: bytes, end: int, found: _Found) -> Update:
    pos = _read_sections(data, end, found)
    deletes: list[tuple[int, int, int]] = []
    pos = _read_delete_set(data, pos, end, found.known, deletes)
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
    )


def _read_sections(data: bytes, end: int, found: _Found) -> int:
    """All structs, added to what was found; returns where the delete set begins."""
    sections, pos = read_var_uint(data, 0)
    _check_count(sections, 5, end - pos)
    if sections == 1:
        _, pos = _read_section(data, pos, end, found)
    else:
        clients: set[int] = set()
        for _ in range(sections):
            client, pos = _read_section(data, pos, end, found)
            clients.add(client)
        if len(clients) < sections:
            raise ProtocolError("structure", "two sections of one client")
    return pos


def _read_section(data: bytes, pos: int, end: int, found: _Found) -> tuple[int, int]:
    """One client's structs, added to what was found; returns the client and the next position."""
    count, pos = read_var_uint(data, pos)
    client_pos = pos
    client, pos = read_var_uint(data, pos)
    client_bytes = data[client_pos:pos]
    clock, pos = read_var_uint(data, pos)
    _check_count(count, 2, end - pos)
    if not count:
        raise ProtocolError("structure", "a section without structs")

    width = len(client_bytes)
    if width == 5:
        found.known[client_bytes] = client
    refers_to_client = data.startswith
    ranges = found.ranges
    first = clock
    run_clock, run_start, run_begin, run_end = clock, pos, 0, pos + found.run_bytes
    for index in range(count):
        if pos > run_end:
            found.runs.append(Run(client, run_clock, index - run_begin, run_start, pos))
            run_clock, run_start, run_begin, run_end = clock, pos, index, pos + found.run_bytes
        info = data[pos]
        pos += 1
        kind = info & _KIND

        if info in _WITHOUT_CONTENT:
            length = data[pos]
            pos += 1
            if length >= 128:
                length, pos = read_var_uint(data, pos - 1)
            if info == _SKIP:
                if first < clock:
                    ranges.append((client, first, clock))
                first = clock + length
                found.skips.append((client, clock, first))
            else:
                _add_run(found.collected, client, clock, clock + length)
        else:
            if info & 0xC0:
                if info & _ORIGIN:
                    if refers_to_client(client_bytes, pos):
                        pos += width
                        reference = data[pos]
                        pos += 1
                        if reference >= 128:
                            reference, pos = read_var_uint(data, pos - 1)
                        if reference >= clock:
                            _refuse_forward_reference()
                    else:
                        pos = _read_foreign_reference(data, pos, found)[1]
                if info & _RIGHT_ORIGIN:
                    if refers_to_client(client_bytes, pos):
                        pos += width
                        reference = data[pos]
                        pos += 1
                        if reference >= 128:
                            reference, pos = read_var_uint(data, pos - 1)
                        if reference >= clock:
                            _refuse_forward_reference()
                    else:
                        pos = _read_foreign_reference(data, pos, found)[1]
            else:
                by_name = data[pos]
                pos += 1
                if by_name == 1:
                    pos = _skip_string(data, pos, end)
                elif by_name:
                    raise ProtocolError("structure", "a parent that is neither a name nor an id")
                elif refers_to_client(client_bytes, pos):
                    reference, pos = read_var_uint(data, pos + width)
                    if reference >= clock:
                        _refuse_forward_reference()
                    found.parents.append((client, reference))
                else:
                    parent, pos = _read_foreign_reference(data, pos, found)
                    found.parents.append(parent)
                if info & _PARENT_SUB:
                    pos = _skip_string(data, pos, end)

            if kind == _STRING:
                length = data[pos]
                pos += 1
                if length >= 128:
                    length, pos = read_var_uint(data, pos - 1)
                stop = pos + length
                text = data[pos:stop]
                pos = stop
                if not text.isascii():
                    length = _utf16_length(text)
            else:
                length, pos = _CONTENT[kind](data, pos, end)
                if kind == _TYPE:
                    found.types.append((client, clock))
                elif kind == _DELETED:
                    _add_run(found.collected, client, clock, clock + length)

        if not length:
            raise ProtocolError("structure", "a struct of length zero")
        clock += length
        if pos > end:
            raise truncated()
    if clock > MAX_CLOCK:
        raise ProtocolError("clock", "a clock beyond 2**31 - 1")
    if first < clock:
        ranges.append((client, first, clock))
    found.runs.append(Run(client, run_clock, count - run_begin, run_start, pos))
    return client, pos


def _add_run(runs: list[tuple[int, int, int]], client: int, first: int, following: int) -> None:
    if runs and runs[-1][2] == first and runs[-1][0] == client:
        first = runs.pop()[1]
    runs.append((client, first, following))


def _read_foreign_reference(data: bytes, pos: int, found: _Found) -> tuple[tuple[int, int], int]:
    """A reference to another client's struct."""
    client = found.known.get(data[pos : pos + 5])
    if client is None:
        start = pos
        client, pos = read_var_uint(data, pos)
        if pos - start == 5:
            found.known[data[start:pos]] = client
    else:
        pos += 5
    clock, pos = read_var_uint(data, pos)
    if clock >= MAX_CLOCK:
        raise ProtocolError("clock", "a reference beyond clock 2**31 - 1")
    if clock >= found.requires.get(client, 0):
        found.requires[client] = clock + 1
    return (client, clock), pos


def _read_delete_set(
    data: bytes, pos: int, end: int, known: Mapping[bytes, int], deletes: list[tuple[int, int, int]]
) -> int:
    clients, pos = read_var_uint(data, pos)
    if not clients:
        return pos
    _check_count(clients, 2, end - pos)
    seen: set[int] = set()
    for _ in range(clients):
        client = known.get(data[pos : pos + 5], -1)
        if client < 0:
            client, pos = read_var_uint(data, pos)
        else:
            pos += 5
        count, pos = read_var_uint(data, pos)
        _check_count(count, 2, end - pos)
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
    _check_count(count, 2, end - pos)
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


def _check_count(count: int, least_bytes: int, left: int) -> None:
    """Refuses a count of things that cannot fit: whoever reserves memory by it would be tricked."""
    if count * least_bytes > left:
        raise ProtocolError("count", "a count larger than the bytes that are left")


def _refuse_forward_reference() -> NoReturn:
    raise ProtocolError("structure", "a struct that refers to itself or to a later one of its client")


# Contents. A reader takes (data, pos, end) and returns (length in clocks, next position).


def _read_deleted(data: bytes, pos: int, end: int) -> tuple[int, int]:
    return read_var_uint(data, pos)


def _read_binary(data: bytes, pos: int, end: int) -> tuple[int, int]:
    length, pos = read_var_uint(data, pos)
    if length > end - pos:
        raise truncated()
    return 1, pos + length


def _read_embed(data: bytes, pos: int, end: int) -> tuple[int, int]:
    return 1, _skip_json(data, pos, end)


def _read_format(data: bytes, pos: int, end: int) -> tuple[int, int]:
    return 1, _skip_json(data, _skip_string(data, pos, end), end)


def _read_type(data: bytes, pos: int, end: int) -> tuple[int, int]:
    kind = data[pos]
    if kind > _XML_TEXT or kind == _XML_HOOK:
        name = {_XML_HOOK: "XmlHook is", _WEAK_LINK: "weak links are"}.get(kind, "this shared type is")
        raise ProtocolError("unsupported", f"{name} not supported")
    if kind == _XML_ELEMENT:
        return 1, _skip_string(data, pos + 1, end)
    return 1, pos + 1


def _read_any(data: bytes, pos: int, end: int) -> tuple[int, int]:
    if data[pos] == 1:  # nearly always
        return 1, _skip_any(data, pos + 1, end, MAX_NESTING)
    count, pos = read_var_uint(data, pos)
    _check_count(count, 1, end - pos)
    for _ in range(count):
        pos = _skip_any(data, pos, end, MAX_NESTING)
    return count, pos


def _read_doc(data: bytes, pos: int, end: int) -> tuple[int, int]:
    pos = _skip_string(data, pos, end)
    if data[pos] != _MAP:  # Yjs reads its members without looking, and throws in every browser of the room
        raise ProtocolError("structure", "a subdocument whose options are no map")
    return 1, _skip_any(data, pos, end, MAX_NESTING)


def _refuse_json_content(data: bytes, pos: int, end: int) -> NoReturn:
    raise ProtocolError("unsupported", "JSON content of old Yjs versions is not supported")


def _refuse_move(data: bytes, pos: int, end: int) -> NoReturn:
    raise ProtocolError("unsupported", "moves are not supported: Yjs clients cannot read them")


def _refuse_content(data: bytes, pos: int, end: int) -> NoReturn:
    raise ProtocolError("structure", "unknown kind of struct")


_CONTENT: tuple[Callable[[bytes, int, int], tuple[int, int]], ...] = (
    _refuse_content,  # GC with flags: Yjs and pycrdt disagree on what that is
    _read_deleted,
    _refuse_json_content,
    _read_binary,
    _refuse_content,  # strings are read in place
    _read_embed,
    _read_format,
    _read_type,
    _read_any,
    _read_doc,
    _refuse_content,  # Skip with flags
    _refuse_move,
    *(_refuse_content for _ in range(_MOVE + 1, _KIND + 1)),
)


# Values. A skipper takes (data, pos, end) and returns the next position.


def _skip_string(data: bytes, pos: int, end: int) -> int:
    length = data[pos]
    pos += 1
    if length >= 128:
        length, pos = read_var_uint(data, pos - 1)
    stop = pos + length
    if stop > end:
        raise truncated()
    raw = data[pos:stop]
    if not raw.isascii():
        _decode_utf8(raw)
    return stop


def _skip_any(data: bytes, pos: int, end: int, depth: int) -> int:
    """One lib0 `any` value; `depth` is how many levels of arrays and maps are still allowed."""
    kind = data[pos]
    pos += 1
    if kind == 119:
        return _skip_string(data, pos, end)
    if kind == 125:
        return _skip_var_int(data, pos)
    width = _ANY_WIDTH.get(kind)
    if width is not None:
        return pos + width
    if kind == 116:
        return _read_binary(data, pos, end)[1]
    if kind not in (_ARRAY, _MAP):
        raise ProtocolError("structure", "unknown kind of value")
    if not depth:
        raise ProtocolError("nesting", f"values nested deeper than {MAX_NESTING}")
    count, pos = read_var_uint(data, pos)
    is_map = kind == _MAP
    _check_count(count, 2 if is_map else 1, end - pos)
    for _ in range(count):
        if is_map:
            pos = _skip_string(data, pos, end)
        pos = _skip_any(data, pos, end, depth - 1)
    return pos


# undefined, null, float32, float64, bigint, false, true
_ANY_WIDTH = {127: 0, 126: 0, 124: 4, 123: 8, 122: 8, 121: 0, 120: 0}


def _skip_var_int(data: bytes, pos: int) -> int:
    byte = data[pos]
    pos += 1
    if byte < 128:
        return pos
    rest, pos = read_var_uint(data, pos)
    if not rest or rest << 6 | byte & 63 > MAX_SAFE_INTEGER:
        raise ProtocolError("varint", "overlong integer")
    return pos


def _decode_utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise invalid_utf8() from None


def _utf16_length(raw: bytes) -> int:
    """Yjs counts text in UTF-16 code units."""
    return len(_decode_utf8(raw).encode("utf-16-le")) >> 1


# JSON in embeds and formats.

_PLAIN_JSON = frozenset((b"true", b"false", b"null", b'""', b"{}"))
# The closing quote is optional: without it every quote of an unclosed string would be scanned to the end again.
_JSON_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _skip_json(data: bytes, pos: int, end: int) -> int:
    length, pos = read_var_uint(data, pos)
    stop = pos + length
    if stop > end:
        raise truncated()
    raw = data[pos:stop]
    if raw not in _PLAIN_JSON:
        _check_json(raw)
    return stop


def _check_json(raw: bytes) -> None:
    """Refuses what JSON.parse of Yjs or serde_json of pycrdt would not read."""
    if raw.count(b"[") + raw.count(b"{") > MAX_NESTING:
        _check_json_nesting(raw)
    text = _decode_utf8(raw)
    try:
        value = _parse_json(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        raise ProtocolError("json", "an embed or format whose JSON is not understood") from None


def _check_json_nesting(raw: bytes) -> None:
    # Peels one level per round at the speed of bytes.replace; whether brackets match is left to the parser.
    brackets = _JSON_STRING.sub(b"", raw).translate(_SQUARE, _NOT_BRACKETS)
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise ProtocolError("nesting", f"JSON nested deeper than {MAX_NESTING}")


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number beyond float64")
    return value


def _parse_int(text: str) -> float:
    value = _parse_float(text)
    # serde_json makes these integers, and pycrdt has no integer for them.
    if 2.0**63 <= value <= 2.0**64 and 2**63 <= int(text) < 2**64:
        raise ValueError("an integer beyond 63 bits")
    return value


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"not JSON: {text}")


_parse_json: Callable[[str], Any] = json.JSONDecoder(
    parse_float=_parse_float, parse_int=_parse_int, parse_constant=_refuse_constant
).decode

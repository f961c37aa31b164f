"""The structs of an update (v1), one object each: for those who judge what an update writes, and where.

Only for bytes that `protocol.update.decode_update` has accepted: nothing is checked a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import unpack_from
from typing import Any, NamedTuple, TypeAlias

from crdt_server.protocol.lib0 import read_var_uint

Id: TypeAlias = tuple[int, int]
"""Client and clock."""

GC, DELETED, JSON, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, DOC, _SKIP = range(11)
"""What a struct holds, as Yjs numbers it."""

TYPE_MAP, TYPE_TEXT = 1, 2
"""Of the shared types those that documents are made of, as Yjs numbers them."""

_ORIGIN, _RIGHT_ORIGIN, _PARENT_SUB, _CONTENT_BITS = 0x80, 0x40, 0x20, 0x1F
_XML_ELEMENT = 3
_FIRST_VALUE = 127  # of lib0 values, which are numbered downwards


class Struct(NamedTuple):
    """One item, or a run of collected ones. Its ids are `(client, clock)` to `(client, clock + length - 1)`."""

    client: int
    clock: int
    length: int
    """In clocks; of text that is UTF-16 units."""
    content: int
    """`GC` to `DOC`."""
    origin: Id | None
    right_origin: Id | None
    parent: str | Id | None
    """Name of a root, id of a shared type; None where an origin implies it, and for what was collected."""
    key: str | None
    """None in lists and texts, and where an origin implies it."""
    value: Any
    """ANY: list of plain values as pycrdt shows them; BINARY: bytes; STRING: str; TYPE: its number; else None."""


def read_structs(data: bytes) -> list[Struct]:
    """The structs in the order of the bytes, without Skips. `data` is an update that `decode_update` accepts."""
    structs: list[Struct] = []
    sections, pos = read_var_uint(data, 0)
    for _ in range(sections):
        pos = _read_section(data, pos, structs)
    return structs


def new_structs(structs: Sequence[Struct], known: Mapping[int, int]) -> Sequence[Struct]:
    """What is new among the structs. Of one that is known in part, the rest follows on that part."""
    fresh = []
    for struct in structs:
        next_clock = known.get(struct.client, 0)
        if struct.clock >= next_clock:
            fresh.append(struct)
        elif struct.clock + struct.length > next_clock:
            fresh.append(_rest(struct, next_clock))
    return fresh


def _rest(struct: Struct, clock: int) -> Struct:
    length = struct.clock + struct.length - clock
    if struct.content == GC:
        return struct._replace(clock=clock, length=length)
    value = struct.value[-length:] if struct.content == ANY else None
    origin = (struct.client, clock - 1)
    return Struct(struct.client, clock, length, struct.content, origin, struct.right_origin, None, None, value)


def in_order(structs: Sequence[Struct]) -> Sequence[Struct]:
    """Each after those it refers to. Those that wait for one another are left out."""
    if not structs or structs[0].client == structs[-1].client:
        return structs  # an update has the structs of a client in one run
    queues: dict[int, list[Struct]] = {}
    for struct in structs:
        queues.setdefault(struct.client, []).append(struct)
    ordered: list[Struct] = []
    reached = {client: queue[0].clock for client, queue in queues.items()}
    for queue in queues.values():
        queue.reverse()
    for first in queues:
        stack, stuck = [first], set[int]()
        while stack:
            client = stack[-1]
            queue = queues[client]
            if not queue:
                stack.pop()
                continue
            waits_for = _waits_for(queue[-1], reached)
            if waits_for is None:
                ordered.append(queue.pop())
                reached[client] = ordered[-1].clock + ordered[-1].length
                stuck.clear()
            elif client in stuck:
                return ordered
            else:
                stuck.add(client)
                stack.append(waits_for)
    return ordered


def _waits_for(struct: Struct, reached: Mapping[int, int]) -> int | None:
    """The client of a struct that must come before this one and has not."""
    for reference in (struct.origin, struct.right_origin, struct.parent):
        if type(reference) is tuple and reference[0] != struct.client:
            client, clock = reference
            if clock >= reached.get(client, clock + 1):
                return client
    return None


def _read_section(data: bytes, pos: int, structs: list[Struct]) -> int:
    count, pos = read_var_uint(data, pos)
    start = pos
    client, pos = read_var_uint(data, pos)
    client_bytes = data[start:pos]
    clock, pos = read_var_uint(data, pos)
    for _ in range(count):
        info = data[pos]
        pos += 1
        content = info & _CONTENT_BITS
        if content in (GC, _SKIP):
            length, pos = read_var_uint(data, pos)
            if content == GC:
                structs.append(Struct(client, clock, length, GC, None, None, None, None, None))
            clock += length
            continue
        origin = right_origin = key = None
        parent: str | Id | None = None
        if info & _ORIGIN:
            origin, pos = _read_id(data, pos, client, client_bytes)
        if info & _RIGHT_ORIGIN:
            right_origin, pos = _read_id(data, pos, client, client_bytes)
        if not info & (_ORIGIN | _RIGHT_ORIGIN):
            by_name = data[pos]
            pos += 1
            parent, pos = _read_string(data, pos) if by_name else _read_id(data, pos, client, client_bytes)
            if info & _PARENT_SUB:
                key, pos = _read_string(data, pos)
        length, value, pos = _CONTENT[content](data, pos)
        structs.append(Struct(client, clock, length, content, origin, right_origin, parent, key, value))
        clock += length
    return pos


def _read_id(data: bytes, pos: int, client: int, client_bytes: bytes) -> tuple[Id, int]:
    """Most ids are of the client whose section it is: its number is then neither read nor made again."""
    if data.startswith(client_bytes, pos):
        pos += len(client_bytes)
    else:
        client, pos = read_var_uint(data, pos)
    clock, pos = read_var_uint(data, pos)
    return (client, clock), pos


def _read_string(data: bytes, pos: int) -> tuple[str, int]:
    length = data[pos]
    pos += 1
    if length >= 128:
        length, pos = read_var_uint(data, pos - 1)
    stop = pos + length
    return data[pos:stop].decode(), stop


def _skip_bytes(data: bytes, pos: int) -> int:
    length, pos = read_var_uint(data, pos)
    return pos + length


# Contents. A reader takes (data, pos) and returns (length in clocks, value, next position).


def _deleted(data: bytes, pos: int) -> tuple[int, Any, int]:
    length, pos = read_var_uint(data, pos)
    return length, None, pos


def _binary(data: bytes, pos: int) -> tuple[int, Any, int]:
    value, pos = _any_binary(data, pos)
    return 1, value, pos


def _string(data: bytes, pos: int) -> tuple[int, Any, int]:
    text, pos = _read_string(data, pos)
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) >> 1, text, pos


def _embed(data: bytes, pos: int) -> tuple[int, Any, int]:
    return 1, None, _skip_bytes(data, pos)


def _format(data: bytes, pos: int) -> tuple[int, Any, int]:
    return 1, None, _skip_bytes(data, _skip_bytes(data, pos))


def _type(data: bytes, pos: int) -> tuple[int, Any, int]:
    number = data[pos]
    return 1, number, _skip_bytes(data, pos + 1) if number == _XML_ELEMENT else pos + 1


def _any(data: bytes, pos: int) -> tuple[int, Any, int]:
    if data[pos] == 1:  # nearly always
        value, pos = _read_any(data, pos + 1)
        return 1, [value], pos
    values, pos = _any_array(data, pos)
    return len(values), values, pos


def _doc(data: bytes, pos: int) -> tuple[int, Any, int]:
    return 1, None, _read_any(data, _skip_bytes(data, pos))[1]


def _no_content(data: bytes, pos: int) -> tuple[int, Any, int]:
    raise AssertionError("no accepted update has this content")


_CONTENT: tuple[Callable[[bytes, int], tuple[int, Any, int]], ...] = (
    _no_content,  # GC has its own road
    _deleted,
    _no_content,  # JSON is not accepted
    _binary,
    _string,
    _embed,
    _format,
    _type,
    _any,
    _doc,
)


# Values. A reader takes (data, pos) and returns (value, next position).


def _read_any(data: bytes, pos: int) -> tuple[Any, int]:
    return _VALUES[_FIRST_VALUE - data[pos]](data, pos + 1)


def _any_null(data: bytes, pos: int) -> tuple[None, int]:
    return None, pos


def _any_integer(data: bytes, pos: int) -> tuple[float, int]:
    byte = data[pos]
    pos += 1
    number = byte & 63
    if byte & 128:
        rest, pos = read_var_uint(data, pos)
        number |= rest << 6
    return float(-number if byte & 64 else number), pos


def _any_float32(data: bytes, pos: int) -> tuple[float, int]:
    value: float = unpack_from(">f", data, pos)[0]
    return value, pos + 4


def _any_float64(data: bytes, pos: int) -> tuple[float, int]:
    value: float = unpack_from(">d", data, pos)[0]
    return value, pos + 8


def _any_bigint(data: bytes, pos: int) -> tuple[int, int]:
    return int.from_bytes(data[pos : pos + 8], "big", signed=True), pos + 8


def _any_false(data: bytes, pos: int) -> tuple[bool, int]:
    return False, pos


def _any_true(data: bytes, pos: int) -> tuple[bool, int]:
    return True, pos


def _any_map(data: bytes, pos: int) -> tuple[dict[str, Any], int]:
    count, pos = read_var_uint(data, pos)
    members: dict[str, Any] = {}
    for _ in range(count):
        name, pos = _read_string(data, pos)
        members[name], pos = _read_any(data, pos)
    return members, pos


def _any_array(data: bytes, pos: int) -> tuple[list[Any], int]:
    count, pos = read_var_uint(data, pos)
    values = []
    for _ in range(count):
        value, pos = _read_any(data, pos)
        values.append(value)
    return values, pos


def _any_binary(data: bytes, pos: int) -> tuple[bytes, int]:
    length, pos = read_var_uint(data, pos)
    stop = pos + length
    return data[pos:stop], stop


_VALUES: tuple[Callable[[bytes, int], tuple[Any, int]], ...] = (
    _any_null,  # 127, undefined
    _any_null,  # 126
    _any_integer,
    _any_float32,
    _any_float64,
    _any_bigint,
    _any_false,
    _any_true,
    _read_string,
    _any_map,
    _any_array,
    _any_binary,  # 116
)

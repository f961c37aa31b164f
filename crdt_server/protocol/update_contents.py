"""The contents of structs: each is checked and read in one pass.

A reader of contents takes (data, position, end) and returns (length in clocks, value, next position). A reader of
values returns (value, next position). Both raise `ProtocolError`, or `IndexError` or `struct.error` where the bytes
end; a position beyond the end is for the caller to refuse.
Values are those that pycrdt shows: numbers are floats, undefined is None.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from struct import unpack_from
from typing import Any, NoReturn

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import MAX_SAFE_INTEGER, invalid_utf8, read_var_uint, truncated

MAX_NESTING = 64
"""Arrays and maps inside one another in one value: every decoder of them is recursive."""

_XML_ELEMENT, _XML_HOOK, _XML_TEXT, _WEAK_LINK = 3, 5, 6, 7

# lib0 values
_UNDEFINED, _NULL, _INTEGER, _FLOAT32, _FLOAT64, _BIGINT = 127, 126, 125, 124, 123, 122
_FALSE, _TRUE, _STRING, _MAP, _ARRAY, _BINARY = 121, 120, 119, 118, 117, 116


def check_count(count: int, least_bytes: int, left: int) -> None:
    """Refuses a count of items that cannot fit: a reader that reserves memory for it would run out."""
    if count * least_bytes > left:
        raise ProtocolError("count", "a count larger than the bytes that are left")


def read_string(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """A string with its length in bytes before it. Raises `ProtocolError`, or `IndexError` where the bytes end."""
    length = data[pos]
    pos += 1
    if length >= 128:
        length, pos = read_var_uint(data, pos - 1)
    stop = pos + length
    if stop > end:
        raise truncated()
    try:
        return data[pos:stop].decode(), stop
    except UnicodeDecodeError:
        raise invalid_utf8() from None


def _deleted(data: bytes, pos: int, end: int) -> tuple[int, Any, int]:
    length, pos = read_var_uint(data, pos)
    return length, None, pos


def _binary(data: bytes, pos: int, end: int) -> tuple[int, Any, int]:
    value, pos = _read_binary(data, pos, end)
    return 1, value, pos


def _text(data: bytes, pos: int, end: int) -> tuple[int, Any, int]:
    text, pos = read_string(data, pos, end)
    # Yjs counts text in UTF-16 code units.
    return len(text) if text.isascii() else len(text.encode("utf-16-le")) >> 1, text, pos


def _embed(data: bytes, pos: int, end: int) -> tuple[int, Any, int]:
    return 1, None, _skip_json(data, pos, end)


def _format(data: bytes, pos: int, end: int) -> tuple[int, Any, int]:
    return 1, None, _skip_json(data, read_string(data, pos, end)[1], end)


def _type(data: bytes, pos: int, end: int) -> tuple[int, Any, int]:
    number = data[pos]
    if number > _XML_TEXT or number == _XML_HOOK:
        name = {_XML_HOOK: "XmlHook is", _WEAK_LINK: "weak links are"}.get(number, "this shared type is")
        raise ProtocolError("unsupported", f"{name} not supported")
    if number == _XML_ELEMENT:
        return 1, number, read_string(data, pos + 1, end)[1]
    return 1, number, pos + 1


def _any(data: bytes, pos: int, end: int) -> tuple[int, Any, int]:
    if data[pos] == 1:  # nearly always
        value, pos = _read_value(data, pos + 1, end, MAX_NESTING)
        return 1, [value], pos
    count, pos = read_var_uint(data, pos)
    check_count(count, 1, end - pos)
    values = []
    for _ in range(count):
        value, pos = _read_value(data, pos, end, MAX_NESTING)
        values.append(value)
    return count, values, pos


def _doc(data: bytes, pos: int, end: int) -> tuple[int, Any, int]:
    pos = read_string(data, pos, end)[1]
    if data[pos] != _MAP:  # Yjs reads its members without a check, and throws in every browser of the room
        raise ProtocolError("structure", "a subdocument whose options are no map")
    return 1, None, _read_value(data, pos, end, MAX_NESTING)[1]


def _refuse_json_content(data: bytes, pos: int, end: int) -> NoReturn:
    raise ProtocolError("unsupported", "JSON content of old Yjs versions is not supported")


def _refuse_move(data: bytes, pos: int, end: int) -> NoReturn:
    raise ProtocolError("unsupported", "moves are not supported: Yjs clients cannot read them")


def _refuse_content(data: bytes, pos: int, end: int) -> NoReturn:
    raise ProtocolError("structure", "unknown kind of struct")


CONTENT: tuple[Callable[[bytes, int, int], tuple[int, Any, int]], ...] = (
    _refuse_content,  # GC with flags: Yjs and pycrdt read it differently
    _deleted,
    _refuse_json_content,
    _binary,
    _text,
    _embed,
    _format,
    _type,
    _any,
    _doc,
    _refuse_content,  # Skip with flags
    _refuse_move,
    *(_refuse_content for _ in range(12, 32)),
)
"""By the kind of content, as Yjs numbers it in five bits."""


# Values


def _read_value(data: bytes, pos: int, end: int, depth: int) -> tuple[Any, int]:
    """One lib0 `any` value; `depth` is how many levels of arrays and maps are still allowed."""
    kind = data[pos]
    if kind == _STRING:
        return read_string(data, pos + 1, end)
    read = _VALUES.get(kind)
    if read is not None:
        return read(data, pos + 1)
    if kind == _BINARY:
        return _read_binary(data, pos + 1, end)
    if kind not in (_ARRAY, _MAP):
        raise ProtocolError("structure", "unknown kind of value")
    if not depth:
        raise ProtocolError("nesting", f"values nested deeper than {MAX_NESTING}")
    return (_read_map if kind == _MAP else _read_array)(data, pos + 1, end, depth - 1)


def _read_map(data: bytes, pos: int, end: int, depth: int) -> tuple[dict[str, Any], int]:
    count, pos = read_var_uint(data, pos)
    check_count(count, 2, end - pos)
    members: dict[str, Any] = {}
    for _ in range(count):
        name, pos = read_string(data, pos, end)
        members[name], pos = _read_value(data, pos, end, depth)
    return members, pos


def _read_array(data: bytes, pos: int, end: int, depth: int) -> tuple[list[Any], int]:
    count, pos = read_var_uint(data, pos)
    check_count(count, 1, end - pos)
    values = []
    for _ in range(count):
        value, pos = _read_value(data, pos, end, depth)
        values.append(value)
    return values, pos


def _read_binary(data: bytes, pos: int, end: int) -> tuple[bytes, int]:
    length, pos = read_var_uint(data, pos)
    stop = pos + length
    if stop > end:
        raise truncated()
    return data[pos:stop], stop


def _null(data: bytes, pos: int) -> tuple[None, int]:
    return None, pos


def _integer(data: bytes, pos: int) -> tuple[float, int]:
    byte = data[pos]
    pos += 1
    number = byte & 63
    if byte >= 128:
        higher, pos = read_var_uint(data, pos)
        number |= higher << 6
        if not higher or number > MAX_SAFE_INTEGER:
            raise ProtocolError("varint", "overlong integer")
    return float(-number if byte & 64 else number), pos


def _float32(data: bytes, pos: int) -> tuple[float, int]:
    value: float = unpack_from(">f", data, pos)[0]
    return value, pos + 4


def _float64(data: bytes, pos: int) -> tuple[float, int]:
    value: float = unpack_from(">d", data, pos)[0]
    return value, pos + 8


def _bigint(data: bytes, pos: int) -> tuple[int, int]:
    return int.from_bytes(data[pos : pos + 8], "big", signed=True), pos + 8


def _false(data: bytes, pos: int) -> tuple[bool, int]:
    return False, pos


def _true(data: bytes, pos: int) -> tuple[bool, int]:
    return True, pos


_VALUES: dict[int, Callable[[bytes, int], tuple[Any, int]]] = {
    _INTEGER: _integer,
    _TRUE: _true,
    _FALSE: _false,
    _NULL: _null,
    _UNDEFINED: _null,
    _FLOAT32: _float32,
    _FLOAT64: _float64,
    _BIGINT: _bigint,
}


# JSON in embeds and formats: checked, its value is not needed.

_PLAIN_JSON = frozenset((b"true", b"false", b"null", b'""', b"{}"))
# The closing quote is optional: without it every quote of an unclosed string would be scanned to the end again.
_JSON_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _skip_json(data: bytes, pos: int, end: int) -> int:
    raw, pos = _read_binary(data, pos, end)
    if raw not in _PLAIN_JSON:
        _check_json(raw)
    return pos


def _check_json(raw: bytes) -> None:
    """Refuses JSON that JSON.parse of Yjs or serde_json of pycrdt would not read."""
    if raw.count(b"[") + raw.count(b"{") > MAX_NESTING:
        _check_json_nesting(raw)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise invalid_utf8() from None
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

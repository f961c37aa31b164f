"""Rows as one Yjs update (v1): what a client with an empty document would have sent.

Written here and not by pycrdt, whose JSON objects come out in another order every time, and so that a process that must
not hold a document can make one. Layout: https://github.com/yjs/yjs/blob/main/INTERNALS.md and lib0's `encoding`.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Mapping
from typing import Any

from documents.kind import MAX_UPDATE_BYTES, Kind, Root, Shape

_HAS_KEY = 0x20
_MAX_FRAME = 32  # bytes around the structs of one client
_STRING, _TYPE, _ANY = 4, 7, 8
_MAP, _TEXT = 1, 2
_LARGEST_VARINT = 2**31 - 1  # lib0 writes larger integers as floats


def build(rows: Mapping[str, Mapping[str, Any]], kind: Kind, client_id: int) -> bytes:
    """The update that makes an empty document of this kind hold these rows, written by one client.

    The same input, the order of its dicts included, gives the same bytes. Raises `KeyError` for a root that the kind
    does not have and `TypeError` for what is no JSON.
    """
    (update,) = build_pieces(rows, kind, client_id, sys.maxsize)
    return update


def build_pieces(
    rows: Mapping[str, Mapping[str, Any]], kind: Kind, client_id: int, max_bytes: int = MAX_UPDATE_BYTES
) -> list[bytes]:
    """The same in updates of at most `max_bytes`, to be applied in their order.

    No row is torn apart: one that is larger is an update of its own.
    """
    writer, pieces = _Writer(client_id), list[bytes]()
    start, held, size = 0, list[bytes](), _MAX_FRAME
    for name, row_by_id in rows.items():
        for record_id, row in row_by_id.items():
            before, structs = writer.clock, writer.row(kind.roots[name], record_id, row)
            added = sum(map(len, structs))
            if held and size + added > max_bytes:
                pieces.append(_update(client_id, start, held))
                start, held, size = before, [], _MAX_FRAME
            held += structs
            size += added
    return [*pieces, _update(client_id, start, held)]


def _update(client_id: int, clock: int, structs: list[bytes]) -> bytes:
    if not structs:
        return b"\x00\x00"
    head = (b"\x01", _varuint(len(structs)), _varuint(client_id), _varuint(clock))
    return b"".join((*head, *structs, b"\x00"))


class _Writer:
    """Rows as structs of one client, one after another."""

    def __init__(self, client_id: int) -> None:
        self._client = _varuint(client_id)
        self._structs: list[bytes] = []
        self.clock = 0

    def row(self, root: Root, record_id: str, row: Any) -> list[bytes]:
        """The structs of one row."""
        self._structs = []
        parent = b"\x01" + _string(root.name)
        if root.shape is Shape.TEXT:
            self._text(parent, row)
        elif root.shape is Shape.VALUES:
            self._item(_ANY, parent, record_id, b"\x01" + _any(row))
        elif root.shape is Shape.RECORD:
            self._record(root, parent, row)
        else:
            self._record(root, self._type(_MAP, parent, record_id), row)
        return self._structs

    def _record(self, root: Root, parent: bytes, row: Mapping[str, Any]) -> None:
        for key, value in row.items():
            if key in root.text_keys:
                self._text(self._type(_TEXT, parent, key), value)
            else:
                self._item(_ANY, parent, key, b"\x01" + _any(value))

    def _type(self, type_ref: int, parent: bytes, key: str) -> bytes:
        """Add a shared type; how its children name it as their parent."""
        own = b"\x00" + self._client + _varuint(self.clock)
        self._item(_TYPE, parent, key, _varuint(type_ref))
        return own

    def _text(self, parent: bytes, value: str) -> None:
        if value:
            # Clocks count UTF-16 code units, as JavaScript's strings do.
            self._item(_STRING, parent, None, _string(value), len(value.encode("utf-16-le")) // 2)

    def _item(self, content: int, parent: bytes, key: str | None, encoded: bytes, length: int = 1) -> None:
        if key is None:
            self._structs.append(bytes((content,)) + parent + encoded)
        else:
            self._structs.append(bytes((content | _HAS_KEY,)) + parent + _string(key) + encoded)
        self.clock += length


def _varuint(value: int) -> bytes:
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)


def _varint(value: int) -> bytes:
    """lib0: six bits and the sign in the first byte, seven in each that follows."""
    sign, value = (64, -value) if value < 0 else (0, value)
    if value < 64:
        return bytes((sign | value,))
    return bytes((128 | sign | value & 63,)) + _varuint(value >> 6)


def _string(value: str) -> bytes:
    encoded = value.encode()
    return _varuint(len(encoded)) + encoded


def _any(value: Any) -> bytes:
    if value is None:
        return b"\x7e"
    if isinstance(value, bool):
        return b"\x78" if value else b"\x79"
    if isinstance(value, int) and abs(value) <= _LARGEST_VARINT:
        return b"\x7d" + _varint(value)
    if isinstance(value, int | float):
        return b"\x7b" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"\x77" + _string(value)
    if isinstance(value, list):
        return b"\x75" + _varuint(len(value)) + b"".join(map(_any, value))
    if isinstance(value, dict):
        members = (_string(name) + _any(member) for name, member in value.items())
        return b"\x76" + _varuint(len(value)) + b"".join(members)
    raise TypeError(f"no JSON: {type(value).__name__}")

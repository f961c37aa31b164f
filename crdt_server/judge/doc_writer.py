"""Writes of the server itself: operations on rows, carried out in a pycrdt Doc.

pycrdt counts the offsets of a text in UTF-8 bytes, and `+=` would replace the text: hence `replace_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pycrdt import Doc, Map, Text, TransactionEvent

from crdt_server.judge.clock_ranges import ClockRanges, Span
from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from crdt_server.protocol.structs import DELETED, GC, Struct
from crdt_server.protocol.update import (
    EMPTY_UPDATE,
    ORIGIN,
    RIGHT_ORIGIN,
    decode_structs,
    encode_delete_set,
    with_deletes,
)
from documents.events.splices import splice_of
from documents.invariants import Op
from documents.kind import Kind, Root, Shape


def carry_out(kind: Kind, doc: Doc[Any], ops: Iterable[Op], deletes: Sequence[Span] = ()) -> bytes:
    """Carry out operations in one transaction. Returns its update; operations on missing records are left out.

    ``deletes``: structs to delete besides, wherever they are.
    """
    updates = [EMPTY_UPDATE]

    def keep(event: TransactionEvent) -> None:
        updates.append(event.update)

    subscription = doc.observe(keep)
    try:
        with doc.transaction():
            for op in ops:
                root = kind.roots[op.root]
                if root.shape is Shape.TEXT:
                    replace_text(doc.get(root.name, type=Text), op.value or "")
                else:
                    _write(root, doc.get(root.name, type=Map), op)
            if deletes:
                doc.apply_update(with_deletes(EMPTY_UPDATE, deletes))
    finally:
        doc.unobserve(subscription)
    return updates[-1]


def changes_since(doc: Doc[Any], state_vector: bytes, deletes: Sequence[Span]) -> bytes:
    """The changes of a Doc since a state vector, with these deletions and those of structs that are new and deleted
    already: pycrdt would include every deletion of the document."""
    data = with_deletes(doc.get_update(state_vector), ())
    structs = decode_structs(data).structs
    gone = [(each.client, each.clock, each.clock + each.length) for each in structs if each.content in (GC, DELETED)]
    return with_deletes(data, ClockRanges([*deletes, *gone]).spans())


def without_content(structs: Sequence[Struct]) -> bytes:
    """The update that inserts structs of texts and deletes them: of each its place is left, as in a Doc that has
    collected it. ``structs``: all of an update, none of which has a key."""
    sections: dict[int, list[Struct]] = {}
    for struct in structs:
        sections.setdefault(struct.client, []).append(struct)
    out = [write_var_uint(len(sections))]
    for client, those in sections.items():
        out += (write_var_uint(len(those)), write_var_uint(client), write_var_uint(those[0].clock))
        out += map(_without_content, those)
    spans = ClockRanges((each.client, each.clock, each.clock + each.length) for each in structs).spans()
    return b"".join(out) + encode_delete_set(spans)


def _without_content(struct: Struct) -> bytes:
    _, _, length, _, origin, right_origin, parent, *_ = struct
    info, out = DELETED, list[bytes]()
    for bit, id in ((ORIGIN, origin), (RIGHT_ORIGIN, right_origin)):
        if id is not None:
            info |= bit
            out += map(write_var_uint, id)
    if info == DELETED:
        assert parent is not None
        out.append(b"\1" + write_var_string(parent) if type(parent) is str else b"\0")
        out += () if type(parent) is str else map(write_var_uint, parent)  # type: ignore[arg-type]
    return b"".join((bytes((info,)), *out, write_var_uint(length)))


def replace_text(text: Text, new: str) -> None:
    """Make a text this string, by deleting and inserting as little as possible."""
    old = str(text)
    if old == new:
        return
    index, removed, inserted = splice_of(old, new)
    start = len(old[:index].encode())
    if removed:
        del text[start : start + len(removed.encode())]
    if inserted:
        text.insert(start, inserted)


def _write(root: Root, shared: Map[Any], op: Op) -> None:
    if op.key is None:
        _write_row(root, shared, op)
        return
    record = shared if root.shape is Shape.RECORD else shared.get(op.record)
    if not isinstance(record, Map):
        return
    if op.kind == "delete":
        _delete(record, op.key)
    elif op.key in root.text_keys:
        text = record.get(op.key)
        if isinstance(text, Text):
            replace_text(text, op.value)
        else:
            record[op.key] = Text(op.value)
    else:
        record[op.key] = op.value


def _write_row(root: Root, shared: Map[Any], op: Op) -> None:
    if root.shape is Shape.RECORD:
        _write_whole(root, shared, op)
    elif op.kind == "delete":
        _delete(shared, op.record)
    elif op.kind == "set" or op.record not in shared:
        shared[op.record] = op.value if root.record is None else _record(root, op.value)


def _write_whole(root: Root, shared: Map[Any], op: Op) -> None:
    """The root itself is the row: it has no key for it."""
    there = set(shared.keys())
    if op.kind == "insert" and there:
        return
    fields = {} if op.kind == "delete" else op.value
    for key in there.difference(fields):
        _delete(shared, key)
    for key, value in fields.items():
        shared[key] = Text(value) if key in root.text_keys else value


def _delete(shared: Map[Any], key: str) -> None:
    """`Map.pop` reads the value first, and raises for XML types, which a client may put anywhere."""
    if key in shared:
        del shared[key]


def _record(root: Root, fields: Mapping[str, Any]) -> Map[Any]:
    return Map({name: Text(value) if name in root.text_keys else value for name, value in fields.items()})

"""Writes of the server itself: operations on rows, carried out in a pycrdt Doc.

pycrdt counts the offsets of a text in UTF-8 bytes, and `+=` would replace the text: hence `replace_text`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pycrdt import Doc, Map, Text, TransactionEvent

from crdt_server.judge.clock_ranges import ClockRanges, Span
from crdt_server.protocol.structs import DELETED, GC
from crdt_server.protocol.update import EMPTY_UPDATE, decode_structs, with_deletes
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
        record.pop(op.key, None)
    elif op.key in root.text_keys:
        text = record.get(op.key)
        if isinstance(text, Text):
            replace_text(text, op.value)
        else:
            record[op.key] = Text(op.value)
    else:
        record[op.key] = op.value


def _write_row(root: Root, shared: Map[Any], op: Op) -> None:
    if op.kind == "delete":
        shared.pop(op.record, None)
    elif op.kind == "set" or op.record not in shared:
        shared[op.record] = op.value if root.record is None else _record(root, op.value)


def _record(root: Root, fields: Mapping[str, Any]) -> Map[Any]:
    return Map({name: Text(value) if name in root.text_keys else value for name, value in fields.items()})

"""The values of rows, from the structs of a document that an update has changed.

Plain values come from the structs. Texts are read in the Doc, and only those that may have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from pycrdt import Doc, Map, Text

from crdt_server.judge.shared_types import A_TEXT, RECORD, RECORDS, Entries, SharedType
from crdt_server.judge.struct_index import Integrated, StructIndex
from crdt_server.protocol.structs import ANY, DOC, TYPE, Struct
from documents.changes import RowsByRoot
from documents.fields import Unreadable
from documents.kind import Kind, Shape
from documents.rows import NewValues, RowId, key_value, row_value

_SHARED_TYPES = {0: "array", 1: "map", 2: "text", 3: "xmlelement", 4: "xmlfragment", 6: "xmltext"}

ReadText = Callable[[SharedType], str]


def new_values(index: StructIndex, done: Integrated, read_text: ReadText) -> NewValues:
    """The values of the rows that an update may have changed."""
    texts = set(done.texts)
    found: dict[RowId, dict[str | None, Any]] = {}
    whole: list[RowId] = []
    for entries, struct in done.standing.items():
        shared = entries.parent
        if shared.use == RECORD:
            value = _key_value(index, entries, struct, texts, read_text)
            found.setdefault((shared.root.name, shared.record), {})[entries.key] = value
        else:
            found.setdefault((shared.root.name, entries.key), {})[None] = _row_value(index, entries, struct)
            whole.append((shared.root.name, entries.key))
    for entries in done.emptied:
        shared = entries.parent
        if shared.use == RECORD:
            found.setdefault((shared.root.name, shared.record), {})[entries.key] = None
        else:
            found[shared.root.name, entries.key] = {None: None}
    for shared in done.texts:
        key = None if shared.entries is None else shared.entries.key
        values = found.setdefault((shared.root.name, shared.record), {})
        if key not in values:
            values[key] = read_text(shared) or (None if key is None else "")
    for where in whole:
        _complete(found, where)
    return found


def _complete(found: dict[RowId, dict[str | None, Any]], where: RowId) -> None:
    """A new record is a row as a whole: all its keys are new."""
    row = found[where]
    record = row.pop(None)
    if type(record) is dict:
        record.update((key, value) for key, value in row.items() if value is not None)
    found[where] = {None: record}


def read_rows(
    rows: RowsByRoot,
    kind: Kind,
    index: StructIndex,
    newest: dict[Entries, Struct],
    texts: Collection[SharedType],
    read_text: ReadText,
) -> Iterator[None]:
    """Read the rows of a document that was loaded, in steps, into ``rows``, which has every root: ``newest`` and
    ``texts`` as `StructIndex.load` gave them. Takes out of ``newest``: to free all of it at once takes 20 ms."""
    covers = index.deleted.covers
    shared, record = None, None
    for entries in list(newest):
        yield
        struct = newest.pop(entries)
        if entries.parent is not shared:
            shared = entries.parent
            record = _record(index, rows, shared)
        if record is None or covers(entries.client, entries.clock, entries.clock + 1):
            continue
        if shared.use == RECORD:
            record[entries.key] = _key_value(index, entries, struct, texts, read_text)
        elif entries.key not in record:
            record[entries.key] = _row_value(index, entries, struct)
    for shared in texts:
        if shared.entries is None and (text := read_text(shared)):
            rows[shared.root.name][shared.record] = text
    for name, root in kind.roots.items():
        if root.shape is Shape.RECORD and not any(rows[name].values()):
            rows[name].clear()


def _record(index: StructIndex, rows: RowsByRoot, shared: SharedType) -> dict[str, Any] | None:
    """The dict of a shared type's entries; None: they are no part of any row."""
    if shared.use != RECORD:
        return rows[shared.root.name]
    if not index.is_current(shared):
        return None
    record: dict[str, Any] = rows[shared.root.name].setdefault(shared.record, {})
    return record


def _key_value(
    index: StructIndex, entries: Entries, struct: Struct, texts: Collection[SharedType], read_text: ReadText
) -> Any:
    root = entries.parent.root
    if struct.content == TYPE:
        text = index.opened_by(entries) if entries.key in root.text_keys else None
        if text is not None and text.use == A_TEXT:
            return read_text(text) if text in texts else ""
    return key_value(root, entries.key, _plain(struct))


def _row_value(index: StructIndex, entries: Entries, struct: Struct) -> Any:
    if struct.content == TYPE and entries.parent.use == RECORDS:
        record = index.opened_by(entries)
        if record is not None and record.use == RECORD:
            return {}
    return row_value(entries.parent.root, _plain(struct))


def _plain(struct: Struct) -> Any:
    if struct.content == TYPE:
        return Unreadable(_SHARED_TYPES[struct.value])
    if struct.content == DOC:
        return Unreadable("doc")
    return struct.value[-1] if struct.content == ANY else struct.value


class TextReader:
    """Reads the texts of a Doc. It must not outlive the Doc."""

    def __init__(self, kind: Kind, doc: Doc[Any]) -> None:
        self._doc = doc
        self._roots = {
            name: doc.get(name, type=Text) if root.shape is Shape.TEXT else doc.get(name, type=Map)
            for name, root in kind.roots.items()
        }

    def read(self, text: SharedType) -> str:
        """The value of a text, however long it is."""
        shared: Any = self._roots[text.root.name]
        entries = text.entries
        if entries is not None:
            with self._doc.transaction():
                record = shared if text.root.shape is Shape.RECORD else shared[text.record]
                return str(record[entries.key])
        return str(shared)

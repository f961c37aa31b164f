"""From what an update has done to the structs of a document to what its rows hold now.

Plain values come from the structs. Texts are read in the Doc, and only those that may have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from pycrdt import Doc, Map, Text

from crdt_server.judge.places import A_TEXT, RECORD, RECORDS, Entries, Place
from crdt_server.judge.struct_index import Integrated, StructIndex
from crdt_server.protocol.structs import ANY, DOC, TYPE, Struct
from documents.changes import RowsByRoot
from documents.fields import Unreadable
from documents.kind import Kind, Shape
from documents.rows import SHOWN, NewValues, RowId, key_value, row_value

_SHARED_TYPES = {0: "array", 1: "map", 2: "text", 3: "xmlelement", 4: "xmlfragment", 6: "xmltext"}

ReadText = Callable[[Place], str]


def new_values(index: StructIndex, done: Integrated, read_text: ReadText) -> NewValues:
    """What the rows hold now where an update may have changed them."""
    texts = set(done.texts)
    found: dict[RowId, dict[str | None, Any]] = {}
    whole: list[RowId] = []
    for entries, struct in done.standing.items():
        place = entries.place
        if place.use == RECORD:
            value = _key_value(index, entries, struct, texts, read_text)
            found.setdefault((place.root.name, place.record), {})[entries.key] = value
        else:
            found.setdefault((place.root.name, entries.key), {})[None] = _row_value(index, entries, struct)
            whole.append((place.root.name, entries.key))
    for entries in done.emptied:
        place = entries.place
        if place.use == RECORD:
            found.setdefault((place.root.name, place.record), {})[entries.key] = None
        else:
            found[place.root.name, entries.key] = {None: None}
    for place in done.texts:
        key = None if place.entries is None else place.entries.key
        values = found.setdefault((place.root.name, place.record), {})
        if key not in values:
            values[key] = read_text(place) or (None if key is None else "")
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


def rows_of(
    kind: Kind, index: StructIndex, newest: Mapping[Entries, Struct], texts: Collection[Place], read_text: ReadText
) -> RowsByRoot:
    """All rows of a document that was loaded: ``newest`` and ``texts`` as `StructIndex.load` gave them."""
    rows: RowsByRoot = {name: {} for name in kind.roots}
    covers = index.deleted.covers
    place, record = None, None
    for entries, struct in newest.items():
        if entries.place is not place:
            place = entries.place
            record = _record(index, rows, place)
        if record is None or covers(entries.client, entries.clock, entries.clock + 1):
            continue
        if place.use == RECORD:
            record[entries.key] = _key_value(index, entries, struct, texts, read_text)
        elif entries.key not in record:
            record[entries.key] = _row_value(index, entries, struct)
    for place in texts:
        if place.entries is None and (text := read_text(place)):
            rows[place.root.name][place.record] = text
    for name, root in kind.roots.items():
        if root.shape is Shape.RECORD and not any(rows[name].values()):
            rows[name].clear()
    return rows


def _record(index: StructIndex, rows: RowsByRoot, place: Place) -> dict[str, Any] | None:
    """The dict that entries of a place belong into; None: they do not count."""
    if place.use != RECORD:
        return rows[place.root.name]
    if not index.is_current(place):
        return None
    record: dict[str, Any] = rows[place.root.name].setdefault(place.record, {})
    return record


def _key_value(
    index: StructIndex, entries: Entries, struct: Struct, texts: Collection[Place], read_text: ReadText
) -> Any:
    root = entries.place.root
    if struct.content == TYPE:
        text = index.opened_by(entries) if entries.key in root.text_keys else None
        if text is not None and text.use == A_TEXT:
            return read_text(text) if text in texts else ""
    return key_value(root, entries.key, _plain(struct))


def _row_value(index: StructIndex, entries: Entries, struct: Struct) -> Any:
    if struct.content == TYPE and entries.place.use == RECORDS:
        record = index.opened_by(entries)
        if record is not None and record.use == RECORD:
            return {}
    return row_value(entries.place.root, _plain(struct))


def _plain(struct: Struct) -> Any:
    if struct.content == TYPE:
        return Unreadable(_SHARED_TYPES[struct.value])
    if struct.content == DOC:
        return Unreadable("doc")
    return struct.value[-1] if struct.content == ANY else struct.value


class TextReader:
    """The texts of a Doc. To be let go with it."""

    def __init__(self, kind: Kind, doc: Doc[Any]) -> None:
        self._doc = doc
        self._roots = {
            name: doc.get(name, type=Text) if root.shape is Shape.TEXT else doc.get(name, type=Map)
            for name, root in kind.roots.items()
        }

    def read(self, place: Place) -> str:
        """What a text holds now, cut where it is plain that it is too long."""
        shared: Any = self._roots[place.root.name]
        entries = place.entries
        if entries is not None:
            with self._doc.transaction():
                record = shared if place.root.shape is Shape.RECORD else shared[place.record]
                return str(record[entries.key])[:SHOWN]
        return str(shared)[:SHOWN]

"""Rows: what a document holds as plain dicts.

- `{root: {record id: {key: value}}}`; of roots whose records are single values `{root: {id: value}}`; a root that is
  one record or one text has the record id `WHOLE`. Roots without records are empty dicts.
- Texts are strings, cut after one character more than a field may have. Integral numbers are integers. Values that fit
  no field (a nested map or array, a text in place of a plain value or the reverse, null, NaN, bytes) are `Unreadable`:
  nothing is followed into depth, nothing raises. So a row never holds None for a key: None means absent.
- `Rows` needs no document: its caller knows what has changed. `read` reads a document as a whole, with the same result.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

from pycrdt import Doc, Map, Text

from documents.changes import Change, Changes, Row, RowsByRoot, compare
from documents.fields import MAX_NOTE, Unreadable, normalised, same
from documents.kind import WHOLE, Kind, Root, Shape

SHOWN: Final = MAX_NOTE + 1
"""Characters of a text: enough to see that it is too long."""

RowId: TypeAlias = tuple[str, str]
"""Root and record id."""

NewValues: TypeAlias = Mapping[RowId, Mapping[str | None, Any]]
"""Row -> key -> what it holds now, None where it holds nothing. With None as key: the row as a whole."""


class Rows:
    """The rows of one document, kept up to date by `update`."""

    def __init__(self, kind: Kind, roots: RowsByRoot) -> None:
        self.kind = kind
        self.roots = roots
        """The rows of every root of the kind. Not to be changed, except by `update`."""
        self._place = {name: index for index, name in enumerate(kind.roots)}

    def update(self, values: NewValues) -> Changes:
        """Bring `roots` up to date. Returns what that changed."""
        changes = Changes([], [], [])
        for where in values if len(values) == 1 else sorted(values, key=self._order):
            root, record_id = self.kind.roots[where[0]], where[1]
            rows, new = self.roots[root.name], values[where]
            before = rows.get(record_id)
            if type(before) is dict and root.record is not None and None not in new:
                _refresh_keys(root, record_id, before, new, changes)
                if root.shape is Shape.RECORD and not before:
                    del rows[record_id]
                    changes.removed.append(where)
                continue
            after = new[None] if None in new else {key: each for key, each in new.items() if each is not None} or None
            if after is None:
                rows.pop(record_id, None)
            else:
                rows[record_id] = after
            compare(root, record_id, before, after, changes)
        return changes

    def _order(self, where: RowId) -> tuple[int, str]:
        return self._place[where[0]], where[1]


def _refresh_keys(root: Root, record_id: str, row: dict[str, Any], values: Mapping[Any, Any], changes: Changes) -> None:
    for name in values if len(values) == 1 else sorted(values):
        before, after = row.get(name), values[name]
        if after is None:
            row.pop(name, None)
        else:
            row[name] = after
        if not same(before, after):
            changes.fields.append(Change(root.name, record_id, name, before, after))


def key_value(root: Root, name: str, value: object) -> Any:
    """The value of a row for a key whose value in the document is no text. `Unreadable` stands for a shared type."""
    if name in root.text_keys:
        return Unreadable(_shape(value))
    return value if type(value) is Unreadable else normalised(value)


def row_value(root: Root, value: object) -> Any:
    """A row as a whole, its value in the document being no record. `Unreadable` stands for a shared type."""
    if root.shape is Shape.VALUES:
        return value if type(value) is Unreadable else normalised(value)
    return Unreadable(_shape(value))


def read(kind: Kind, doc: Doc[Any]) -> RowsByRoot:
    """The rows of a document, read as a whole."""
    with doc.transaction():
        return {name: dict(_read_root(root, doc)) for name, root in kind.roots.items()}


def _read_root(root: Root, doc: Doc[Any]) -> Iterator[tuple[str, Row]]:
    if root.shape is Shape.TEXT:
        text = str(doc.get(root.name, type=Text))[:SHOWN]
        if text:
            yield WHOLE, text
        return
    shared: Map[Any] = doc.get(root.name, type=Map)
    if root.shape is Shape.RECORD:
        row = _read_record(root, shared)
        if row:
            yield WHOLE, row
        return
    for record_id, value in shared.items():
        if root.shape is Shape.RECORDS and type(value) is Map:
            yield record_id, _read_record(root, value)
        else:
            yield record_id, row_value(root, _plain(value))


def _read_record(root: Root, record: Map[Any]) -> dict[str, Any]:
    return {
        name: str(value)[:SHOWN]
        if type(value) is Text and name in root.text_keys
        else key_value(root, name, _plain(value))
        for name, value in record.items()
    }


def _plain(value: object) -> object:
    """The value, with what is no JSON as `Unreadable`."""
    plain = normalised(value)
    return plain if type(plain) is Unreadable else value


def _shape(value: object) -> str:
    plain = value if type(value) is Unreadable else normalised(value)
    if isinstance(plain, Unreadable):
        return plain.shape
    return "string" if type(plain) is str else "plain value"

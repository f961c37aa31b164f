"""Rows: what a document holds as plain dicts, kept up to date from the events of its roots.

- `{root: {record id: {key: value}}}`; of roots whose records are single values `{root: {id: value}}`; a root that is
  one record or one text has the record id `WHOLE`. Roots without records are empty dicts.
- Texts are strings, cut after one character more than a field may have. Integral numbers are integers. What no field
  accepts (a nested map or array, a text where a plain value belongs or the reverse, null, NaN, bytes) is `Unreadable`:
  nothing is followed into depth, nothing raises. So a row never holds None for a key: None means absent.
- Events only say where to look; the value is read from the document afterwards, or was known to the caller. Whatever
  the events of a transaction were and in whatever order they came, the rows are those that reading the whole document
  would give.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from pycrdt import Doc, Map, Text

from documents.changes import Change, Changes, Row, RowsByRoot, compare
from documents.fields import MAX_NOTE, Unreadable, normalised, same
from documents.kind import WHOLE, Kind, Root, Shape

_SHOWN = MAX_NOTE + 1  # enough to see that it is too long

# Where to look again: record id -> keys, or None for the whole record.
_Dirty: TypeAlias = dict[str, set[str] | None]

_Values: TypeAlias = Mapping[str | None, Any]

Known: TypeAlias = Mapping[tuple[str, str], _Values]
"""(root, record) -> key -> the plain value that the document holds there, as pycrdt would show it. Reading it in a
document costs fifteen times as much as knowing it."""

_NOTHING: Final[Known] = MappingProxyType({})
_NO_VALUES: Final[_Values] = MappingProxyType({})


class Rows:
    """The rows of one document, and what of them changed.

    The document must not be read after a doubt about it, nor must this. Call `close` before the document is let go.
    """

    def __init__(self, kind: Kind, doc: Doc[Any], known: Known = _NOTHING) -> None:
        self.kind = kind
        self._doc = doc
        self._dirty: dict[str, _Dirty] = {name: {} for name in kind.roots}
        self._types = {root.name: _shared_type(doc, root) for root in kind.roots.values()}
        # The observers know only what is dirty, not these rows: a cycle through pycrdt would never be collected.
        # They get the events as they are: pycrdt's own wrapping of them costs as much as all the rest of an update.
        self._subscriptions = [
            shared.integrated.observe_deep(partial(_collect, kind.roots[name].shape, self._dirty[name]))
            for name, shared in self._types.items()
        ]
        self.roots: RowsByRoot = self._read_all(known)
        """The rows. Not to be changed, except by `take`."""

    def take(self, known: Known = _NOTHING) -> Changes:
        """What the transactions since the last call changed. Brings `roots` up to date."""
        changes = Changes([], [], [])
        if any(self._dirty.values()):
            with nullcontext() if self._is_covered(known) else self._doc.transaction():
                for name, dirty in self._dirty.items():
                    if dirty:
                        self._refresh(self.kind.roots[name], dirty, known, changes)
                        dirty.clear()
        return changes

    def _is_covered(self, known: Known) -> bool:
        """Whether nothing has to be read in the document, as with most edits."""
        for name, dirty in self._dirty.items():
            for record_id, keys in dirty.items():
                values = known.get((name, record_id), _NO_VALUES).keys()
                if not (values >= keys if keys is not None else None in values):
                    return False
        return True

    def close(self) -> None:
        """Stop listening to the document."""
        for subscription in self._subscriptions:
            subscription.drop()
        self._subscriptions = []

    def _read_all(self, known: Known) -> RowsByRoot:
        with self._doc.transaction():
            return {
                name: dict(_read_root(self.kind.roots[name], shared, known)) for name, shared in self._types.items()
            }

    def _refresh(self, root: Root, dirty: _Dirty, known: Known, changes: Changes) -> None:
        rows, shared = self.roots[root.name], self._types[root.name]
        for record_id in sorted(dirty):
            before, keys = rows.get(record_id), dirty[record_id]
            values = None
            if keys is not None and type(before) is dict:
                values = _read_keys(root, shared, record_id, keys, known.get((root.name, record_id), _NO_VALUES))
            if values is not None and type(before) is dict:
                _refresh_keys(root, record_id, before, values, changes)
                if root.shape is Shape.RECORD and not before:
                    del rows[record_id]
                    changes.removed.append((root.name, record_id))
                continue
            after = _read_row(root, shared, record_id, known.get((root.name, record_id), _NO_VALUES))
            if after is None:
                rows.pop(record_id, None)
            else:
                rows[record_id] = after
            compare(root, record_id, before, after, changes)


def read(kind: Kind, doc: Doc[Any]) -> RowsByRoot:
    """The rows of a document, read as a whole."""
    with doc.transaction():
        return {name: dict(_read_root(root, _shared_type(doc, root), {})) for name, root in kind.roots.items()}


def _shared_type(doc: Doc[Any], root: Root) -> Any:
    return doc.get(root.name, type=Text) if root.shape is Shape.TEXT else doc.get(root.name, type=Map)


def _collect(shape: Shape, dirty: _Dirty, events: list[Any]) -> None:
    """Note where to look again. Runs inside the transaction of whoever writes: it must not raise."""
    for event in events:
        path = event.path
        if path and type(path[0]) is not str:
            continue  # inside list items under the name of a root map: they are not in the map
        if shape is Shape.RECORDS:
            if len(path) >= 2:
                _add(dirty, path[0], (path[1],))
            elif path and hasattr(event, "keys"):
                _add(dirty, path[0], _keys(event))
            else:
                dirty.update(dict.fromkeys(path or _keys(event)))
        elif shape is Shape.VALUES:
            dirty.update(dict.fromkeys(path[:1] or _keys(event)))
        elif shape is Shape.RECORD:
            _add(dirty, WHOLE, path[:1] or _keys(event))
        else:
            dirty[WHOLE] = None


def _keys(event: Any) -> Iterable[str]:
    """Keys that changed; none when the write lost against a concurrent one, or is to a list under the name of a map."""
    keys: Iterable[str] = getattr(event, "keys", ())
    return keys


def _add(dirty: _Dirty, record_id: str, keys: Iterable[str]) -> None:
    known = dirty.setdefault(record_id, set())
    if known is not None:
        known.update(keys)


def _read_keys(root: Root, shared: Any, record_id: str, keys: set[str], known: _Values) -> dict[str, Any] | None:
    """What these keys of a record hold; None where it is no record any more."""
    record = shared if root.shape is Shape.RECORD else None
    values = {}
    for name in sorted(keys):
        value = known.get(name, _ABSENT)
        if value is _ABSENT:
            record = _get(shared, record_id) if record is None else record
            if type(record) is not Map:
                return None
            value = _get(record, name, _ABSENT)
        values[name] = _read_key(root, name, value)
    return values


def _refresh_keys(root: Root, record_id: str, row: dict[str, Any], values: dict[str, Any], changes: Changes) -> None:
    for name, after in values.items():
        before = row.get(name)
        if after is None:
            row.pop(name, None)
        else:
            row[name] = after
        if not same(before, after):
            changes.fields.append(Change(root.name, record_id, name, before, after))


def _read_root(root: Root, shared: Any, known: Known) -> Iterator[tuple[str, Row]]:
    ids = list(shared.keys()) if root.shape in (Shape.RECORDS, Shape.VALUES) else [WHOLE]
    for record_id in ids:
        row = _read_row(root, shared, record_id, known.get((root.name, record_id), _NO_VALUES))
        if row is not None:
            yield record_id, row


def _read_row(root: Root, shared: Any, record_id: str, known: _Values) -> Row | None:
    """One row, or None where there is none. One record or one text is there as soon as something is in it."""
    if root.shape is Shape.TEXT:
        return str(shared)[:_SHOWN] or None
    if root.shape is Shape.RECORD:
        return _read_record(root, shared, known) or None
    if root.shape is Shape.VALUES and None in known:
        return normalised(known[None])
    value = _get(shared, record_id, _ABSENT)
    if value is _ABSENT:
        return None
    if root.shape is Shape.VALUES:
        return normalised(value)
    return _read_record(root, value, known) if type(value) is Map else Unreadable(_shape(value))


def _read_record(root: Root, record: Map[Any], known: _Values) -> dict[str, Any]:
    return {
        name: _read_key(root, name, known[name] if name in known else record[name])
        for name in record.keys()  # noqa: SIM118 - a Map iterates otherwise
    }


def _read_key(root: Root, name: str, value: Any) -> Any:
    if value is _ABSENT:
        return None
    if type(value) is Text:
        return str(value)[:_SHOWN] if name in root.text_keys else Unreadable("text")
    return Unreadable(_shape(value)) if name in root.text_keys else normalised(value)


def _shape(value: object) -> str:
    plain = normalised(value)
    if isinstance(plain, Unreadable):
        return plain.shape
    return "string" if type(plain) is str else "plain value"


class _Absent:
    """Not there; null is there."""


_ABSENT = _Absent()


def _get(shared: Map[Any], name: str, default: Any = None) -> Any:
    try:
        return shared[name]
    except KeyError:
        return default

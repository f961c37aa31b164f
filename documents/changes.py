"""Changes of rows, as plain data without a document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

from documents.fields import same
from documents.kind import Root

Row: TypeAlias = Any
"""`dict[str, Any]` of keys and values, or one value."""

RowsByRoot: TypeAlias = dict[str, dict[str, Row]]


class Change(NamedTuple):
    """One key of one record that changed."""

    root: str
    record: str
    key: str | None
    """None: the row as a whole, where it is no record of keys."""
    before: Any
    """None: there was none."""
    after: Any
    """None: there is none."""


class Changes(NamedTuple):
    """The changes of one document: by root as declared, then by record and key."""

    fields: list[Change]
    added: list[tuple[str, str]]
    """Root and id of rows that were not there before. Their values are among `fields`."""
    removed: list[tuple[str, str]]
    """Root and id of rows that are no longer there. Their former values are among `fields`."""


def compare(root: Root, record_id: str, before: Row | None, after: Row | None, changes: Changes) -> None:
    """Add to `changes` those from one row (None: there is none) to another."""
    if before is None and after is not None:
        changes.added.append((root.name, record_id))
    if before is not None and after is None:
        changes.removed.append((root.name, record_id))
    old: Mapping[str | None, Any] = _keys_of_row(root, before)
    new: Mapping[str | None, Any] = _keys_of_row(root, after)
    # One who follows the changes in this order empties a record before it becomes a value, and the reverse.
    whole = (None,) if None in old or None in new else ()
    names = sorted(name for name in old.keys() | new.keys() if name is not None)
    for name in (*names, *whole) if None in new else (*whole, *names):
        if not same(old.get(name), new.get(name)):
            changes.fields.append(Change(root.name, record_id, name, old.get(name), new.get(name)))


def _keys_of_row(root: Root, row: Row | None) -> Mapping[Any, Any]:
    if root.record is not None and type(row) is dict:
        return row
    return {} if row is None else {None: row}

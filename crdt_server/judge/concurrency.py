"""X1 and X2: writes whose authors had not seen each other, recognised from the items of an update.

- A map entry names the entry it was written on. Where that is not the newest one here, its author had not seen the
  newest.
- The state vector of a reconnection gives the clocks that a client had seen while it was away.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crdt_server.judge.applied import Applied, Unseen
from crdt_server.judge.rules import may_stand
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.writes import GONE, NESTED, Write
from documents.changes import Change
from documents.fields import normalised, same
from documents.invariants import NOBODY, Field, Finding, Wedding, Writer, Written, edit_of_deleted, lost_write
from documents.kind import Root, Shape
from documents.shared import STAMP

Found = tuple[Finding, Mapping[Field, Writer]]
"""A finding, and the writers of the fields that its automatic operations would set."""


def detect(wedding: Wedding, document: SchemaDocument, writer: Writer, applied: Applied) -> list[Found]:
    """The findings about the writes of one update. The rows hold them; their writers are not recorded yet."""
    _, changes, writes, *_ = applied
    found: list[Found] = []
    unseen = {(w.root, w.record, w.key): w for w in writes if not w.seen or w.orphan}
    if unseen:
        before = {change[:3]: change.before for change in changes.fields}
        for field, write in unseen.items():
            old = before[field] if field in before else wedding.value(Field(document.name, *field))
            found += _lost_writes(wedding, document, writer, write, old)
    rows = wedding.documents[document.name]
    for root, record, *_ in changes.fields:
        row = rows[root].get(record)
        if type(row) is dict and "deleted" in row:
            found += _edits_of_deleted(wedding, document, writer, applied)
            break
    return found


def _lost_writes(
    wedding: Wedding, document: SchemaDocument, writer: Writer, write: Write, before: Any
) -> Iterator[Found]:
    root, field = document.kind.roots[write.root], Field(document.name, write.root, write.record, write.key)
    if not _is_plain(root, write):
        return
    mine = Written(None if write.value is GONE else normalised(write.value), writer)
    if write.wins and not write.orphan:
        merged, other = mine, Written(before, wedding.writers.get(field, NOBODY))
        if before is None and other.writer is NOBODY:
            return
        mine_or_theirs = {field: writer}, {field: other.writer}
    else:
        merged, other = Written(wedding.value(field), wedding.writers.get(field, NOBODY)), mine
        mine_or_theirs = {field: other.writer}, {field: writer}
    if _means_the_same(document, write, merged.value, other.value) or not may_stand(root, write):
        return  # a value that is not allowed there is not a lost write, and is never offered as an option
    finding = lost_write(wedding.strategy("X1"), field, merged, other, wedding)
    if finding is not None:
        yield finding, mine_or_theirs[bool(finding.automatic)]


def confirmed(wedding: Wedding, document: SchemaDocument, writes: Sequence[Write]) -> dict[Field, Any]:
    """Writes that lost against a write of the same value: field -> value.

    To be written once more: else it would be deleted with the other one, whose author has not seen both.
    """
    found = {}
    for write in [each for each in writes if each.orphan or not (each.seen or each.wins)]:
        root, field = document.kind.roots[write.root], Field(document.name, write.root, write.record, write.key)
        if _is_plain(root, write) and may_stand(root, write):
            value = wedding.value(field)
            if same(value, normalised(write.value)) or _means_the_same(document, write, value, write.value):
                found[field] = value
    return found


def _is_plain(root: Root, write: Write) -> bool:
    """Whether it is a plain value of a client."""
    return not root.server and write.value is not NESTED and (write.key is not None or root.shape is not Shape.RECORDS)


def _means_the_same(document: SchemaDocument, write: Write, one: Any, other: Any) -> bool:
    """Whether two writes mean the same, as two deletions or two ticks do."""
    declared = document.kind.roots[write.root].key(write.key) if write.key is not None else None
    return declared is not None and declared.type is STAMP and one is not None and other is not None


def _edits_of_deleted(wedding: Wedding, document: SchemaDocument, writer: Writer, applied: Applied) -> Iterator[Found]:
    _, changes, _, unseen, _ = applied
    rows = wedding.documents[document.name]
    keys_of: dict[tuple[str, str], dict[str | None, Change]] = {}
    for change in changes.fields:
        row = rows[change.root].get(change.record)
        if type(row) is dict and "deleted" in row:
            keys_of.setdefault(change[:2], {})[change.key] = change
    for (root_name, record), keys in keys_of.items():
        root, row = document.kind.roots[root_name], rows[root_name][record]
        if root.server or root.shape is not Shape.RECORDS or (root_name, record) in changes.added:
            continue
        deletion = row["deleted"]
        where = (document.name, root_name, record)
        own = keys.get("deleted")
        deleter = wedding.writers.get(Field(*where, "deleted"), NOBODY) if own is None else _over(writer, own)
        if own is None:
            edit = _edit(keys, writer)
        elif unseen is None:
            continue
        else:
            edit = _unseen_edit(wedding, where, writer, unseen)
        if edit is None or edit[1].writer.user == deleter.user:
            continue
        key, written = edit
        strategy = wedding.strategy("X2")
        yield edit_of_deleted(strategy, Field(*where, key), Written(deletion, deleter), written, wedding), {}


def _over(writer: Writer, change: Change) -> Writer:
    """The writer of a change."""
    return writer._replace(before=change.before)


def _edit(keys: Mapping[str | None, Change], writer: Writer) -> tuple[str | None, Written] | None:
    key = next(iter(sorted(keys, key=str)), None)
    return (key, Written(keys[key].after, _over(writer, keys[key]))) if keys else None


def _unseen_edit(
    wedding: Wedding, where: tuple[str, str, str], deleter: Writer, unseen: Unseen
) -> tuple[str, Written] | None:
    """The newest edit of a record that its deleter had not seen."""
    row = wedding.documents[where[0]][where[1]][where[2]]
    edits = []
    for key in row:
        if unseen(*where[1:], key):
            writer = wedding.writers.get(Field(*where, key), NOBODY)
            if writer.user not in ("", deleter.user, "server"):
                edits.append((writer.seq, key, Written(row[key], writer)))
    return max(edits)[1:] if edits else None

"""Edits of the readers of a derived document: which of them stand, and what they are in its sources.

- An edit stands where the declaration allows it to this person, and the rules of the source allow its result. Others
  are put back in the same step, and their sender is told the reason.
- A standing edit is carried over as one of this person. Whether its author had seen the newest value follows from the
  entries of the derived document, into which the server wrote that value: a write that has not seen it, or lost against
  it, is concurrent in the source as well (X1).
- What was deleted in the source is not shown here any more. An edit of it that could have stood before is carried over
  all the same, as one of a deleted record (X2); so is what had not been seen by somebody who deletes a record here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from crdt_server.judge.applied import Applied, Unseen
from crdt_server.judge.role_rules import may_write
from crdt_server.judge.rules import Outcome, Reverted, examine, may_stand
from crdt_server.judge.writes import GONE, NESTED, Write
from documents.changes import Change, Changes, Row, RowsByRoot, compare
from documents.derived.model import NOT_WRITABLE, Source, View
from documents.events import Actor
from documents.fields import Reason, normalised
from documents.invariants import Op, apply
from documents.kind import Kind
from documents.registry import kind_of

if TYPE_CHECKING:
    from crdt_server.judge.derived_document import ProjectedDocument

Place = tuple[str, str, str | None]
"""Root, record and key."""

BARE: Final[Mapping[str, Any]] = {}
"""Of a new record without a field, which is made in the source all the same."""

_NOT_THERE = Reason("missing", "this is not shown any more")
_TAKEN = Reason("exists", "the id is taken")


class Carried(NamedTuple):
    """An edit as it is in one source: operations, and the map entries that it counts as."""

    document: str
    ops: Sequence[Op]
    writes: Sequence[Write]
    unseen: Unseen | None

    def applied(self, actor: Actor, changes: Changes) -> Applied:
        """The edit when it was written. The clocks of the derived document are not those of the source."""
        return Applied(actor, changes, self.writes, self.unseen)


def examined(
    document: ProjectedDocument,
    actor: Actor,
    changes: Changes,
    _stamp: Mapping[str, Any] | None = None,
    *,
    rows: Mapping[str, Mapping[str, Any]] | None = None,
) -> Outcome:
    """The changes of an update that stand, and what undoes the others. ``rows`` already hold them; None: those of the
    document do."""
    rows = document.rows.roots if rows is None else rows
    found = examine(document.kind, document.name, rows, changes, actor._replace(rights=""))
    refused: dict[Place, Reason] = {}
    for change in found.legal.fields:
        reason = refusal(document, change, actor)
        if reason is not None:
            refused[change[:3]] = reason
    for where in found.legal.added:
        if where[1] in document.view.source.rows(*_source_of(document, where[0])):  # it is not shown here
            refused[*where, None] = _TAKEN
    tried = [each for each in found.legal.fields if each[:3] not in refused]
    counted = {each[:2] for each in (*refused, *tried)}
    tried += [Change(*where, None, None, BARE) for where in found.legal.added if where not in counted]
    refused |= _refused_by_sources(document, tried, actor)
    return _without(found, document.name, refused) if refused else found


def _without(found: Outcome, document: str, refused: Mapping[Place, Reason]) -> Outcome:
    """The outcome without changes that are refused; of new records nothing stands then."""
    ops, reverted, legal = list(found.ops), list(found.reverted), found.legal
    added = {place[:2]: reason for place, reason in refused.items() if place[:2] in legal.added}
    for where, reason in added.items():
        reverted.append(Reverted(*where, None, reason))
        ops.append(Op("delete", document, *where))
    for change in legal.fields:
        if change[:3] in refused and change[:2] not in added:
            reverted.append(Reverted(*change[:3], refused[change[:3]]))
            kind = "delete" if change.before is None else "set"
            ops.append(Op(kind, document, *change[:3], change.before))
    standing = Changes(
        [each for each in legal.fields if each[:3] not in refused and each[:2] not in added],
        [where for where in legal.added if where not in added],
        [where for where in legal.removed if (*where, None) not in refused],
    )
    return Outcome(standing, reverted, ops, found.withdrawn)


def _foundation(
    document: ProjectedDocument, root: str, record: str, actor: Actor, others: int = 0
) -> dict[str, Any] | Reason | None:
    """The record that has to be made in the source before somebody writes in one here, or why they may not; None: it is
    there, or is one value. ``others``: how many the same edit makes besides."""
    projection, source = document.derived.declaration.projections[root], document.view.source
    if projection.root.record is None:
        return None
    row = source.rows(projection.document, projection.source).get(record)
    if row is None:
        return _NOT_THERE if projection.adds is None else projection.adds(document.view, record, actor, others)
    return None if type(row) is dict and "deleted" not in row else _NOT_THERE


def could_stand(document: ProjectedDocument, actor: Actor, write: Write) -> bool:
    """Whether a write that did not come to stand could, if it were the newest."""
    name, root = _source_of(document, write.root)
    rows = document.view.source.rows(name, root)
    kind, value = kind_of(name), None if write.value is GONE else write.value
    if kind is None or write.record not in document.rows.roots[write.root]:
        return False
    if not may_stand(document.kind.roots[write.root], write):
        return False
    if not may_write(actor, kind, write._replace(root=root), rows.get(write.record)):
        return False
    return refusal(document, Change(*write[:3], None, value), actor) is None


def counts(document: ProjectedDocument, actor: Actor, write: Write) -> bool:
    """Whether a write that did not come to stand is one that was lost."""
    return could_stand(document, actor, write) or _is_of_deleted(document, actor, write)


class _Restored(NamedTuple):
    """The rows of a wedding, of which one record is not deleted."""

    source: Source
    where: tuple[str, str, str]
    row: dict[str, Any]

    @property
    def live(self) -> bool:
        return self.source.live

    def rows(self, document: str, root: str) -> Mapping[str, Row]:
        return self.source.rows(document, root)

    def record(self, document: str, root: str, record: str | None) -> dict[str, Any] | None:
        return self.row if self.where == (document, root, record) else self.source.record(document, root, record)

    def meta(self, document: str) -> Mapping[str, Any]:
        return self.source.meta(document)


def _is_of_deleted(document: ProjectedDocument, actor: Actor, write: Write) -> bool:
    """Whether a write was made in a record that is deleted in the source, and could stand if it were not."""
    projection, view = document.derived.declaration.projections[write.root], document.view
    name, root = projection.document, projection.source
    source, row = document.sources.get(name), view.source.rows(name, root).get(write.record)
    if source is None or type(row) is not dict or "deleted" not in row or write.key in (None, "deleted"):
        return False
    before = {key: value for key, value in row.items() if key != "deleted"}
    restored = replace(view, source=_Restored(view.source, (name, root, write.record), before))
    if projection.row(restored, write.record) is None:
        return False  # it would not be shown
    change = Change(*write[:3], None, None if write.value is GONE else write.value)
    in_source = write._replace(root=root)
    return (
        all(may_stand(kind.roots[each.root], each) for kind, each in ((document.kind, write), (source.kind, in_source)))
        and may_write(actor, source.kind, in_source, before)
        and _refusal(document, restored, change, actor) is None
        and source.takes(_size(change), frees=False)
    )


def commanded(
    document: ProjectedDocument, actor: Actor, rows: RowsByRoot, touched: Iterable[tuple[str, str]]
) -> tuple[list[Op], Sequence[Reverted]]:
    """The operations in the sources that make rows of a document those of a command, in which roots and records are
    ``touched``; or the changes that may not be: nothing is done then."""
    changes = Changes([], [], [])
    for root, record in touched:
        before = document.rows.roots[root].get(record)
        compare(document.kind.roots[root], record, before, rows[root].get(record), changes)
    refused = examined(document, actor, changes, rows=rows).reverted
    if refused:
        return [], refused
    edits = carried(document, Applied(actor, changes, (), None))
    return [op for edit in edits for op in edit.ops], ()


def refusal(document: ProjectedDocument, change: Change, actor: Actor) -> Reason | None:
    """Why somebody may not make a change that the schema of a derived document allows."""
    return _refusal(document, document.view, change, actor)


def _refusal(document: ProjectedDocument, view: View, change: Change, actor: Actor) -> Reason | None:
    projection = document.derived.declaration.projections[change.root]
    if projection.refuses is None:
        return NOT_WRITABLE
    reason = projection.refuses(view, change, actor)
    if reason is None and projection.closed is not None:
        return projection.closed(view, change, document.at)
    return reason


def carried(document: ProjectedDocument, applied: Applied) -> Iterator[Carried]:
    """The edits that an accepted update makes in each of the sources."""
    places = {write[:3]: write for write in applied.writes}
    outdone = [Change(*op[2:5], None, op.value) for op in document.outdone(applied.actor, applied.writes)]
    changed = {change[:3]: change for change in (*applied.changes.fields, *outdone)}
    ops: dict[str, list[Op]] = {}
    writes: dict[str, list[Write]] = {}
    for where in dict.fromkeys((*applied.changes.added, *(place[:2] for place in changed))):
        name, root = _source_of(document, where[0])
        base = _foundation(document, *where, applied.actor)
        if type(base) is dict:
            ops.setdefault(name, []).append(Op("insert", name, root, where[1], None, base))
    for place, change in changed.items():
        name, root = _source_of(document, change.root)
        ops.setdefault(name, []).append(_op(name, root, change))
        write = places.get(place)
        if write is not None:
            entry = write._replace(root=root, value=change.after, wins=True, orphan=False)
            writes.setdefault(name, []).append(entry)
    for write in applied.writes:
        if write[:3] in changed or write.value is NESTED:
            continue
        name, root = _source_of(document, write.root)
        if could_stand(document, applied.actor, write):
            stands = write.wins and not write.orphan
            entry = write._replace(root=root, seen=write.seen and stands, wins=stands, orphan=False)
            writes.setdefault(name, []).append(entry)
        elif _is_of_deleted(document, applied.actor, write):
            after = None if write.value is GONE else normalised(write.value)
            ops.setdefault(name, []).append(_op(name, root, Change(*write[:3], None, after)))
            entry = write._replace(root=root, value=after, wins=True, orphan=False)
            writes.setdefault(name, []).append(entry)
    for name in {**ops, **writes}:
        yield Carried(name, ops.get(name, ()), writes.get(name, ()), _unseen_in(document, name, applied.unseen))


def _unseen_in(document: ProjectedDocument, name: str, unseen: Unseen | None) -> Unseen | None:
    """The items of a source that the author of an edit had not seen."""
    if unseen is None:
        return None
    roots: dict[str, list[str]] = {}
    for root, projection in document.derived.declaration.projections.items():
        if projection.document == name:
            roots.setdefault(projection.source, []).append(root)
    return lambda root, record, key: any(unseen(each, record, key) for each in roots.get(root, ()))


def _source_of(document: ProjectedDocument, root: str) -> tuple[str, str]:
    projection = document.derived.declaration.projections[root]
    return projection.document, projection.source


def _refused_by_sources(document: ProjectedDocument, changes: Sequence[Change], actor: Actor) -> dict[Place, Reason]:
    """The changes that the rules of the sources do not allow, tried on copies of the rows."""
    by_source: dict[str, list[Change]] = {}
    for change in changes:
        by_source.setdefault(_source_of(document, change.root)[0], []).append(change)
    refused: dict[Place, Reason] = {}
    for name, those in by_source.items():
        source = document.sources.get(name)
        if source is None or not source.takes(sum(map(_size, those)), frees=False):
            reason = Reason("too_large", "the document that this is written to is full")
            refused |= dict.fromkeys((change[:3] for change in those), reason)
            continue
        refused |= _tried(document, name, those, actor)
    return refused


def _tried(document: ProjectedDocument, name: str, changes: Sequence[Change], actor: Actor) -> dict[Place, Reason]:
    kind, rows = kind_of(name), document.sources[name].rows.roots
    assert kind is not None
    refused: dict[Place, Reason] = {}
    copies: RowsByRoot = {root: dict(records) for root, records in rows.items()}
    of_source: dict[Place, Place] = {}
    made: Counter[str] = Counter()  # records by root, before this edit is in the rows
    for change in changes:
        root = _source_of(document, change.root)[1]
        if copies[root].get(change.record) is rows[root].get(change.record):
            base = _foundation(document, change.root, change.record, actor, made[change.root])
            if isinstance(base, Reason):
                refused[change[:3]] = base
                continue
            made[change.root] += base is not None
            row = rows[root].get(change.record) if base is None else base
            if type(row) is dict:
                copies[root][change.record] = dict(row)
        of_source[root, *change[1:3]] = change[:3]
        if change.after is not BARE:
            apply({name: copies}, [_op(name, root, change)])
    return refused | _examined_source(kind, name, rows, copies, of_source, actor)


def _examined_source(
    kind: Kind,
    name: str,
    rows: Mapping[str, Mapping[str, Any]],
    copies: RowsByRoot,
    of_source: Mapping[Place, Place],
    actor: Actor,
) -> dict[Place, Reason]:
    differences = Changes([], [], [])
    for root, record in dict.fromkeys((root, record) for root, record, _ in of_source):
        compare(kind.roots[root], record, rows[root].get(record), copies[root].get(record), differences)
    refused = {}
    for each in examine(kind, name, copies, differences, actor).reverted:
        for place, of_derived in of_source.items():
            if place[:2] == (each.root, each.record) and each.key in (None, place[2]):
                refused[of_derived] = each.reason
    return refused


def _op(document: str, root: str, change: Change) -> Op:
    return Op("delete" if change.after is None else "set", document, root, change.record, change.key, change.after)


def _size(change: Change) -> int:
    return len(str(change.after))

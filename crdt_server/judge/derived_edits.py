"""Edits of the readers of a derived document: which of them stand, and what they are in its sources.

- An edit stands where the declaration allows it to this person, and the rules of the source allow its result. What does
  not stand is put back in the same step, and its sender is told the reason.
- What stands is carried over as an edit of this person. Whether its author had seen the newest value follows from the
  entries of the derived document, into which the server wrote that value: a write that has not seen it, or lost against
  it, is concurrent in the source as well (X1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from crdt_server.judge.applied import Applied
from crdt_server.judge.rules import Outcome, Reverted, examine
from crdt_server.judge.writes import GONE, Write
from documents.changes import Change, Changes, RowsByRoot, compare
from documents.derived.model import NOT_WRITABLE
from documents.events import Actor
from documents.fields import Reason
from documents.invariants import Op, apply
from documents.kind import Kind
from documents.registry import kind_of

if TYPE_CHECKING:
    from crdt_server.judge.derived_document import AudienceDocument

Place = tuple[str, str, str | None]
"""Root, record and key."""

_NOT_THERE = Reason("missing", "this is not shown any more")


class Carried(NamedTuple):
    """An edit as it is in one source: operations, and the map entries that it counts as."""

    document: str
    ops: Sequence[Op]
    writes: Sequence[Write]

    def applied(self, actor: Actor, changes: Changes) -> Applied:
        """The edit when it was written. The clocks of the derived document are not those of the source."""
        return Applied(actor, changes, self.writes, None)


def examined(document: AudienceDocument, actor: Actor, changes: Changes) -> Outcome:
    """The changes of an update that stand, and what undoes the others. The rows already hold them."""
    found = examine(document.kind, document.name, document.rows.roots, changes, actor._replace(rights=""))
    refused: dict[Place, Reason] = {}
    for change in found.legal.fields:
        reason = refusal(document, change, actor)
        if reason is not None:
            refused[change[:3]] = reason
    refused |= _refused_by_sources(document, [each for each in found.legal.fields if each[:3] not in refused])
    if not refused:
        return found
    ops, reverted = list(found.ops), list(found.reverted)
    for change in found.legal.fields:
        if change[:3] in refused:
            reverted.append(Reverted(*change[:3], refused[change[:3]]))
            kind = "delete" if change.before is None else "set"
            ops.append(Op(kind, document.name, *change[:3], change.before))
    legal = Changes([each for each in found.legal.fields if each[:3] not in refused], *found.legal[1:])
    return Outcome(legal, reverted, ops, found.withdrawn)


def refusal(document: AudienceDocument, change: Change, actor: Actor) -> Reason | None:
    """Why somebody may not make a change that the schema of a derived document allows."""
    projection = document.derived.declaration.projections[change.root]
    if projection.refuses is None:
        return NOT_WRITABLE
    return projection.refuses(document.view, change, actor)


def carried(document: AudienceDocument, applied: Applied) -> Iterator[Carried]:
    """What an accepted update is in the sources, one by one."""
    places = {write[:3]: write for write in applied.writes}
    outdone = [Change(*op[2:5], None, op.value) for op in document.outdone(applied.actor, applied.writes)]
    changed = {change[:3]: change for change in (*applied.changes.fields, *outdone)}
    ops: dict[str, list[Op]] = {}
    writes: dict[str, list[Write]] = {}
    for place, change in changed.items():
        name, root = _source_of(document, change.root)
        ops.setdefault(name, []).append(_op(name, root, change))
        write = places.get(place)
        if write is not None:
            entry = write._replace(root=root, value=change.after, wins=True, orphan=False)
            writes.setdefault(name, []).append(entry)
    for write in applied.writes:
        if write[:3] not in changed and document.may_stand(applied.actor, write):
            name, root = _source_of(document, write.root)
            stands = write.wins and not write.orphan
            entry = write._replace(root=root, seen=write.seen and stands, wins=stands, orphan=False)
            writes.setdefault(name, []).append(entry)
    for name in {**ops, **writes}:
        yield Carried(name, ops.get(name, ()), writes.get(name, ()))


def change_of(write: Write) -> Change:
    """A write as the change that it would be where it was made."""
    return Change(*write[:3], None, None if write.value is GONE else write.value)


def _source_of(document: AudienceDocument, root: str) -> tuple[str, str]:
    projection = document.derived.declaration.projections[root]
    return projection.document, projection.source


def _refused_by_sources(document: AudienceDocument, changes: Sequence[Change]) -> dict[Place, Reason]:
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
        refused |= _tried(document, name, source.rows.roots, those)
    return refused


def _tried(
    document: AudienceDocument, name: str, rows: Mapping[str, Mapping[str, Any]], changes: Sequence[Change]
) -> dict[Place, Reason]:
    kind = kind_of(name)
    assert kind is not None
    refused: dict[Place, Reason] = {}
    copies: RowsByRoot = {root: dict(records) for root, records in rows.items()}
    of_source: dict[Place, Place] = {}
    for change in changes:
        root = _source_of(document, change.root)[1]
        row = document.view.source.record(name, root, change.record)
        if row is None:
            refused[change[:3]] = _NOT_THERE
            continue
        if copies[root][change.record] is row:
            copies[root][change.record] = dict(row)
        of_source[root, *change[1:3]] = change[:3]
        apply({name: copies}, [_op(name, root, change)])
    return refused | _examined_source(kind, name, rows, copies, of_source)


def _examined_source(
    kind: Kind,
    name: str,
    rows: Mapping[str, Mapping[str, Any]],
    copies: RowsByRoot,
    of_source: Mapping[Place, Place],
) -> dict[Place, Reason]:
    differences = Changes([], [], [])
    for root, record in dict.fromkeys((root, record) for root, record, _ in of_source):
        compare(kind.roots[root], record, rows[root].get(record), copies[root].get(record), differences)
    refused = {}
    for each in examine(kind, name, copies, differences).reverted:
        for place, of_derived in of_source.items():
            if place[:2] == (each.root, each.record) and each.key in (None, place[2]):
                refused[of_derived] = each.reason
    return refused


def _op(document: str, root: str, change: Change) -> Op:
    return Op("delete" if change.after is None else "set", document, root, change.record, change.key, change.after)


def _size(change: Change) -> int:
    return len(str(change.after))

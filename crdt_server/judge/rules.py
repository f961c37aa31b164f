"""The rules of a document's kind: they decide which changes of a client stand, and undo the others.

Pure: rows and changes in, operations out. Writes beyond the rights of the actor's role are found by
`documents.field_rules`, and undone in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final, NamedTuple

from crdt_server.judge.role_rules import RowRules
from crdt_server.judge.writes import GONE, NESTED, Write
from documents.changes import Change, Changes
from documents.events import Actor
from documents.field_rules import AUTHOR
from documents.fields import Reason, Unreadable
from documents.invariants import Op
from documents.kind import MAX_RECORD_KEYS, WHOLE, Kind, Root, Shape
from documents.threads import reactions_too_many

MAX_NAME: Final = 80
"""Characters of the name of an unknown root in a notice."""
_SERVER_ONLY = Reason("server_only", "only the server writes this")
_FINAL = Reason("final", "what is written here stays as it is")
_NOT_REMOVABLE = Reason("not_removable", "set `deleted` instead of removing the record")
_TEXT_STAYS = Reason("not_removable", "a text is emptied, not removed")


_NOBODYS: Final[Mapping[str, Any]] = {AUTHOR: ""}


class Reverted(NamedTuple):
    """One change that was undone."""

    root: str
    record: str
    key: str | None
    reason: Reason


class Outcome(NamedTuple):
    """The changes that stand, those that do not, and the operations that undo them."""

    legal: Changes
    reverted: list[Reverted]
    ops: list[Op]
    withdrawn: Sequence[tuple[str, str]] = ()
    """Rows that were taken away, put back by `ops` and withdrawn instead: root and record."""


def unknown_root(kind: Kind, name: str) -> Reverted:
    """A root that the kind has not, of which everything is undone."""
    near = get_close_matches(name[:MAX_NAME], kind.roots, n=3)
    meant = f": did you mean {', '.join(near)}?" if near else f", but {', '.join(kind.roots)}"
    return Reverted(name, WHOLE, None, Reason("unknown_root", f"{kind.name} has no root {name[:MAX_NAME]!r}{meant}"))


class _Withdrawal(NamedTuple):
    """The operations and the legal changes in the place of the removal of a row."""

    ops: Sequence[Op]
    fields: Sequence[Change]
    added: Sequence[tuple[str, str]] = ()


def examine(
    kind: Kind,
    document: str,
    rows: Mapping[str, Mapping[str, Any]],
    changes: Changes,
    actor: Actor,
    stamp: Mapping[str, Any] | None = None,
) -> Outcome:
    """Look at every changed field of an actor once. ``rows`` already hold the changes.

    ``stamp``: the user and the instant. A row that may not be taken away is withdrawn with it where its root has a way
    to: an undo manager takes away what it undoes the addition of. None: such a removal is reverted.
    """
    if _is_single(changes) and _is_allowed(kind, rows, changes, actor):
        return Outcome(changes, [], [])
    by_row = _grouped(changes)
    added, removed = set(changes.added), set(changes.removed)
    over = reactions_too_many(rows.get("reactions", {}), changes.added)
    reverted, withdrawn, ops = list[Reverted](), dict[tuple[str, str], _Withdrawal](), list[Op]()
    bad_rows, bad_fields = set[tuple[str, str]](), set[tuple[str, str, str | None]]()
    for where, group in by_row.items():
        root = kind.roots[where[0]]
        row, source = rows[where[0]].get(where[1]), _withdrawn(kind, where, rows, by_row)
        role = RowRules(actor, kind, root, where[1], row, group, added=where in added, withdrawn=source)
        reason = _whole(root, where, rows, group, where in added, where in removed) or role.of_row() or over.get(where)
        if reason is not None:
            bad_rows.add(where)
            ops.append(_row_restored(document, root, where, group, where in added))
            is_removal = where in removed and reason in (_FINAL, _NOT_REMOVABLE)
            instead = _withdrawal(document, root, rows, ops[-1], stamp, role) if is_removal else None
            if instead is None:
                reverted.append(Reverted(*where, None, reason))
            else:
                withdrawn[where] = instead
                ops.extend(instead.ops)
            continue
        is_whole = where in added or where in removed
        for change, reason in _too_many(root, rows, where, group) or _bad(root, group, is_whole, role):
            if change.key is None:
                bad_rows.add(where)
            bad_fields.add((*where, change.key))
            reverted.append(Reverted(*where, change.key, reason))
            ops.append(_restored(document, change))
    if not ops:
        return Outcome(changes, [], [])
    legal = _without(changes, bad_rows, bad_fields)
    for each in withdrawn.values():
        legal.fields.extend(each.fields)
        legal.added.extend(each.added)
    return Outcome(legal, reverted, ops, list(withdrawn))


def _is_single(changes: Changes) -> bool:
    return len(changes.fields) == 1 and not changes.added and not changes.removed


def _grouped(changes: Changes) -> dict[tuple[str, str], list[Change]]:
    """The changed fields of every row that changed, came or went."""
    by_row: dict[tuple[str, str], list[Change]] = {}
    for change in changes.fields:
        by_row.setdefault((change.root, change.record), []).append(change)
    for where in (*changes.added, *changes.removed):
        by_row.setdefault(where, [])
    return by_row


def _withdrawn(
    kind: Kind,
    where: tuple[str, str],
    rows: Mapping[str, Mapping[str, Any]],
    by_row: Mapping[tuple[str, str], Sequence[Change]],
) -> object:
    """The row that a row withdraws, as it was before where it goes at the same time; None: it withdraws none."""
    source = kind.withdrawn_from.get(where[0])
    if source is None:
        return None
    row = rows[source].get(where[1])
    gone = by_row.get((source, where[1]), ()) if row is None else ()
    return gone[0].before if gone else row or _NOBODYS


def _without(changes: Changes, rows: set[tuple[str, str]], fields: set[tuple[str, str, str | None]]) -> Changes:
    return Changes(
        [c for c in changes.fields if c[:2] not in rows and c[:3] not in fields],
        [where for where in changes.added if where not in rows],
        [where for where in changes.removed if where not in rows],
    )


def _withdrawal(
    document: str,
    root: Root,
    rows: Mapping[str, Mapping[str, Any]],
    restored: Op,
    stamp: Mapping[str, Any] | None,
    role: RowRules,
) -> _Withdrawal | None:
    """The withdrawal of a row that ``restored`` puts back; None where its root has none, or the role may not."""
    if stamp is None or not role.may_withdraw(stamp):
        return None
    record, value = restored.record, dict(stamp)
    if root.withdrawals is not None:
        if record in rows[root.withdrawals]:
            return _Withdrawal((), ())
        where = (root.withdrawals, record)
        return _Withdrawal([Op("set", document, *where, None, value)], [Change(*where, None, None, value)], [where])
    if "deleted" not in root.keys or len(restored.value) >= MAX_RECORD_KEYS:
        return None
    if "deleted" in restored.value:
        return _Withdrawal((), ())
    where = (root.name, record)
    return _Withdrawal([Op("set", document, *where, "deleted", value)], [Change(*where, "deleted", None, value)])


def _is_allowed(kind: Kind, rows: Mapping[str, Mapping[str, Any]], changes: Changes, actor: Actor) -> bool:
    """Whether the only changed key of a record is certainly valid; False: the general check decides."""
    (change,) = changes.fields
    root = kind.roots[change.root]
    row = rows[change.root].get(change.record)
    if change.key is None or root.record is None or type(row) is not dict or len(row) > MAX_RECORD_KEYS:
        return False
    if _reason(root, change, False) is not None:
        return False
    role = RowRules(actor, kind, root, change.record, row, changes.fields, added=False)
    return role.of_key(change.key, change.after) is None


def may_stand(root: Root, write: Write) -> bool:
    """Whether a client's write could stand where it was made, if it were the newest."""
    if not root.clients_may_write(write.key):
        return False
    if write.value is NESTED:
        return write.key in root.text_keys if write.key is not None else root.shape is Shape.RECORDS
    if write.value is GONE:
        return True  # `examine` has put back what must not go
    return type(root.check(write.record, write.key, write.value)) is not Reason


def _whole(
    root: Root,
    where: tuple[str, str],
    rows: Mapping[str, Mapping[str, Any]],
    group: Sequence[Change],
    added: bool,
    removed: bool,
) -> Reason | None:
    """The reason why a row as a whole may not be as it is now."""
    if root.shape in (Shape.RECORD, Shape.TEXT):
        return None
    if root.server and (added or removed or root.record is None):
        return _SERVER_ONLY
    if removed:
        return None if root.removable else _FINAL if root.final else _NOT_REMOVABLE
    if added:
        reason = root.check_id(where[1])
        if reason is not None:
            return reason
    if root.record is not None:
        row = rows[root.name].get(where[1])
        if type(row) is not dict:
            return root.check(where[1], None, row)  # type: ignore[no-any-return]
        return None
    return _FINAL if root.final and not added else None


def _bad(root: Root, group: Sequence[Change], whole: bool, role: RowRules | None = None) -> list[tuple[Change, Reason]]:
    found = []
    for change in group:
        reason = _reason(root, change, whole) or (None if role is None else role.of_key(change.key, change.after))
        if reason is not None:
            found.append((change, reason))
    return found


def _reason(root: Root, change: Change, whole: bool) -> Reason | None:
    if not root.clients_may_write(change.key):
        return _SERVER_ONLY
    if change.after is None:
        return _TEXT_STAYS if change.key in root.text_keys and not whole else None
    checked = root.check(change.record, change.key, change.after)
    return checked if type(checked) is Reason else None


def _too_many(
    root: Root, rows: Mapping[str, Mapping[str, Any]], where: tuple[str, str], group: Sequence[Change]
) -> list[tuple[Change, Reason]]:
    row = rows[root.name].get(where[1])
    if type(row) is not dict or len(row) <= MAX_RECORD_KEYS:
        return []
    reason = Reason("too_many_keys", f"{len(row)} keys, at most {MAX_RECORD_KEYS} are allowed")
    new = [(change, reason) for change in group if change.before is None]
    return new + _bad(root, [change for change in group if change.before is not None], False)


def _restored(document: str, change: Change) -> Op:
    if change.before is None or type(change.before) is Unreadable:
        return Op("delete", document, change.root, change.record, change.key)
    return Op("set", document, change.root, change.record, change.key, change.before)


def _row_restored(document: str, root: Root, where: tuple[str, str], group: Sequence[Change], added: bool) -> Op:
    if added:
        return Op("delete", document, *where)
    if root.record is None:
        return _restored(document, group[0])
    before = {c.key: c.before for c in group if c.key is not None and c.before is not None}
    readable = {key: value for key, value in before.items() if type(value) is not Unreadable}
    return Op("set", document, *where, None, readable)

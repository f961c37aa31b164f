"""The rules of roles on fields (`documents.field_rules`), for the changes of one row by one actor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from crdt_server.judge.writes import Write
from documents.changes import Change
from documents.events import Actor
from documents.field_rules import AUTHOR, STAMPED, forbidden, is_forged, may_add, may_always
from documents.fields import Reason
from documents.invariants import Op
from documents.invariants.model import CHOOSER, user_id
from documents.invariants.review import operations
from documents.kind import Kind, Root
from documents.registry import kind_of

_NOT_ADDED = Reason("not_allowed", "your role does not add this")
_NOT_CHOSEN = Reason("not_allowed", "your role does not write what this option writes")
_FORGED = Reason("not_allowed", STAMPED)
_NO_ROW: Final[Mapping[str, Any]] = {}


class RowRules:
    """See the head of the file. ``row``: as it is after the changes of ``group``; ``added``: whether it is new;
    ``withdrawn``: the row that it withdraws, if any."""

    def __init__(
        self,
        actor: Actor,
        kind: Kind,
        root: Root,
        record: str,
        row: object,
        group: Sequence[Change],
        *,
        added: bool,
        withdrawn: object = None,
    ) -> None:
        self._actor, self._kind, self._root, self._record, self._added = actor, kind.name, root, record, added
        self._applies = bool(actor.rights)
        self._now, self._group, self._withdrawn = row, group, withdrawn
        self._found: Mapping[str, Any] | None = None

    def of_row(self) -> Reason | None:
        """Why the actor may not add the record; None where it is not new, or no rule is against it."""
        if not (self._applies and self._added) or self._root.record is None:
            return None
        added = may_add(self._actor, self._kind, self._root.name, self._record, self._row())
        return None if added else _NOT_ADDED

    def of_key(self, key: str | None, value: object = None) -> Reason | None:
        """Why the actor may not write a value at a key, or where it is None as the row; None: no rule is against it.

        Each new record has its texts, empty. An actor who chooses an option of a conflict has to have the right to
        all that the option writes.
        """
        if not self._applies or (self._added and value == "" and key in self._root.text_keys):
            return None
        if self._root.name == "review" and key == "choice" and type(value) is int:
            options = operations(dict(self._row()), value) or ()
            return next((_NOT_CHOSEN for op in options if not _may_choose(self._actor, op)), None) or self._of_key(key)
        return self._of_key(key) or (_FORGED if is_forged(self._actor, self._root, key, value) else None)

    def _of_key(self, key: str | None) -> Reason | None:
        if may_always(self._actor, self._kind, self._root.name, key):
            return None
        return forbidden(self._actor, self._kind, self._root.name, self._record, key, self._row(), added=self._added)

    def may_withdraw(self, stamp: Mapping[str, Any]) -> bool:
        """Whether the actor may withdraw the row, instead of taking it away."""
        if not self._applies:
            return True
        if self._root.withdrawals is None:
            return self.of_key("deleted") is None
        row = _with_author(stamp, self._row())
        return forbidden(self._actor, self._kind, self._root.withdrawals, self._record, None, row, added=True) is None

    def _row(self) -> Mapping[str, Any]:
        """Made when it decides: most rules need none, and a row may have hundreds of keys."""
        if self._found is None:
            self._found = _with_author(_judged(self._now, self._group, added=self._added), self._withdrawn)
        return self._found


def _with_author(row: Mapping[str, Any], withdrawn: object) -> Mapping[str, Any]:
    """A withdrawal, as rules see it."""
    return {**row, AUTHOR: withdrawn[AUTHOR]} if isinstance(withdrawn, Mapping) and AUTHOR in withdrawn else row


def _may_choose(actor: Actor, op: Op) -> bool:
    """Whether no rule is against it that an actor has the server carry out an operation. Restored content of a thread
    is its author's, whoever chooses it."""
    kind = kind_of(op.document)
    if kind is None:
        return False
    key, user = op.key, user_id(actor.user)
    if key is not None and key.endswith(":" + CHOOSER):
        key = key.removesuffix(CHOOSER) + user
    row = {"from": user, "by": user} if kind.name == "thread" else _NO_ROW
    return forbidden(actor, kind.name, op.root, op.record, key, row) is None


def may_write(actor: Actor, kind: Kind, write: Write, row: object) -> bool:
    """Whether no rule is against a write that did not come to stand. ``row``: as it is."""
    if not actor.rights:
        return True
    known = row if type(row) is dict else _NO_ROW
    if forbidden(actor, kind.name, write.root, write.record, write.key, known) is not None:
        return False
    return not is_forged(actor, kind.roots[write.root], write.key, write.value)


def _judged(row: object, group: Sequence[Change], *, added: bool) -> Mapping[str, Any]:
    """The row by which changes are judged: that before them, of a new one that after them."""
    found = dict(row) if type(row) is dict else {}
    if added:
        return found
    for change in group:
        if change.key is None:
            found = dict(change.before) if type(change.before) is dict else {}
        elif change.before is None:
            found.pop(change.key, None)
        else:
            found[change.key] = change.before
    return found

"""The approvals of large amounts by item, and what the couple has decided about each (B5).

- A vote is a key `approvedBy:…` or `rejectedBy:…` that somebody of the couple wrote, in whatever wedding: the role of
  its writer counts. Only where the writer is not known, as after an import, the mirror `members` names the couple.
- A vote is about what was asked when it came in: where another amount or item is written later, it does not count.
- Of several votes the newest decides; of two that came together, the rejection.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from documents.invariants.model import CHOOSER, SERVER, Op, Ops, Wedding, Writer, string, whole
from documents.invariants.part import discard

WHERE: Final = ("budget", "approvals")
COUPLE: Final = "couple"
PENDING: Final = "pending"
APPROVED: Final = "approved"
REJECTED: Final = "rejected"

_VOTES: Final = {"approvedBy:": False, "rejectedBy:": True}


class Approvals:
    """The approvals of one wedding, kept up to date one by one."""

    def __init__(self, wedding: Wedding) -> None:
        self._wedding = wedding
        self._item_of: dict[str, str] = {}
        self._of: dict[str, set[str]] = {}

    @property
    def items(self) -> set[str]:
        """The items that somebody asked about."""
        return set(self._of)

    def refresh(self, approval: str) -> set[str]:
        """Read an approval again. Returns the items that it is or was about."""
        before = self._item_of.pop(approval, "")
        if before:
            discard(self._of, before, approval)
        row = self._wedding.record(*WHERE, approval)
        after = string(row, "item") if row is not None else ""
        if after:
            self._item_of[approval] = after
            self._of.setdefault(after, set()).add(approval)
        return {before, after} - {""}

    def covering(self, item: str, amount: int) -> dict[str, str]:
        """Approval -> its state, of those about as much as the item costs or more; the least amount first."""
        found = [(whole(row, "to") or 0, approval) for approval, row in self._rows(item)]
        return {approval: self._state(approval) for to, approval in sorted(found) if to >= amount}

    def outdated(self, item: str) -> Ops:
        """The operations that bring `_state` of the approvals of an item up to date with the votes."""
        return tuple(
            Op("set", *WHERE, approval, "_state", state)
            for approval, row in self._rows(item)
            if (state := self._state(approval)) != row.get("_state", PENDING)
        )

    def vote(self, question: Op, key: str) -> Ops:
        """The operations of a vote by the person who chooses them. ``question``: inserts the approval."""
        approval = question.record
        row = self._wedding.rows(*WHERE).get(approval)
        first: Ops = (question,) if row is None else ()
        if type(row) is dict and "deleted" in row:
            first = (Op("delete", *WHERE, approval, "deleted"),)
        return (*first, Op("set", *WHERE, approval, key + CHOOSER, CHOOSER))

    def _rows(self, item: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for approval in sorted(self._of.get(item, ())):
            row = self._wedding.record(*WHERE, approval)
            if row is not None:
                yield approval, row

    def _state(self, approval: str) -> str:
        votes = list(self._votes(approval))
        if not votes:
            return PENDING
        return REJECTED if max(votes)[2] else APPROVED

    def _votes(self, approval: str) -> Iterator[tuple[int, str, bool]]:
        """Arrival, instant, and whether it is a rejection."""
        row = self._wedding.rows(*WHERE)[approval]
        asked = max((self._asked(approval, key) for key in ("item", "to")), default=0)
        for key, at in row.items():
            rejects = _VOTES.get(key[: key.find(":") + 1])
            if rejects is None:
                continue
            writer = self._wedding.writer(*WHERE, approval, key)
            if writer.seq >= asked and self._is_of_couple(writer, key.partition(":")[2]):
                yield writer.seq, str(at), rejects

    def _asked(self, approval: str, key: str) -> int:
        writer = self._wedding.writer(*WHERE, approval, key)
        return 0 if writer.role == COUPLE else writer.seq

    def _is_of_couple(self, writer: Writer, user: str) -> bool:
        if writer.user not in ("", SERVER):
            return writer.role == COUPLE
        member = self._wedding.rows("wedding", "members").get(user)
        return type(member) is dict and member.get("role") == COUPLE

"""The approvals of large amounts by item, and what the couple has decided about each (B5).

- A vote is a key `approvedBy:…` or `rejectedBy:…` that somebody of the couple wrote, in whatever wedding: the role of
  its writer counts. Only where the writer is not known, as after an import, the mirror `members` names the couple.
- A vote is about what was asked when it came in: where another amount or item is written later, it does not count.
- Of several votes the newest decides; of two that came together, the rejection.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Final, TypeAlias

from documents.invariants.model import CHOOSER, SERVER, Op, Ops, Wedding, Writer, string, whole

WHERE: Final = ("budget", "approvals")
COUPLE: Final = "couple"
PENDING: Final = "pending"
APPROVED: Final = "approved"
REJECTED: Final = "rejected"

_ORDER: Final = (APPROVED, REJECTED, PENDING)
MAX_COVERING: Final = 64
"""Approvals of one item that are looked at, or brought up to date, in one go."""

_Entry: TypeAlias = tuple[int, int, str]
"""The amount, the place of the state in the order, and the approval."""

_VOTES: Final = {"approvedBy:": False, "rejectedBy:": True}


class Approvals:
    """The approvals of one wedding, kept up to date one by one."""

    def __init__(self, wedding: Wedding) -> None:
        self._wedding = wedding
        self._read: dict[str, tuple[str, _Entry]] = {}
        """Approval -> item and entry."""
        self._of: dict[str, list[_Entry]] = {}
        self._outdated: dict[str, dict[str, str]] = {}
        """Item -> approval -> state that it should have."""
        self._by_mirror: set[str] = set()
        """Those with votes whose writers are not known."""

    @property
    def items(self) -> set[str]:
        """The items that somebody asked about."""
        return set(self._of)

    def refresh(self, approval: str) -> set[str]:
        """Read an approval again. Returns the items that it is or was about."""
        before, entry = self._read.pop(approval, ("", None))
        if entry is not None:
            entries = self._of[before]
            del entries[bisect_left(entries, entry)]
            self._outdated.get(before, {}).pop(approval, None)
            if not entries:
                del self._of[before]
                self._outdated.pop(before, None)
        self._by_mirror.discard(approval)
        row = self._wedding.record(*WHERE, approval)
        after = string(row, "item") if row is not None else ""
        if row is not None and after:
            state = self._state(approval)
            entry = (whole(row, "to") or 0, _ORDER.index(state), approval)
            self._read[approval] = after, entry
            insort(self._of.setdefault(after, []), entry)
            if state != row.get("_state", PENDING):
                self._outdated.setdefault(after, {})[approval] = state
        return {before, after} - {""}

    def refresh_members(self) -> set[str]:
        """The members have changed. Returns the items concerned."""
        return {item for approval in list(self._by_mirror) for item in self.refresh(approval)}

    def covering(self, item: str, amount: int) -> dict[str, str]:
        """Approval -> its state, of those about as much as the item costs or more: the least amount first, and of one
        amount those that are decided; at most `MAX_COVERING`."""
        entries = self._of.get(item, [])
        first = bisect_left(entries, (amount,))
        return {approval: _ORDER[order] for _, order, approval in entries[first : first + MAX_COVERING]}

    def outdated(self, item: str) -> Ops:
        """The operations that bring `_state` of the approvals of an item up to date with the votes, some at a time."""
        outdated = islice(sorted(self._outdated.get(item, {}).items()), MAX_COVERING)
        return tuple(Op("set", *WHERE, approval, "_state", state) for approval, state in outdated)

    def vote(self, question: Op, key: str) -> Ops:
        """The operations of a vote by the person who chooses them. ``question``: inserts the approval."""
        approval = question.record
        row = self._wedding.rows(*WHERE).get(approval)
        first: Ops = (question,) if row is None else ()
        if type(row) is dict and "deleted" in row:
            first = (Op("delete", *WHERE, approval, "deleted"),)
        return (*first, Op("set", *WHERE, approval, key + CHOOSER, CHOOSER))

    def _state(self, approval: str) -> str:
        votes = list(self._votes(approval))
        if not votes:
            return PENDING
        return REJECTED if max(votes)[2] else APPROVED

    def _votes(self, approval: str) -> Iterator[tuple[int, str, bool]]:
        """Arrival, instant, and whether it is a rejection."""
        row = self._wedding.rows(*WHERE)[approval]
        asked = max((self._requested_at(approval, key) for key in ("item", "to")), default=0)
        for key, at in row.items():
            rejects = _VOTES.get(key[: key.find(":") + 1])
            if rejects is None:
                continue
            writer = self._wedding.writer(*WHERE, approval, key)
            if writer.seq >= asked and self._is_of_couple(approval, writer, key.partition(":")[2]):
                yield writer.seq, str(at), rejects

    def _requested_at(self, approval: str, key: str) -> int:
        writer = self._wedding.writer(*WHERE, approval, key)
        return 0 if writer.role == COUPLE else writer.seq

    def _is_of_couple(self, approval: str, writer: Writer, user: str) -> bool:
        if writer.user not in ("", SERVER):
            return writer.role == COUPLE
        self._by_mirror.add(approval)
        member = self._wedding.rows("wedding", "members").get(user)
        return type(member) is dict and member.get("role") == COUPLE

"""The number of guests who come, by event."""

from __future__ import annotations

from typing import Any, Final

from documents.invariants.model import Wedding

_PREFIX: Final = "rsvp:"


class Attendance:
    """A counter per event, kept up to date guest by guest."""

    def __init__(self, wedding: Wedding) -> None:
        self._wedding = wedding
        self._of: dict[str, frozenset[str]] = {}
        self._heads: dict[str, int] = {}

    def refresh(self, guest: str) -> frozenset[str]:
        """Read the answers of a guest again. Returns the events whose number changed."""
        before = self._of.pop(guest, frozenset())
        after = _yes(self._wedding.record("guests", "guests", guest))
        if after:
            self._of[guest] = after
        changed = before ^ after
        for event in changed:
            self._heads[event] = self._heads.get(event, 0) + (1 if event in after else -1)
        return changed

    def refresh_answer(self, guest: str, event: str) -> bool:
        """The same for the answer about one event: whether its number changed."""
        row = self._wedding.record("guests", "guests", guest)
        comes = row is not None and row.get(_PREFIX + event) == "yes"
        events = self._of.get(guest, frozenset())
        if comes == (event in events):
            return False
        self._of[guest] = events ^ {event}
        self._heads[event] = self._heads.get(event, 0) + (1 if comes else -1)
        return True

    def heads(self, event: str) -> int:
        """How many come."""
        return self._heads.get(event, 0)


def _yes(row: dict[str, Any] | None) -> frozenset[str]:
    if row is None:
        return frozenset()
    return frozenset(
        [key[len(_PREFIX) :] for key, answer in row.items() if answer == "yes" and key.startswith(_PREFIX)]
    )

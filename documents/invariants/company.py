"""Guests by household, and by the guest who brings them (G3, G5)."""

from __future__ import annotations

from typing import Final

from documents.invariants.model import Subject, Wedding, string
from documents.invariants.part import Touched, discard

KEYS: Final = ("plusOneOf", "household")


class Company:
    """Kept up to date guest by guest."""

    def __init__(self, wedding: Wedding) -> None:
        self._wedding = wedding
        self._of: dict[tuple[str, str], str] = {}
        """Key and guest -> host or household."""
        self._subjects: dict[tuple[str, str], set[Subject]] = {}
        """Key and host or household -> those about the guests who name it: all of them may be touched at once."""
        self.brought: dict[str, set[str]] = {}
        """Host -> guests."""

    def refresh(self, _: str, guest: str, touched: Touched) -> None:
        """Read a guest again."""
        row = self._wedding.record("guests", "guests", guest)
        for key in KEYS:
            before, after = self._of.pop((key, guest), None), string(row, key) if row is not None else ""
            subject = Subject("G5", (guest, key))
            if before is not None:
                discard(self._subjects, (key, before), subject)
                if key == "plusOneOf":
                    discard(self.brought, before, guest)
                    touched.add(Subject("G3", (before,)))
            if after:
                self._of[key, guest] = after
                self._subjects.setdefault((key, after), set()).add(subject)
                if key == "plusOneOf":
                    self.brought.setdefault(after, set()).add(guest)
                    touched.add(Subject("G3", (after,)))
            touched.add(subject)
        touched.add(Subject("G3", (guest,)))
        touched |= self._subjects.get(("plusOneOf", guest), set())

    def refresh_household(self, _: str, household: str, touched: Touched) -> None:
        """A household has come, changed or gone."""
        touched |= self._subjects.get(("household", household), set())

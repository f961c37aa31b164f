"""C1: the caterer has acknowledged severe allergies, and meals fit diets.

Guests who are gone, or said no to everything, need nothing. A caterer who took note before the allergy was written down
has not taken note of it. Meals and diets that are not in the tables below go with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any, Final

from documents.invariants.guests import GUESTS
from documents.invariants.instants import instant
from documents.invariants.model import Finding, Op, Subject, Wedding, string, suffixes
from documents.invariants.part import Part, Route, Touched, guest_name
from documents.sentences import listed, sentence, word_of

NEAR_DAYS: Final = 14
"""From how many days before the wedding on it is critical."""

HOLDS: Final = {
    "beef": {"meat"},
    "lamb": {"meat"},
    "pork": {"meat", "pork"},
    "meat": {"meat"},
    "chicken": {"meat"},
    "duck": {"meat"},
    "turkey": {"meat"},
    "fish": {"fish"},
    "salmon": {"fish"},
    "seafood": {"fish", "shellfish"},
    "shellfish": {"fish", "shellfish"},
    "vegetarian": {"dairy"},
}
"""Code of a meal -> what is in it."""

AVOIDS: Final = {
    "vegan": {"meat", "pork", "fish", "shellfish", "dairy"},
    "vegetarian": {"meat", "pork", "fish", "shellfish"},
    "pescatarian": {"meat", "pork"},
    "halal": {"pork"},
    "kosher": {"pork", "shellfish"},
}
"""Code of a diet -> what must not be in a meal."""


def fits(meal: str, diets: Iterable[str]) -> bool:
    """Whether somebody who keeps the diets eats the meal, as far as is known."""
    holds = HOLDS.get(meal.casefold(), set())
    return all(holds.isdisjoint(AVOIDS.get(diet.casefold(), set())) for diet in diets)


class CareNeeds(Part):
    """The needs of guests. Needs and guest have the same id."""

    invariants = ("C1",)

    def __init__(self, wedding: Wedding) -> None:
        super().__init__(wedding)
        self._needs: set[Subject] = set()

    def routes(self) -> Iterable[Route]:
        return (
            Route("care", "care", self._needs_of, frozenset({"allergy", "diet", "acknowledgedBy", "deleted"})),
            Route(*GUESTS, self._guest, frozenset({"meal", "rsvp", "deleted"})),
            Route("wedding", "meta", self._meta, frozenset({"date"})),
        )

    def candidates(self) -> Iterator[Subject]:
        return iter(self._needs)

    def _needs_of(self, _: str, guest: str, touched: Touched) -> None:
        subject = Subject("C1", (guest,))
        touched.add(subject)
        (self._needs.add if guest in self.wedding.rows("care", "care") else self._needs.discard)(subject)

    def _guest(self, _: str, guest: str, touched: Touched) -> None:
        touched.add(Subject("C1", (guest,)))

    def _meta(self, _: str, __: str, touched: Touched) -> None:
        touched |= self._needs

    def find(self, subject: Subject) -> Finding | None:
        (guest,) = subject.ids
        needs, row = self.wedding.record("care", "care", guest), self.wedding.record(*GUESTS, guest)
        if needs is None or row is None or not _comes(row):
            return None
        unknown, meal = self._not_acknowledged(guest, needs), string(row, "meal")
        diets = suffixes(needs, "diet:")
        wrong = bool(meal) and not fits(meal, diets)
        if not unknown and not wrong:
            return None
        name = guest_name(self.wedding, guest)
        said = sentence(
            "C1.both" if unknown and wrong else "C1" if unknown else "C1.meal",
            guest=name,
            allergies=listed(map(word_of, unknown)),
            meal=word_of(meal),
            diets=listed(map(word_of, diets)),
        )
        keys = [f"allergy:{each}" for each in unknown] + ([f"diet:{each}" for each in diets] if wrong else [])
        parties = [self.wedding.party("care", "care", guest, key) for key in keys]
        if wrong:
            parties.append(self.wedding.party(*GUESTS, guest, "meal"))
        return self.found(
            subject,
            said,
            parties=parties,
            options=[(sentence("C1.other", guest=name), [Op("delete", *GUESTS, guest, "meal")])] if wrong else [],
            severity="critical" if self._near() else "warning",
        )

    def _not_acknowledged(self, guest: str, needs: dict[str, Any]) -> list[str]:
        severe = [each for each in suffixes(needs, "allergy:") if needs[f"allergy:{each}"] == "severe"]
        if not severe:
            return []
        keys = [key for key in needs if key.startswith("acknowledgedBy:")]
        writers = [self.wedding.writer("care", "care", guest, key) for key in keys]
        if not keys:
            return severe
        latest = max(writer.seq for writer in writers)
        return [
            each for each in severe if 0 < latest < self.wedding.writer("care", "care", guest, f"allergy:{each}").seq
        ]

    def _near(self) -> bool:
        now = instant(self.wedding.context.now) if self.wedding.context.now else None
        try:
            day = date.fromisoformat(string(self.wedding.meta("wedding"), "date"))
        except ValueError:
            return False
        return now is not None and now.date() + timedelta(days=NEAR_DAYS) >= day


def _comes(row: dict[str, Any]) -> bool:
    answers = [value for key, value in row.items() if key.startswith("rsvp:")]
    return not answers or any(answer != "no" for answer in answers)

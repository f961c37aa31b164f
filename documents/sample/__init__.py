"""A wedding to try things on: the same for the same arguments, with as many mistakes as are asked for.

`sample_wedding` gives the rows of all documents; `documents.sample.build.build` turns rows into a Yjs update. Names,
addresses and numbers are nobody's: e-mail ends in `example.org`, telephone numbers are kept free for stories.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from documents.invariants.catalogue import INVARIANTS
from documents.invariants.model import Field, Writer
from documents.sample import day, guests, money, planted, seats, talk
from documents.sample.chance import Chance
from documents.sample.draft import DAY, Account, Draft, Planted, Rows, writers

FEWEST_GUESTS: Final = 200
MOST_GUESTS: Final = 5000
NOW: Final = -21 * DAY + 9 * 60
"""When the sample stands still: three weeks before the wedding, 09:00 UTC."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A wedding, and what is wrong with it."""

    documents: Mapping[str, Rows]
    """Document name -> root -> record id -> `{key: value}` or one value."""
    planted: tuple[Planted, ...]
    """Everything that is wrong, by invariant."""
    people: tuple[Account, ...]
    """Everybody who can sign in."""
    writers: Mapping[Field, Writer]
    """The last writer of each field: some invariants are about that."""
    locked: Mapping[tuple[str, str], Mapping[str, Any]]
    """Document and locked table -> guest -> where they sat when it was locked."""
    neighbour: Rows
    """The document `wedding` of other people; what is planted for W2 is a vendor of the same organization in both."""
    now: str
    """The instant up to which things have happened, RFC 3339 in UTC."""


def sample_wedding(
    *,
    guests: int = 250,
    seed: int = 1,
    date: str | None = None,
    violations: int = 1,
    only: Collection[str] = INVARIANTS.keys(),
) -> Sample:
    """A wedding of 200 to 5,000 guests on `date` (YYYY-MM-DD), which breaks each invariant `violations` times.

    Without a date it is a Saturday that suits the place. Invariants that cannot be broken so often are broken as often
    as they can be: see `documents.sample.planted.MOST`; those that are not in `only` are not broken. With no violations
    everything holds. Raises `ValueError` for arguments out of bounds.
    """
    if not FEWEST_GUESTS <= guests <= MOST_GUESTS:
        raise ValueError(f"{guests} guests: from {FEWEST_GUESTS} to {MOST_GUESTS} are possible")
    if not 0 <= violations <= planted.MOST_OF_ALL:
        raise ValueError(f"{violations} violations of each invariant: from 0 to {planted.MOST_OF_ALL} are possible")
    chance = Chance(seed)
    zone = chance.pick(list(day.ZONES))
    draft = Draft(chance, guests, zone, date or day.CLOCK_CHANGE.get(zone, day.SATURDAY))
    _write(draft)
    planted.plant(draft, violations, only)
    couple, planner = draft.user("couple"), draft.user("planner")

    def default(field: Field) -> tuple[str, str]:
        return (couple, "couple") if field.document == "wedding" else (planner, "planner")

    return Sample(
        documents=draft.documents,
        planted=tuple(draft.planted),
        people=tuple(draft.people),
        writers=writers(draft, -330 * DAY, default),
        locked=draft.locked,
        neighbour=draft.neighbour,
        now=draft.instant(NOW),
    )


def _write(draft: Draft) -> None:
    day.lay_out(draft)
    guests.invite(draft)
    day.add_people(draft)
    day.couple_wrote_the_frame(draft)
    guests.answer(draft)
    guests.add_care_needs(draft)
    day.run_the_day(draft)
    day.add_tasks(draft)
    money.budget(draft)
    seats.seat(draft)
    talk.talk(draft)
    day.neighbour(draft)


__all__ = ["Account", "Planted", "Sample", "sample_wedding"]

"""T3: places hold all who come to an event in them."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

from documents.invariants.attendance import Attendance
from documents.invariants.model import Op, Party, Subject, Wedding, whole
from documents.invariants.part import Choice, Touched, discard, named
from documents.sentences import Sentence, sentence

_MAX_OFFERED: Final = 3


class TooSmall(NamedTuple):
    """A place that does not hold all who come."""

    said: Sentence
    parties: list[Party]
    options: list[Choice]


class Venues:
    """Places by capacity, and the events in each, kept up to date one by one."""

    def __init__(self, wedding: Wedding) -> None:
        self._wedding = wedding
        self._attendance = Attendance(wedding)
        self._of: dict[str, Subject] = {}
        self._at: dict[str, set[Subject]] = {}
        self._capacity: dict[str, int] = {}
        self._by_capacity: list[tuple[int, str]] = []

    def subjects(self) -> Iterator[Subject]:
        """Every subject that may have a finding."""
        return iter(self._of.values())

    def refresh_place(self, place: str, touched: Touched) -> None:
        """Read a place again."""
        row = self._wedding.record("wedding", "places", place)
        before, after = self._capacity.pop(place, None), whole(row, "capacity") if row is not None else None
        if before is not None:
            del self._by_capacity[bisect_left(self._by_capacity, (before, place))]
        if after is not None:
            self._capacity[place] = after
            insort(self._by_capacity, (after, place))
        touched |= self._at.get(place, set())

    def refresh_event(self, event: str, touched: Touched) -> None:
        """Read an event again."""
        before = self._of.pop(event, None)
        if before is not None:
            touched.add(before)
            discard(self._at, before.ids[0], before)
        row = self._wedding.rows("wedding", "events").get(event)
        place = row.get("place") if type(row) is dict else None
        if type(place) is str:
            after = self._of[event] = Subject("T3", (place, event))
            self._at.setdefault(place, set()).add(after)
            touched.add(after)

    def refresh_guest(self, guest: str, touched: Touched) -> None:
        """Read the answers of a guest again."""
        for event in self._attendance.refresh(guest):
            if event in self._of:
                touched.add(self._of[event])

    def refresh_answer(self, guest: str, event: str, touched: Touched) -> None:
        """Read the answer of a guest about one event again."""
        if self._attendance.refresh_answer(guest, event) and event in self._of:
            touched.add(self._of[event])

    def is_too_small(self, subject: Subject) -> bool:
        place, event = subject.ids
        room = self._capacity.get(place)
        if room is None or self._of.get(event) != subject or self._attendance.heads(event) <= room:
            return False
        return self._wedding.record("wedding", "events", event) is not None

    def too_small(self, subject: Subject) -> TooSmall:
        """The parts of a finding, where the place `is_too_small`."""
        place, event = subject.ids
        heads, room = self._attendance.heads(event), self._capacity[place]
        roomy = islice(self._by_capacity, bisect_left(self._by_capacity, (heads,)), None)
        return TooSmall(
            sentence(
                "T3.small",
                count=heads,
                event=named(self._wedding, "wedding", "events", event),
                place=named(self._wedding, "wedding", "places", place),
                room=room,
            ),
            [
                self._wedding.party("wedding", "places", place, "capacity"),
                self._wedding.party("wedding", "events", event, "place"),
            ],
            [
                (sentence("T3.move", place=named(self._wedding, "wedding", "places", other)),
                 [Op("set", "wedding", "events", event, "place", other)])
                for _, other in islice(roomy, _MAX_OFFERED)
            ],
        )  # fmt: skip

"""G1-G5: who is invited, and what they answered.

- People are alike where e-mail, telephone number, or name and household are: of those alike, each is compared with the
  one whose id comes first. People without a first name have no name to compare.
- Everybody who said yes counts for the room there is, infants too.
- A guest without a number of companions may bring nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import nsmallest
from typing import Any, Final

from documents.invariants.attendance import Attendance
from documents.invariants.catalogue import HIERARCHY, MANUAL, MERGE
from documents.invariants.company import Company
from documents.invariants.instants import deadline, instant
from documents.invariants.likeness import Likeness, folded
from documents.invariants.merging import merged
from documents.invariants.model import (
    MAX_PARTIES,
    UNKNOWN,
    Finding,
    Op,
    Subject,
    Wedding,
    short_id,
    stamp,
    string,
    suffixes,
    whole,
)
from documents.invariants.part import KeyRoute, Part, Route, Touched, by_hierarchy, guest_name, named
from documents.sentences import Sentence, day, listed, part, sentence, word_of

GUESTS: Final = ("guests", "guests")
MAX_SORTED: Final = 1000
"""Of more people nobody is named, or only the first by id are looked at: it would take too long."""
MAX_TOGETHER: Final = 64
"""People that a rule takes off the list in one go."""
UNSORTED: Final = short_id("h", "unsorted")
"""The household for those whose own is gone."""


class Guests(Part):
    """Guests by likeness, household and host; how many come to each event."""

    invariants = ("G1", "G2", "G3", "G4", "G5")

    def __init__(self, wedding: Wedding) -> None:
        super().__init__(wedding)
        self._likeness = Likeness(wedding)
        self._company = Company(wedding)
        self._answers: dict[str, tuple[str, ...]] = {}
        self._answered: set[Subject] = set()
        self._events: set[Subject] = set()
        self._attendance = Attendance(wedding)

    def routes(self) -> Iterable[Route | KeyRoute]:
        alike = frozenset({"firstName", "lastName", "email", "phone", "household", "deleted"})
        return (
            Route(*GUESTS, self._likeness.refresh, alike),
            Route(*GUESTS, self._company.refresh, frozenset({"plusOneOf", "plusOnesAllowed", "household", "deleted"})),
            Route(*GUESTS, self._answer, frozenset({"deleted"})),
            Route("guests", "households", self._company.refresh_household, frozenset({"deleted"})),
            Route("wedding", "events", self._event, frozenset({"capacity", "deleted"})),
            Route("wedding", "meta", self._meta, frozenset({"capacity", "rsvpBy", "timeZone"})),
            KeyRoute(*GUESTS, self._answer_to, frozenset({"rsvp"})),
        )

    def find(self, subject: Subject) -> Finding | None:
        return _FIND[subject.invariant](self, subject)

    def broken(self, subject: Subject) -> bool:
        if subject.invariant == "G1":
            return bool(self._likeness.common(subject))
        if subject.invariant == "G2":
            return self._overfull(*subject.ids) is not None
        return self._brings_too_many(*subject.ids) if subject.invariant == "G3" else super().broken(subject)

    def candidates(self) -> Iterator[Subject | None]:
        yield from self._likeness.subjects()
        yield from self._events
        for host in self._company.brought:
            yield Subject("G3", (host,))
        yield from self._answered
        for guest, row in list(self.wedding.rows(*GUESTS).items()):
            if type(row) is dict:
                yield Subject("G5", (guest, "household"))
                yield Subject("G5", (guest, "plusOneOf"))

    # Following changes

    def _answer(self, _: str, guest: str, touched: Touched) -> None:
        touched.update(Subject("G2", (event,)) for event in self._attendance.refresh(guest))
        before, row = self._answers.pop(guest, ()), self.wedding.rows(*GUESTS).get(guest)
        after = tuple(suffixes(row, "rsvp:")) if type(row) is dict else ()
        if after:
            self._answers[guest] = after
        subjects = [Subject("G4", (guest, event)) for event in {*before, *after}]
        touched.update(subjects)
        self._answered.difference_update(subjects)
        self._answered.update(each for each in subjects if each.ids[1] in after)

    def _answer_to(self, _: str, guest: str, key: str, touched: Touched) -> None:
        event = key[5:]
        if self._attendance.refresh_answer(guest, event):
            touched.add(Subject("G2", (event,)))
        before, row = self._answers.get(guest, ()), self.wedding.rows(*GUESTS).get(guest)
        if (event in before) != (type(row) is dict and key in row):
            after = tuple(sorted({*before} ^ {event}))
            if after:
                self._answers[guest] = after
            else:
                del self._answers[guest]
            self._answered ^= {Subject("G4", (guest, event))}
        touched.add(Subject("G4", (guest, event)))

    def _event(self, _: str, event: str, touched: Touched) -> None:
        subject = Subject("G2", (event,))
        touched.add(subject)
        (self._events.add if event in self.wedding.rows("wedding", "events") else self._events.discard)(subject)

    def _meta(self, _: str, __: str, touched: Touched) -> None:
        touched |= self._events
        touched |= self._answered

    # G1

    def _nobody_twice(self, subject: Subject) -> Finding | None:
        one, other = subject.ids
        common = self._likeness.common(subject)
        if not common:
            return None
        older, younger = sorted(subject.ids, key=self._age)
        ops = merged(self.wedding, older, younger, self._company.brought.get(younger, ()))
        kinds = {mark[0] for mark in common}
        automatic = None
        if self.wedding.strategy("G1") == MERGE and "e" in kinds and self._names_agree(one, other):
            automatic = ops
        first, name = guest_name(self.wedding, older), guest_name(self.wedding, younger)
        by_first, by_last = (".first", ".last") if first == name else ("", "")  # a person has to tell them apart
        why = listed([part(sentence(said)) for said in _same(common)], joint="and")
        return self.found(
            subject,
            sentence("G1", one=first, other=name, why=why),
            parties=[
                self.wedding.party(*GUESTS, guest, key)
                for guest in (older, younger)
                for kind, key in (("e", "email"), ("p", "phone"), ("n", "firstName"))
                if kind in kinds
            ],
            options=[
                (sentence(f"G1.unite{by_first}", guest=first), ops),
                (
                    sentence(f"G1.unite{by_last}", guest=name),
                    merged(self.wedding, younger, older, self._company.brought.get(older, ())),
                ),
            ],
            automatic=automatic,
        )

    def _age(self, guest: str) -> tuple[int, str]:
        """Sort key: who was entered first."""
        row = self.wedding.rows(*GUESTS)[guest]
        known = [seq for key in row if (seq := self.wedding.writer(*GUESTS, guest, key).seq)]
        return (min(known, default=0), guest)

    def _names_agree(self, one: str, other: str) -> bool:
        """Whether two guests have the same first name, or one has none: couples share an address, too."""
        rows = self.wedding.rows(*GUESTS)
        first, second = (folded(string(rows[guest], "firstName")) for guest in (one, other))
        return not first or not second or first == second

    # G2, G3

    def _overfull(self, event: str) -> tuple[int | None, int | None, int] | None:
        """Room at an event and at the venue, and how many come, where they are too many."""
        row = self.wedding.record("wedding", "events", event)
        if row is None:
            return None
        own, venue = whole(row, "capacity"), whole(self.wedding.meta("wedding"), "capacity")
        heads = self._attendance.heads(event)
        room = min((each for each in (own, venue) if each is not None), default=heads)
        return (own, venue, heads) if heads > room else None

    def _room_for_all(self, subject: Subject) -> Finding | None:
        (event,) = subject.ids
        found = self._overfull(event)
        if found is None:
            return None
        own, venue, heads = found
        room = min(each for each in (own, venue) if each is not None)
        guests = self.wedding.rows(*GUESTS)
        listed = guests if len(guests) <= MAX_SORTED else {}
        latest = sorted(
            (guest for guest, each in listed.items() if _comes(each, event)),
            key=lambda guest: (-self.wedding.writer(*GUESTS, guest, f"rsvp:{event}").seq, guest),
        )
        name = named(self.wedding, "wedding", "events", event)
        field = ("events", event) if own == room else ("meta", "")
        return self.found(
            subject,
            sentence("G2", count=heads, event=name, room=room),
            parties=[
                self.wedding.party("wedding", *field, "capacity"),
                *(self.wedding.party(*GUESTS, guest, f"rsvp:{event}") for guest in latest[: min(heads - room, 10)]),
            ],
            options=[(sentence("G2.room", count=heads), list(self._room_options(event, own, venue, heads)))],
        )

    def _room_options(self, event: str, own: int | None, venue: int | None, heads: int) -> Iterator[Op]:
        if own is not None and own < heads:
            yield Op("set", "wedding", "events", event, "capacity", heads)
        if venue is not None and venue < heads:
            yield Op("set", "wedding", "meta", "", "capacity", heads)

    def _brings_too_many(self, host: str) -> bool:
        row = self.wedding.record(*GUESTS, host)
        return row is not None and len(self._company.brought.get(host, ())) > max(0, whole(row, "plusOnesAllowed") or 0)

    def _plus_ones(self, subject: Subject) -> Finding | None:
        (host,) = subject.ids
        if not self._brings_too_many(host):
            return None
        row, brought = self.wedding.rows(*GUESTS)[host], self._company.brought[host]
        allowed = max(0, whole(row, "plusOnesAllowed") or 0)
        listed = brought if len(brought) <= MAX_SORTED else nsmallest(MAX_SORTED, brought)
        ranked = sorted(listed, key=lambda guest: by_hierarchy(self._writer(guest, "plusOneOf"), guest))
        surplus = [_deleted(self.wedding, guest) for guest in ranked[min(allowed, len(ranked)) :][-MAX_TOGETHER:]]
        name = guest_name(self.wedding, host)
        return self.found(
            subject,
            sentence("G3", guest=name, count=len(brought), allowed=allowed),
            parties=[
                self.wedding.party(*GUESTS, host, "plusOnesAllowed"),
                *(self.wedding.party(*GUESTS, guest, "plusOneOf") for guest in ranked),
            ],
            options=[
                (sentence("G3.allow", guest=name, count=len(brought)),
                 [Op("set", *GUESTS, host, "plusOnesAllowed", len(brought))]),
                *((sentence("G3.off", guest=guest_name(self.wedding, guest)), [_deleted(self.wedding, guest)])
                  for guest in ranked[:MAX_PARTIES]),
            ],
            automatic=surplus if surplus and self.wedding.strategy("G3") == HIERARCHY else None,
        )  # fmt: skip

    # G4

    def _in_time(self, subject: Subject) -> Finding | None:
        guest, event = subject.ids
        key = f"rsvp:{event}"
        row, meta = self.wedding.record(*GUESTS, guest), self.wedding.meta("wedding")
        closed = deadline(string(meta, "rsvpBy"), string(meta, "timeZone"))
        if row is None or key not in row or closed is None:
            return None
        writer = self._writer(guest, key)
        arrived = instant(writer.at) if writer.role == "guest" and writer.at else None
        if arrived is None or arrived < closed:
            return None
        revert = []
        if writer.before is not UNKNOWN:
            kind = "delete" if writer.before is None else "set"
            revert = [Op(kind, *GUESTS, guest, key, writer.before)]
        accepted = self.wedding.strategy("G4") == MERGE
        return self.found(
            subject,
            sentence(
                "G4",
                guest=guest_name(self.wedding, guest),
                answer=word_of(str(row[key])),
                event=named(self.wedding, "wedding", "events", event),
                day=day(string(meta, "rsvpBy")),
            ),
            parties=[self.wedding.party(*GUESTS, guest, key)],
            options=[(sentence("G4.back"), revert)] if revert else [],
            automatic=() if accepted else revert or None,
        )

    # G5

    def _exists(self, subject: Subject) -> Finding | None:
        guest, key = subject.ids
        row = self.wedding.record(*GUESTS, guest)
        target = string(row, key) if row is not None else ""
        root = "households" if key == "household" else "guests"
        if not target or self.wedding.record("guests", root, target) is not None:
            return None
        lost = self.wedding.rows("guests", root).get(target)
        options: list[tuple[Sentence, list[Op]]] = []
        if type(lost) is dict:
            what = (
                named(self.wedding, "guests", root, target)
                if root == "households"
                else guest_name(self.wedding, target)
            )
            options.append((sentence("G5.restore", name=what), [Op("delete", "guests", root, target, "deleted")]))
        name = guest_name(self.wedding, guest)
        if key == "household":
            ops = [*_unsorted(self.wedding), Op("set", *GUESTS, guest, "household", UNSORTED)]
            said, way = sentence("G5", guest=name), sentence("G5.unsorted", guest=name)
        else:
            ops = [Op("delete", *GUESTS, guest, key)]
            said, way = sentence("G5.host", guest=name), sentence("G5.own", guest=name)
        return self.found(
            subject,
            said,
            parties=[self.wedding.party(*GUESTS, guest, key), self.wedding.party("guests", root, target, "deleted")],
            options=[*options, (way, ops)],
            automatic=None if self.wedding.strategy("G5") == MANUAL else ops,
        )

    def _writer(self, guest: str, key: str) -> Any:
        return self.wedding.writer(*GUESTS, guest, key)


_FIND: Final = {
    "G1": Guests._nobody_twice,
    "G2": Guests._room_for_all,
    "G3": Guests._plus_ones,
    "G4": Guests._in_time,
    "G5": Guests._exists,
}


def _same(common: Iterable[str]) -> Iterator[str]:
    """The sentences of the marks that two guests have in common."""
    for mark in sorted(common, key=lambda mark: "epn".index(mark[0])):
        name = "same.name.alone" if mark.endswith("|") else "same.name"
        yield {"e": "same.email", "p": "same.phone"}.get(mark[0], name)


def _comes(row: Any, event: str) -> bool:
    return type(row) is dict and "deleted" not in row and row.get(f"rsvp:{event}") == "yes"


def _deleted(wedding: Wedding, guest: str) -> Op:
    return Op("set", *GUESTS, guest, "deleted", stamp(wedding))


def _unsorted(wedding: Wedding) -> list[Op]:
    row = wedding.rows("guests", "households").get(UNSORTED)
    if row is None:
        return [Op("insert", "guests", "households", UNSORTED, None, {"name": "Unsorted"})]
    if type(row) is dict and "deleted" in row:
        return [Op("delete", "guests", "households", UNSORTED, "deleted")]
    return []

"""S1-S7: who sits where.

- Guests who are gone or said no count for S4 only: their seat is free for others.
- A seat beyond the capacity, or at a table that is gone, is a matter of S3 only.
- Of a table whose capacity is not known every seat exists.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from heapq import nsmallest
from itertools import islice
from typing import Any, Final

from documents.invariants.catalogue import HIERARCHY, LAST, MANUAL, PRIORITY
from documents.invariants.model import (
    MAX_PARTIES,
    NOBODY,
    SERVER,
    Finding,
    Op,
    Party,
    Subject,
    Wedding,
    Writer,
    suffixes,
    whole,
)
from documents.invariants.part import (
    KeyRoute,
    Part,
    Route,
    Touched,
    by_arrival,
    by_hierarchy,
    by_priority,
    discard,
    guest_name,
)
from documents.invariants.seats import (
    SeatEntry,
    SeatSubjects,
    capacity_of,
    comes,
    event_of,
    keep_seat,
    nearest,
    reseat,
    rise,
    seat_of,
    sit,
)
from documents.invariants.unseated import Unseated
from documents.invariants.wording import seat_label, table_label
from documents.sentences import Sentence, listed, sentence

MAX_AT_TABLE: Final = 256
"""Of more guests at a table, in a household or with one seat only the first by id are looked at."""
MAX_TOGETHER: Final = 32
"""Guests who are moved in one go."""
_MAX_TARGETS: Final = 3


class Seating(Part):
    """Assignments by guest, table and seat; the rules by guest; the guests by household."""

    invariants = ("S1", "S2", "S3", "S4", "S5", "S6", "S7")

    def __init__(self, wedding: Wedding) -> None:
        super().__init__(wedding)
        self._seats: dict[tuple[str, str], SeatEntry] = {}
        self._tables: dict[tuple[str, str], dict[str, int | None]] = {}
        self._numbered: dict[tuple[str, str, int], set[str]] = {}
        self._documents: dict[str, set[str]] = {}
        self._rules: dict[tuple[str, str], frozenset[str]] = {}
        self._rules_of: dict[tuple[str, str], set[str]] = {}
        self._household_of: dict[str, str] = {}
        self._households: dict[str, set[str]] = {}
        self._subjects = SeatSubjects()
        self._unseated = Unseated(wedding, self._seats, self._tables, self._numbered)

    def routes(self) -> Iterable[Route | KeyRoute]:
        seen = frozenset({"deleted", "household", "party"})
        return (
            Route("seating", "assignments", self._assignment),
            Route("seating", "tables", self._table, frozenset({"capacity", "deleted", "locked"})),
            Route("seating", "rules", self._rule, frozenset({"kind", "hard", "guest", "deleted"})),
            Route("guests", "guests", self._guest, seen),
            Route("wedding", "events", self._events),
            KeyRoute("guests", "guests", self._answer_to, frozenset({"rsvp"})),
        )

    def find(self, subject: Subject) -> Finding | None:
        return _FIND[subject.invariant](self, subject)

    def broken(self, subject: Subject) -> bool:
        if subject.invariant in ("S3", "S4") and subject.ids not in self._seats:
            return self._unseated.is_due(subject)
        look = _BROKEN.get(subject.invariant)
        return super().broken(subject) if look is None else bool(look(self, subject))

    def candidates(self) -> Iterator[Subject | None]:
        for (document, table, number), guests in self._numbered.items():
            yield Subject("S1", (document, table, str(number))) if len(guests) > 1 else None
        for place in self._tables:
            yield Subject("S2", place)
        for place in self._seats:
            yield Subject("S3", place)
            yield Subject("S4", place)
        yield from self._unseated.subjects()
        for place in self._rules:
            yield from _of_rule(*place)
        for document, guest in self._seats:
            household = self._household_of.get(guest)
            yield None if household is None else Subject("S6", (document, "households", household))
        yield from self.of_context()

    def of_context(self) -> Iterator[Subject]:
        for document, table in self.wedding.context.locked:
            yield from self._of_lock(document, table)

    def read(self) -> Iterator[None]:
        return self._unseated.read()

    # Following changes

    def _assignment(self, document: str, guest: str, touched: Touched) -> None:
        place = (document, guest)
        before, after = self._seats.get(place), seat_of(self.wedding.rows(document, "assignments").get(guest))
        if before is not None:
            self._touch_seat(document, before, touched)
            self._leave(document, guest, before)
        self._unseated.refresh(document, guest, touched)
        if after is not None:
            self._enter(document, guest, after)
            self._touch_seat(document, after, touched)
        touched.add(Subject("S3", place))
        touched.add(Subject("S4", place))
        for rule in self._rules_of.get(place, ()):
            touched.update(_of_rule(document, rule))
        household = self._household_of.get(guest)
        if household is not None:
            touched.add(Subject("S6", (document, "households", household)))
        if self.wedding.context.locked:
            touched.add(Subject("S7", place))

    def _enter(self, document: str, guest: str, seat: SeatEntry) -> None:
        self._seats[document, guest] = seat
        self._tables.setdefault((document, seat.table), {})[guest] = seat.number
        if seat.number is not None:
            self._numbered.setdefault((document, seat.table, seat.number), set()).add(guest)
        self._documents.setdefault(guest, set()).add(document)
        self._subjects.add(document, guest, seat)

    def _leave(self, document: str, guest: str, seat: SeatEntry) -> None:
        del self._seats[document, guest]
        at_table = self._tables[document, seat.table]
        del at_table[guest]
        if not at_table:
            del self._tables[document, seat.table]
        if seat.number is not None:
            discard(self._numbered, (document, seat.table, seat.number), guest)
        discard(self._documents, guest, document)
        self._subjects.remove(document, guest)

    def _touch_seat(self, document: str, seat: SeatEntry, touched: Touched) -> None:
        if seat.number is not None:
            touched.add(Subject("S1", (document, seat.table, str(seat.number))))
        touched.add(Subject("S2", (document, seat.table)))
        self._unseated.touch_seat(document, seat, touched)

    def _table(self, document: str, table: str, touched: Touched) -> None:
        touched.add(Subject("S2", (document, table)))
        touched.update(self._subjects.of_table(document, table))
        self._unseated.touch_table(document, table, touched)
        touched.update(self._of_lock(document, table))

    def _rule(self, document: str, rule: str, touched: Touched) -> None:
        place = (document, rule)
        for guest in self._rules.pop(place, ()):
            discard(self._rules_of, (document, guest), rule)
        row = self.wedding.record(document, "rules", rule)
        if row is not None:
            self._rules[place] = frozenset(suffixes(row, "guest:"))
            for guest in self._rules[place]:
                self._rules_of.setdefault((document, guest), set()).add(rule)
        touched.update(_of_rule(document, rule))

    def _guest(self, _: str, guest: str, touched: Touched) -> None:
        before = self._household_of.pop(guest, None)
        if before is not None:
            discard(self._households, before, guest)
        row = self.wedding.record("guests", "guests", guest)
        after = row.get("household") if row is not None and "party" not in row else None
        if type(after) is str:
            self._household_of[guest] = after
            self._households.setdefault(after, set()).add(guest)
        self._unseated.touch_guest(guest, touched)
        for document in self._documents.get(guest, ()):
            seat = self._seats[document, guest]
            self._touch_seat(document, seat, touched)
            touched.add(Subject("S4", (document, guest)))
            touched.update(Subject("S6", (document, "households", id)) for id in (before, after) if type(id) is str)

    def _answer_to(self, _: str, guest: str, key: str, touched: Touched) -> None:
        self._unseated.touch_guest(guest, touched)
        for document in self._documents.get(guest, ()):
            if event_of(self.wedding, document) in ("", key[5:]):
                self._touch_seat(document, self._seats[document, guest], touched)
                touched.add(Subject("S4", (document, guest)))
                household = self._household_of.get(guest)
                if household is not None:
                    touched.add(Subject("S6", (document, "households", household)))

    def _events(self, _: str, event: str, touched: Touched) -> None:
        """The event of `seating` is found by its id."""
        if event == "e_reception" and not self.wedding.context.reception:
            self._unseated.touch_all(touched)
            touched.update(self._subjects.of_document("seating"))

    def _of_lock(self, document: str, table: str) -> Iterator[Subject]:
        locked = self.wedding.context.locked.get((document, table))
        if locked is not None:
            for guest in {*locked, *self._tables.get((document, table), ())}:
                yield Subject("S7", (document, guest))

    # S1

    def _in_one_seat(self, subject: Subject) -> list[str]:
        """The guests who have a seat, where they are several."""
        document, table_id, number = subject.ids
        guests = self._numbered.get((document, table_id, int(number)), ())
        table = self.wedding.record(document, "tables", table_id)
        if len(guests) < 2 or table is None or int(number) >= capacity_of(table):
            return []
        event = event_of(self.wedding, document)
        sitting = [guest for guest in nsmallest(MAX_TOGETHER, guests) if comes(self.wedding, event, guest)]
        return sitting if len(sitting) > 1 else []

    def _one_guest_per_seat(self, subject: Subject) -> Finding | None:
        document, table_id, number = subject.ids
        sitting = self._in_one_seat(subject)
        if not sitting:
            return None
        strategy = self.wedding.strategy("S1")
        ranked = self._ranked_for_seat(document, table_id, sitting, strategy)
        taken = set(self._tables[document, table_id].values())
        keep = partial(keep_seat, self.wedding, document, SeatEntry(table_id, int(number)), taken=taken)
        options = (
            (
                sentence("S1.keep", guest=guest_name(self.wedding, guest), seat=seat_label(int(number))),
                keep(guest, [g for g in ranked if g != guest]),
            )
            for guest in ranked
        )
        names = listed(guest_name(self.wedding, guest) for guest in ranked[:MAX_PARTIES])
        label = table_label(self.wedding, document, table_id)
        return self.found(
            subject,
            sentence("S1", guests=names, seat=seat_label(int(number)), table=label),
            parties=self._parties(document, ranked[:MAX_PARTIES]),
            options=options,
            automatic=None if strategy == MANUAL else reseat(self.wedding, document, table_id, ranked[1:], taken),
        )

    def _ranked_for_seat(self, document: str, table: str, guests: list[str], strategy: str) -> list[str]:
        """The guest who keeps the seat comes first."""
        if strategy == HIERARCHY:
            return sorted(guests, key=lambda guest: by_hierarchy(self._writer(document, guest), guest))
        if strategy == LAST:
            return sorted(guests, key=lambda guest: by_arrival(self._writer(document, guest), guest))
        lock = self._lock_writer(document, table)

        def key(guest: str) -> Any:
            writer = self._writer(document, guest)
            sat_before_the_lock = lock is not None and writer.seq < lock.seq
            return (not sat_before_the_lock, by_priority(writer, guest))

        return sorted(guests, key=key)

    # S2

    def _crowd(self, subject: Subject) -> list[str]:
        """The guests at a table, where they are more than it has seats; else nobody."""
        document, table_id = subject.ids
        at_table = self._tables.get((document, table_id), ())
        table = self.wedding.record(document, "tables", table_id)
        if table is None or len(at_table) <= capacity_of(table):
            return []
        if len(at_table) > MAX_AT_TABLE:  # whether each of them comes is not looked at
            return nsmallest(MAX_AT_TABLE, at_table)
        event = event_of(self.wedding, document)
        guests = [guest for guest in sorted(at_table) if comes(self.wedding, event, guest)]
        return guests if len(guests) > capacity_of(table) else []

    def _within_capacity(self, subject: Subject) -> Finding | None:
        guests = self._crowd(subject)
        if not guests:
            return None
        document, table_id = subject.ids
        capacity = capacity_of(self.wedding.rows(document, "tables")[table_id])
        at_table = len(self._tables[document, table_id])
        heads = len(guests) if at_table <= MAX_AT_TABLE else at_table
        surplus = min(heads - capacity, MAX_TOGETHER)
        latest = sorted(guests, key=lambda guest: by_arrival(self._writer(document, guest), guest))
        label = table_label(self.wedding, document, table_id)
        seats, automatic = sentence("S2.seats", count=heads, table=label), None
        if self.wedding.strategy("S2") == PRIORITY:
            ranked = sorted(guests, key=lambda guest: by_priority(self._writer(document, guest), guest))
            automatic = self._spread(document, table_id, ranked[-surplus:])
        return self.found(
            subject,
            sentence("S2", count=heads, table=label, capacity=capacity),
            parties=(
                self.wedding.party(document, "tables", table_id, "capacity"),
                *self._parties(document, latest[:surplus]),
            ),
            options=[
                *self._move_options(document, table_id, latest[:surplus]),
                (seats, [Op("set", document, "tables", table_id, "capacity", heads)]),
            ],
            automatic=automatic,
        )

    def _spread(self, document: str, table: str, guests: list[str]) -> list[Op] | None:
        """Guests to the nearest tables with room, one after the other; None where there is not room for all."""
        targets = [
            target
            for target in nearest(self.wedding, document, table)
            for _ in range(min(len(guests), self._room(document, target)))
        ]
        if len(targets) < len(guests):
            return None
        return [sit(document, guest, target, None) for guest, target in zip(guests, targets, strict=False)]

    def _move_options(self, document: str, table: str, guests: list[str]) -> Iterator[tuple[Sentence, list[Op]]]:
        who = listed([guest_name(self.wedding, guest) for guest in guests[:5]], max(0, len(guests) - 5))
        others = nearest(self.wedding, document, table)
        for target in islice((each for each in others if self._room(document, each) >= len(guests)), _MAX_TARGETS):
            label = table_label(self.wedding, document, target)
            yield sentence("S.move", guests=who, table=label), [sit(document, guest, target, None) for guest in guests]

    # S3, S4

    def _seat_exists(self, subject: Subject) -> Finding | None:
        document, guest = subject.ids
        seat = self._seats.get((document, guest))
        if seat is None:
            return self._given_back(subject)
        table = self.wedding.record(document, "tables", seat.table)
        if table is not None and (seat.number is None or seat.number < capacity_of(table)):
            return None
        name = guest_name(self.wedding, guest)
        if table is None:
            said, ops = sentence("S3.gone", guest=name), [rise(document, guest)]
        else:
            label = table_label(self.wedding, document, seat.table)
            said = sentence("S3", seat=seat_label(seat.number or 0), guest=name, table=label)
            ops = [sit(document, guest, seat.table, None)]
        return self.found(
            subject,
            said,
            parties=self._parties(document, [guest]),
            options=self._unseated.restore_table(document, guest, seat),
            automatic=ops,
        )

    def _guest_comes(self, subject: Subject) -> Finding | None:
        document, guest = subject.ids
        if (document, guest) not in self._seats:
            return self._given_back(subject)
        if comes(self.wedding, event_of(self.wedding, document), guest):
            return None
        ops = [rise(document, guest)]
        manual = self.wedding.strategy("S4") == MANUAL
        gone = self.wedding.record("guests", "guests", guest) is None
        return self.found(
            subject,
            sentence("S4.gone" if gone else "S4", guest=guest_name(self.wedding, guest)),
            parties=self._parties(document, [guest]),
            options=[*([(sentence("S4.free"), ops)] if manual else ()), *self._unseated.invite_again(document, guest)],
            automatic=None if manual else ops,
        )

    def _given_back(self, subject: Subject) -> Finding | None:
        if not self._unseated.is_due(subject):
            return None
        document, guest = subject.ids
        said, automatic, options = self._unseated.give_back(subject)
        return self.found(
            subject,
            said,
            parties=self._parties(document, [guest]),
            options=options,
            automatic=automatic,
            severity="info" if automatic else None,
        )

    # S5, S6

    def _too_close(self, subject: Subject) -> bool:
        document, rule = subject.ids
        row = self.wedding.record(document, "rules", rule)
        if row is None or row.get("kind") != "apart" or row.get("hard") is not True:
            return False
        return any(
            len(guests) > 1 for guests in self._by_table(document, self._rules.get((document, rule), ())).values()
        )

    def _apart(self, subject: Subject) -> Finding | None:
        if not self._too_close(subject):
            return None
        document, rule = subject.ids
        tables = self._by_table(document, self._rules[document, rule])
        together = {table: guests for table, guests in sorted(tables.items()) if len(guests) > 1}
        guests = sorted(guest for each in together.values() for guest in each)
        automatic = None
        if self.wedding.strategy("S5") == PRIORITY:
            automatic = self._part(document, together, set(tables))
        names = listed(guest_name(self.wedding, guest) for guest in guests[:MAX_PARTIES])
        return self.found(
            subject,
            sentence("S5", guests=names),
            parties=(self.wedding.party(document, "rules", rule, "kind"), *self._parties(document, guests)),
            options=self._apart_options(document, together, set(tables)),
            automatic=automatic,
        )

    def _part(self, document: str, together: dict[str, list[str]], used: set[str]) -> list[Op] | None:
        """Each but the first of a table to the nearest table where none of them sits."""
        ops, used = [], set(used)
        for table, guests in together.items():
            ranked = sorted(guests, key=lambda guest: by_priority(self._writer(document, guest), guest))
            free = self._free_tables(document, table, used)  # looks at what is used by then
            for guest in ranked[1:]:
                target = next(free, None)
                if target is None:
                    return None
                used.add(target)
                ops.append(sit(document, guest, target, None))
        return ops

    def _apart_options(
        self, document: str, together: dict[str, list[str]], used: set[str]
    ) -> Iterator[tuple[Sentence, list[Op]]]:
        for table, guests in together.items():
            for guest in guests[:4]:
                for target in islice(self._free_tables(document, table, used), _MAX_TARGETS):
                    label = table_label(self.wedding, document, target)
                    name = guest_name(self.wedding, guest)
                    yield sentence("S.move", guests=name, table=label), [sit(document, guest, target, None)]

    def _free_tables(self, document: str, table: str, used: set[str]) -> Iterator[str]:
        return (
            target
            for target in nearest(self.wedding, document, table)
            if target not in used and self._room(document, target) > 0
        )

    def _scattered(self, subject: Subject) -> dict[str, list[str]]:
        """Table -> who sits there, of people who belong together and do not sit so; else nothing."""
        document, root, id = subject.ids
        if root == "rules":
            row = self.wedding.record(document, "rules", id)
            if row is None or row.get("kind") != "together":
                return {}
            people: Collection[str] = self._rules.get((document, id), ())
        else:
            people = self._households.get(id, ())
        tables = self._by_table(document, people if len(people) <= MAX_AT_TABLE else ())
        return tables if len(tables) > 1 else {}

    def _together(self, subject: Subject) -> Finding | None:
        tables = self._scattered(subject)
        if not tables:
            return None
        document = subject.ids[0]
        guests = [guest for table in sorted(tables) for guest in tables[table]]
        names = listed(guest_name(self.wedding, guest) for guest in guests[:MAX_PARTIES])
        return self.found(
            subject,
            sentence("S6", guests=names, count=len(tables)),
            parties=self._parties(document, guests),
            options=self._gather_options(document, tables),
        )

    def _gather_options(self, document: str, tables: dict[str, list[str]]) -> Iterator[tuple[Sentence, list[Op]]]:
        for target in sorted(tables, key=lambda table: (-len(tables[table]), table))[:_MAX_TARGETS]:
            others = [guest for table in sorted(tables) if table != target for guest in tables[table]]
            if self._room(document, target) >= len(others):
                label = table_label(self.wedding, document, target)
                yield sentence("S6.seat", table=label), [sit(document, guest, target, None) for guest in others]

    def _by_table(self, document: str, guests: Iterable[str]) -> dict[str, list[str]]:
        """Table -> those of the guests who come and sit there."""
        tables: dict[str, list[str]] = {}
        event = event_of(self.wedding, document)
        for guest in sorted(guests):
            seat = self._seats.get((document, guest))
            if seat is not None and comes(self.wedding, event, guest):
                tables.setdefault(seat.table, []).append(guest)
        return tables

    # S7

    def _as_locked(self, subject: Subject) -> Finding | None:
        document, guest = subject.ids
        at = self._locked_seat(document, guest)
        if at is None:
            return None
        table_id, locked = at
        now = self.wedding.rows(document, "assignments").get(guest)
        if now == locked:
            return None
        lock, writer = self._lock_writer(document, table_id), self._writer(document, guest)
        if lock is None or writer is NOBODY or writer.rank >= lock.rank or writer.user in (lock.user, SERVER):
            return None
        ops = [
            rise(document, guest) if locked is None else Op("set", document, "assignments", guest, None, dict(locked))
        ]
        label = table_label(self.wedding, document, table_id)
        return self.found(
            subject,
            sentence("S7", guest=guest_name(self.wedding, guest), table=label),
            parties=(self.wedding.party(document, "tables", table_id, "locked"), *self._parties(document, [guest])),
            options=[(sentence("S7.back"), ops)],
            automatic=None if self.wedding.strategy("S7") == MANUAL else ops,
        )

    def _locked_seat(self, document: str, guest: str) -> tuple[str, Any] | None:
        """The locked table a guest belongs to, with the seat; or the one they were put at, where they have none (what
        they had before, or nothing). None where no lock is concerned."""
        for (locked_document, table), guests in sorted(self.wedding.context.locked.items()):
            if locked_document == document and guest in guests and self._is_locked(document, table):
                return table, guests[guest]
        seat = self._seats.get((document, guest))
        if seat is None or (document, seat.table) not in self.wedding.context.locked:
            return None
        if not self._is_locked(document, seat.table):
            return None
        before = seat_of(self._writer(document, guest).before)
        if before is None or before.table == seat.table:
            return seat.table, None
        return seat.table, {"table": before.table, "seat": before.number}

    def _is_locked(self, document: str, table: str) -> bool:
        row = self.wedding.record(document, "tables", table)
        return row is not None and "locked" in row

    def _lock_writer(self, document: str, table: str) -> Writer | None:
        return self.wedding.writer(document, "tables", table, "locked") if self._is_locked(document, table) else None

    # Tables and people

    def _room(self, document: str, table: str) -> int:
        row = self.wedding.record(document, "tables", table)
        if row is None or "locked" in row:
            return 0
        capacity = whole(row, "capacity")
        return 0 if capacity is None else max(0, capacity - len(self._tables.get((document, table), ())))

    def _writer(self, document: str, guest: str) -> Writer:
        return self.wedding.writer(document, "assignments", guest)

    def _parties(self, document: str, guests: Iterable[str]) -> list[Party]:
        return [self.wedding.party(document, "assignments", guest) for guest in guests]


_FIND: Final = {
    "S1": Seating._one_guest_per_seat,
    "S2": Seating._within_capacity,
    "S3": Seating._seat_exists,
    "S4": Seating._guest_comes,
    "S5": Seating._apart,
    "S6": Seating._together,
    "S7": Seating._as_locked,
}

_BROKEN: Final[Mapping[str, Callable[[Seating, Subject], object]]] = {
    "S1": Seating._in_one_seat,
    "S2": Seating._crowd,
    "S5": Seating._too_close,
    "S6": Seating._scattered,
}
"""Of those whose findings search other tables: whether there is a finding at all."""


def _of_rule(document: str, rule: str) -> tuple[Subject, Subject]:
    return Subject("S5", (document, rule)), Subject("S6", (document, "rules", rule))

"""S3 and S4: seats of guests that are gone, and what a slip took away.

Where the server has freed a seat, because its table went or its guest did, and the table is restored or the guest comes
after all within a day, the guest gets the seat back if it is still free; else somebody is told. All of this follows
from the rows and their writers: the last writer of the seat is the server, and what it replaced is the seat.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from heapq import nsmallest
from itertools import islice
from typing import Final

from documents.invariants.instants import instant
from documents.invariants.model import SERVER, Op, Ops, Subject, Wedding, Writer, document_kind
from documents.invariants.part import Choice, Touched, discard, guest_name
from documents.invariants.seats import SeatEntry, capacity_of, comes, event_of, seat_of, sit
from documents.invariants.wording import seat_label, table_label
from documents.sentences import Sentence, part, sentence

SLIP_SECONDS: Final = 24 * 3600
"""How long a seat that the server freed is given back."""

MAX_RIVALS: Final = 32
"""Guests who had one seat, one after the other, of which the last has it again."""

Place = tuple[str, str]
"""Document, and a guest or table."""


class Unseated:
    """The guests whose seats the server has freed, by table and by guest.

    ``seats``, ``tables``, ``numbered``: who sits where, as `Seating` keeps it up to date.
    """

    def __init__(
        self,
        wedding: Wedding,
        seats: Mapping[Place, SeatEntry],
        tables: Mapping[Place, Mapping[str, int | None]],
        numbered: Mapping[tuple[str, str, int], Collection[str]],
    ) -> None:
        self._wedding = wedding
        self._seats = seats
        self._tables = tables
        self._numbered = numbered
        self._from: dict[Place, set[Subject]] = {}
        self._rivals: dict[tuple[str, str, int | None], set[str]] = {}
        """Document, table and seat -> the guests who had it."""
        self._had: dict[Place, SeatEntry] = {}
        self._documents: dict[str, set[str]] = {}

    # Following changes

    def read(self) -> Iterator[None]:
        """Read who had a seat from the writers, in steps."""
        touched: Touched = set()
        for document, root, guest, _ in self._wedding.writers:
            if root == "assignments" and document_kind(document) == "seating":
                self.refresh(document, guest, touched)
                touched.clear()
            yield

    def refresh(self, document: str, guest: str, touched: Touched) -> None:
        """Read the seat of a guest again."""
        place = (document, guest)
        had = self._had.pop(place, None)
        if had is not None:
            for subject in _of(document, guest):
                touched.add(subject)
                discard(self._from, (document, had.table), subject)
            discard(self._rivals, (document, *had), guest)
            discard(self._documents, guest, document)
            self.touch_seat(document, had, touched)
        writer = self._wedding.writer(document, "assignments", guest)
        if writer.user == SERVER and guest not in self._wedding.rows(document, "assignments"):
            had = seat_of(writer.before)
            if had is not None:
                self._had[place] = had
                self._from.setdefault((document, had.table), set()).update(_of(document, guest))
                self._rivals.setdefault((document, *had), set()).add(guest)
                self._documents.setdefault(guest, set()).add(document)
                self.touch_seat(document, had, touched)

    def subjects(self) -> Iterator[Subject]:
        """Every subject that may have a finding for a freed seat."""
        for place in self._had:
            yield from _of(*place)

    def touch_all(self, touched: Touched) -> None:
        """Any guest may come now, or not any more."""
        for subjects in self._from.values():
            touched |= subjects

    def touch_table(self, document: str, table: str, touched: Touched) -> None:
        """The table has changed."""
        touched |= self._from.get((document, table), set())

    def touch_seat(self, document: str, seat: SeatEntry, touched: Touched) -> None:
        """Somebody has sat down, or stood up: those who had the seat, and some who had any at this table, as there may
        be room now."""
        for number in {seat.number, None}:
            for guest in islice(self._rivals.get((document, seat.table, number), ()), MAX_RIVALS):
                touched.update(_of(document, guest))
        touched.update(islice(self._from.get((document, seat.table), ()), MAX_RIVALS))

    def touch_guest(self, guest: str, touched: Touched) -> None:
        """The guest has changed, and with it who else may have the same seat."""
        for document in self._documents.get(guest, ()):
            touched.update(_of(document, guest))
            self.touch_seat(document, self._had[document, guest], touched)

    # Options where a seat is freed

    def restore_table(self, document: str, guest: str, seat: SeatEntry) -> Iterator[Choice]:
        """Ways to keep a seat that is not there."""
        row = self._wedding.rows(document, "tables").get(seat.table)
        if type(row) is not dict:
            return
        name, label = guest_name(self._wedding, guest), table_label(self._wedding, document, seat.table)
        back = sit(document, guest, seat.table, seat.number)
        if "deleted" in row:
            op = Op("delete", document, "tables", seat.table, "deleted")
            yield sentence("S3.restore", table=label, guest=name), [op, back]
        elif seat.number is not None:
            op = Op("set", document, "tables", seat.table, "capacity", seat.number + 1)
            yield sentence("S3.more", table=label, count=seat.number + 1, guest=name), [op, back]

    def invite_again(self, document: str, guest: str) -> Iterator[Choice]:
        """Ways to keep the seat of a guest who does not come."""
        row, seat = self._wedding.rows("guests", "guests").get(guest), self._seats[document, guest]
        if type(row) is not dict:
            return
        event = event_of(self._wedding, document)
        ops = [Op("delete", "guests", "guests", guest, "deleted")] if "deleted" in row else []
        keys = [f"rsvp:{event}"] if event else sorted(key for key in row if key.startswith("rsvp:"))[:1]
        ops += [Op("set", "guests", "guests", guest, key, "yes") for key in keys if row.get(key) == "no"]
        yield (
            sentence("S4.comes", guest=guest_name(self._wedding, guest)),
            [*ops, sit(document, guest, seat.table, seat.number)],
        )

    # Giving back

    def is_due(self, subject: Subject) -> bool:
        """Whether the seat of a subject is to be given back, be it free or not."""
        document, guest = subject.ids
        had = self._had.get((document, guest))
        if had is None:
            return False
        writer = self._wedding.writer(document, "assignments", guest)
        table = self._wedding.record(document, "tables", had.table)
        event = event_of(self._wedding, document)
        if (
            table is None
            or not comes(self._wedding, event, guest)
            or _locked_since(self._wedding, document, had.table, writer)
        ):
            return False
        restored = _follows(self._wedding.writer(document, "tables", had.table, "deleted"), writer)
        if subject.invariant == "S3" or restored:
            return restored and subject.invariant == "S3"
        return any(_follows(each, writer) for each in _invitations(self._wedding, guest, event))

    def give_back(self, subject: Subject) -> tuple[Sentence, Ops | None, list[Choice]]:
        """The summary for a seat that is due, the operations that give it back (None: it is taken), and options."""
        document, guest = subject.ids
        had = self._had[document, guest]
        name, label = guest_name(self._wedding, guest), table_label(self._wedding, document, had.table)
        place = part(
            sentence("S.table", table=label)
            if had.number is None
            else sentence("S.seat", seat=seat_label(had.number), table=label)
        )
        if self._is_free(document, guest, had):
            return sentence("S.again", guest=name, place=place), (sit(document, guest, had.table, had.number),), []
        options: list[Choice] = []
        if self._has_room(document, had.table):
            options.append((sentence("S.sit", guest=name, table=label), [sit(document, guest, had.table, None)]))
        return sentence("S.taken", guest=name, place=place), None, options

    def _is_free(self, document: str, guest: str, had: SeatEntry) -> bool:
        if not self._has_room(document, had.table):
            return False
        if had.number is None:
            return True
        table = self._wedding.rows(document, "tables")[had.table]
        if had.number >= capacity_of(table) or self._numbered.get((document, had.table, had.number)):
            return False
        rivals = nsmallest(MAX_RIVALS, self._rivals[document, had.table, had.number])
        return max((guest, *rivals), key=lambda each: (self._freed(document, each), each)) == guest

    def _freed(self, document: str, guest: str) -> int:
        """When the seat was freed; never, where it is not to be given back."""
        due = any(self.is_due(subject) for subject in _of(document, guest))
        return self._wedding.writer(document, "assignments", guest).seq if due else -1

    def _has_room(self, document: str, table: str) -> bool:
        row = self._wedding.rows(document, "tables")[table]
        return len(self._tables.get((document, table), ())) < capacity_of(row)


def _locked_since(wedding: Wedding, document: str, table: str, freed: Writer) -> bool:
    """Whether the table was locked without the guest. That follows from the writers, as after a restart the seats at
    the time of the lock are not known any more."""
    row = wedding.rows(document, "tables")[table]
    return "locked" in row and wedding.writer(document, "tables", table, "locked").seq > freed.seq


def _invitations(wedding: Wedding, guest: str, event: str) -> Iterator[Writer]:
    row = wedding.rows("guests", "guests").get(guest)
    keys = {"deleted"} if type(row) is not dict else {"deleted", *(key for key in row if key.startswith("rsvp:"))}
    for key in keys if not event else ("deleted", f"rsvp:{event}"):
        yield wedding.writer("guests", "guests", guest, key)


def _of(document: str, guest: str) -> tuple[Subject, Subject]:
    return Subject("S3", (document, guest)), Subject("S4", (document, guest))


def _follows(later: Writer, earlier: Writer) -> bool:
    """Whether a write came after another, within the time of a slip."""
    if later.seq <= earlier.seq:
        return False
    first, second = instant(earlier.at), instant(later.at)
    return first is not None and second is not None and (second - first).total_seconds() <= SLIP_SECONDS

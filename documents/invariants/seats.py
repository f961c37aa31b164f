"""Assignments of guests to tables as the invariants of seating read and write them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import islice
from typing import Any, Final, NamedTuple

from documents.invariants.model import Op, Subject, Wedding, whole

MAX_TABLES: Final = 256
"""Of more tables only so many are looked at for a free seat."""

_UNBOUNDED: Final = 1 << 60
_FAR: Final = 1 << 60


class SeatEntry(NamedTuple):
    """A guest's table, and the number of the seat where it is known."""

    table: str
    number: int | None


class SeatSubjects:
    """The subjects about those who sit somewhere, by table and document: all of them may be touched at once."""

    def __init__(self) -> None:
        self._tables: dict[tuple[str, str], dict[Subject, int]] = {}
        self._documents: dict[str, dict[Subject, int]] = {}
        self._of: dict[tuple[str, str], tuple[str, list[Subject]]] = {}

    def add(self, document: str, guest: str, seat: SeatEntry) -> None:
        """Somebody has sat down."""
        place = (document, guest)
        subjects = [Subject("S2", (document, seat.table)), Subject("S3", place), Subject("S4", place)]
        if seat.number is not None:
            subjects.append(Subject("S1", (document, seat.table, str(seat.number))))
        self._of[place] = seat.table, subjects
        for counter in (self._tables.setdefault((document, seat.table), {}), self._documents.setdefault(document, {})):
            for subject in subjects:
                counter[subject] = counter.get(subject, 0) + 1

    def remove(self, document: str, guest: str) -> None:
        """They have stood up again."""
        table, subjects = self._of.pop((document, guest))
        for counter in (self._tables[document, table], self._documents[document]):
            for subject in subjects:
                counter[subject] -= 1
                if not counter[subject]:
                    del counter[subject]

    def of_table(self, document: str, table: str) -> Iterable[Subject]:
        """Those about the guests at a table."""
        return self._tables.get((document, table), ())

    def of_document(self, document: str) -> Iterable[Subject]:
        """Those about all who sit."""
        return self._documents.get(document, ())


def seat_of(value: Any) -> SeatEntry | None:
    if type(value) is not dict or type(value.get("table")) is not str:
        return None
    number = value.get("seat")
    return SeatEntry(value["table"], number if type(number) is int else None)


def capacity_of(table: dict[str, Any]) -> int:
    capacity = whole(table, "capacity")
    return _UNBOUNDED if capacity is None else capacity


def sit(document: str, guest: str, table: str, seat: int | None) -> Op:
    return Op("set", document, "assignments", guest, None, {"table": table, "seat": seat})


def rise(document: str, guest: str) -> Op:
    return Op("delete", document, "assignments", guest)


def reseat(
    wedding: Wedding, document: str, table_id: str, guests: Iterable[str], taken: Collection[int | None]
) -> list[Op]:
    """The lowest free seats of the table; any seat where their number is not given; else none. ``taken``: seats."""
    table = wedding.record(document, "tables", table_id)
    capacity = whole(table, "capacity") if table is not None else None
    if capacity is None:
        return [sit(document, guest, table_id, None) for guest in guests]
    free = (seat for seat in range(capacity) if seat not in taken)
    ops = []
    for guest in guests:
        seat = next(free, None)
        ops.append(rise(document, guest) if seat is None else sit(document, guest, table_id, seat))
    return ops


def keep_seat(
    wedding: Wedding, document: str, seat: SeatEntry, guest: str, others: Iterable[str], taken: Collection[int | None]
) -> list[Op]:
    """One guest keeps a seat, the others get another one."""
    return [sit(document, guest, *seat), *reseat(wedding, document, seat.table, others, taken)]


def comes(wedding: Wedding, event: str, guest: str) -> bool:
    """Whether a guest exists and has not declined (`event_of`); yes where the guests are not at hand."""
    if "guests" not in wedding.documents:
        return True
    row = wedding.record("guests", "guests", guest)
    if row is None:
        return False
    if event:
        return row.get("rsvp:" + event) != "no"
    answers = [value for key, value in row.items() if key.startswith("rsvp:")]
    return not answers or any(answer != "no" for answer in answers)


def event_of(wedding: Wedding, document: str) -> str:
    """The event a document is about; empty: not known, and a guest has declined who declined everything."""
    _, _, event = document.partition(".")
    return (
        event
        or wedding.context.reception
        or ("e_reception" if "e_reception" in wedding.rows("wedding", "events") else "")
    )


def nearest(wedding: Wedding, document: str, table: str) -> list[str]:
    """The other tables, the nearest first; those without a position last; then by order and id."""
    tables = wedding.rows(document, "tables")
    here = _position(tables.get(table))

    def key(other: str) -> Any:
        there = _position(tables[other])
        near = _FAR
        if here is not None and there is not None:
            near = (here[0] - there[0]) ** 2 + (here[1] - there[1]) ** 2
        return (near, str(tables[other].get("order", "")), other)

    looked_at = islice(tables.items(), MAX_TABLES)
    return sorted((other for other, row in looked_at if other != table and type(row) is dict), key=key)


def _position(row: Any) -> tuple[int, int] | None:
    position = row.get("position") if type(row) is dict else None
    if type(position) is not dict:
        return None
    x, y = whole(position, "x"), whole(position, "y")
    return None if x is None or y is None else (x, y)


def assignments_by_table(wedding: Wedding, document: str) -> dict[str, dict[str, Any]]:
    """table -> guest -> assignment, as `Context.locked` holds those of a table when it is locked."""
    found: dict[str, dict[str, Any]] = {}
    for guest, row in wedding.rows(document, "assignments").items():
        if type(row) is dict and type(row.get("table")) is str:
            found.setdefault(row["table"], {})[guest] = row
    return found

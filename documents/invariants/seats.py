"""Assignments of guests to tables as the invariants of seating read and write them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from documents.invariants.model import Op, Wedding, whole

_UNBOUNDED: Final = 1 << 60
_FAR: Final = 1 << 60


class SeatEntry(NamedTuple):
    """A guest's table, and the number of the seat where it is known."""

    table: str
    number: int | None


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

    return sorted((other for other, row in tables.items() if other != table and type(row) is dict), key=key)


def _position(row: Any) -> tuple[int, int] | None:
    position = row.get("position") if type(row) is dict else None
    if type(position) is not dict:
        return None
    x, y = whole(position, "x"), whole(position, "y")
    return None if x is None or y is None else (x, y)

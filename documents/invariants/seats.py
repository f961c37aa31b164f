"""Assignments of guests to tables as the invariants of seating read and write them."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from documents.invariants.model import Op, whole

_UNBOUNDED: Final = 1 << 60


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

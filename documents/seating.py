"""`seating`, `seating.{event}`: tables, who sits where, and who should.

Seats are kept by guest, not by seat: that one guest sits in two is impossible then, and two guests in one seat stay
visible after a merge, and repairable.
"""

from __future__ import annotations

from collections.abc import Mapping

from documents.fields import Bool, Enum, Flag, Integer, Nullable, String
from documents.kind import Kind, family, key, needed, record, records, value_of, values
from documents.shared import GUEST, LABEL, ORDER, PLACE, STAMP, TABLE, Record, Stamp, meta, review

CENTIMETRES = Integer(-100_000, 100_000, "centimetres")
LENGTH = Integer(1, 100_000, "centimetres")


@record
class Position:
    """Where the middle of something is on the floor plan."""

    x: int = needed(CENTIMETRES, "To the right of the upper left corner.")
    y: int = needed(CENTIMETRES, "Below the upper left corner.")
    rotation: int = key(Integer(-360, 360, "degrees"), "Turned clockwise.", default=0)


@record
class Size:
    """How large something is on the floor plan."""

    width: int = needed(LENGTH, "From left to right, before it is turned.")
    height: int = needed(LENGTH, "From top to bottom, before it is turned.")


@record
class SeatingTable(Record):
    """A table."""

    label: str | None = key(LABEL, "Its name or number.")
    shape: str = key(Enum("round", "rectangle", "square", "oval", "row"), "Its form.", default="round")
    capacity: int | None = key(Integer(0, 500, "count"), "How many seats it has, numbered from 0.")
    position: Position | None = key(value_of(Position), "Where it stands.")
    size: Size | None = key(value_of(Size), "How large it is.")
    place: str | None = key(PLACE, "The room it stands in.")
    locked: Stamp | None = key(STAMP, "Set: who sits here stays.")
    order: str | None = key(ORDER, "Place in the list.")


@record
class Seat:
    """Where one guest sits."""

    table: str = needed(TABLE, "The table.")
    seat: int | None = needed(Nullable(Integer(0, 499, "seat")), "The seat, counted from 0; null: any at the table.")


@record
class SeatingRule(Record):
    """Guests who should sit together, or apart."""

    kind: str | None = key(Enum("together", "apart", "near", "front"), "What is asked for.")
    hard: bool = key(Bool(), "Whether breaking it is a conflict.", default=False)
    guests: Mapping[str, bool] = family("guest", GUEST, Flag(), "Whom it is about.")
    reason: str | None = key(String(), "Why.")


@record
class Fixture(Record):
    """Something else that stands in the room."""

    kind: str | None = key(Enum("dance", "stage", "bar", "buffet", "exit", "other"), "What it is.")
    label: str | None = key(LABEL, "What it is called.")
    position: Position | None = key(value_of(Position), "Where it stands.")
    size: Size | None = key(value_of(Size), "How large it is.")


KIND = Kind(
    "seating",
    "Tables, who sits where, and who should. `seating` is the reception, `seating.{event}` another event.",
    (
        meta(),
        records("tables", SeatingTable, "Tables."),
        values(
            "assignments",
            value_of(Seat),
            "Who sits where, by guest id. Moving a guest is one write.",
            ids=GUEST,
            removable=True,
        ),
        records("rules", SeatingRule, "Who should sit with whom, or not."),
        records("fixtures", Fixture, "What else stands in the room."),
        review(),
    ),
    many=True,
)

"""`seating@service`: the floor plan of the reception, with short names."""

from __future__ import annotations

from typing import Any, Final

from documents import seating
from documents.derived.emergencies import VENDORS, emergencies
from documents.derived.guests import short_name
from documents.derived.model import Declaration, Dependency, Projection, View, made, picked, same_id, shown
from documents.fields import Integer
from documents.kind import Key
from documents.shared import NAME, TABLE

_ROOTS: Final = seating.KIND.roots
_TABLES: Final = shown(_ROOTS["tables"], "label", "shape", "capacity", "position", "size", "place", "order")
_FIXTURES: Final = shown(_ROOTS["fixtures"], "kind", "label", "position", "size")
_SEATS: Final = made(
    "seats",
    "Who sits where, by guest id.",
    Key("table", "table", TABLE, "The table."),
    Key("seat", "seat", Integer(0, 499, "seat"), "The seat; absent: any at the table."),
    Key("name", "name", NAME, "First name and the initial of the last."),
)


def _shown(root: Any) -> Any:
    def row(view: View, record: str) -> dict[str, Any] | None:
        found = view.source.record("seating", root.name, record)
        return None if found is None else picked(root, found)

    return row


def _seat(view: View, record: str) -> dict[str, Any] | None:
    seat, guest = view.source.rows("seating", "assignments").get(record), view.source.record("guests", "guests", record)
    if type(seat) is not dict or guest is None:
        return None
    return {key: value for key, value in (*seat.items(), ("name", short_name(guest))) if value is not None}


DECLARATIONS: Final = (
    Declaration(
        "seating@service",
        "The floor plan of the reception for those who serve.",
        (
            Projection(root=_TABLES, document="seating", source="tables", row=_shown(_TABLES)),
            Projection(root=_FIXTURES, document="seating", source="fixtures", row=_shown(_FIXTURES)),
            Projection(
                root=_SEATS,
                document="seating",
                source="assignments",
                row=_seat,
                dependencies=(Dependency("guests", "guests", same_id),),
            ),
            emergencies(VENDORS),
        ),
        roles={"venue", "caterer"},
    ),
)

"""Tables at which guests sit, as other derived documents show them: those of the document `seating`, the reception."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from documents.changes import Change
from documents.derived.model import Dependency, View, same_id
from documents.kind import Key
from documents.shared import LABEL

TABLE: Final = Key("table", "table", LABEL, "Label of the table at the reception.")


def table_id(view: View, guest: str) -> str | None:
    """The table at which a guest sits, if there is one."""
    return id_of(view.source.rows("seating", "assignments").get(guest))


def id_of(seat: Any) -> str | None:
    """The table of an assignment."""
    table = seat.get("table") if type(seat) is dict else None
    return table if type(table) is str else None


def table_label(view: View, guest: str) -> str | None:
    """The label of the table at which a guest sits, if there is one."""
    table = view.source.record("seating", "tables", table_id(view, guest))
    return None if table is None else table.get("label")


def with_table(view: View, guest: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row with the label of the guest's table."""
    label = table_label(view, guest)
    return row if label is None else {**row, "table": label}


def seated_at(view: View, change: Change) -> Iterable[str]:
    """The guests at a table."""
    if change.key in ("label", "deleted", None):
        for guest, seat in view.source.rows("seating", "assignments").items():
            if id_of(seat) == change.record:
                yield guest


DEPENDENCIES: Final = (Dependency("seating", "assignments", same_id), Dependency("seating", "tables", seated_at))
"""Of rows of guests that show their tables."""

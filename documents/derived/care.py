"""`care@cater`, `care@venue`: what the kitchen and the venue have to know of guests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from documents import care
from documents.changes import Change
from documents.derived.emergencies import VENDORS, emergencies
from documents.derived.model import Declaration, Dependency, Projection, View, made, picked, same_id, shown
from documents.derived.seats import DEPENDENCIES, TABLE, id_of, table_id, with_table
from documents.fields import ListOf, Reason, String
from documents.invariants.model import user_id
from documents.kind import Key
from documents.shared import COUNT

if TYPE_CHECKING:
    from documents.events import Actor

_NEEDS: Final = ("access", "seatingNeed")
_CATER: Final = shown(
    care.KIND.roots["care"], "diet:", "allergy:", "acknowledgedBy:", more=(TABLE,), writable=("acknowledgedBy:",)
)
_DIETS: Final = made("diets", "How many guests eat so, by diet.", Key("count", "count", COUNT, "How many."))
_ACCESS: Final = made(
    "access",
    "What guests need to get about, by table; without names.",
    TABLE,
    Key("needs", "needs", ListOf(String(), 500), "What they need."),
)
UNSEATED: Final = "unseated"
"""The record of those who have no table yet."""


def _care(view: View, guest: str) -> dict[str, Any] | None:
    """The needs of a guest who is still invited."""
    invited = view.source.rows("guests", "guests").get(guest)
    if type(invited) is dict and "deleted" in invited:
        return None
    return view.source.record("care", "care", guest)


def _all(view: View) -> Iterator[tuple[str, dict[str, Any]]]:
    for guest in view.source.rows("care", "care"):
        found = _care(view, guest)
        if found is not None:
            yield guest, found


def _cater(view: View, record: str) -> dict[str, Any] | None:
    found = _care(view, record)
    row = {} if found is None else picked(_CATER, found)
    return with_table(view, record, row) if row else None


def _refuses(view: View, change: Change, actor: Actor) -> Reason | None:
    own = change.key == f"acknowledgedBy:{user_id(actor.user)}"
    return None if own else Reason("read_only", "you may acknowledge for yourself only")


def _diets(row: Any) -> list[str]:
    return [key.removeprefix("diet:") for key in row if key.startswith("diet:")] if type(row) is dict else []


def _diet(view: View, record: str) -> dict[str, Any] | None:
    count = sum(f"diet:{record}" in row for _, row in _all(view))
    return {"count": count} if count else None


def _all_diets(view: View) -> Iterable[str]:
    return {diet for _, row in _all(view) for diet in _diets(row)}


def _diets_of(view: View, change: Change) -> Iterable[str]:
    key = change.key or "deleted"
    if key.startswith("diet:"):
        return (key.removeprefix("diet:"),)
    return _diets(view.source.rows("care", "care").get(change.record)) if key == "deleted" else ()


def _table(view: View, guest: str) -> str:
    return table_id(view, guest) or UNSEATED


def _access(view: View, record: str) -> dict[str, Any] | None:
    needs = [row[key] for guest, row in _all(view) for key in _NEEDS if key in row and _table(view, guest) == record]
    if not needs:
        return None
    table = view.source.record("seating", "tables", record)
    label = None if table is None else table.get("label")
    return {"needs": sorted(map(str, needs)), **({} if label is None else {"table": label})}


def _all_access(view: View) -> Iterable[str]:
    return {_table(view, guest) for guest, row in _all(view) if any(key in row for key in _NEEDS)}


def _access_of(view: View, change: Change) -> Iterable[str]:
    return (_table(view, change.record),) if change.key in (*_NEEDS, "deleted", None) else ()


def _tables_of(view: View, change: Change) -> Iterable[str]:
    if change.record in view.source.rows("care", "care"):
        return (id_of(change.before) or UNSEATED, id_of(change.after) or UNSEATED)
    return ()


DECLARATIONS: Final = (
    Declaration(
        "care@cater",
        "Diets and allergies for the kitchen, by guest.",
        (
            Projection(
                root=_CATER,
                document="care",
                source="care",
                row=_cater,
                dependencies=(Dependency("guests", "guests", same_id), *DEPENDENCIES),
                refuses=_refuses,
            ),
            emergencies(VENDORS),
        ),
        roles={"caterer"},
    ),
    Declaration(
        "care@venue",
        "How many guests eat what, and what they need to get about.",
        (
            Projection(
                root=_DIETS,
                document="care",
                source="care",
                row=_diet,
                records=_all_diets,
                dependencies=(Dependency("care", "care", _diets_of), Dependency("guests", "guests", _diets_of)),
            ),
            Projection(
                root=_ACCESS,
                document="care",
                source="care",
                row=_access,
                records=_all_access,
                dependencies=(
                    Dependency("care", "care", _access_of),
                    Dependency("guests", "guests", _access_of),
                    Dependency("seating", "assignments", _tables_of),
                    Dependency("seating", "tables", same_id),
                ),
            ),
            emergencies(VENDORS),
        ),
        roles={"venue"},
    ),
)

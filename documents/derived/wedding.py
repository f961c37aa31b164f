"""`wedding@public`, `wedding@service`: the day itself for guests and for those who work at it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from documents import wedding
from documents.changes import Change
from documents.derived.emergencies import EVERYONE, VENDORS, emergencies
from documents.derived.model import Declaration, Projection, View, picked, shown
from documents.fields import Reason
from documents.kind import WHOLE

if TYPE_CHECKING:
    from documents.events import Actor

_ROOTS: Final = wedding.KIND.roots
_META: Final = shown(_ROOTS["meta"], "title", "date", "timeZone", "locale", "rsvpBy", "phase")
_EVENTS: Final = shown(_ROOTS["events"], "name", "start", "duration", "place", "rsvp", "order")
_PLACES: Final = shown(_ROOTS["places"], "name", "kind", "address", "location", "parent", "rainPlan", "order")
_VENDORS: Final = shown(_ROOTS["vendors"], "name", "category", "dayStatus", "contact", "order", writable=("dayStatus",))


def _meta(view: View, record: str) -> dict[str, Any] | None:
    return picked(_META, view.source.meta("wedding")) or None if record == WHOLE else None


def _event(view: View, record: str) -> dict[str, Any] | None:
    found = view.source.record("wedding", "events", record)
    return picked(_EVENTS, found) if found is not None and found.get("visibility") == "public" else None


def _place(view: View, record: str) -> dict[str, Any] | None:
    found = view.source.record("wedding", "places", record)
    return None if found is None else picked(_PLACES, found)


def _vendor(view: View, record: str) -> dict[str, Any] | None:
    """A vendor who comes; how to reach them is shown of planners only."""
    found = view.source.record("wedding", "vendors", record)
    if found is None or found.get("stage") not in ("booked", "confirmed"):
        return None
    row = picked(_VENDORS, found)
    if found.get("category") != "planner":
        row.pop("contact", None)
    return row


def _refuses(view: View, change: Change, actor: Actor) -> Reason | None:
    return None if change.record == actor.vendor else Reason("read_only", "you may set the status of your own")


_PUBLIC: Final = (
    Projection(root=_META, document="wedding", source="meta", row=_meta),
    Projection(root=_EVENTS, document="wedding", source="events", row=_event),
    Projection(root=_PLACES, document="wedding", source="places", row=_place),
)

DECLARATIONS: Final = (
    Declaration(
        "wedding@public",
        "The day itself for guests: public events, and where they are.",
        (*_PUBLIC, emergencies(EVERYONE)),
        roles={"guest"},
    ),
    Declaration(
        "wedding@service",
        "The day itself for vendors: also who else works at it, and how to reach the planner.",
        (
            *_PUBLIC,
            Projection(root=_VENDORS, document="wedding", source="vendors", row=_vendor, refuses=_refuses),
            emergencies(VENDORS),
        ),
        roles={"venue", "caterer", "photographer", "vendor"},
    ),
)

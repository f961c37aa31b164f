"""The part that every derived document has: open emergencies that its audience is told of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from documents import timeline
from documents.changes import Change
from documents.derived.model import Projection, View, picked, shown
from documents.fields import Reason
from documents.invariants.model import user_id

if TYPE_CHECKING:
    from documents.events import Actor

ROOT: Final = shown(
    timeline.KIND.roots["emergencies"],
    "kind", "text", "severity", "at", "acknowledgedBy:",
    writable=("acknowledgedBy:",),
)  # fmt: skip
_ACKNOWLEDGED: Final = "acknowledgedBy:"
_NOT_YOURS: Final = Reason("read_only", "you may acknowledge for yourself only")

PLANNERS: Final = frozenset({"team", "vendors", "everyone"})
VENDORS: Final = frozenset({"vendors", "everyone"})
EVERYONE: Final = frozenset({"everyone"})


def emergencies(audiences: frozenset[str]) -> Projection:
    """The open emergencies for some audiences. Of acknowledgements those are shown that are of people who have written
    in the same derived document: others are none of its readers' business."""
    return Projection(
        root=ROOT,
        document="timeline",
        source="emergencies",
        row=_row_for(audiences),
        follows_users=True,
        refuses=_refuses,
    )


def _row_for(audiences: frozenset[str]) -> Callable[[View, str], dict[str, Any] | None]:
    def row(view: View, record: str) -> dict[str, Any] | None:
        found = view.source.record("timeline", "emergencies", record)
        if found is None or "closed" in found or found.get("audience", "vendors") not in audiences:
            return None
        users = {user_id(user) for user in view.users}
        return {
            key: value
            for key, value in picked(ROOT, found).items()
            if not key.startswith(_ACKNOWLEDGED) or key.removeprefix(_ACKNOWLEDGED) in users
        }

    return row


def _refuses(view: View, change: Change, actor: Actor) -> Reason | None:
    return None if change.key == _ACKNOWLEDGED + user_id(actor.user) else _NOT_YOURS

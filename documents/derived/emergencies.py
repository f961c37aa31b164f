"""The part that every derived document has: open emergencies that its audience is told of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
RAISING_ROOT: Final = shown(
    timeline.KIND.roots["emergencies"],
    "kind", "text", "severity", "at", "acknowledgedBy:",
    writable=("kind", "text", "severity", "at", "acknowledgedBy:"),
    growing=True,
)  # fmt: skip
"""Of those who raise emergencies, too."""

MOST_RAISED: Final = 10
"""Open emergencies of one person: each calls everybody, and whoever raises them here cannot close them."""

_ACKNOWLEDGED: Final = "acknowledgedBy:"
_NOT_YOURS: Final = Reason("read_only", "you may acknowledge for yourself only")

_TOO_MANY: Final = Reason("too_many", f"{MOST_RAISED} emergencies that you have raised are open: call the planner")

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


def raised_emergencies(audiences: frozenset[str]) -> Projection:
    """As `emergencies`, for people who may raise one. It stays as they have raised it: others go on with it."""
    return replace(emergencies(audiences), root=RAISING_ROOT, refuses=_refuses_unless_new, adds=_raise)


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


def _refuses_unless_new(view: View, change: Change, actor: Actor) -> Reason | None:
    if change.record in view.source.rows("timeline", "emergencies") or change.key not in RAISING_ROOT.keys:
        return _refuses(view, change, actor)
    return None


def _raise(view: View, record: str, actor: Actor, others: int) -> dict[str, Any] | Reason:
    """An emergency of its author."""
    user = user_id(actor.user)
    rows = view.source.rows("timeline", "emergencies").values()
    mine = sum(type(row) is dict and row.get("by") == user and not row.keys() & {"closed", "deleted"} for row in rows)
    return _TOO_MANY if mine + others >= MOST_RAISED else {"by": user}

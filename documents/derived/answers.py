"""The last day on which guests answer by themselves."""

from __future__ import annotations

from documents.changes import Change
from documents.derived.model import View
from documents.fields import Reason
from documents.invariants.catalogue import HIERARCHY
from documents.invariants.instants import deadline, instant
from documents.invariants.model import string


def answers_are_closed(view: View, change: Change, at: str) -> Reason | None:
    """Late answers are flagged (G4), unless the wedding has chosen that they are put back."""
    meta = view.source.meta("wedding")
    if not (change.key or "").startswith("rsvp:") or meta.get("strategy:G4") != HIERARCHY:
        return None
    last, arrived = string(meta, "rsvpBy"), instant(at)
    closed = deadline(last, string(meta, "timeZone"))
    if closed is None or arrived is None or arrived < closed:
        return None
    return Reason("too_late", f"answers were taken until {last}")

"""Categories of what a wedding's documents hold, as its policy of access names them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class AccessCategory(enum.Enum):
    """One category. The order is that of the letters in `documents.events.Actor.rights`."""

    WEDDING = "wedding"
    """Settings of the wedding, its events, places, vendors and tasks."""
    MEMBERS = "members"
    TIMELINE = "timeline"
    BUDGET = "budget"
    GUESTS = "guests"
    CARE = "care"
    """Diets, allergies and medical remarks."""
    SEATING = "seating"
    MESSAGES = "messages"
    DAY = "day"
    """Control of the day itself: emergencies, and the status of vendors."""


POSITIONS: Final[Mapping[AccessCategory, int]] = MappingProxyType({each: n for n, each in enumerate(AccessCategory)})

_OF_KINDS: Final[Mapping[str, AccessCategory]] = MappingProxyType(
    {
        "wedding": AccessCategory.WEDDING,
        "timeline": AccessCategory.TIMELINE,
        "budget": AccessCategory.BUDGET,
        "guests": AccessCategory.GUESTS,
        "care": AccessCategory.CARE,
        "seating": AccessCategory.SEATING,
        "thread": AccessCategory.MESSAGES,
        "notes": AccessCategory.WEDDING,
    }
)
_OF_ROOTS: Final[Mapping[tuple[str, str], AccessCategory]] = MappingProxyType(
    {
        ("wedding", "members"): AccessCategory.MEMBERS,
        ("wedding", "grants"): AccessCategory.MEMBERS,  # no root of the document, but of events about grants
        ("timeline", "emergencies"): AccessCategory.DAY,
    }
)
_OF_KEYS: Final[Mapping[tuple[str, str, str], AccessCategory]] = MappingProxyType(
    {("wedding", "vendors", "dayStatus"): AccessCategory.DAY}
)


def category_of(kind: str, root: str | None = None, key: str | None = None) -> AccessCategory:
    """The category of documents of a kind, or of one of their roots, or of one key in its records."""
    if root is not None:
        found = _OF_KEYS.get((kind, root, key)) if key is not None else None
        found = found or _OF_ROOTS.get((kind, root))
        if found is not None:
            return found
    return _OF_KINDS[kind]

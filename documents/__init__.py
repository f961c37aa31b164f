"""What may be written: the documents of a wedding, by name.

`notes.{slug}` is a free-form document: any root type, any editor binding. The other names are accepted without a
schema so far.
"""

from __future__ import annotations

import re

NAMES = frozenset({"wedding", "timeline", "budget", "guests", "care", "seating"})
"""Documents of which every wedding has one."""

FAMILIES = frozenset({"seating", "thread", "notes"})
"""Documents of which there may be many: ``family.slug``."""

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,95}", re.ASCII)


def is_document_name(name: str) -> bool:
    """Whether a document of this name can exist."""
    family, dot, slug = name.partition(".")
    return name in NAMES or (bool(dot) and family in FAMILIES and _SLUG.fullmatch(slug) is not None)

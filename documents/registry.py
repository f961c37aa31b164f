"""The kinds there are: the only list. A new kind is a module with `KIND` and a line here. Derived documents are in
`documents.derived`."""

from __future__ import annotations

import re
from typing import Final

from documents import budget, care, derived, guests, notes, seating, threads, timeline, wedding
from documents.kind import Kind

KINDS: Final[tuple[Kind, ...]] = tuple(
    module.KIND for module in (wedding, timeline, budget, guests, care, seating, threads, notes)
)

NAMES: Final = frozenset(kind.name for kind in KINDS if kind.one)
"""Documents of which every wedding has one."""

FAMILIES: Final = frozenset(kind.name for kind in KINDS if kind.many)
"""Documents of which there may be many: ``family.slug``."""

_ONE: Final = {kind.name: kind for kind in KINDS if kind.one}
_MANY: Final = {kind.name: kind for kind in KINDS if kind.many}
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,95}", re.ASCII)


def kind_of(document_name: str) -> Kind | None:
    """The kind of a document, or None where there can be no document of this name."""
    if "@" in document_name:
        found = derived.find(document_name)
        return None if found is None else found.kind
    family, dot, slug = document_name.partition(".")
    if not dot:
        return _ONE.get(document_name)
    return _MANY.get(family) if _SLUG.fullmatch(slug) else None


def is_document_name(name: str) -> bool:
    """Whether a document of this name can exist."""
    return kind_of(name) is not None

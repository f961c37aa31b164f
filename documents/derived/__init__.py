"""Derived documents: the only list. See `documents.derived.model`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from documents.derived import budget, care, guests, seating, timeline, wedding
from documents.derived.model import Declaration, Dependency, DerivedDocument, Projection, View

DECLARATIONS: Final[tuple[Declaration, ...]] = tuple(
    declaration for module in (wedding, timeline, guests, care, seating, budget) for declaration in module.DECLARATIONS
)

_BY_NAME: Final = {declaration.name: declaration for declaration in DECLARATIONS}
_OWN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)


@lru_cache(maxsize=4096)
def find(name: str) -> DerivedDocument | None:
    """The derived document of a name, or None where there can be none."""
    head, _, audience = name.partition("@")
    audience, dot, own = audience.partition(".")
    declaration = _BY_NAME.get(f"{head}@{audience}")
    if declaration is None or bool(declaration.own) != bool(dot):
        return None
    if dot and not (_OWN.fullmatch(own) if declaration.choices is None else own in declaration.choices):
        return None
    return DerivedDocument(name, declaration, own)


def documents_for(role: str, vendor: str = "", guest: str = "", side: str = "") -> list[DerivedDocument]:
    """The derived documents that are meant for somebody: see `DerivedDocument.admits`."""
    whose = {"vendor": vendor, "guest": guest, "side": side}
    declared = (each for each in DECLARATIONS if role in each.roles)
    found = (find(f"{each.name}.{whose[each.own]}" if each.own else each.name) for each in declared)
    return [each for each in found if each is not None]


__all__ = [
    "DECLARATIONS",
    "Declaration",
    "Dependency",
    "DerivedDocument",
    "Projection",
    "View",
    "documents_for",
    "find",
]

"""The right to know of an event: that to the document and the root that it is about."""

from __future__ import annotations

from typing import Final

from crdt_server.access.access import Action
from crdt_server.access.identity import Identity
from crdt_server.access.policy import Decides
from documents.categories import AccessCategory, category_of
from documents.registry import KINDS

_CATEGORIES: Final = {kind.name: frozenset(category_of(kind.name, root) for root in kind.roots) for kind in KINDS}

DIVIDED: Final = frozenset(name for name, found in _CATEGORIES.items() if found - {category_of(name)})
"""Kinds with a root of another category than theirs. Of each there is one document, of the same name."""


def may_read_event(access: Decides, identity: Identity, wedding: str, document: str, root: str) -> bool:
    """Whether somebody may read events about a root of a document; ``root`` counts in DIVIDED documents only."""
    targets: list[str | AccessCategory] = [document]
    if root and document in DIVIDED:
        targets.append(category_of(document, root))
    denials = (access.may(identity, Action.READ, wedding, each) for each in targets)
    return all(denied is None for denied in denials)


def may_read_all_events(access: Decides, identity: Identity, wedding: str, document: str) -> bool:
    """Whether somebody may read events about every root of a document."""
    targets: list[str | AccessCategory] = [document, *(_CATEGORIES[document] if document in DIVIDED else ())]
    return all(access.may(identity, Action.READ, wedding, each) is None for each in targets)

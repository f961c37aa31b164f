"""The right to know of an event: that to the document and the root that it is about."""

from __future__ import annotations

from typing import Final

from crdt_server.access.access import Action
from crdt_server.access.identity import Identity
from crdt_server.access.policy import Decides
from documents.categories import AccessCategory, category_of
from documents.registry import KINDS

DIVIDED: Final = frozenset(
    kind.name for kind in KINDS if {category_of(kind.name, root) for root in kind.roots} - {category_of(kind.name)}
)
"""Kinds with a root of another category than theirs. Of each there is one document, of the same name."""


def may_read_event(access: Decides, identity: Identity, wedding: str, document: str, root: str) -> bool:
    """Whether somebody may read events about a root of a document; ``root`` counts in DIVIDED documents only."""
    targets: list[str | AccessCategory] = [document]
    if root and document in DIVIDED:
        targets.append(category_of(document, root))
    denials = (access.may(identity, Action.READ, wedding, each) for each in targets)
    return all(denied is None for denied in denials)

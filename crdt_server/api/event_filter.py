"""The events that a person may read: those of documents, and of roots, that the person may read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from crdt_server.access.access import Access, Action
from crdt_server.access.identity import Identity
from documents.categories import AccessCategory, category_of
from documents.registry import KINDS
from storage import StoredEvent

# Kinds with a root of another category than theirs. Of each there is one document, of the same name.
_DIVIDED: Final = frozenset(
    kind.name for kind in KINDS if {category_of(kind.name, root) for root in kind.roots} - {category_of(kind.name)}
)


class EventFilter:
    """Decides anew for every page: rights change while a stream is open."""

    def __init__(self, access: Access, identity: Identity, wedding: str) -> None:
        self._access = access
        self._identity = identity
        self._wedding = wedding

    def readable(self, page: Sequence[StoredEvent]) -> list[StoredEvent]:
        """The events of a page that may be shown."""
        decided: dict[tuple[str, str], bool] = {}
        shown = []
        for event in page:
            root = str(json.loads(event.body).get("root", "")) if event.document in _DIVIDED else ""
            part = event.document, root
            if part not in decided:
                decided[part] = self._may_read(*part)
            if decided[part]:
                shown.append(event)
        return shown

    def _may_read(self, document: str, root: str) -> bool:
        targets: list[str | AccessCategory] = [document]
        if root:
            targets.append(category_of(document, root))
        denials = (self._access.may(self._identity, Action.READ, self._wedding, each) for each in targets)
        return all(denied is None for denied in denials)

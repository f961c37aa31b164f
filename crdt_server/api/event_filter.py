"""The events that a person may read: those of documents, and of roots, that the person may read."""

from __future__ import annotations

import json
from collections.abc import Sequence

from crdt_server.access.access import Access
from crdt_server.access.event_rights import DIVIDED, may_read_event
from crdt_server.access.identity import Identity
from storage import StoredEvent


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
            root = str(json.loads(event.body).get("root", "")) if event.document in DIVIDED else ""
            part = event.document, root
            if part not in decided:
                decided[part] = may_read_event(self._access, self._identity, self._wedding, *part)
            if decided[part]:
                shown.append(event)
        return shown

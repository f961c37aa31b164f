"""The events that a person may read: those of documents, and of roots, that the person may read."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Final

from crdt_server.access.access import Access
from crdt_server.access.event_rights import DIVIDED, may_read_event
from crdt_server.access.identity import Identity
from crdt_server.errors import InvalidField, InvalidRequestError
from documents.events.rules import TYPES
from storage import StoredEvent

KNOWN: Final = TYPES | {"grant.asked", "grant.given", "grant.ended"}
"""All types: those of documents, and those of the services."""


def types_of(listed: str) -> frozenset[str]:
    """The types that a request names, with commas. Raises InvalidRequestError for one that no type begins with."""
    types = frozenset(filter(None, (name.strip() for name in listed.split(","))))
    for name in sorted(types):
        if not any(_is_one_of(type_, (name,)) for type_ in KNOWN):
            known = ", ".join(sorted({each.partition(".")[0] for each in KNOWN}))
            fault = InvalidField("types", f"types of events, or the beginning of some: {known}", json.dumps(name[:40]))
            raise InvalidRequestError("no event has such a type", fault)
    return types


def _is_one_of(type_: str, types: Collection[str]) -> bool:
    """Whether a type, or the beginning of it up to a point, is listed."""
    return any(type_ == each or type_.startswith(each + ".") for each in types)


class EventFilter:
    """Decides anew for every page: rights change while a stream is open."""

    def __init__(self, access: Access, identity: Identity, wedding: str, types: Collection[str] = ()) -> None:
        self._access = access
        self._identity = identity
        self._wedding = wedding
        self._types = types

    def readable(self, page: Sequence[StoredEvent]) -> list[StoredEvent]:
        """The events of a page that may be shown."""
        decided: dict[tuple[str, str], bool] = {}
        shown = []
        for event in page:
            if self._types and not _is_one_of(event.type, self._types):
                continue
            root = str(json.loads(event.body).get("root", "")) if event.document in DIVIDED else ""
            part = event.document, root
            if part not in decided:
                decided[part] = may_read_event(self._access, self._identity, self._wedding, *part)
            if decided[part]:
                shown.append(event)
        return shown

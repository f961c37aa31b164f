"""Stateless messages of clients: requests for what is no part of a document, answered the same way.

`{"subscribe": "inbox"}` has `{"inbox": "changed"}` sent whenever the inbox of the person may have new items; those are
read over HTTP. Anything else is answered with an error.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crdt_server.hub.event_notifier import EventListener
from crdt_server.hub.hub import Hub
from crdt_server.protocol.messages import Stateless

if TYPE_CHECKING:
    from crdt_server.transport.document_connection import DocumentConnection

MOST_CHARACTERS = 1024
INBOX_CHANGED = json.dumps({"inbox": "changed"})
_UNKNOWN = Stateless(json.dumps({"error": {"code": "unknown_request", "known": [{"subscribe": "inbox"}]}}))


class InboxListener(EventListener):
    """Sends a document's client that the inbox of its person has changed."""

    def __init__(self, document: DocumentConnection) -> None:
        super().__init__(document.session.user)
        self._document = document

    def wake(self, head: int) -> None:
        self._document.send_own(Stateless(INBOX_CHANGED))


def answer(hub: Hub, document: DocumentConnection, payload: str) -> None:
    """Answer a stateless message of the client of an open document."""
    try:
        request = json.loads(payload) if len(payload) <= MOST_CHARACTERS else None
    except (ValueError, RecursionError):
        request = None
    if request != {"subscribe": "inbox"}:
        document.send_own(_UNKNOWN)
    elif document.listener is None:
        document.listener = InboxListener(document)
        hub.events.add(document.room.wedding, document.listener)


def unsubscribe(hub: Hub, document: DocumentConnection) -> None:
    """The document is not open any more."""
    if document.listener is not None:
        hub.events.remove(document.room.wedding, document.listener)
        document.listener = None

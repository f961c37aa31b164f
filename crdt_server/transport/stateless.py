"""Messages beside the documents: that the inbox of a person has changed, whose items are read over HTTP.

A client of Hocuspocus requests them by a stateless message, `{"subscribe": "inbox"}`; anything else is answered with an
error. One of y-websocket has `inbox=1` in the query of its URL. Both get `{"inbox": "changed"}`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from crdt_server.hub.event_notifier import EventListener
from crdt_server.hub.hub import Hub
from crdt_server.protocol.messages import Stateless

if TYPE_CHECKING:
    from crdt_server.transport.document_connection import DocumentConnection

MOST_CHARACTERS = 1024
_CHANGED = Stateless(json.dumps({"inbox": "changed"}))
_UNKNOWN = Stateless(json.dumps({"error": {"code": "unknown_request", "known": [{"subscribe": "inbox"}]}}))


class InboxListener(EventListener):
    """Sends a client that the inbox of its person has changed."""

    def __init__(self, user: str, send: Callable[[Stateless], None]) -> None:
        super().__init__(user)
        self._send = send

    def wake(self, head: int) -> None:
        self._send(_CHANGED)


def answer(hub: Hub, document: DocumentConnection, payload: str) -> None:
    """Answer a stateless message of the client of an open document."""
    try:
        request = json.loads(payload) if len(payload) <= MOST_CHARACTERS else None
    except (ValueError, RecursionError):
        request = None
    if request != {"subscribe": "inbox"}:
        document.send_own(_UNKNOWN)
    elif document.listener is None:
        document.listener = InboxListener(document.session.user, document.send_own)
        hub.events.add(document.room.wedding, document.listener)


def unsubscribe(hub: Hub, document: DocumentConnection) -> None:
    """The document is not open any more."""
    if document.listener is not None:
        hub.events.remove(document.room.wedding, document.listener)
        document.listener = None

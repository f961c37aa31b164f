"""Replies to the sync step 1 of single sessions of a room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crdt_server.pipe import Diff, Status
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.session import Origin, Session
from crdt_server.rooms.sync_replies import reply_messages

if TYPE_CHECKING:
    from crdt_server.rooms.room import Room

STORED_MESSAGES = 1000  # a host merges a longer reply first


def takes_replies(room: Room, session: Session) -> bool:
    """Whether the session can still be sent a reply."""
    return session in room.members or session.origin is Origin.REMOTE


def send_reply(session: Session, messages: Sequence[Outgoing]) -> None:
    """Send the messages of a sync step 2, however slow the reader is."""
    session.connection.allow(sum(message.size_bytes for message in messages))
    for message in messages:
        session.connection.send(message)


def reply_from_cache(room: Room, session: Session, state_vector: bytes) -> bool:
    """Reply to a step 1 from the cache. False where the reply is not there, or an edit of the session itself waits."""
    if session.inbox or session.stash is not None:
        return False
    messages = room.replies.find(state_vector)
    if messages is not None:
        send_reply(session, messages)
    return messages is not None


def serve_from_store(room: Room, updates: Sequence[bytes]) -> None:
    """Reply to newcomers with the stored updates as they are, before a host has read them.

    To be called with all that is stored and while no batch of this room is in flight.
    """
    if not 0 < len(updates) <= STORED_MESSAGES:
        return
    messages = reply_messages(updates)
    for session in list(room.members):
        request = room.inbox.pop_first_diff(session)
        if request is not None and not session.settle(request, Status.OK, Diff(list(updates))):
            send_reply(session, messages)

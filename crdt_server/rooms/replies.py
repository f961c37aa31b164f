"""Replies to the sync step 1 of single sessions of a room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crdt_server.pipe import PIECE_BYTES, Bytes, Diff, RequestKind, Status
from crdt_server.protocol.messages import SyncStep1
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from crdt_server.rooms.session import Origin, Session
from crdt_server.rooms.sync_replies import NOTHING_MORE, reply_messages

if TYPE_CHECKING:
    from crdt_server.rooms.room import Room

EMPTY_STEP1 = Outgoing(SyncStep1(EMPTY_STATE_VECTOR))
STORED_MESSAGES = 1000  # besides those that are half a piece: a host merges a longer reply first


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
    if room.hosted.confirmed or session.inbox or session.stash is not None:
        return False
    messages = room.replies.find(state_vector)
    if messages is not None:
        send_reply(session, messages)
    return messages is not None


def serve_from_store(room: Room, updates: Sequence[bytes]) -> None:
    """Reply to newcomers with the stored updates as they are, before a host has read them.

    To be called with all that is stored and while no batch of this room is in flight.
    """
    most = STORED_MESSAGES + sum(map(len, updates)) // (PIECE_BYTES // 2)
    if not 0 < len(updates) <= most:
        return
    messages = reply_messages(updates)
    for session in list(room.members):
        request = room.inbox.pop_first_diff(session)
        if request is not None and not session.settle(request, Status.OK, Diff(list(updates))):
            send_reply(session, messages)


def serve_empty(room: Room) -> bool:
    """Reply to newcomers of a document of which nothing is stored, before any host holds it; whether no request waits.

    Then the room is live. As with `serve_from_store`, no batch of it may be in flight.
    """
    room.replies.store_empty()
    for session in list(room.members):
        for request in room.inbox.pop_newcomer(session):
            is_diff = request.kind is RequestKind.DIFF
            response = Diff([EMPTY_UPDATE]) if is_diff else Bytes(EMPTY_STATE_VECTOR)
            if not session.settle(request, Status.OK, response):
                session.connection.send(NOTHING_MORE if is_diff else EMPTY_STEP1)
    if room.inbox:
        return False
    room.opened()
    return True

"""Refusals and notices for single sessions of a room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdt_server.errors import CLOSE_CODES, CrdtServerError
from crdt_server.pipe import Status
from crdt_server.protocol.messages import PermissionDenied
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.session import Origin, Session

if TYPE_CHECKING:
    from crdt_server.rooms.room import Room


MISTAKES = frozenset(("awareness_limit",))
"""Codes of protocol errors that an honest application can cause: its presence has become too large."""


def reject(room: Room, session: Session, error: CrdtServerError) -> None:
    """Close a session that has sent something malformed."""
    room.counters.protocol_errors += 1
    refuse(room, session, error.close_code, error.code, hostile=error.code not in MISTAKES)


def refuse(room: Room, session: Session, code: int, reason: str, *, hostile: bool = False) -> None:
    """Close a session of which a request is refused for good. ``hostile``: no honest client sends it."""
    room.events.on_refusal(room, session, hostile=hostile)
    discard(room, session)
    room.members.close(session, code, reason)


def discard(room: Room, session: Session) -> None:
    """Drop the requests of a session behind one that is refused for good."""
    dropped = room.inbox.discard(session)
    if session.origin is Origin.REMOTE:  # its node keeps them until it has a result
        for request in dropped:
            session.settle(request, Status.VIOLATION, None)


def notify(room: Room, session: Session, notice: bytes) -> None:
    """Send a session the notice that an edit of it was undone or refused. Too many of them close the session."""
    if session not in room.members:
        return
    room.counters.reverted += 1
    session.connection.send(Outgoing(PermissionDenied(notice.decode())))
    if session.spare_reverts:
        session.spare_reverts -= 1
    elif room.events.on_revert(room, session):
        discard(room, session)
        room.members.close(session, CLOSE_CODES["forbidden"], "too much had to be undone")

"""Refusals and notices for single sessions of a room."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crdt_server.errors import CrdtServerError, ProtocolError
from crdt_server.pipe import RequestKind, Status
from crdt_server.protocol.messages import PermissionDenied, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.protocol.update import EMPTY_UPDATE, decode_update, with_deletes
from crdt_server.rooms.receipts import settle_claim
from crdt_server.rooms.session import Origin, Request, Session

if TYPE_CHECKING:
    from crdt_server.rooms.room import Room


READS_ONLY = b'{"reverted": [], "why": "you may only read this: drop this copy and load the document again"}'

_NO_ROOM = {
    Status.OVER_QUOTA: "the wedding has no room left: nothing new is stored until something is deleted or the quota is "
    "raised",
    Status.TOO_LARGE: "the document is full: only deletions and, for a while, small edits are stored",
}
NO_ROOM = {
    status: json.dumps({"reverted": [], "code": status.name.lower(), "why": why}) for status, why in _NO_ROOM.items()
}
"""The notices of requests for which there is no room: no fault of their senders."""


def reject(room: Room, session: Session, error: CrdtServerError) -> None:
    """Close a session that has sent something malformed."""
    room.counters.protocol_errors += 1
    refuse(room, session, error.close_code, error.code)


def refuse(room: Room, session: Session, code: int, reason: str) -> None:
    """Close a session of which a request is refused for good."""
    room.events.on_refusal(room, session)
    discard(room, session)
    room.members.close(session, code, reason)


def defer(room: Room, session: Session, status: Status) -> None:
    """Keep a session although there is no room for an update of it, see `NO_ROOM`. It is sent a notice, and keeps the
    update: later ones that build on that leave a gap, until `intake.retry_deferred`."""
    if session not in room.members.deferred:
        room.members.deferred[session] = status
        session.connection.send(Outgoing(PermissionDenied(NO_ROOM[status])))


def discard(room: Room, session: Session) -> None:
    """Drop the requests of a session behind one that is refused for good."""
    dropped = room.inbox.discard(session)
    if session.origin is Origin.REMOTE:  # its node keeps them until it has a result
        for request in dropped:
            session.settle(request, Status.VIOLATION, None)


def deny_update(room: Room, session: Session, update: bytes) -> None:
    """Undo an update of a session that only reads at its side, as far as an update can: what it inserted is deleted
    there, what it overwrote or deleted comes back with a new copy. Raises ProtocolError.

    Where there is a schema the host of the document undoes it, all of it. Nothing of a dropped update is missed later:
    all updates of the session are dropped.
    """
    if len(update) <= room.limits.big_update_bytes:  # larger ones are not decoded here
        inserted = decode_update(update, max_bytes=len(update)).ranges
        spans = [(client, start, end) for client, start, end in inserted]
        session.connection.send(Outgoing(SyncUpdate(with_deletes(EMPTY_UPDATE, spans))))
    notify(room, session, READS_ONLY)


def deny_waiting(room: Room, request: Request) -> bool:
    """Undo an update that has waited while its sender became one who only reads. Whether it was one."""
    session = request.session
    if request.kind is not RequestKind.UPDATE or not session.reads_only:
        return False
    if session.takes_responses:
        session.settle(request, Status.FORBIDDEN, None)
        return True
    settle_claim(session, request.claim, stored=False)
    try:
        deny_update(room, session, request.payload)
    except ProtocolError as error:
        reject(room, session, error)
    return True


def revoke(room: Room, session: Session, code: int, reason: str) -> None:
    """Close a session that may not be in the room any more: nothing more is sent to it, nothing that waits is applied.
    No strike: it has done nothing."""
    session.revoked = True
    dropped = room.inbox.discard(session)
    if session.origin is Origin.REMOTE:
        for request in dropped:
            session.settle(request, Status.FORBIDDEN, None)
    else:
        room.leave(session)
        room.members.close(session, code, reason)


def notify(room: Room, session: Session, notice: bytes) -> None:
    """Send a session the notice that an edit of it was undone or refused."""
    if session not in room.members:
        return
    room.counters.reverted += 1
    session.connection.send(Outgoing(PermissionDenied(notice.decode())))
    if session.spare_reverts:
        session.spare_reverts -= 1
    else:
        room.events.on_revert(room, session)

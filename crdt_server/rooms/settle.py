"""The responses, refusals and notices that the sessions of a room are sent once a batch is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crdt_server.errors import CLOSE_CODES, ProtocolError
from crdt_server.pipe import Bytes, Diff, NoOverlap, RequestKind, Response, Status
from crdt_server.protocol.messages import SyncStep1, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.intake import request_missing, retry_as_newcomer
from crdt_server.rooms.receipts import settle_claim
from crdt_server.rooms.refusals import NO_ROOM, defer, discard, notify, refuse, reject, revoke
from crdt_server.rooms.replies import send_reply
from crdt_server.rooms.session import Request, Session
from crdt_server.rooms.sync_replies import reply_messages

if TYPE_CHECKING:
    from crdt_server.rooms.room import Room


VIOLATION = "violation: drop this copy and load the document again"
"""The reason of a close has 123 bytes: the cause is in the notice before it, if any."""


def settle_batch(room: Room, batch: RoomBatch) -> None:
    """Send notices, answers and refusals of a batch whose update was sent."""
    for notice in batch.notices:
        session = batch.requests[notice.index].session
        if not session.notify(notice.body):
            notify(room, session, notice.body)
    # A response has all of its batch; it is valid for later requests while nothing was accepted after it.
    current = batch.seq == room.head_seq
    encoded: dict[int, tuple[Outgoing, ...]] = {}  # by identity of the response: many sessions request the same
    for index, request in enumerate(batch.requests):
        status = batch.statuses.get(index, Status.OK)
        if status is Status.LATER:
            continue
        if request.claim is not None:
            settle_claim(request.session, request.claim, stored=_is_stored(request, status))
        response = batch.responses.get(index)
        if type(response) is NoOverlap:
            retry_as_newcomer(room, request)
        elif request.session.settle(request, status, response) or request.session not in room.members:
            continue
        elif status is not Status.OK:
            _settle_fault(room, request, status)
        elif response is None:
            request.session.gaps = 0
        else:
            _send_response(room, request, response, encoded, current=current)


def _is_stored(request: Request, status: Status) -> bool | None:
    """Whether an update is stored; None: it was dropped, and is requested again."""
    if status is Status.OK:
        return not request.session.reads_only
    if status is Status.GAP or status in NO_ROOM:
        return None
    return status is Status.KNOWN


def _send_response(
    room: Room, request: Request, response: Response, encoded: dict[int, tuple[Outgoing, ...]], *, current: bool
) -> None:
    session = request.session
    if type(response) is Bytes and request.kind is RequestKind.STATE_VECTOR:
        if current:
            room.replies.state_vector = response.data
        session.connection.send(Outgoing(SyncStep1(response.data)))
    elif type(response) is Diff:
        messages = encoded.get(id(response))
        if messages is None:
            messages = encoded[id(response)] = reply_messages(response.updates)
            if not room.hosted.confirmed:
                room.replies.store(request.payload, response.updates, messages, current=current)
        send_reply(session, messages)


def _settle_fault(room: Room, request: Request, status: Status) -> None:
    session = request.session
    if status is Status.KNOWN:
        room.counters.known_updates += 1
        if request.echo:
            session.connection.send(Outgoing(SyncUpdate(request.payload)))
    elif status in NO_ROOM:
        room.counters.violations += status is Status.TOO_LARGE
        defer(room, session, status)
    elif status is Status.GAP:
        _resync(room, session)
    elif status is Status.MALFORMED:
        reject(room, session, ProtocolError("malformed_update", "an update or state vector did not decode"))
    elif status is Status.FORBIDDEN:
        revoke(room, session, CLOSE_CODES["forbidden"], "not allowed in this room any more")
    elif status is Status.CLIENT_ID_TAKEN:  # perhaps by others: no strike
        discard(room, session)
        room.members.close(session, CLOSE_CODES["violation"], status.name.lower())
    else:
        room.counters.violations += 1
        reason = VIOLATION if status is Status.VIOLATION else status.name.lower()
        refuse(room, session, CLOSE_CODES["violation"], reason)


def _resync(room: Room, session: Session) -> None:
    """Send a step 1 for all that is missing, once at a time: an update has left a gap."""
    room.counters.gaps += 1
    if session.resyncing or session in room.members.deferred:
        return  # updates after a gap leave it too, and the client has been sent a step 1 already, or will be
    session.gaps += 1
    if session.gaps > room.limits.max_gaps:
        room.members.close(session, CLOSE_CODES["try_again"], "gap")
    else:
        request_missing(room, session)

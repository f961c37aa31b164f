"""Intake of messages: those of a session become requests in the inbox of its room.

Functions of this file change a session's queue, and a room by the methods of the room and of its parts only. An update
that is large waits in the `stash` of its session, with all that follows it, until it has been checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from crdt_server.errors import CLOSE_CODES, ProtocolError
from crdt_server.pipe import RequestKind, Status
from crdt_server.protocol.messages import AwarenessUpdate, Received, SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from crdt_server.rooms.inbox import UNBOUNDED
from crdt_server.rooms.presence import NO_STATES
from crdt_server.rooms.receipts import settle_claim
from crdt_server.rooms.refusals import deny_update, reject
from crdt_server.rooms.replies import reply_from_cache, takes_replies
from crdt_server.rooms.session import BACKLOG, Request, Session

if TYPE_CHECKING:
    from crdt_server.rooms.room import Room

SPARE_VECTOR_BYTES = 64 * 1024  # besides a byte for each of the document: the size of one that is not read yet is 0


def receive(room: Room, session: Session, messages: Iterable[Received]) -> None:
    """Process the messages of one frame of a session. A malformed one closes the session with 4400."""
    if session not in room.members.sessions:
        return
    queried = False
    try:
        for message in messages:
            kind = type(message)
            if kind is SyncUpdate or kind is SyncStep2:
                _receive_update(room, session, message.update, echo=kind is SyncUpdate)  # type: ignore[union-attr]
            elif kind is SyncStep1:
                _receive_step1(room, session, message.state_vector)  # type: ignore[union-attr]
            elif kind is AwarenessUpdate:
                room.presence.receive(session, message.payload)  # type: ignore[union-attr]
                room.events.on_presence(room)
            else:
                queried = True
        if queried:  # one reply, however often a frame queries
            session.connection.send(room.presence.snapshot(session) or NO_STATES)
    except ProtocolError as error:
        reject(room, session, error)


def _receive_update(room: Room, session: Session, update: bytes, *, echo: bool) -> None:
    if not echo:
        session.resyncing = False
    receipts = session.receipts
    claim = None if receipts is None else receipts.claim(is_update=echo)
    if update == EMPTY_UPDATE:
        settle_claim(session, claim, stored=True)
        return
    if session.reads_only and not room.hosted.has_schema:
        settle_claim(session, claim, stored=False)
        deny_update(room, session, update)
        return
    request = Request(session, RequestKind.UPDATE, update, echo=echo)
    request.claim = claim
    if room.hosted.has_schema and not echo:
        # Once: what it sends after that was made here. Thirty bytes must not have a host read a megabyte each time.
        request.client_state_vector, session.client_state_vector = session.client_state_vector, None
    enqueue(room, request)


def _receive_step1(room: Room, session: Session, state_vector: bytes) -> None:
    if room.hosted.has_schema:
        session.client_state_vector = bounded_state_vector(room, state_vector)
    if not reply_from_cache(room, session, state_vector):
        enqueue(room, Request(session, RequestKind.DIFF, state_vector))


def bounded_state_vector(room: Room, state_vector: bytes) -> bytes | None:
    """A state vector that travels with the updates of its client; None where it is longer than any of this document."""
    return state_vector if len(state_vector) <= SPARE_VECTOR_BYTES + room.hosted.size else None


def enqueue(room: Room, request: Request) -> None:
    """Queue a request of a session behind its earlier ones."""
    session, size = request.session, len(request.payload)
    session.queued_bytes += request.cost
    if session.stash is not None:
        session.stash.append(request)
    elif request.kind is RequestKind.UPDATE and size > room.limits.big_update_bytes:
        session.stash = []
        if size > room.limits.heavy_update_bytes:
            room.hosted.mark_heavy()
        room.events.on_large_update(room, request)
    else:
        add(room, request)
    if session.queued_bytes > room.limits.session_queue_bytes and not session.paused & BACKLOG:
        session.pause(BACKLOG)


def add(room: Room, request: Request) -> None:
    """Put a request that was counted, and checked where it is large, into the inbox."""
    inbox = room.inbox
    was_empty = not inbox
    inbox.add(request)
    if was_empty:
        room.events.on_requests(room)


def prechecked(room: Room, request: Request, pieces: Sequence[tuple[bytes, bytes]] | None) -> None:
    """A large update was checked: its pieces with their summaries, or None when it is malformed."""
    session = request.session
    stash, session.stash = session.stash or [], None
    if room.ended or session.revoked:
        return
    if pieces is None:
        session.queued_bytes = 0
        reject(room, session, ProtocolError("malformed_update", "a large update did not decode"))
        return
    session.queued_bytes -= request.cost
    session.spare_reverts += len(pieces) - 1  # each may bring a notice; they are those of one update
    *earlier, (payload, summary) = pieces
    request.replace(payload, summary)
    parts = [Request(session, RequestKind.UPDATE, *piece, echo=request.echo) for piece in earlier]
    for part in parts:
        part.whole, part.client_state_vector = request, request.client_state_vector
    for part in (*parts, request):
        part.first = parts[0] if parts else None
        session.queued_bytes += part.cost
        add(room, part)
    for later in stash:
        session.queued_bytes -= later.cost  # `enqueue` counts it again
        enqueue(room, later)


def not_checked(room: Room, request: Request) -> None:
    """A large update could not be checked now: its session is closed, and may send it again."""
    session = request.session
    stash, session.stash = session.stash or [], None
    session.queued_bytes -= request.cost + sum(later.cost for later in stash)
    if not (room.ended or session.revoked):
        room.members.close(session, CLOSE_CODES["try_again"], "a large update could not be checked now")


def put_back(room: Room, request: Request) -> None:
    """Queue an unfinished request before all others of its session. An update is never dropped; any other request is
    dropped when its session has left; a session that was revoked has nothing any more."""
    if room.ended:
        return
    if request.session.revoked:
        request.session.settle(request, Status.FORBIDDEN, None)  # the node of its socket waits for it
        return
    if request.kind is not RequestKind.UPDATE and not takes_replies(room, request.session):
        return
    room.inbox.put_back(request)
    room.events.on_requests(room)


def retry_as_newcomer(room: Room, request: Request) -> None:
    """A sync step 1 of a client that has nothing of this document: it is answered like that of a newcomer."""
    session = request.session
    if not takes_replies(room, session):
        return
    request.replace(EMPTY_STATE_VECTOR)
    if session.takes_responses or not reply_from_cache(room, session, EMPTY_STATE_VECTOR):
        enqueue(room, request)


def request_missing(room: Room, session: Session) -> None:
    """Send a session a sync step 1, for all that the document lacks."""
    session.resyncing = True
    enqueue(room, Request(session, RequestKind.STATE_VECTOR, b""))


def retry_deferred(room: Room, statuses: Collection[Status]) -> None:
    """Request again what there was no room for, of sessions that were refused with one of these."""
    deferred = room.members.deferred
    for session in [session for session, status in deferred.items() if status in statuses]:
        del deferred[session]
        request_missing(room, session)


def publish_presence(room: Room, now: float, most_states: int = UNBOUNDED) -> int:
    """Read the awareness messages of the sessions since the last tick, and send the changes.

    Ends behind about ``most_states``; the rest is read at the next tick. Returns how many states were read.
    """
    count, refused = room.presence.read(now, most_states)
    for session, error in refused:
        reject(room, session, error)
    room.presence.publish()
    if room.presence.pending:
        room.events.on_presence(room)
    return count

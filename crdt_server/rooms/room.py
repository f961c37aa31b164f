"""A room: one document while it is in use, without I/O.

Messages come in through `receive`, requests for the document's host leave through `take`, the host's verdict is
numbered by `assign_sequence`, and once it is stored `broadcast` sends what the sessions are owed. The hub calls these;
a test calls them by hand in any order it likes.

Rules of this package:
- No await, no clock, no randomness.
- What changes a document is sent only by `broadcast`, which follows the commit; so are answers that may contain it.
- No single update of a living session is dropped: it is applied, known, or its sender is asked again or closed.
- The state of a room is changed by methods of the room and of its parts only.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from crdt_server.counters import Counters
from crdt_server.errors import CLOSE_CODES, CrdtServerError, ProtocolError
from crdt_server.pipe import Diff, RequestKind, Status
from crdt_server.protocol.messages import AwarenessUpdate, PermissionDenied, Received, SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.hosted_document import HostedDocument, Placement
from crdt_server.rooms.inbox import UNBOUNDED, Inbox, RoomLimits, Taken
from crdt_server.rooms.members import Members
from crdt_server.rooms.presence import NO_STATES, PresenceChannel
from crdt_server.rooms.session import Origin, Request, Session
from crdt_server.rooms.settle import settle_batch
from crdt_server.rooms.sync_replies import SyncReplyCache, reply_messages
from documents.kind import MAX_UPDATE_BYTES
from documents.registry import kind_of

STORED_MESSAGES = 1000  # an answer of more rows than that is put together in a host first


class Phase(enum.Enum):
    """LOADING until the host holds the document, then LIVE, DEAD for ever after."""

    LOADING = "loading"
    LIVE = "live"
    DEAD = "dead"


class RoomEvents(Protocol):
    """What a room reports to whoever runs it. Each method returns at once."""

    def on_requests(self, room: Room) -> None:
        """The inbox was empty and is not any more."""

    def on_presence(self, room: Room) -> None:
        """A tick of presence is due."""

    def on_large_update(self, room: Room, request: Request) -> None:
        """An update is to be checked elsewhere; ends with `Room.prechecked`."""

    def on_refusal(self, room: Room, session: Session) -> None:
        """What a session sent was refused for good."""

    def on_revert(self, room: Room, session: Session) -> bool:
        """Something of a session was undone. Returns whether that is too much."""


class Room:
    """See the head of the file."""

    def __init__(
        self, room_id: int, wedding: str, document: str, limits: RoomLimits, counters: Counters, events: RoomEvents
    ) -> None:
        kind = kind_of(document)
        judged = kind is not None and not kind.free
        self.id = room_id
        self.wedding = wedding
        self.document = document
        self.name = f"{wedding}/{document}"
        self.limits = limits
        self.counters = counters
        self.events = events
        self.phase = Phase.LOADING
        self.hosted = HostedDocument(judged=judged)
        self.members = Members(counters, limits.big_update_bytes)
        self.presence = PresenceChannel(self.members, limits.max_awareness_bytes)
        self.inbox = Inbox(limits, judged=judged)
        self.replies = SyncReplyCache(limits.answer_cache_bytes, limits.newcomer_cache_bytes)
        self.head_seq = 0
        self.broadcast_seq = 0  # of the newest batch that was sent
        self.pins = 0  # what is in flight for the room: it must not be evicted
        self.update_subscriber: Callable[[int, bytes], None] | None = None  # receives what is sent, for other nodes

    # -- membership

    def join(self, session: Session) -> None:
        """Let a session in: it is sent the server's step 1 and the presence of the room."""
        self.members.add(session)
        state_vector = self.replies.state_vector
        if state_vector is not None and self.phase is Phase.LIVE:
            session.connection.send(Outgoing(SyncStep1(state_vector)))
        else:
            self.enqueue(Request(session, RequestKind.STATE_VECTOR, b""))
        states = self.presence.snapshot()
        if states is not None:
            session.connection.send(states)

    def leave(self, session: Session) -> None:
        """The connection is gone. What it had sent before is still applied."""
        self.members.remove(session)
        self.presence.leave(session)
        if self.presence.pending:
            self.events.on_presence(self)

    @property
    def full(self) -> bool:
        return 0 < self.limits.max_sessions <= len(self.members)

    def loaded_from_store(self, head_seq: int) -> None:
        """What is stored up to this number is on its way to the host."""
        self.head_seq = head_seq

    def opened(self) -> None:
        """Its document is held by a host, or its owner follows."""
        if self.phase is Phase.LOADING:
            self.phase = Phase.LIVE

    def relocate(self, placement: Placement) -> None:
        """Its document is held elsewhere from now on, where it has to be loaded. Nothing of it is in flight."""
        self.hosted.place(placement)
        self.phase = Phase.LOADING
        if self.inbox:
            self.events.on_requests(self)

    def fail(self, code: int, reason: str) -> None:
        """End the room: its document could not be stored, read or held. Clients keep their edits and come again."""
        self.phase = Phase.DEAD
        self.inbox.clear()
        for session in list(self.members):
            self.members.remove(session)
            self.members.close(session, code, reason)

    # -- what comes in

    def receive(self, session: Session, messages: Iterable[Received]) -> None:
        """Take the messages of one frame of a session. What no client may send closes it with 4400."""
        if session not in self.members.sessions:
            return
        queried = False
        try:
            for message in messages:
                kind = type(message)
                if kind is SyncUpdate or kind is SyncStep2:
                    self._receive_update(session, message.update, echo=kind is SyncUpdate)  # type: ignore[union-attr]
                elif kind is SyncStep1:
                    self._receive_step1(session, message.state_vector)  # type: ignore[union-attr]
                elif kind is AwarenessUpdate:
                    self.presence.receive(session, message.payload)  # type: ignore[union-attr]
                    self.events.on_presence(self)
                else:
                    queried = True
            if queried:  # once, however often a frame asks
                session.connection.send(self.presence.snapshot() or NO_STATES)
        except ProtocolError as error:
            self.reject(session, error)

    def _receive_update(self, session: Session, update: bytes, *, echo: bool) -> None:
        if not echo:
            session.resyncing = False
        if update == EMPTY_UPDATE:
            return
        request = Request(session, RequestKind.UPDATE, update, echo=echo)
        if self.hosted.judged and not echo:
            request.client_state_vector = session.client_state_vector
        self.enqueue(request)

    def _receive_step1(self, session: Session, state_vector: bytes) -> None:
        if self.hosted.judged:
            session.client_state_vector = state_vector
        if not self.reply_from_cache(session, state_vector):
            self.enqueue(Request(session, RequestKind.DIFF, state_vector))

    def enqueue(self, request: Request) -> None:
        """Queue a request of a session behind its earlier ones. Raises ProtocolError where it is too large."""
        session, size = request.session, len(request.payload)
        is_update = request.kind is RequestKind.UPDATE
        if is_update and self.hosted.judged and size > MAX_UPDATE_BYTES:
            raise ProtocolError("update_too_large", f"an update of {size} bytes, of at most {MAX_UPDATE_BYTES}")
        session.queued_bytes += request.cost
        if session.stash is not None:
            session.stash.append(request)
        elif is_update and size > self.limits.big_update_bytes:
            session.stash = []
            if size > self.limits.heavy_update_bytes:
                self.hosted.mark_heavy()
            self.events.on_large_update(self, request)
        else:
            self.add(request)
        if session.queued_bytes > self.limits.session_queue_bytes and not session.paused:
            session.paused = True
            session.connection.pause()

    def add(self, request: Request) -> None:
        """Put a request that was counted, and checked where it is large, into the inbox."""
        was_empty = not self.inbox
        self.inbox.add(request)
        if was_empty:
            self.events.on_requests(self)

    def prechecked(self, request: Request, pieces: Sequence[tuple[bytes, bytes]] | None) -> None:
        """A large update came back from its check: in pieces with their summaries, or None when it is malformed."""
        session = request.session
        stash, session.stash = session.stash or [], None
        if self.phase is Phase.DEAD:
            return
        if pieces is None:
            session.queued_bytes = 0
            self.reject(session, ProtocolError("malformed_update", "a large update did not decode"))
            return
        session.queued_bytes -= request.cost
        *earlier, (payload, summary) = pieces
        request.replace(payload, summary)
        parts = [Request(session, RequestKind.UPDATE, *piece, echo=request.echo) for piece in earlier]
        for part in parts:
            part.whole, part.client_state_vector = request, request.client_state_vector
        for part in (*parts, request):
            session.queued_bytes += part.cost
            self.add(part)
        for later in stash:
            session.queued_bytes -= later.cost  # `enqueue` counts it again
            self.enqueue(later)

    # -- to the host and back

    def take(self, budget: int, *, large: int = UNBOUNDED) -> Taken:
        """Requests for the next batch, see `Inbox.take`."""
        return self.inbox.take(budget, self.hosted.size, self.members.sessions, large=large)

    def put_back(self, request: Request) -> None:
        """What is not finished goes first again. A question that no session waits for is dropped, an edit never."""
        if self.phase is Phase.DEAD or (request.kind is not RequestKind.UPDATE and not self.awaits(request.session)):
            return
        self.inbox.put_back(request)
        self.events.on_requests(self)

    def serve_from_store(self, updates: Sequence[bytes]) -> None:
        """Answer newcomers with the stored updates as they are, before a host has read them.

        To be called with all that is stored and while no batch of this room is in flight.
        """
        if not 0 < len(updates) <= STORED_MESSAGES:
            return
        messages = reply_messages(updates)
        for session in list(self.members):
            request = self.inbox.pop_first_diff(session)
            if request is not None and not session.settle(request, Status.OK, Diff(list(updates))):
                self.send_reply(session, messages)

    def assign_sequence(self, batch: RoomBatch) -> None:
        """Number what is to be stored. Nothing is sent yet."""
        if batch.update is not None:
            self.head_seq += 1
            self.replies.edited()
        batch.seq = self.head_seq

    def broadcast(self, batch: RoomBatch) -> None:
        """The batch is stored: send its update to every session, and answer those that wait for more."""
        if self.phase is Phase.DEAD:
            return
        update = batch.update
        if update is not None:
            message = Outgoing(SyncUpdate(update))
            self.members.broadcast(message)
            self.replies.broadcast(message)
            if self.update_subscriber is not None:
                self.update_subscriber(batch.seq, update)
        self.broadcast_seq = batch.seq
        if batch.notices or batch.needs_settling:
            settle_batch(self, batch)
        if batch.last:
            self.replies.end_batch()
        self.counters.updates += len(batch.requests) - len(batch.responses) - len(batch.statuses)

    def broadcast_stored(self, seq: int, update: bytes) -> None:
        """Send what another node has stored under this number."""
        self.head_seq = seq
        self.replies.edited()
        message = Outgoing(SyncUpdate(update))
        self.members.broadcast(message)
        self.replies.broadcast(message)
        self.replies.end_batch()

    # -- single sessions

    def awaits(self, session: Session) -> bool:
        """Whether the session is there to take an answer."""
        return session in self.members or session.origin is Origin.REMOTE

    def reply_from_cache(self, session: Session, state_vector: bytes) -> bool:
        """Answer a step 1 from the cache, where it holds the answer and no edit of the session itself waits."""
        if session.inbox or session.stash is not None:
            return False
        messages = self.replies.find(state_vector)
        if messages is not None:
            self.send_reply(session, messages)
        return messages is not None

    def reply_no_overlap(self, request: Request) -> None:
        """A client that holds nothing of this document gets what a newcomer gets."""
        session = request.session
        if not self.awaits(session):
            return
        request.replace(EMPTY_STATE_VECTOR)
        if session.wants_responses or not self.reply_from_cache(session, EMPTY_STATE_VECTOR):
            self.enqueue(request)

    def send_reply(self, session: Session, messages: Sequence[Outgoing]) -> None:
        """Send the messages of a sync step 2, however slow the reader is."""
        session.connection.allow(sum(message.size_bytes for message in messages))
        for message in messages:
            session.connection.send(message)

    def reject(self, session: Session, error: CrdtServerError) -> None:
        """Close a session for what it sent."""
        self.counters.protocol_errors += 1
        self.refuse(session, error.close_code, error.code)

    def refuse(self, session: Session, code: int, reason: str) -> None:
        """Close a session for what is refused for good."""
        self.events.on_refusal(self, session)
        self.discard(session)
        self.members.close(session, code, reason)

    def discard(self, session: Session) -> None:
        """Drop what a session sent behind something that is refused for good."""
        dropped = self.inbox.discard(session)
        if session.origin is Origin.REMOTE:  # its node keeps them until it has a result
            for request in dropped:
                session.settle(request, Status.VIOLATION, None)

    def notify(self, session: Session, notice: bytes) -> None:
        """Tell a session that something it wrote was undone or refused; too much of that closes it."""
        if session not in self.members:
            return
        self.counters.reverted += 1
        session.connection.send(Outgoing(PermissionDenied(notice.decode())))
        if self.events.on_revert(self, session):
            self.discard(session)
            self.members.close(session, CLOSE_CODES["forbidden"], "too much had to be undone")

    def publish_presence(self, now: float) -> None:
        """Read what the sessions said of themselves since the last tick, and send what changed."""
        for session, error in self.presence.read(now):
            self.reject(session, error)
        self.presence.publish()

    def subscribe_updates(self, subscriber: Callable[[int, bytes], None] | None) -> None:
        """Let a function receive every update with its number, for other nodes; None: nobody."""
        self.update_subscriber = subscriber

    def pin(self) -> None:
        """Something of the room is in flight."""
        self.pins += 1

    def unpin(self) -> None:
        """It has ended."""
        self.pins -= 1

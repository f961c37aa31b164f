"""A room: one document while it is in use, without I/O.

Messages of a session become requests in the inbox of the room (`intake`), `take` hands them to the document's host,
`assign_sequence` numbers the verdict of the host, and `broadcast` sends it to the sessions once it is stored. Replies
to single sessions are in `replies` and `refusals`. The hub calls these; a test may call them in any order.

Rules of this package:
- No await, no clock, no randomness.
- An update is sent only by `broadcast`, which follows the commit; so are replies that may contain it.
- No single update of an open session is dropped: it is applied, or known, or its sender is sent a step 1 or closed.
  Of a session that only reads all are, or each is undone.
- The state of a room is changed by methods of the room and of its parts only.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Protocol

from crdt_server.counters import Counters
from crdt_server.pipe import RequestKind
from crdt_server.protocol.messages import SyncStep1, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.hosted_document import HostedDocument, Placement
from crdt_server.rooms.inbox import UNBOUNDED, Inbox, RoomLimits, Taken
from crdt_server.rooms.intake import enqueue
from crdt_server.rooms.members import Members
from crdt_server.rooms.presence import PresenceChannel
from crdt_server.rooms.refusals import deny_waiting
from crdt_server.rooms.session import Request, Session
from crdt_server.rooms.settle import settle_batch
from crdt_server.rooms.sync_replies import SyncReplyCache
from documents.registry import kind_of


class Phase(enum.Enum):
    """LOADING until the host holds the document, then LIVE, DEAD for ever after."""

    LOADING = "loading"
    LIVE = "live"
    DEAD = "dead"


class RoomEvents(Protocol):
    """The port of a room to the hub. Each method returns at once."""

    def on_requests(self, room: Room) -> None:
        """The inbox was empty and is not any more."""

    def on_presence(self, room: Room) -> None:
        """A tick of presence is due."""

    def on_large_update(self, room: Room, request: Request) -> None:
        """An update is to be checked elsewhere; ends with `intake.prechecked` or `intake.not_checked`."""

    def on_refusal(self, room: Room, session: Session) -> None:
        """A request of a session was refused for good."""

    def on_revert(self, room: Room, session: Session) -> None:
        """Something of a session was undone."""


class Room:
    """See the head of the file."""

    def __init__(
        self, room_id: int, wedding: str, document: str, limits: RoomLimits, counters: Counters, events: RoomEvents
    ) -> None:
        kind = kind_of(document)
        has_schema = kind is not None and not kind.free
        self.id = room_id
        self.wedding = wedding
        self.document = document
        self.name = f"{wedding}/{document}"
        self.limits = limits
        self.counters = counters
        self.events = events
        self.phase = Phase.LOADING
        self.hosted = HostedDocument(has_schema=has_schema, derived=kind is not None and kind.derived)
        self.members = Members(counters, limits)
        self.presence = PresenceChannel(self.members, counters, limits)
        self.claims = self.presence.awareness.states.claims
        self.inbox = Inbox(limits, has_schema=has_schema)
        self.replies = SyncReplyCache(
            limits.answer_cache_bytes, limits.newcomer_cache_bytes, follows_edits=not self.hosted.derived
        )
        self.head_seq = 0
        self.broadcast_seq = 0  # of the newest batch that was sent
        self.settled = 0  # batches that were answered
        self.pins = 0  # operations in flight: it must not be evicted
        self.update_subscriber: Callable[[int, bytes], None] | None = None  # gets every update, for other nodes

    # -- membership

    def join(self, session: Session) -> None:
        """Let a session in: it is sent the server's step 1 and the presence of the room."""
        self.members.add(session)
        state_vector = self.replies.state_vector
        if state_vector is not None and self.phase is Phase.LIVE:
            session.connection.send(Outgoing(SyncStep1(state_vector)))
        else:
            enqueue(self, Request(session, RequestKind.STATE_VECTOR, b""))
        states = self.presence.snapshot(session)
        if states is not None:
            session.connection.send(states)

    def leave(self, session: Session) -> None:
        """The connection is gone. Its earlier updates are still applied."""
        self.members.remove(session)
        self.presence.leave(session)
        if self.presence.pending:
            self.events.on_presence(self)

    def loaded_from_store(self, head_seq: int) -> None:
        """The rows up to this number are on their way to the host."""
        self.head_seq = head_seq

    def opened(self) -> None:
        """Its document is held by a host, or its owner follows."""
        if self.phase is Phase.LOADING:
            self.phase = Phase.LIVE

    def relocate(self, placement: Placement) -> None:
        """Its document is held elsewhere from now on, where it has to be loaded. Nothing of it is in flight."""
        self.hosted.place(placement)
        self.phase = Phase.LOADING
        if self.inbox or self.hosted.derived:  # a derived one follows its sources, whether or not anybody requests it
            self.events.on_requests(self)

    @property
    def ended(self) -> bool:
        """Whether the room is DEAD."""
        return self.phase is Phase.DEAD

    def fail(self, code: int, reason: str) -> None:
        """End the room: its document could not be stored, read or held. Clients keep their edits and come again."""
        self.phase = Phase.DEAD
        self.inbox.clear()
        for session in list(self.members):
            self.members.remove(session)
            self.members.close(session, code, reason)

    # -- to the host and back

    def take(self, budget: int, *, large: int = UNBOUNDED, document_bytes: int | None = None) -> Taken:
        """Requests for the next batch, see `Inbox.take`. Rights may have changed since they came: a host judges them by
        the identities that their senders have now, but for free-form documents, of which it knows no rules."""
        size = self.hosted.size if document_bytes is None else document_bytes
        taken = self.inbox.take(budget, size, self.members.sessions, large=large)
        if not self.hosted.has_schema and any(each.session.reads_only for each in taken.requests):
            return taken._replace(requests=[each for each in taken.requests if not deny_waiting(self, each)])
        return taken

    def assign_sequence(self, batch: RoomBatch) -> None:
        """Number the update of a batch, which is to be stored. Nothing is sent yet."""
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
            _send_update(self, update)
            if self.update_subscriber is not None:
                self.update_subscriber(batch.seq, update)
        self.broadcast_seq = batch.seq
        self.settled += 1
        if batch.notices or batch.needs_settling:
            settle_batch(self, batch)
        self.counters.updates += len(batch.requests) - len(batch.responses) - len(batch.statuses)

    def broadcast_stored(self, seq: int, update: bytes) -> None:
        """Send what another node has stored under this number."""
        self.head_seq = seq
        self.replies.edited()
        _send_update(self, update)

    def subscribe_updates(self, subscriber: Callable[[int, bytes], None] | None) -> None:
        """Let a function receive every update with its number, for other nodes; None: nobody."""
        self.update_subscriber = subscriber

    def pin(self) -> None:
        """Prevent the eviction of the room: an operation is in flight."""
        self.pins += 1

    def unpin(self) -> None:
        """An operation in flight has ended."""
        self.pins -= 1


def _send_update(room: Room, update: bytes) -> None:
    message = Outgoing(SyncUpdate(update))
    room.members.broadcast(message)
    room.replies.broadcast(message)

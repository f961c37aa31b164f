"""One participant of a room, its requests, and the port through which the room reaches it.

No await, no clock, no I/O: messages come in through `intake.receive`, and leave through `Connection.send`.
"""

from __future__ import annotations

import enum
from typing import ClassVar, NewType, Protocol, cast

from crdt_server.access.identity import Authenticated, Identity, person_at
from crdt_server.access.limits import Level
from crdt_server.pipe import HostRequest, RequestKind, Response, Status
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.receipts import Claim, Receipts

SessionId = NewType("SessionId", int)

REQUEST_OVERHEAD_BYTES = 64  # small requests are not free
# Reasons not to read a socket: too many bytes of it wait, it has sent too much presence, its person has sent more than
# the role allows.
BACKLOG, PRESENCE, PACE, REVERTED = 1, 2, 4, 8


class Connection(Protocol):
    """Carries a session's messages. Every method returns at once; sending to a closed connection does nothing."""

    address: str

    def send(self, message: Outgoing) -> None:
        """Queue one message. A reader that is too slow is closed with 1013 by the connection itself."""

    def allow(self, size_bytes: int) -> None:
        """Let the write buffer hold this much more than usual, for something large. Allowances do not add up."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and end the connection; `Room.leave` follows, possibly later."""

    def pause(self) -> None:
        """Stop reading from the peer (back-pressure)."""

    def resume(self) -> None:
        """Read from the peer again."""

    @property
    def congested(self) -> bool:
        """Whether so much waits to be written that presence should be left out."""


class PresenceBudget:
    """States and bytes of presence that a session may still send; below 0 it has sent too much. Both grow by a rate per
    second, up to one second's worth."""

    __slots__ = ("_at", "_bytes_per_second", "_states_per_second", "bytes", "states")

    def __init__(self, states_per_second: int, bytes_per_second: int) -> None:
        self._states_per_second, self._bytes_per_second = states_per_second, bytes_per_second
        self.states, self.bytes = float(states_per_second), float(bytes_per_second)
        self._at: float | None = None

    def refill(self, now: float) -> None:
        """It is ``now``, in seconds of any monotonic clock."""
        seconds = 0.0 if self._at is None else now - self._at
        self._at = now
        self.states = min(float(self._states_per_second), self.states + seconds * self._states_per_second)
        self.bytes = min(float(self._bytes_per_second), self.bytes + seconds * self._bytes_per_second)

    @property
    def spent(self) -> bool:
        """Whether the session has to wait."""
        return self.states < 1 or self.bytes < 0


class Request:
    """One request of a session to its document, waiting for a batch."""

    __slots__ = (
        "claim",
        "client_state_vector",
        "cost",
        "echo",
        "first",
        "kind",
        "payload",
        "session",
        "summary",
        "vector_sent",
        "whole",
    )

    def __init__(
        self,
        session: Session | None,
        kind: RequestKind,
        payload: bytes,
        summary: bytes | None = None,
        *,
        echo: bool = False,
    ) -> None:
        # Only a request of the dispatcher's own (BUILD_DOC, RESUME) belongs to no session; no room ever sees that one.
        self.session = cast("Session", session)
        self.kind = kind
        self.payload = payload
        self.summary = summary  # of an update that was checked before
        self.cost = len(payload) + REQUEST_OVERHEAD_BYTES  # counted against budgets of bytes
        self.client_state_vector: bytes | None = None  # of its sender, where it was away until now
        self.whole: Request | None = None  # the last piece of the update that this is a piece of
        self.first: Request | None = None  # the first piece of it, also of the last piece
        self.vector_sent: int | None = None  # of a first piece: the incarnation of the host that has the state vector
        self.claim: Claim | None = None  # of its sender, where that takes receipts
        self.echo = echo  # an update message that brought nothing new is still receipted; a sync step 2 is not

    def for_host(self, signed: bool, incarnation: int) -> HostRequest:
        """The request as it is sent to a host. ``signed``: with the identity of its sender, as every update is;
        ``incarnation``: see `HostedDocument`."""
        session = self.session
        signed = signed or self.kind is RequestKind.UPDATE
        actor = session.identity if signed and session is not None else None
        vector, first = self.client_state_vector, self.first
        if vector is None or first is None:
            return HostRequest(self.kind, self.payload, self.summary, actor, vector)
        sent, first.vector_sent = first.vector_sent == incarnation, incarnation
        return HostRequest(self.kind, self.payload, self.summary, actor, None if sent else vector, id(first))

    def replace(self, payload: bytes, summary: bytes | None = None) -> None:
        """Give it another payload."""
        self.payload, self.summary = payload, summary
        self.cost = len(payload) + REQUEST_OVERHEAD_BYTES


class Origin(enum.Enum):
    """The origin of a session's requests, which decides how it takes their results."""

    SOCKET = "socket"  # a member of the room: it takes messages
    REQUEST = "request"  # one HTTP request: it takes responses, and no messages
    REMOTE = "remote"  # a socket of another node: in no room here, and takes responses


class Session:
    """One participant of a room."""

    __slots__ = (
        "authenticated",
        "awareness_changed",
        "awareness_id",
        "awareness_text",
        "awareness_waiting",
        "client_state_vector",
        "connection",
        "gaps",
        "id",
        "identity",
        "inbox",
        "level",
        "paused",
        "person",
        "presence_budget",
        "queued_bytes",
        "reads_only",
        "receipts",
        "resyncing",
        "revoked",
        "spare_reverts",
        "stash",
    )

    origin: ClassVar[Origin] = Origin.SOCKET

    def __init__(self, id_: SessionId, connection: Connection, identity: Identity) -> None:
        self.id = id_
        self.connection = connection
        self.identity = identity
        self.person = person_at(identity, connection.address)
        """The key of its sender in tables of limits."""
        self.reads_only = False  # all that it writes is undone
        self.receipts: Receipts | None = None  # where its wire has more of them than the echo
        self.authenticated: Authenticated | None = None  # where it expires, or names a device
        self.revoked = False  # it has lost the room: nothing more of it is applied
        self.client_state_vector: bytes | None = None  # of its newest step 1, until its step 2
        # Made when first needed, and a list: most sockets are idle, and a deque of nothing takes 760 bytes.
        self.inbox: list[Request] | None = None
        self.queued_bytes = 0
        self.paused = 0  # the reasons for it
        self.level: Level | None = None  # what its person may still send; None: there is no limit
        # Requests behind an update that is being checked elsewhere; None: none is.
        self.stash: list[Request] | None = None
        self.resyncing = False  # step 1 was sent after a gap and its step 2 has not come yet
        self.spare_reverts = 0  # notices that do not count against it, see `intake.prechecked`
        self.gaps = 0  # in a row, without an accepted update between
        self.awareness_id: int | None = None
        self.awareness_text = ""  # its newest state, as it is shown
        self.awareness_changed = 0.0  # when that became another one
        self.awareness_waiting: list[bytes] | None = None  # messages since the last tick, read at the next
        self.presence_budget: PresenceBudget | None = None  # since its first such message

    @property
    def user(self) -> str:
        return self.identity.user

    def pause(self, reason: int) -> None:
        """Its socket is not read, until `resume` for the same reason: BACKLOG, PRESENCE, PACE or REVERTED."""
        self.paused |= reason
        self.connection.pause()

    def resume(self, reason: int) -> None:
        """The end of `pause` for this reason."""
        self.paused &= ~reason
        if not self.paused:
            self.connection.resume()

    @property
    def takes_responses(self) -> bool:
        """Whether it takes the result of each request, rather than the messages of the room."""
        return self.origin is not Origin.SOCKET

    def settle(self, request: Request, status: Status, response: Response | None) -> bool:
        """Take the result of a request instead of the room's usual reaction. True when it was taken."""
        return False

    def notify(self, notice: bytes) -> bool:
        """Take a notice of something undone instead of the room's message. True when it was taken."""
        return False

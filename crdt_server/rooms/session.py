"""One socket (or one HTTP exchange) in one room, and the port through which the room reaches it.

No await, no clock, no I/O: messages come in through `Room.receive`, messages go out through `Connection.send`.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NewType, Protocol, cast

from crdt_server.access.identity import Identity
from crdt_server.pipe import RequestKind, Status
from crdt_server.protocol.outgoing import Outgoing

SessionId = NewType("SessionId", int)


class Connection(Protocol):
    """What carries a session's messages. Every method returns at once; sending to a closed connection does nothing."""

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


class Request:
    """One thing a session asked of its document, waiting for a batch."""

    __slots__ = ("echo", "extra", "kind", "knows", "payload", "session", "whole")

    def __init__(
        self, session: Session | None, kind: RequestKind, payload: bytes, extra: Any = None, *, echo: bool = False
    ) -> None:
        # Only a request of the lane's own (WARM) belongs to nobody, and no room ever sees that one.
        self.session = cast("Session", session)
        self.kind = kind
        self.payload = payload
        self.extra = extra
        self.knows: bytes | None = None  # the state vector its sender came with, where it was away until now
        self.whole: Request | None = None  # the last piece of the update that this is a piece of
        self.echo = echo  # an update message that brought nothing new is still receipted; a sync step 2 is not

    @property
    def cost(self) -> int:
        """What it counts against budgets of bytes: small requests are not free."""
        return len(self.payload) + 64

    def wire(self, signed: bool) -> list[Any]:
        """As it goes to the host. ``signed``: with who asks."""
        identity = self.session.identity if signed and self.session is not None else None
        return [self.kind, self.payload, self.extra, identity, self.knows]


class Session:
    """One participant of a room."""

    __slots__ = (
        "asked",
        "awareness_id",
        "awareness_raw",
        "connection",
        "gaps",
        "held",
        "id",
        "identity",
        "inbox",
        "knows",
        "paused",
        "queued_bytes",
        "stash",
    )

    exchange = False  # whether it waits for verdicts rather than messages
    remote = False  # whether its socket is at another node: then it is in no room here, and asks all the same

    def __init__(self, id_: SessionId, connection: Connection, identity: Identity) -> None:
        self.id = id_
        self.connection = connection
        self.identity = identity
        self.knows: bytes | None = None  # the state vector of its newest step 1
        self.inbox: deque[Request] | None = None  # made when first needed: most sockets are idle
        self.queued_bytes = 0
        self.paused = False
        self.held = False  # an update of this session is being checked elsewhere; what follows it waits in the stash
        self.stash: list[Request] | None = None
        self.asked = False  # step 1 was sent after a gap and its step 2 has not come yet
        self.gaps = 0  # in a row, without an accepted update between
        self.awareness_id: int | None = None
        self.awareness_raw: list[bytes] | None = None  # awareness messages since the last tick, read at the next

    @property
    def user(self) -> str:
        return self.identity.user

    def settle(self, request: Request, status: Status, answer: Any) -> bool:
        """Take the verdict on a request instead of the room's usual reaction. True when it was taken."""
        return False

    def tell(self, notice: bytes) -> bool:
        """Take a notice of something undone instead of the room's telling it. True when it was taken."""
        return False

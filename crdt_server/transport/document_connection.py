"""One document of a socket that carries several: the `Connection` of its session.

It is PENDING until access is decided, then OPEN. It is AWAY while it was closed or refused for a reason that passes:
then its client is requested to send its token again later, on the same socket, and has its document back without a
word to its neighbours. CLOSED is final.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable
from random import uniform
from typing import TYPE_CHECKING

from crdt_server.errors import CLOSE_CODES
from crdt_server.hub.event_notifier import EventListener
from crdt_server.protocol.hocuspocus import codec_of
from crdt_server.protocol.messages import DocumentMessage, SyncStatus, SyncStep1, TokenRequest
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.receipts import Receipts
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session
from crdt_server.transport.gate import PendingAdmission
from crdt_server.transport.kept_messages import KeptMessages
from crdt_server.transport.send_queue import QueuedSender

if TYPE_CHECKING:
    from crdt_server.transport.socket_documents import SocketDocuments

RETRY_SECONDS = 1.0  # of the first time that a document is to come again; twice as many each time
MOST_RETRY_SECONDS = 30.0
STEADY_SECONDS = 30.0  # a document that was open for so long begins again with the first
RENEWAL_SECONDS = 30.0
"""Before a token expires a newer one is requested, or after half of the time that it is still valid."""


class DocumentState(enum.Enum):
    """See the head of the file."""

    PENDING = "pending"
    OPEN = "open"
    AWAY = "away"
    CLOSED = "closed"


_PENDING, _OPEN, _AWAY, _CLOSED = DocumentState


class DocumentConnection(QueuedSender):
    """See the head of the file. ``key`` is the address that stands before its messages."""

    __slots__ = (
        "_codec",
        "_documents",
        "_opened_at",
        "_renewal",
        "_timer",
        "address",
        "attempts",
        "kept",
        "key",
        "listener",
        "names",
        "pending",
        "receipts",
        "room",
        "session",
        "state",
    )

    room: Room
    session: Session

    def __init__(self, documents: SocketDocuments, address: str, key: bytes, names: tuple[str, str]) -> None:
        super().__init__()
        self.address = address
        self.key = key
        self.names = names
        self.state = _PENDING
        self.pending: PendingAdmission | None = None
        self.receipts = Receipts(self._send_status)
        self.kept = KeptMessages()
        self.listener: EventListener | None = None
        self.attempts = 0  # in a row, to have it come again
        self._opened_at = 0.0  # in seconds of the loop's clock
        self._timer: asyncio.TimerHandle | None = None  # AWAY: until the token is requested, or has to be there
        self._codec = codec_of(key)
        self._documents = documents
        self._renewal: tuple[float, float] | None = None  # of the token that expires then: when to request a newer one

    # -- the Connection port

    def send(self, message: Outgoing) -> None:
        if self.state is _OPEN:
            if type(message.message) is SyncStep1:
                self.receipts.step1_sent()
            self._documents.queue.send(self, message.encoded(self._codec))

    def allow(self, size_bytes: int) -> None:
        self._documents.queue.allow(size_bytes)

    def close(self, code: int, reason: str) -> None:
        if self.state is _OPEN:
            self._documents.close(self, code, reason)

    def pause(self) -> None:
        if self.state is _OPEN:
            self._documents.reading.pause(self)

    def resume(self) -> None:
        self._documents.reading.resume(self)

    @property
    def congested(self) -> bool:
        return self._documents.queue.full

    # -- for the documents of its socket

    def send_own(self, message: DocumentMessage) -> None:
        """Send a message of the transport, in any state."""
        self._documents.queue.send(self, self._codec.encode(message))

    def _send_status(self, stored: bool) -> None:
        if self.state is _OPEN:
            self.send_own(SyncStatus(stored))

    def opened(self) -> None:
        """It is OPEN from now on."""
        self.state = _OPEN
        self._opened_at = asyncio.get_running_loop().time()
        self.stop_waiting()

    def come_again(self, code: int, given_up: Callable[[DocumentConnection], None], seconds: float) -> None:
        """It is AWAY, by reason of ``code``. Its token is requested after a while: longer each time, and longest for
        what was refused as too much. ``given_up`` is called where it has not come so many seconds after that."""
        loop = asyncio.get_running_loop()
        if loop.time() - self._opened_at > STEADY_SECONDS:
            self.attempts = 0
        delay = min(MOST_RETRY_SECONDS, RETRY_SECONDS * 2**self.attempts)
        if code == CLOSE_CODES["rate_limited"]:
            delay = MOST_RETRY_SECONDS
        self.attempts += 1
        self.state = _AWAY
        self.stop_waiting()
        delay = uniform(delay / 2, delay)  # noqa: S311  # spreads load, no secret
        self._timer = loop.call_later(delay, self._request_token, given_up, seconds)

    def _request_token(self, given_up: Callable[[DocumentConnection], None], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        if self.congested:
            self._timer = loop.call_later(RETRY_SECONDS, self._request_token, given_up, seconds)
            return
        self.send_own(TokenRequest())
        self._timer = loop.call_later(seconds, given_up, self)

    def stop_waiting(self) -> None:
        """Wait for no token any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def request_renewal(session: Session, expires_at: float, now: float) -> None:
    """Request a newer token from the client of a session in time, once for each, where its wire has a message for that.
    Times are seconds since 1970."""
    connection = session.connection
    if not isinstance(connection, DocumentConnection) or connection.state is not _OPEN:
        return
    renewal = connection._renewal
    if renewal is None or renewal[0] != expires_at:
        renewal = expires_at, max(expires_at - RENEWAL_SECONDS, now + (expires_at - now) / 2)
    if now >= renewal[1]:
        renewal = expires_at, float("inf")
        connection.send_own(TokenRequest())
    connection._renewal = renewal

"""The server's end of a connection: a wire protocol, and the sessions that it carries. It takes bytes from the
transport below and gives messages to the rooms above.

An endpoint is PENDING until the gate has decided, then OPEN or CLOSED. The connection is not read before the decision;
frames that were read already are kept, up to a bound.
"""

from __future__ import annotations

import enum
from typing import Protocol

from crdt_server.errors import CLOSE_CODES, ProtocolError
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.protocol.ywebsocket import YWEBSOCKET
from crdt_server.rooms.refusals import reject
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Connection, Session
from crdt_server.transport.gate import (
    GONE,
    TOO_EARLY,
    Admitted,
    Awaited,
    ConnectionRequest,
    Gate,
    Outcome,
    PendingAdmission,
    Refused,
)
from crdt_server.transport.stateless import InboxListener

CONGESTED_BYTES = 64 * 1024  # unsent on a connection: from here on awareness is left out
EARLY_BYTES = 64 * 1024  # of frames before the decision; an empty one counts 64


class FlowControl(Protocol):
    """A sender that holds messages back."""

    def pause_writing(self) -> None:
        """Too much waits to be written."""

    def resume_writing(self) -> None:
        """Most of it is written."""


class EndpointConnection(Connection, Protocol):
    """The `Connection` port with its state, and for several documents."""

    @property
    def closing(self) -> bool:
        """Whether `close` was called."""

    def send_payload(self, payload: bytes) -> None:
        """Send one message that is encoded already."""

    @property
    def unsent_bytes(self) -> int:
        """The bytes that wait to be written."""

    def control_flow(self, flow: FlowControl) -> None:
        """Report that more than `CONGESTED_BYTES` wait, and that most of them are written, rather than close a reader
        that is too slow."""


class Endpoint(Protocol):
    """One connection as the transports see it. The transport calls `disconnected` last, and once."""

    @property
    def person(self) -> str:
        """The key of its person in tables of limits; "" while nobody is identified."""

    def receive(self, frame: bytes | memoryview) -> None:
        """One whole WebSocket message; a memoryview is valid during the call only."""

    def reject(self, code: int, reason: str) -> None:
        """The peer broke the rules of WebSockets or of the transport: close the connection."""

    def disconnected(self) -> None:
        """The connection is gone."""


class NoEndpoint:
    """The endpoint of a connection that has none yet, or none any more: it drops everything."""

    person = ""

    def receive(self, frame: bytes | memoryview) -> None:
        """See `Endpoint.receive`."""

    def reject(self, code: int, reason: str) -> None:
        """See `Endpoint.reject`."""

    def disconnected(self) -> None:
        """See `Endpoint.disconnected`."""


NO_ENDPOINT: Endpoint = NoEndpoint()


class AdmissionState(enum.Enum):
    """The decision about a connection: outstanding, positive, or negative (or the connection is gone)."""

    PENDING = "pending"
    OPEN = "open"
    CLOSED = "closed"


_PENDING, _OPEN, _CLOSED = AdmissionState


class YWebSocketEndpoint:
    """The y-websocket protocol: one session per connection, its document named by the URL."""

    __slots__ = ("_connection", "_follows_inbox", "_gate", "_listener", "_pending", "_room", "_session", "state")

    _room: Room
    _session: Session

    def __init__(self, gate: Gate, connection: EndpointConnection, request: ConnectionRequest) -> None:
        self._gate = gate
        self._connection = connection
        self._follows_inbox = "inbox=1" in request.query.split("&")
        self._listener: InboxListener | None = None
        self._pending: _EarlyFrames | None = None
        self.state = _PENDING
        decision = gate.decide(request)
        if isinstance(decision, Awaited):
            connection.pause()
            self._pending = _EarlyFrames(gate.wait(decision, self._decided))
        else:
            self._decided(decision)

    @property
    def person(self) -> str:
        """See `Endpoint.person`."""
        return self._session.person if self.state is _OPEN else ""

    def receive(self, frame: bytes | memoryview) -> None:
        """See `Endpoint.receive`. A malformed frame closes the connection with 4400."""
        if self.state is _OPEN:
            try:
                messages = YWEBSOCKET.decode(frame)
            except ProtocolError as error:
                reject(self._room, self._session, error)
            else:
                self._gate.hub.receive(self._room, self._session, messages)
        elif self._pending is not None and not self._pending.keep(frame):
            self._pending.admission.cancel(TOO_EARLY)

    def reject(self, code: int, reason: str) -> None:
        """See `Endpoint.reject`."""
        if self.state is _OPEN:
            self._room.counters.protocol_errors += code == CLOSE_CODES["malformed"]
            self._room.members.close(self._session, code, reason)
        else:
            self._connection.close(code, reason)
            self._stop_waiting()

    def disconnected(self) -> None:
        """See `Endpoint.disconnected`."""
        state, self.state = self.state, _CLOSED
        if state is _OPEN:
            if self._listener is not None:
                self._gate.hub.events.remove(self._room.wedding, self._listener)
            self._gate.leave(self._connection, self._room, self._session)
        else:
            self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._pending is not None:
            self._pending.admission.cancel(GONE)

    def _decided(self, outcome: Outcome) -> None:
        pending, self._pending = self._pending, None
        if self.state is _CLOSED:  # the peer has left meanwhile
            if isinstance(outcome, Admitted):
                self._gate.give_up(self._connection, outcome)
            return
        entered = outcome if isinstance(outcome, Refused) else self._gate.enter(self._connection, outcome)
        if isinstance(entered, Refused):
            self.state = _CLOSED
            self._gate.refuse(self._connection, entered)
            return
        self._room, self._session = entered
        self.state = _OPEN
        if self._follows_inbox:
            self._listener = InboxListener(self._session.user, lambda text: self._connection.send(Outgoing(text)))
            self._gate.hub.events.add(self._room.wedding, self._listener)
        if pending is not None:
            self._connection.resume()
            for frame in pending.frames:
                if not self._connection.closing:
                    self.receive(frame)


class _EarlyFrames:
    """The frames that came before the decision."""

    __slots__ = ("_bytes", "admission", "frames")

    def __init__(self, admission: PendingAdmission) -> None:
        self.admission = admission
        self.frames: list[bytes] = []
        self._bytes = 0

    def keep(self, frame: bytes | memoryview) -> bool:
        """Keep a frame; False where that is too much."""
        self._bytes += len(frame) + 64
        within = self._bytes <= EARLY_BYTES
        if within:
            self.frames.append(bytes(frame))
        return within

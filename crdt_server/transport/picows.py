"""The fast transport: WebSockets on picows, on the port and after the HTTP parsing of uvicorn.

uvicorn takes any class as its WebSocket protocol (`serve`). When a request asks for an upgrade it makes one, hands it
the connection and replays the request to it; from then on picows' parser (C) calls `PicowsConnection` per frame, and a
message goes out as one `transport.write` of a frame that was encoded once for the whole room.

Rules of this file:
- No task, timer or future per connection: at rest a socket is a few small objects, and one task pings all of them.
- Nothing waits for a slow peer: unsent bytes accumulate up to a bound, then the connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import structlog
from picows import WSFrame, WSMsgType, WSTransport, WSUpgradeRequest
from picows.picows import (  # type: ignore[attr-defined]  # the stub leaves out what only servers need
    WSAutoPingStrategy,
    WSProtocol,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

from crdt_server.access.addresses import FORWARDED_FOR
from crdt_server.access.limits import Allowance
from crdt_server.errors import CLOSE_CODES
from crdt_server.hub.hub import LOGGED_REFUSALS, SECONDS_PER_LOGGED_REFUSAL
from crdt_server.transport.endpoint import NO_ENDPOINT
from crdt_server.transport.endpoints import open_endpoint
from crdt_server.transport.frame_pace import FRAMES_COUNTED
from crdt_server.transport.gate import ConnectionRequest, Gate
from crdt_server.transport.picows_port import PicowsPort, drop
from crdt_server.transport.unfinished import STEP_BYTES, UnfinishedMessage

if TYPE_CHECKING:
    pass

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS = 10
READ_BUFFER_BYTES = 2048
READ_BYTES = 8 * 1024  # of one read: thousands of tiny frames in one would delay all other connections
LARGE_FRAME_BYTES = 64 * 1024
SWEEP_SLICE = 200


class PicowsConnection(PicowsPort):
    """One WebSocket: the `Connection` port on one side, picows on the other."""

    __slots__ = (
        "_awaiting_pong",
        "_endpoint",
        "_fragments",
        "_fragments_size",
        "_frames",
        "_received",
        "_request",
        "_server",
        "partial",
        "unfinished",
    )

    def __init__(self, server: PicowsTransport, request: ConnectionRequest) -> None:
        super().__init__(request.address, server.write_buffer_bytes, server.slow_consumers.inc)
        self._server = server
        self._request: ConnectionRequest | None = request  # until it is connected
        self._endpoint = NO_ENDPOINT
        self._fragments: list[bytes] | None = None
        self._fragments_size = 0
        self._frames = 0  # that were not counted yet
        self.partial = 0  # bytes that came since the newest frame
        self.unfinished: UnfinishedMessage | None = None  # those bytes and the fragments, where they are many
        self._received = True  # whether a frame has come since the last check
        self._awaiting_pong = False

    def check(self, now: float) -> None:
        """Ping a peer that sent nothing since the last check; abort where it did not answer the ping before, and close
        where a large message takes too long."""
        assert self._transport is not None
        if self.unfinished is not None and self.unfinished.is_late(now, self._server.message_seconds):
            self.close(CLOSE_CODES["try_again"], "a message did not come in time")
            return
        if self._received or self._reading.stopped:  # the pong of a peer that is not read does not arrive
            self._received = self._awaiting_pong = False
        elif self._awaiting_pong:
            self._underlying.abort()
        else:
            self._awaiting_pong = True
            self._transport.send_ping()

    # -- called by picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.connected(transport)
        _forget_handshake(transport)
        request, self._request = self._request, None
        assert request is not None
        self._server.connections.add(self)
        self._endpoint = open_endpoint(self._server.gate, self, request)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self._received = True
        self.partial = 0
        self._frames += 1
        if self._frames >= FRAMES_COUNTED:
            self._count_frames()
        kind = frame.msg_type
        if self.unfinished is not None and frame.fin and kind in (WSMsgType.BINARY, WSMsgType.CONTINUATION):
            self.unfinished.release()
            self.unfinished = None
        if kind == WSMsgType.BINARY and frame.fin and self._fragments is None and not frame.rsv1:
            if self._write is not drop:
                # A large one is read where it lies: copying 16 MB takes 10 ms, and its content is copied out anyway.
                large = frame.payload_size > LARGE_FRAME_BYTES
                self._endpoint.receive(frame.get_payload_as_memoryview() if large else frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            if self._write is not drop:
                transport.send(WSMsgType.CLOSE, frame.get_payload_as_bytes()[:2])  # the status, where there is one
                self._write = drop
            transport.disconnect(True)
        elif self._write is drop:
            return
        elif kind in (WSMsgType.BINARY, WSMsgType.CONTINUATION) and not frame.rsv1:
            self._gather(frame)
        elif kind == WSMsgType.PONG:
            self._awaiting_pong = False
        elif kind == WSMsgType.PING:
            if not self.congested:  # a peer that reads no pongs is sent no more
                transport.send_pong(frame.get_payload_as_bytes())
        else:  # text, or an extension that was not negotiated
            self._endpoint.reject(CLOSE_CODES["malformed"], "binary messages only")

    def _count_frames(self) -> None:
        seconds = self._server.gate.frames.count(self._endpoint.person or self.address, self._frames)
        self._frames = 0
        if seconds:
            self._reading.rest(seconds)

    def _gather(self, frame: WSFrame) -> None:
        """Assemble a message that comes in several frames."""
        begins = frame.msg_type == WSMsgType.BINARY
        if begins != (self._fragments is None):
            self._endpoint.reject(CLOSE_CODES["malformed"], "fragments out of order")
            return
        if self._fragments is None:
            self._fragments = []
        payload = frame.get_payload_as_bytes()
        self._fragments.append(payload)
        self._fragments_size += len(payload) + 64  # empty fragments are not free
        if not frame.fin:
            _hold(self)
        if self._fragments_size > self._server.max_frame_bytes:
            self._endpoint.reject(CLOSE_CODES["frame_too_large"], "message too large")
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments, self._fragments_size = None, 0
            self._endpoint.receive(message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._write = drop
        self._server.connections.discard(self)
        if self.unfinished is not None:
            self.unfinished.release()
        endpoint, self._endpoint = self._endpoint, NO_ENDPOINT  # they refer to each other
        self._flow = None
        endpoint.disconnected()


def _hold(connection: PicowsConnection) -> None:
    """Count what is there of an incomplete message; too much of it closes the connection."""
    size_bytes = connection.partial + connection._fragments_size
    if connection.closing or size_bytes < STEP_BYTES:
        return
    if connection.unfinished is None:
        budget, now = connection._server.gate.unfinished, asyncio.get_running_loop().time()
        connection.unfinished = UnfinishedMessage(budget, connection.address, now)
    if not connection.unfinished.grow(size_bytes, connection._endpoint.person):
        connection.close(CLOSE_CODES["try_again"], "too many bytes are under way")


class PicowsTransport:
    """All connections of one server, and the factory of uvicorn's WebSocket protocol class."""

    def __init__(self, gate: Gate) -> None:
        settings = gate.hub.settings
        self.gate = gate
        self.connections: set[PicowsConnection] = set()
        self.max_frame_bytes = settings.max_frame_bytes
        self.message_seconds = settings.message_seconds
        self.write_buffer_bytes = settings.write_buffer_bytes
        self.slow_consumers = gate.hub.metrics.slow_consumers
        self._ping_seconds = settings.ping_seconds

    async def keep_pinging(self) -> None:
        """Ping connections that were silent, abort those that do not answer. Work is spread over the interval."""
        while True:
            connections = list(self.connections)
            parts = max(1, len(connections) // SWEEP_SLICE)
            for part in range(parts):
                for connection in connections[part::parts]:
                    if connection in self.connections:
                        connection.check(asyncio.get_running_loop().time())
                await asyncio.sleep(self._ping_seconds / parts)

    def protocol(self) -> asyncio.BaseProtocol:
        """A protocol that takes over one connection from uvicorn."""
        return cast("asyncio.BaseProtocol", _Protocol(self))


def _forget_handshake(transport: WSTransport) -> None:
    """picows keeps request and answer as long as the connection: 2 KB of each socket, and the token in the path."""
    transport.request.path = b""
    transport.request.headers = transport.response.headers = None  # type: ignore[assignment]  # nobody reads them again


class _Protocol(WSProtocol):  # type: ignore[misc]  # a Cython class without annotations
    """picows' protocol, fed by uvicorn with the request it has already read."""

    def __new__(cls, server: PicowsTransport) -> _Protocol:
        return cast("_Protocol", super().__new__(cls))

    def __init__(self, server: PicowsTransport) -> None:
        self._server = server
        super().__init__(
            None,  # host_port
            None,  # ws_path
            False,  # is_client_side
            self._listen,
            _PARSER_LOG,
            True,  # disconnect_on_exception
            HANDSHAKE_SECONDS,
            False,  # enable_auto_ping: it costs a task per connection; `keep_pinging` does it for all
            0,
            0,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # enable_auto_pong: it does not look at what is unsent
            server.max_frame_bytes,
            None,  # extra_headers
            READ_BUFFER_BYTES,
        )

    def _listen(self, request: WSUpgradeRequest) -> Any:
        peer = (self.transport.underlying_transport.get_extra_info("peername") or (None,))[0]
        forwarded_for = request.headers.getall(FORWARDED_FOR, ())
        address = self._server.gate.proxies.client_address(peer, forwarded_for)
        if request.headers.get("Sec-WebSocket-Version") != "13":  # picows does not check
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(
                    HTTPStatus.UPGRADE_REQUIRED, b"WebSocket version 13 only", {"Sec-WebSocket-Version": "13"}
                ),
                None,
            )
        if not self._server.gate.may_shake_hands(address):
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(HTTPStatus.TOO_MANY_REQUESTS, b"too many handshakes"), None
            )
        path, _, query = request.path.decode("latin-1").partition("?")
        return PicowsConnection(self._server, ConnectionRequest(address, path, query, request.headers))

    def get_buffer(self, size_hint: int) -> memoryview:
        """The buffer into which the loop reads. picows doubles its buffer as long as it is filled, up to megabytes."""
        return cast("memoryview", super().get_buffer(size_hint))[:READ_BYTES]

    def buffer_updated(self, n: int) -> None:
        """The loop has read ``n`` bytes. picows keeps those of an incomplete frame, however large it is to become."""
        connection = self.listener
        if connection is None:
            super().buffer_updated(n)
            return
        if connection.partial > STEP_BYTES and connection.closing:
            return  # not kept: the next ones overwrite them, until the connection is aborted
        connection.partial += n
        super().buffer_updated(n)
        if connection.partial > STEP_BYTES:
            _hold(connection)

    def data_received(self, data: bytes) -> None:
        """uvicorn replays the request this way; afterwards the loop uses the buffer interface."""
        view = memoryview(data)
        while view:
            buffer = self.get_buffer(-1)
            n = min(len(buffer), len(view))
            buffer[:n] = view[:n]
            self.buffer_updated(n)
            view = view[n:]

    def shutdown(self) -> None:
        """Called by uvicorn at its end for its own connections; these are closed by the hub."""


class _ParserLog:
    """The logger of picows: its lines on single connections at a lower level, and few of them."""

    def __init__(self) -> None:
        self._allowance = Allowance(LOGGED_REFUSALS, SECONDS_PER_LOGGED_REFUSAL)

    def isEnabledFor(self, level: int) -> bool:
        return False

    def log(self, level: int, message: str, *args: Any) -> None:
        if level >= logging.WARNING:
            self.warning(message, *args)

    def debug(self, message: str, *args: Any) -> None:
        pass

    info = debug

    def warning(self, message: str, *args: Any) -> None:
        if self._allowance.take("", asyncio.get_running_loop().time()):
            log.info("websocket", detail=message % args)

    error = warning

    def exception(self, message: str, *args: Any) -> None:
        log.exception("websocket_callback_failed", detail=message % args)


_PARSER_LOG = _ParserLog()

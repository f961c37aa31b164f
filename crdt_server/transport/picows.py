"""The fast lane: WebSockets on picows, on the port and after the HTTP parsing of uvicorn.

uvicorn takes any class as its WebSocket protocol (`serve`). When a request asks for an upgrade it makes one, hands it
the connection and replays the request to it; from then on picows' parser (C) calls `PicowsConnection` per frame, and a
message goes out as one `transport.write` of a frame that was encoded once for the whole room.

Rules of this file:
- No task, timer or future per connection: at rest a socket is a few small objects, and one task pings all of them.
- Nothing waits for a reader: bytes that do not go out pile up to a bound, then the connection is closed.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

import structlog
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest
from picows.picows import (  # type: ignore[attr-defined]  # the stub leaves out what only servers need
    WSAutoPingStrategy,
    WSCloseCode,
    WSProtocol,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)

from crdt_server.errors import CLOSE_CODES
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.transport.gate import CONGESTED_BYTES, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from crdt_server.rooms.room import Room
    from crdt_server.rooms.session import Session

log = structlog.get_logger(__name__)

HANDSHAKE_SECONDS = 10
READ_BUFFER_BYTES = 2048
READ_BYTES = 8 * 1024  # of one read: thousands of tiny frames in one would hold up everybody else
LARGE_FRAME_BYTES = 64 * 1024
LINGER_SECONDS = 1.0  # how long a close frame may take to go out before the connection is cut
SWEEP_SLICE = 200


class PicowsConnection(WSListener):
    """One WebSocket: the `Connection` port on one side, picows on the other."""

    __slots__ = (
        "_fragments",
        "_fragments_size",
        "_lane",
        "_limit",
        "_paused",
        "_room",
        "_session",
        "_target",
        "_transport",
        "_write",
        "address",
        "awaiting_pong",
        "heard",
    )

    def __init__(self, lane: PicowsTransport, address: str, target: str) -> None:
        super().__init__()
        self._lane = lane
        self.address = address
        self._target: str | None = target
        self._transport: WSTransport | None = None
        self._room: Room | None = None
        self._session: Session | None = None
        self._fragments: list[bytes] | None = None
        self._fragments_size = 0
        self._limit = lane.write_buffer_bytes
        self._write: Callable[[bytes], None] = _drop
        self.heard = True
        self.awaiting_pong = False
        self._paused = False

    # -- the Connection port

    def send(self, message: Outgoing) -> None:
        self._write(message.frame)

    def allow(self, size_bytes: int) -> None:
        limit = self._lane.write_buffer_bytes + size_bytes
        if size_bytes > CONGESTED_BYTES and limit > self._limit:
            self._limit = limit
            self._underlying.set_write_buffer_limits(high=limit)

    def close(self, code: int, reason: str) -> None:
        transport = self._transport
        if transport is None or self._write is _drop:
            return
        transport.send_close(cast("WSCloseCode", code), reason[:120].encode())
        self._write = _drop
        # Reading goes on until the peer's own close frame: a socket that is closed with bytes unread is reset by the
        # system, and the close code is lost with it.
        self.resume()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._underlying.abort)

    def pause(self) -> None:
        if not self._paused:
            self._paused = True
            self._underlying.pause_reading()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._underlying.resume_reading()

    @property
    def congested(self) -> bool:
        return cast("int", self._underlying.get_write_buffer_size()) > CONGESTED_BYTES

    @property
    def _underlying(self) -> Any:
        assert self._transport is not None
        return self._transport.underlying_transport

    def ping(self) -> None:
        """Ask for a sign of life."""
        assert self._transport is not None
        self.awaiting_pong = True
        self._transport.send_ping()

    def cut(self) -> None:
        """End the connection without ceremony."""
        self._underlying.abort()

    # -- what picows calls

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        underlying = transport.underlying_transport
        self._write = underlying.write
        underlying.set_write_buffer_limits(high=self._limit)
        path, _, query = (self._target or "").partition("?")
        self._target = None
        self._lane.connections.add(self)
        entered = self._lane.entrance.enter(self, path, query)
        if entered is not None:
            self._room, self._session = entered

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.heard = True
        room = self._room
        session = self._session
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            if self._write is not _drop:
                transport.send(WSMsgType.CLOSE, frame.get_payload_as_bytes()[:2])  # the status, where there is one
                self._write = _drop
            transport.disconnect(True)
        elif room is None or session is None or self._write is _drop:
            return
        elif kind == WSMsgType.BINARY and frame.fin and self._fragments is None and not frame.rsv1:
            # A large one is read where it lies: copying 16 MB takes 10 ms, and what is in it is copied out anyway.
            large = frame.payload_size > LARGE_FRAME_BYTES
            self._lane.receive(
                room, session, frame.get_payload_as_memoryview() if large else frame.get_payload_as_bytes()
            )
        elif kind in (WSMsgType.BINARY, WSMsgType.CONTINUATION) and not frame.rsv1:
            self._gather(room, session, frame)
        elif kind == WSMsgType.PONG:
            self.awaiting_pong = False
        else:  # text, or an extension nobody agreed to
            room.counters.protocol_errors += 1
            room.close(session, CLOSE_CODES["malformed"], "binary messages only")

    def _gather(self, room: Room, session: Session, frame: WSFrame) -> None:
        """Put a message together that came in several frames."""
        begins = frame.msg_type == WSMsgType.BINARY
        if begins != (self._fragments is None):
            room.close(session, CLOSE_CODES["malformed"], "fragments out of order")
            return
        if self._fragments is None:
            self._fragments = []
        payload = frame.get_payload_as_bytes()
        self._fragments.append(payload)
        self._fragments_size += len(payload) + 64  # empty fragments are not free
        if self._fragments_size > self._lane.max_frame_bytes:
            room.close(session, CLOSE_CODES["frame_too_large"], "message too large")
        elif frame.fin:
            message = b"".join(self._fragments)
            self._fragments, self._fragments_size = None, 0
            self._lane.receive(room, session, message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._write = _drop
        self._lane.connections.discard(self)
        if self._room is not None and self._session is not None:
            self._lane.entrance.leave(self, self._room, self._session)
            self._room = self._session = None

    def pause_writing(self) -> None:
        """More is unsent than the limit allows: the reader is too slow."""
        self._lane.slow_consumers.inc()
        self.close(CLOSE_CODES["try_again"], "slow consumer")

    def resume_writing(self) -> None:
        pass


def _drop(frame: bytes) -> None:
    """Takes the place of the transport's write on a connection that is closed."""


class PicowsTransport:
    """All fast connections of one server, and the factory of uvicorn's WebSocket protocol class."""

    def __init__(self, entrance: Gate) -> None:
        settings = entrance.hub.settings
        self.entrance = entrance
        self.receive = entrance.receive
        self.connections: set[PicowsConnection] = set()
        self.max_frame_bytes = settings.max_frame_bytes
        self.write_buffer_bytes = settings.write_buffer_bytes
        self.slow_consumers = entrance.hub.metrics.slow_consumers
        self._ping_seconds = settings.ping_seconds

    async def keep_pinging(self) -> None:
        """Ping who was silent for a while; cut who does not answer. Work is spread over the interval."""
        while True:
            connections = list(self.connections)
            parts = max(1, len(connections) // SWEEP_SLICE)
            for part in range(parts):
                for connection in connections[part::parts]:
                    self._check(connection)
                await asyncio.sleep(self._ping_seconds / parts)

    def _check(self, connection: PicowsConnection) -> None:
        if connection not in self.connections:
            return
        if connection.heard:
            connection.heard = connection.awaiting_pong = False
        elif connection.awaiting_pong:
            connection.cut()
        else:
            connection.ping()

    def protocol(self) -> asyncio.BaseProtocol:
        """What takes over one connection from uvicorn."""
        return cast("asyncio.BaseProtocol", _Protocol(self))


class _Protocol(WSProtocol):  # type: ignore[misc]  # a Cython class without annotations
    """picows' protocol, fed by uvicorn with the request it has already read."""

    def __new__(cls, lane: PicowsTransport) -> _Protocol:
        return cast("_Protocol", super().__new__(cls))

    def __init__(self, lane: PicowsTransport) -> None:
        self._lane = lane
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
            True,  # enable_auto_pong
            lane.max_frame_bytes,
            None,  # extra_headers
            READ_BUFFER_BYTES,
        )

    def _listen(self, request: WSUpgradeRequest) -> Any:
        address = (self.transport.underlying_transport.get_extra_info("peername") or ("unknown",))[0]
        if request.headers.get("Sec-WebSocket-Version") != "13":  # picows does not look
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(
                    HTTPStatus.UPGRADE_REQUIRED, b"WebSocket version 13 only", {"Sec-WebSocket-Version": "13"}
                ),
                None,
            )
        if not self._lane.entrance.may_shake_hands(address):
            return WSUpgradeResponseWithListener(
                WSUpgradeResponse.create_error_response(HTTPStatus.TOO_MANY_REQUESTS, b"too many handshakes"), None
            )
        return PicowsConnection(self._lane, address, request.path.decode("latin-1"))

    def get_buffer(self, size_hint: int) -> memoryview:
        """Where the loop reads into. picows doubles its buffer as long as it is filled, up to megabytes."""
        return cast("memoryview", super().get_buffer(size_hint))[:READ_BYTES]

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
        """Called by uvicorn at its end for connections it knows; ours are closed by the hub."""


class _ParserLog:
    """What picows would log about single connections, at the level it deserves here."""

    def isEnabledFor(self, level: int) -> bool:
        return False

    def log(self, level: int, message: str, *args: Any) -> None:
        if level >= logging.WARNING:
            log.info("websocket", detail=message % args)

    def debug(self, message: str, *args: Any) -> None:
        pass

    info = debug

    def warning(self, message: str, *args: Any) -> None:
        log.info("websocket", detail=message % args)

    error = warning

    def exception(self, message: str, *args: Any) -> None:
        log.exception("websocket_callback_failed", detail=message % args)


_PARSER_LOG = _ParserLog()

"""The plain lane: WebSockets under any ASGI server, behind the same `Connection` port as the fast one.

ASGI wants an await per message, so each connection has one writer task and one bounded queue.
"""

from __future__ import annotations

import asyncio
from collections import deque

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from crdt_server.errors import CLOSE_CODES
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session
from crdt_server.transport.gate import CONGESTED_BYTES, Gate

WRITE_SECONDS = 20.0  # one message may take this long; then the reader is taken for gone


class AsgiConnection:
    """One WebSocket of an ASGI server."""

    def __init__(self, websocket: WebSocket, entrance: Gate) -> None:
        self.address = websocket.client.host if websocket.client else "unknown"
        self._websocket = websocket
        self._slow_consumers = entrance.hub.metrics.slow_consumers
        self._write_buffer_bytes = self._limit = entrance.hub.settings.write_buffer_bytes
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake = asyncio.Event()
        self._readable = asyncio.Event()
        self._readable.set()
        self.closing: tuple[int, str] | None = None
        self.closed = asyncio.Event()

    def send(self, message: Outgoing) -> None:
        if self.closing is not None:
            return
        self._queue.append(message.payload)
        self._queued_bytes += len(message.payload)
        self._wake.set()
        if self._queued_bytes > self._limit:
            self._slow_consumers.inc()
            self._queue.clear()
            self.close(CLOSE_CODES["try_again"], "slow consumer")

    def allow(self, size_bytes: int) -> None:
        self._limit = max(self._limit, self._write_buffer_bytes + size_bytes)

    def close(self, code: int, reason: str) -> None:
        if self.closing is None:
            self.closing = (code, reason[:120])
            self._wake.set()
            self._readable.set()

    def pause(self) -> None:
        self._readable.clear()

    def resume(self) -> None:
        self._readable.set()

    @property
    def congested(self) -> bool:
        return self._queued_bytes > CONGESTED_BYTES

    async def write(self) -> None:
        """Send what is queued until the connection closes; ends with the close frame."""
        try:
            while True:
                while self._queue:
                    payload = self._queue.popleft()
                    await asyncio.wait_for(self._websocket.send_bytes(payload), WRITE_SECONDS)
                    self._queued_bytes -= len(payload)
                if self.closing is not None:
                    await asyncio.wait_for(self._websocket.close(*self.closing), WRITE_SECONDS)
                    return
                self._wake.clear()
                await self._wake.wait()
        except (TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
            # the peer is gone, or takes nothing: there is nobody to tell
            self.closing = self.closing or (CLOSE_CODES["try_again"], "gone")
        finally:
            self.closed.set()

    async def read(self) -> bytes | None:
        """The next message, or None at the end. Text closes the connection with 4400."""
        await self._readable.wait()
        if self.closing is not None:
            return None
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        data: bytes | None = message.get("bytes")
        if data is None:
            self.close(CLOSE_CODES["malformed"], "binary messages only")
        return data


async def serve_websocket(websocket: WebSocket, entrance: Gate) -> None:
    """The endpoint: everything from the handshake to the end of one connection."""
    connection = AsgiConnection(websocket, entrance)
    if not entrance.may_shake_hands(connection.address):
        await websocket.send_denial_response(PlainTextResponse("too many handshakes", status_code=429))
        return
    await websocket.accept()
    writer = asyncio.create_task(connection.write())
    entered = entrance.enter(connection, websocket.url.path, websocket.url.query)
    if entered is None:
        await writer
        return
    try:
        await _pass_on(connection, entrance, *entered)
    finally:
        entrance.leave(connection, *entered)
        connection.close(1000, "")
        await writer


async def _pass_on(connection: AsgiConnection, entrance: Gate, room: Room, session: Session) -> None:
    """Frames of one session into its room, until either side ends it."""
    ended = asyncio.ensure_future(connection.closed.wait())
    try:
        while connection.closing is None:
            reading = asyncio.ensure_future(connection.read())
            await asyncio.wait((reading, ended), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                return
            frame = reading.result()
            if frame is None:
                return
            if len(frame) > entrance.hub.settings.max_frame_bytes:
                room.close(session, CLOSE_CODES["frame_too_large"], "message too large")
                return
            entrance.receive(room, session, frame)
    finally:
        ended.cancel()

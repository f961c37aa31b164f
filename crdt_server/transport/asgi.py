"""The plain transport: WebSockets under any ASGI server, behind the same `Connection` port as the fast one.

ASGI wants an await per message, so each connection has one writer task and one bounded queue.
"""

from __future__ import annotations

import asyncio
from collections import deque

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from crdt_server.access.addresses import FORWARDED_FOR
from crdt_server.errors import CLOSE_CODES
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.transport.endpoint import CONGESTED_BYTES, Endpoint, FlowControl
from crdt_server.transport.endpoints import open_endpoint
from crdt_server.transport.gate import ConnectionRequest, Gate

ENDPOINT = "crdt_server.endpoint"  # the key in the scope of a socket, for the server below
RESUME_BYTES = CONGESTED_BYTES // 4  # unsent: from here on more may be written
WRITE_SECONDS = 20.0  # for one message; then the peer counts as gone


class AsgiConnection:
    """One WebSocket of an ASGI server."""

    def __init__(self, websocket: WebSocket, gate: Gate) -> None:
        peer = websocket.client.host if websocket.client else None
        self.address = gate.proxies.client_address(peer, websocket.headers.getlist(FORWARDED_FOR))
        self._websocket = websocket
        self._slow_consumers = gate.hub.metrics.slow_consumers
        self._write_buffer_bytes = self._limit = gate.hub.settings.write_buffer_bytes
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._flow: FlowControl | None = None
        self._full = False  # the flow was reported
        self._wake = asyncio.Event()
        self._readable = asyncio.Event()
        self._readable.set()
        self._closing: tuple[int, str] | None = None
        self.closed = asyncio.Event()

    def send(self, message: Outgoing) -> None:
        if self._closing is not None:
            return
        self._enqueue(message.payload)
        if self._queued_bytes > self._limit:
            self._slow_consumers.inc()
            self._queue.clear()
            self.close(CLOSE_CODES["try_again"], "slow consumer")

    def send_payload(self, payload: bytes) -> None:
        if self._closing is None:
            self._enqueue(payload)

    def _enqueue(self, payload: bytes) -> None:
        self._queue.append(payload)
        self._queued_bytes += len(payload)
        self._wake.set()
        if self._flow is not None and not self._full and self.congested:
            self._full = True
            self._flow.pause_writing()

    def control_flow(self, flow: FlowControl) -> None:
        self._flow = flow

    def allow(self, size_bytes: int) -> None:
        self._limit = max(self._limit, self._write_buffer_bytes + size_bytes)

    def close(self, code: int, reason: str) -> None:
        if self._closing is None:
            self._closing = (code, reason[:120])
            self._wake.set()
            self._readable.set()

    def pause(self) -> None:
        self._readable.clear()

    def resume(self) -> None:
        self._readable.set()

    @property
    def closing(self) -> bool:
        return self._closing is not None

    @property
    def congested(self) -> bool:
        return self._queued_bytes > CONGESTED_BYTES

    @property
    def unsent_bytes(self) -> int:
        return self._queued_bytes

    async def write(self) -> None:
        """Send what is queued until the connection closes; ends with the close frame."""
        try:
            while True:
                while self._queue:
                    payload = self._queue.popleft()
                    await asyncio.wait_for(self._websocket.send_bytes(payload), WRITE_SECONDS)
                    self._queued_bytes -= len(payload)
                    self._report_flow()
                if self._closing is not None:
                    await asyncio.wait_for(self._websocket.close(*self._closing), WRITE_SECONDS)
                    return
                self._wake.clear()
                await self._wake.wait()
        except (TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
            # the peer is gone, or does not read
            self._closing = self._closing or (CLOSE_CODES["try_again"], "gone")
        finally:
            self.closed.set()

    def _report_flow(self) -> None:
        if self._flow is not None and self._full and self._queued_bytes <= RESUME_BYTES:
            self._full = False
            self._flow.resume_writing()

    async def read(self) -> bytes | str | None:
        """The next message, or None at the end."""
        await self._readable.wait()
        if self._closing is not None:
            return None
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        data: bytes | None = message.get("bytes")
        return "" if data is None else data


async def serve_websocket(websocket: WebSocket, gate: Gate) -> None:
    """The endpoint: everything from the handshake to the end of one connection."""
    connection = AsgiConnection(websocket, gate)
    if not gate.may_shake_hands(connection.address):
        await websocket.send_denial_response(PlainTextResponse("too many handshakes", status_code=429))
        return
    await websocket.accept()
    url = websocket.url
    request = ConnectionRequest(connection.address, url.path, url.query, websocket.headers)
    endpoint = open_endpoint(gate, connection, request)
    websocket.scope[ENDPOINT] = endpoint
    writer = asyncio.create_task(connection.write())
    try:
        await _pass_on(connection, endpoint, gate.hub.settings.max_frame_bytes)
    finally:
        del websocket.scope[ENDPOINT]  # they refer to each other
        endpoint.disconnected()
        connection.close(1000, "")
        await writer


async def _pass_on(connection: AsgiConnection, endpoint: Endpoint, max_frame_bytes: int) -> None:
    """Frames of a connection to its endpoint, until either side ends it."""
    ended = asyncio.ensure_future(connection.closed.wait())
    try:
        while not connection.closing:
            reading = asyncio.ensure_future(connection.read())
            await asyncio.wait((reading, ended), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                return
            frame = reading.result()
            if frame is None or connection.closing:  # it was closed while this was read
                return
            if isinstance(frame, str):
                endpoint.reject(CLOSE_CODES["malformed"], "binary messages only")
            elif len(frame) > max_frame_bytes:
                endpoint.reject(CLOSE_CODES["frame_too_large"], "message too large")
            else:
                endpoint.receive(frame)
    finally:
        ended.cancel()

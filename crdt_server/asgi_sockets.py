"""WebSockets of uvicorn for the ASGI lane, with the limits of frames and incomplete messages that the fast lane has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from crdt_server.access.addresses import FORWARDED_FOR
from crdt_server.errors import CLOSE_CODES
from crdt_server.transport.asgi import ENDPOINT
from crdt_server.transport.endpoint import NO_ENDPOINT, Endpoint
from crdt_server.transport.frame_pace import FRAMES_COUNTED
from crdt_server.transport.gate import Gate
from crdt_server.transport.unfinished import STEP_BYTES, UnfinishedMessage

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent

LINGER_SECONDS = 1.0  # between a close frame and the abort of the connection
PARSED_BYTES = 8 * 1024  # at once, of the up to 8 MB that the loop reads from one socket in a turn


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A subclass has the ``gate`` of its server, as a function: there is none before the application starts."""

    gate: Callable[[], Gate]
    _partial = 0  # bytes that came since the newest message
    _unfinished: UnfinishedMessage | None = None
    untaken: UnfinishedMessage | None = None  # complete, and not taken by the application yet
    _deadline: asyncio.TimerHandle | None = None  # of the unfinished message
    _refused = False
    _frames = 0  # that were not counted yet
    _resting = False
    unread = b""  # what came before the rest began, or while a message waits for the application

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # not kept, until the connection is gone
        self._partial += len(data)
        self.unread += data
        if self._resting or self.read_paused:  # uvicorn reads on when a message was taken
            self.transport.pause_reading()
        self._parse()
        if self._partial > STEP_BYTES and self.handshake_complete:
            self._hold()

    def _parse(self) -> None:
        data, self.unread, end = self.unread, b"", 0
        while end < len(data) and not (
            self._resting or self.read_paused or self._refused or self.transport.is_closing()
        ):
            begin, end = end, end + PARSED_BYTES
            super().data_received(data[begin:end])
        self.unread = data[end:]

    def handle_events(self) -> None:
        self._frames += len(self.conn.events)
        super().handle_events()
        if self._frames >= FRAMES_COUNTED:
            self._count_frames()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()  # a peer that reads no pongs is sent no more

    def _count_frames(self) -> None:
        seconds = self.gate().frames.count(self._endpoint.person or self._address(), self._frames)
        self._frames = 0
        if seconds and not self._resting:
            self._resting = True
            self.transport.pause_reading()
            self.loop.call_later(seconds, self._end_rest)

    def _end_rest(self) -> None:
        self._resting = False
        if self.transport.is_closing():
            return
        self._parse()
        if not (self._resting or self.read_paused):
            self.transport.resume_reading()

    def send_receive_event_to_app(self) -> None:
        self._complete()
        super().send_receive_event_to_app()

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if self.queue.empty():
            _release_untaken(self)
            if self.unread and not self._resting:
                self._parse()
        return message

    def connection_lost(self, exc: Exception | None) -> None:
        self._complete()
        _release_untaken(self)
        super().connection_lost(exc)
        _forget_bytes(self)

    def keepalive_timeout(self) -> None:
        if self.read_paused or self._resting:  # the pong of a peer that is not read does not arrive
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def _hold(self) -> None:
        if self._unfinished is None:
            gate = self.gate()
            self._unfinished = UnfinishedMessage(gate.unfinished, self._address(), self.loop.time())
            seconds = gate.hub.settings.message_seconds
            self._deadline = self.loop.call_later(seconds, self._refuse, "a message did not come in time")
        if not self._unfinished.grow(self._partial, self._endpoint.person):
            self._refuse("too many bytes are under way")

    @property
    def _endpoint(self) -> Endpoint:
        scope = cast("dict[str, Any]", getattr(self, "scope", {}))  # none where the handshake was refused
        endpoint: Endpoint = scope.get(ENDPOINT, NO_ENDPOINT)
        return endpoint

    def _address(self) -> str:
        peer = self.client[0] if self.client else None
        return self.gate().proxies.client_address(peer, self.request.headers.get_all(FORWARDED_FOR))

    def _refuse(self, reason: str) -> None:
        if self._refused:
            return
        self._refused = True
        if not self.close_sent:
            self.conn.send_close(CLOSE_CODES["try_again"], reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        _forget_bytes(self)
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _complete(self) -> None:
        """A message is complete. It counts until the application takes it: with a paused session that is later."""
        self._partial = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._unfinished is not None:
            _release_untaken(self)
            self.untaken, self._unfinished = self._unfinished, None


def _release_untaken(protocol: BoundedWebSocket) -> None:
    if protocol.untaken is not None:
        protocol.untaken.release()
        protocol.untaken = None


def _forget_bytes(protocol: BoundedWebSocket) -> None:
    """Drop what came of an incomplete message. The objects of a connection refer to each other: those of many that were
    refused hold it until the next full collection."""
    protocol.frames, protocol.unread = [], b""
    protocol.conn.reader.discard()

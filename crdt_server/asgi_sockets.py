"""WebSockets of uvicorn for the ASGI lane, with the limits of incomplete messages that the fast lane has."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from crdt_server.access.addresses import FORWARDED_FOR
from crdt_server.errors import CLOSE_CODES
from crdt_server.transport.asgi import ENDPOINT
from crdt_server.transport.endpoint import NO_ENDPOINT, Endpoint
from crdt_server.transport.gate import Gate
from crdt_server.transport.unfinished import STEP_BYTES, UnfinishedMessage

LINGER_SECONDS = 1.0  # between a close frame and the abort of the connection


class BoundedWebSocket(WebSocketsSansIOProtocol):
    """A subclass has the ``gate`` of its server, as a function: there is none before the application starts."""

    gate: Callable[[], Gate]
    _partial = 0  # bytes that came since the newest message
    _unfinished: UnfinishedMessage | None = None
    _deadline: asyncio.TimerHandle | None = None  # of the unfinished message
    _refused = False

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return  # not kept, until the connection is gone
        self._partial += len(data)
        super().data_received(data)
        if self._partial > STEP_BYTES and self.handshake_complete:
            self._hold()

    def send_receive_event_to_app(self) -> None:
        self._release()
        super().send_receive_event_to_app()

    def connection_lost(self, exc: Exception | None) -> None:
        self._release()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        if self.read_paused:  # the pong of a peer that is not read does not arrive
            self.pong_timer = self.pending_ping_payload = None
            self.schedule_ping()
        else:
            super().keepalive_timeout()

    def _hold(self) -> None:
        if self._unfinished is None:
            peer = self.client[0] if self.client else None
            forwarded_for = self.request.headers.get_all(FORWARDED_FOR)
            gate = self.gate()
            address = gate.proxies.client_address(peer, forwarded_for)
            self._unfinished = UnfinishedMessage(gate.unfinished, address, self.loop.time())
            seconds = gate.hub.settings.message_seconds
            self._deadline = self.loop.call_later(seconds, self._refuse, "a message did not come in time")
        scope = cast("dict[str, Any]", getattr(self, "scope", {}))  # none where the handshake was refused
        endpoint: Endpoint = scope.get(ENDPOINT, NO_ENDPOINT)
        if not self._unfinished.grow(self._partial, endpoint.person):
            self._refuse("too many bytes are under way")

    def _refuse(self, reason: str) -> None:
        if self._refused:
            return
        self._refused = True
        if not self.close_sent:
            self.conn.send_close(CLOSE_CODES["try_again"], reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    def _release(self) -> None:
        self._partial = 0
        if self._unfinished is not None:
            self._unfinished.release()
            self._unfinished = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

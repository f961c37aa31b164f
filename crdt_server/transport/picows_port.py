"""The `Connection` port on a WebSocket of picows."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from picows import WSListener, WSTransport

from crdt_server.errors import CLOSE_CODES
from crdt_server.protocol.frames import server_frame
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.transport.endpoint import CONGESTED_BYTES, FlowControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from picows.picows import WSCloseCode

LINGER_SECONDS = 1.0  # between a close frame and the abort of the connection


class Reading:
    """Whether a connection is read: not while it is paused, nor while it rests."""

    __slots__ = ("_paused", "_resting", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._paused = self._resting = False

    @property
    def stopped(self) -> bool:
        """Whether the peer is not read now."""
        return self._paused or self._resting

    def pause(self) -> None:
        """Do not read until `resume`."""
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """The end of `pause`."""
        if self._paused:
            self._paused = False
            if not self._resting:
                self._transport.resume_reading()

    def rest(self, seconds: float) -> None:
        """Do not read for a while, also of a connection that is closed meanwhile."""
        if not self._resting:
            self._resting = True
            self._transport.pause_reading()
            asyncio.get_running_loop().call_later(seconds, self._end_rest)

    def _end_rest(self) -> None:
        self._resting = False
        if not (self._paused or self._transport.is_closing()):
            self._transport.resume_reading()


class PicowsPort(WSListener):
    """The writing side of a connection, and whether it is read. It is closed until `connected`.
    ``count_slow`` is called when it is closed for being slow."""

    __slots__ = (
        "_count_slow",
        "_flow",
        "_limit",
        "_reading",
        "_transport",
        "_write",
        "_write_buffer_bytes",
        "address",
    )

    def __init__(self, address: str, write_buffer_bytes: int, count_slow: Callable[[], None]) -> None:
        super().__init__()
        self.address = address
        self._transport: WSTransport | None = None
        self._flow: FlowControl | None = None
        self._limit = self._write_buffer_bytes = write_buffer_bytes
        self._count_slow = count_slow
        self._write: Callable[[bytes], None] = drop
        self._reading: Reading

    def connected(self, transport: WSTransport) -> None:
        """Open the connection."""
        self._transport = transport
        underlying = transport.underlying_transport
        self._write = underlying.write
        underlying.set_write_buffer_limits(high=self._limit)
        self._reading = Reading(underlying)

    def send(self, message: Outgoing) -> None:
        self._write(message.frame)

    def send_payload(self, payload: bytes) -> None:
        self._write(server_frame(payload))

    def control_flow(self, flow: FlowControl) -> None:
        self._flow = flow
        self._underlying.set_write_buffer_limits(high=CONGESTED_BYTES)

    def allow(self, size_bytes: int) -> None:
        limit = self._write_buffer_bytes + size_bytes
        if size_bytes > CONGESTED_BYTES and limit > self._limit:
            self._limit = limit
            self._underlying.set_write_buffer_limits(high=limit)

    def close(self, code: int, reason: str) -> None:
        transport = self._transport
        if transport is None or self._write is drop:
            return
        transport.send_close(cast("WSCloseCode", code), reason[:120].encode())
        self._write = drop
        # Reading goes on until the peer's own close frame: a socket that is closed with bytes unread is reset by the
        # system, and the close code is lost with it.
        self.resume()
        asyncio.get_running_loop().call_later(LINGER_SECONDS, self._underlying.abort)

    def pause(self) -> None:
        self._reading.pause()

    def resume(self) -> None:
        self._reading.resume()

    @property
    def congested(self) -> bool:
        return self.unsent_bytes > CONGESTED_BYTES

    @property
    def unsent_bytes(self) -> int:
        return cast("int", self._underlying.get_write_buffer_size())

    @property
    def closing(self) -> bool:
        return self._write is drop

    @property
    def _underlying(self) -> Any:
        assert self._transport is not None
        return self._transport.underlying_transport

    # -- called by picows

    def pause_writing(self) -> None:
        """More is unsent than the limit allows: the peer is too slow."""
        if self._flow is not None:
            self._flow.pause_writing()
            return
        self._count_slow()
        self.close(CLOSE_CODES["try_again"], "slow consumer")

    def resume_writing(self) -> None:
        """Most of what was unsent is written."""
        if self._flow is not None:
            self._flow.resume_writing()


def drop(frame: bytes) -> None:
    """Takes the place of the transport's write on a connection that is closed."""

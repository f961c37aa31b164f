"""A WebSocket client that does what it is told: any bytes in any order, from any loopback address.

It parses only what it needs of the answers: where frames end, short payloads, the close code, and the end of the one
document that it has on the wire of Hocuspocus.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections import deque
from contextlib import suppress
from typing import Any, NamedTuple

from crdt_server.errors import CLOSE_CODES
from crdt_server.protocol.lib0 import read_var_string, write_var_string

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CUT = 1006
"""In place of a close code: the connection ended without one."""
OPEN_DOCUMENT, TOKEN_REQUEST = b"\2\0\0", b"\2\0"
_CLOSED, _REFUSED = b"\7", b"\2\1"

SHORT_BYTES = 8192
WRITE_BUFFER_BYTES = 4 << 20
HTTP_SECONDS = 60


class Refused(Exception):
    """The handshake was answered with another HTTP status than 101 (0: with nothing)."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


def client_frame(payload: bytes, *, opcode: int = BINARY, fin: bool = True, rsv: int = 0, masked: bool = True) -> bytes:
    """One frame; the mask is zero, so that masking costs the sender nothing."""
    head = bytearray(((0x80 if fin else 0) | rsv << 4 | opcode,))
    mask_bit = 0x80 if masked else 0
    size = len(payload)
    if size < 126:
        head.append(mask_bit | size)
    elif size < 65536:
        head.append(mask_bit | 126)
        head += size.to_bytes(2, "big")
    else:
        head.append(mask_bit | 127)
        head += size.to_bytes(8, "big")
    return bytes(head) + (b"\0\0\0\0" if masked else b"") + payload


class Link(asyncio.Protocol):
    """One connection. `closed` is set with the close code when it has ended."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[int] = loop.create_future()
        self.messages: deque[bytes] = deque(maxlen=64)
        """The newest short messages of the server."""
        self.address = b""
        """What every message of the document begins with, on the wire of Hocuspocus."""
        self.kept_bytes = SHORT_BYTES
        """Up to which size a message is short."""
        self._mark = b""
        self._marked = asyncio.Event()
        self.status = 0
        """Of the answer to whatever HTTP request this connection began with; 0 while there is none."""
        self._handshake: asyncio.Future[int] = loop.create_future()
        self._buffer = bytearray()
        self._skip = 0
        self._upgraded = False
        self._code = CUT
        self._writable = asyncio.Event()
        self._writable.set()
        self.transport: asyncio.Transport

    @classmethod
    async def connect(cls, host: str, port: int, source: str) -> Link:
        """A TCP connection without a handshake."""
        loop = asyncio.get_running_loop()
        _, link = await loop.create_connection(cls, host, port, local_addr=(source, 0))
        return link

    @classmethod
    async def open(cls, host: str, port: int, path: str, source: str) -> Link:
        """With the handshake done. Raises Refused, OSError, TimeoutError."""
        link = await cls.connect(host, port, source)
        link.raw(handshake(host, path))
        try:
            async with asyncio.timeout(10):
                status = await link._handshake
        except BaseException:
            link.abort()
            raise
        if status != 101:
            link.abort()
            raise Refused(status)
        return link

    def open_document(self, name: str) -> None:
        """On the wire of Hocuspocus: open the document that all is about from now on. When it is closed, so is this,
        also where the server would have it come again."""
        self.address = write_var_string(name)
        self.send(OPEN_DOCUMENT)

    def raw(self, data: bytes) -> None:
        """Any bytes."""
        if not self.closed.done():
            self.transport.write(data)

    def send(self, payload: bytes, **frame: Any) -> None:
        """One frame; the first of a message has the address of the document."""
        head = b"" if frame.get("opcode") == CONTINUATION else self.address
        self.raw(client_frame(head + payload, **frame))

    async def drained(self) -> None:
        """Wait until the server has taken most of what was sent, or the connection has ended."""
        if not self._writable.is_set():
            await asyncio.wait(
                (asyncio.ensure_future(self._writable.wait()), self.closed), return_when=asyncio.FIRST_COMPLETED
            )

    async def receives(self, mark: bytes, seconds: float) -> bool:
        """Whether a message with these bytes in it comes in time, before the connection ends."""
        self._mark = mark
        self._marked.clear()
        if any(mark in message for message in self.messages):
            return True
        coming = asyncio.ensure_future(self._marked.wait())
        try:
            await asyncio.wait((coming, self.closed), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            coming.cancel()
        return self._marked.is_set()

    def stop_reading(self) -> None:
        """Never read again."""
        self.transport.pause_reading()

    def abort(self) -> None:
        """Cut."""
        if not self.closed.done():  # a transport that is lost has no loop any more
            self.transport.abort()

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def connection_lost(self, error: Exception | None) -> None:
        self._writable.set()
        if not self._handshake.done():
            self._handshake.set_result(0)
        if not self.closed.done():
            self.closed.set_result(self._code)

    def data_received(self, data: bytes) -> None:
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._buffer += data
        if not self._upgraded:
            self._read_handshake()
        while self._upgraded and self._read_frame():
            pass

    def _read_handshake(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        status = int(self._buffer[9:12] or b"0")
        del self._buffer[: end + 4]
        self.status = status
        self._upgraded = status == 101
        if not self._handshake.done():
            self._handshake.set_result(status)

    def _read_frame(self) -> bool:
        buffer = self._buffer
        if len(buffer) < 2:
            return False
        size, start = buffer[1] & 127, 2
        if size >= 126:
            start += 2 if size == 126 else 8
            if len(buffer) < start:
                return False
            size = int.from_bytes(buffer[2:start], "big")
        if size > self.kept_bytes:
            present = min(len(buffer) - start, size)
            self._skip = size - present
            del buffer[: start + present]
            return True
        if len(buffer) < start + size:
            return False
        payload, opcode = bytes(buffer[start : start + size]), buffer[0] & 15
        del buffer[: start + size]
        if opcode == CLOSE:
            self._code = int.from_bytes(payload[:2], "big") if size >= 2 else 1005
            self.raw(client_frame(payload[:2], opcode=CLOSE))
        elif opcode == PING:
            self.raw(client_frame(payload, opcode=PONG))
        else:
            self.messages.append(payload)
            if self.address and payload.startswith(self.address) and not self.closed.done():
                self._read_end(payload[len(self.address) :])
            if self._mark and self._mark in payload:
                self._marked.set()
        return True

    def _read_end(self, body: bytes) -> None:
        """The end of the document, if that is what this message says."""
        if body.startswith((_CLOSED, _REFUSED)):
            reason, _ = read_var_string(body, len(_CLOSED if body.startswith(_CLOSED) else _REFUSED))
            self.closed.set_result(int(reason.partition(":")[0]))
        elif body == TOKEN_REQUEST:
            self.closed.set_result(CLOSE_CODES["try_again"])


def handshake(host: str, path: str) -> bytes:
    """The upgrade request."""
    key = base64.b64encode(b"hostile-hostile!").decode()
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        "Sec-WebSocket-Version: 13",
    )
    return "\r\n".join((*lines, "", "")).encode()


class Answer(NamedTuple):
    """Of an HTTP request. ``status`` 0: the connection ended without one."""

    status: int
    body: bytes

    @property
    def problem(self) -> str:
        """The status, and the code of the error if there is one."""
        with suppress(ValueError, KeyError, TypeError):
            return f"{self.status} {json.loads(self.body)['code']}"
        return str(self.status)


async def http(
    host: str, port: int, source: str, method: str, path: str, body: bytes = b"", *, headers: str = ""
) -> Answer:
    """One request on its own connection. ``headers`` are lines that end in CR LF. Raises OSError, TimeoutError."""
    reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0))
    try:
        head = f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        writer.write(f"{head}{headers}\r\n".encode() + body)
        async with asyncio.timeout(HTTP_SECONDS):
            answer = await reader.read()
        return Answer(int(answer[9:12] or b"0"), answer.partition(b"\r\n\r\n")[2])
    finally:
        writer.transport.abort()

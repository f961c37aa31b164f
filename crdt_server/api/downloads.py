"""Stored files as answers: in parts as the client takes them, one range of them where it asks for one, never shown by
a browser in the origin of this server."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, NamedTuple

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from crdt_server.errors import ForbiddenError
from crdt_server.files.names import content_disposition
from crdt_server.files.store import FileStoreError
from storage import StoredAttachment

log = structlog.get_logger(__name__)

_RANGE: Final = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII)

SAFE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Kept by the browser alone, and asked for each time: rights are checked each time.
    "Cache-Control": "private, no-cache",
    "Accept-Ranges": "bytes",
}


class Sending(NamedTuple):
    """How a file is sent. ``part_seconds``: a client that does not take a part within them is cut; ``is_over``: whether
    the client has left, or its right; ``ended`` is called once, whatever the answer was."""

    part_seconds: float
    is_over: Callable[[], Awaitable[bool]]
    ended: Callable[[], None]


Read = Callable[[int, int], AsyncGenerator[bytes, None]]
"""The bytes of a file from a position to before another one."""


class FilePart(NamedTuple):
    """The bytes that are asked for: from ``start`` to before ``stop``."""

    start: int
    stop: int


def requested_part(header: str, size: int) -> FilePart | None:
    """The one range of a header Range that a file of this size has; None: the whole file. A range behind its end is
    empty. RFC 9110 allows to answer several ranges, and what cannot be read, with the whole file."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found.group() == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        return FilePart(max(0, size - int(last)), size) if int(last) else FilePart(size, size)
    start, stop = int(first), min(int(last) + 1 if last else size, size)
    if last and int(last) < start:
        return None
    return FilePart(start, max(stop, start)) if start < size else FilePart(size, size)


def answer(request: Request, attachment: StoredAttachment, read: Read, sending: Sending) -> Response:
    """The file, a range of it, or that it has not changed (304)."""
    tag = f'"{attachment.sha256}"'
    headers = {**SAFE_HEADERS, "ETag": tag, "Content-Disposition": content_disposition(attachment.name)}
    if tag in request.headers.get("If-None-Match", ""):
        return StoredFileResponse(None, 304, headers, None, sending)
    part = requested_part(request.headers.get("Range", ""), attachment.size)
    if request.headers.get("If-Range", tag) != tag:
        part = None
    if part is not None and part.start == part.stop:
        headers["Content-Range"] = f"bytes */{attachment.size}"
        return StoredFileResponse(None, 416, headers, None, sending)
    status, sent = 200, FilePart(0, attachment.size)
    if part is not None:
        status, sent = 206, part
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{attachment.size}"
    headers["Content-Length"] = str(sent.stop - sent.start)
    return StoredFileResponse(read(sent.start, sent.stop), status, headers, attachment.media_type, sending)


class StoredFileResponse(Response):
    """Parts of a file, or none; each is read when the client has taken the last."""

    def __init__(
        self,
        parts: AsyncGenerator[bytes, None] | None,
        status_code: int,
        headers: dict[str, str],
        type_: str | None,
        sending: Sending,
    ) -> None:
        super().__init__(None, status_code, headers, type_)
        self._parts = parts
        self._sending = sending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer. Raises FileStoreError and ForbiddenError as long as nothing was sent."""
        try:
            if self._parts is None:
                await super().__call__(scope, receive, send)
            else:
                await self._send(self._parts, send)
        finally:
            self._sending.ended()

    async def _send(self, parts: AsyncGenerator[bytes, None], send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        has_begun = False
        try:
            async with aclosing(parts):
                async for part in parts:
                    if await self._sending.is_over():
                        if not has_begun:
                            raise ForbiddenError("forbidden", "your rights have changed meanwhile")
                        return  # without the end of the body: the connection is closed
                    async with asyncio.timeout(self._sending.part_seconds):
                        if not has_begun:
                            has_begun = True
                            await send(start)
                        await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except FileStoreError as error:
            log.warning("download_failed", error=str(error))
            if not has_begun:
                raise
        except TimeoutError:
            log.info("download_cut", error="the client does not read")

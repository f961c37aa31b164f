"""One bounded HTTP request to another server: a number of seconds and bytes in all, no redirects."""

from __future__ import annotations

import asyncio
import ssl
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpResponseParser

READ_BYTES = 16 * 1024


class FetchError(Exception):
    """No answer, or none that can be used. The message does not contain the address."""


class ParsedUrl(NamedTuple):
    """A parsed URL, see `parse_url`."""

    host: str
    port: int
    encrypted: bool
    authority: str
    target: str


def parse_url(url: str) -> ParsedUrl:
    """An address with ``http`` or ``https``, and without a user. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
        raise ValueError("neither https://HOST/… nor http://HOST/…")
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("has a character that a URL has not")
    encrypted = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return ParsedUrl(parts.hostname, parts.port or (443 if encrypted else 80), encrypted, parts.netloc, target)


async def fetch(address: ParsedUrl, tls: ssl.SSLContext, *, seconds: float, most_bytes: int) -> bytes:
    """The body of an answer with status 200. Raises FetchError."""
    try:
        async with asyncio.timeout(seconds):
            return await _fetch(address, tls, most_bytes)
    except TimeoutError as error:
        raise FetchError(f"no answer within {seconds:g} s") from error
    except (OSError, UnicodeError, HttpParserError) as error:
        raise FetchError(f"{type(error).__name__}: {error}") from error


async def _fetch(address: ParsedUrl, tls: ssl.SSLContext, most_bytes: int) -> bytes:
    secure = tls if address.encrypted else None
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=secure)
    try:
        head = f"GET {address.target} HTTP/1.1\r\nHost: {address.authority}\r\n"
        writer.write(f"{head}Accept: application/json\r\nConnection: close\r\n\r\n".encode())
        answer = _Answer()
        parser = HttpResponseParser(answer)
        size_bytes = 0
        while not answer.complete and (part := await reader.read(READ_BYTES)):
            size_bytes += len(part)
            if size_bytes > most_bytes:
                raise FetchError(f"the answer has more than {most_bytes} bytes")
            parser.feed_data(part)
        if not size_bytes or parser.get_status_code() != HTTPStatus.OK:
            raise FetchError(f"the status of the answer is {parser.get_status_code() if size_bytes else 'missing'}")
        if not answer.complete and answer.has_length:
            raise FetchError("the answer was cut")
        return bytes(answer.body)
    finally:
        writer.transport.abort()


class _Answer:
    """Called by the parser."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.complete = False
        self.has_length = False  # otherwise the end of the connection is its end

    def on_header(self, name: bytes, value: bytes) -> None:
        self.has_length |= name.lower() in (b"content-length", b"transfer-encoding")

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True

"""One POST to another server: bounded in time and bytes, without redirects, proxies or cookies.

`httpcore` is what `httpx` stands on. Used by itself it has a port for the network, which the guard of `addresses`
needs, and nothing that would follow a redirect or read a proxy from the environment.
"""

from __future__ import annotations

import asyncio
import email.utils
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Final, NamedTuple, cast

import httpcore

from crdt_server.services.messaging.channels.addresses import PrivateAddressError, UnknownHostError
from crdt_server.services.messaging.model import NotSent

ANSWER_BYTES: Final = 16 * 1024
"""Bytes of an answer that are read; the rest is not waited for."""

LONGEST_WAIT_SECONDS: Final = 24 * 3600.0
"""Of `Retry-After`, what is believed."""

CONNECTIONS: Final = 100
IDLE_CONNECTIONS: Final = 32
"""Kept for the next message to the same host: a handshake of TLS takes more of the loop than all else of a message."""

IDLE_SECONDS: Final = 20.0

Now = Callable[[], datetime]


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


@cache
def client_tls() -> ssl.SSLContext:
    """Verifies certificates by the authorities of the system. One for all: reading those takes milliseconds."""
    return ssl.create_default_context()


class Answer(NamedTuple):
    """An answer, with as much of its body as was read. A body that breaks off changes nothing about the status."""

    status: int
    headers: Mapping[str, str]
    """By their names in lower case."""
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the other side took it."""
        return 200 <= self.status < 300


@dataclass(slots=True)
class _Progress:
    """How far a request has come. `connected`: whether it has a connection of its own, that no other had before."""

    head: tuple[int, Sequence[tuple[bytes, bytes]]] | None = None
    read: bytearray = field(default_factory=bytearray)
    connected: bool = False

    async def trace(self, event: str, details: Mapping[str, object]) -> None:
        """Called by `httpcore` with what it does."""
        self.connected = self.connected or event == "connection.connect_tcp.started"


class HttpClient:
    """Sends with a time limit for all of it: connection, request and answer."""

    def __init__(
        self,
        network: httpcore.AsyncNetworkBackend,
        *,
        seconds: float,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._seconds = seconds
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or client_tls(),
            max_connections=CONNECTIONS,
            max_keepalive_connections=IDLE_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=network,
        )

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer | NotSent:
        """The answer, or why there is none. Neither the URL nor a header is in a reason."""
        progress = _Progress()
        try:
            async with asyncio.timeout(self._seconds):
                await self._send(url, headers, body, progress)
        except TimeoutError:
            if progress.head is None:
                return NotSent(f"no answer within {self._seconds:g} s")
        except PrivateAddressError as error:
            return NotSent(str(error))
        except (httpcore.UnsupportedProtocol, httpcore.LocalProtocolError, UnicodeError):
            return NotSent("the request cannot be sent", permanent=True)
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException, OSError) as error:
            if progress.head is None:
                return NotSent(_reason(error))
        assert progress.head is not None
        status, given = progress.head
        names = {name.decode("ascii", "replace").lower(): value.decode("latin-1") for name, value in given}
        return Answer(status, names, bytes(progress.read))

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes, progress: _Progress) -> None:
        """Exchange once, and again where the other side had closed a connection that was kept: it may do so at any
        moment."""
        while True:
            try:
                return await self._exchange(url, headers, body, progress)
            except (httpcore.NetworkError, httpcore.RemoteProtocolError):
                if progress.connected or progress.head is not None:
                    raise

    async def _exchange(self, url: str, headers: Mapping[str, str], body: bytes, progress: _Progress) -> None:
        named = {"User-Agent": "crdt-server", "Accept-Encoding": "identity", **headers}
        given = [(name.encode("ascii"), value.encode("ascii")) for name, value in named.items()]
        traced = {"trace": progress.trace}
        async with self._pool.stream("POST", url, headers=given, content=body, extensions=traced) as response:
            progress.head = response.status, response.headers
            async with aclosing(cast("AsyncGenerator[bytes, None]", response.aiter_stream())) as parts:
                async for part in parts:
                    progress.read += part[: ANSWER_BYTES - len(progress.read)]
                    if len(progress.read) >= ANSWER_BYTES:
                        return

    async def close(self) -> None:
        """Close what is open."""
        await self._pool.aclose()


def _reason(error: Exception) -> str:
    """The kind of failure: what a library adds may contain an address."""
    if isinstance(error, UnknownHostError):
        return str(error)
    if error.args and isinstance(error.args[0], ssl.SSLError):  # httpcore keeps it there, not as the cause
        return "the host has no certificate that is valid for its name"
    if isinstance(error, httpcore.ConnectError):
        return "no connection"
    if isinstance(error, httpcore.RemoteProtocolError):
        return "the answer is not HTTP, or broke off"
    return "the connection broke off"


def retry_after(answer: Answer, now: Now) -> float | None:
    """Seconds for which the other side asks to wait; None: it does not."""
    given = answer.headers.get("retry-after", "").strip()
    if given.isascii() and given.isdigit():
        return min(float(given[:9]), LONGEST_WAIT_SECONDS)
    with suppress(ValueError, TypeError):
        at = email.utils.parsedate_to_datetime(given)
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return min(max(0.0, (at - now()).total_seconds()), LONGEST_WAIT_SECONDS)
    return None

"""A reverse proxy for tests: HTTP and WebSockets, with the address of each client in `X-Forwarded-For`."""

from __future__ import annotations

import asyncio
from types import TracebackType

CHUNK_BYTES = 64 * 1024


class ReverseProxy:
    """Listens on `port` and passes on to ``target_port``, from the address ``source``; one request per connection."""

    def __init__(self, target_port: int, source: str = "127.0.0.1") -> None:
        self.port = 0
        self._target_port = target_port
        self._source = source
        self._server: asyncio.Server
        self._open: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> ReverseProxy:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self._open.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", self._target_port, local_addr=(self._source, 0))
        try:
            back.write(_forwarded(head, writer.get_extra_info("peername")[0]))
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            back.transport.abort()


def _forwarded(head: bytes, peer: str) -> bytes:
    """A request with the address of its peer behind those that the peer has sent, as a proxy writes it."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    named = [line.partition(b":") for line in lines]
    forwarded = [value.strip() for name, _, value in named if name.lower() == b"x-forwarded-for"]
    upgrade = any(name.lower() == b"upgrade" for name, _, _ in named)
    dropped = (b"x-forwarded-for",) if upgrade else (b"x-forwarded-for", b"connection")
    kept = [name + b":" + value for name, _, value in named if name.lower() not in dropped]
    added = [b"X-Forwarded-For: " + b", ".join([*forwarded, peer.encode()])]
    return b"\r\n".join([first, *kept, *added, *([] if upgrade else [b"Connection: close"]), b"", b""])


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything, to the end; then the other side ends too."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, RuntimeError):
        writer.transport.abort()

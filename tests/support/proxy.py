"""A TCP proxy on the loopback address whose wire can be cut or frozen, for any server."""

from __future__ import annotations

import asyncio
from types import TracebackType

CHUNK_BYTES = 64 * 1024


class CuttingProxy:
    """Passes on to ``target_port`` what comes to `port`. Lives in the event loop it was started in.

    `cut` breaks all connections and refuses new ones. `freeze` keeps and accepts connections and passes nothing, like
    a network that swallows packets. `heal` undoes both; what was sent into a frozen connection then arrives.
    """

    def __init__(self, target_port: int, port: int = 0) -> None:
        self.port = port
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()

    async def __aenter__(self) -> CuttingProxy:
        await self.heal()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.cut()
        self._flowing.set()
        await asyncio.gather(*self._passing, return_exceptions=True)

    async def heal(self) -> None:
        """Accept and pass on everything."""
        self._flowing.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._open:
            writer.transport.abort()

    def freeze(self) -> None:
        """Keep and accept connections, pass nothing."""
        self._flowing.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        self._open.add(writer)
        try:
            await self._connect(reader, writer)
        finally:
            self._passing.discard(task)
            self._open.discard(writer)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        try:
            there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            return
        self._open.add(there_writer)
        try:
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there_reader, writer))
        finally:
            self._open.discard(there_writer)
            there_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on until one side ends, then end the other."""
        try:
            while chunk := await reader.read(CHUNK_BYTES):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

"""A server in the test's own event loop, whose decisions on access the test makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from crdt_server import Settings, create_app
from crdt_server.access.access import Access, Credentials, Denied, DevAccess
from crdt_server.access.identity import Identity
from crdt_server.protocol.messages import SyncUpdate
from crdt_server.serve import DrainingServer, configure
from tests.support.codec import decode_messages

SECONDS = 60.0
POLL_SECONDS = 0.001  # not 0: what is waited for needs the CPU
SLOW, BROKEN, BROKEN_AT_ONCE, CLOSED, UNKNOWN = "slow", "broken", "brokenatonce", "closed", "unknown"


class HeldAccess(DevAccess):
    """Decides at once, but about the weddings ``slow`` (when the test says), ``broken``,
    ``brokenatonce``, ``closed`` and ``unknown``."""

    def __init__(self) -> None:
        self.calls = 0
        self.held: list[asyncio.Future[Identity | Denied]] = []

    def identify(  # type: ignore[override]
        self, credentials: Credentials, wedding: str
    ) -> Identity | Denied | Awaitable[Identity | Denied]:
        self.calls += 1
        if wedding == SLOW:
            held: asyncio.Future[Identity | Denied] = asyncio.get_running_loop().create_future()
            self.held.append(held)
            return held
        if wedding == BROKEN:
            return self._fail()
        if wedding == BROKEN_AT_ONCE:
            raise RuntimeError("the identity provider is on fire")
        if wedding == CLOSED:
            return Denied("forbidden", "not invited")
        return Denied("unauthenticated", "no token") if wedding == UNKNOWN else super().identify(credentials, wedding)

    async def _fail(self) -> Identity:
        raise RuntimeError("the identity provider is on fire")

    def answer(self, answer: Identity | Denied, count: int | None = None) -> None:
        """Decide about the oldest ``count`` requests, or all."""
        count = len(self.held) if count is None else count
        answered, self.held = self.held[:count], self.held[count:]
        for held in answered:
            if not held.done():
                held.set_result(answer)


class LocalServer:
    """A running server: its application and its address."""

    def __init__(self, app: FastAPI, port: int) -> None:
        self.app = app
        self.gate = app.state.gate
        self.hub = app.state.hub
        self.url = f"http://127.0.0.1:{port}"
        self.ws_url = f"ws://127.0.0.1:{port}/ws"


@asynccontextmanager
async def local_server(settings: Settings, access: Access | None = None) -> AsyncIterator[LocalServer]:
    """The whole server, until the end of the block; without ``access`` the settings decide."""
    app = create_app(settings, access)
    server = DrainingServer(configure(app, settings), app)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done(), serving
        await asyncio.sleep(POLL_SECONDS)
    try:
        yield LocalServer(app, server.servers[0].sockets[0].getsockname()[1])
    finally:
        server.should_exit = True
        await serving


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nothing reports. Raises TimeoutError."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110 - nothing signals it
            await asyncio.sleep(POLL_SECONDS)


async def ended(websocket: ClientConnection) -> tuple[int | None, str | None]:
    """The close code and reason."""
    async with asyncio.timeout(SECONDS):
        with suppress(ConnectionClosed):
            while True:
                await websocket.recv()
    return websocket.close_code, websocket.close_reason


async def update_from(websocket: ClientConnection) -> bytes:
    """The next update that a socket is sent."""
    async with asyncio.timeout(SECONDS):
        while True:
            frame = await websocket.recv()
            assert isinstance(frame, bytes)
            for message in decode_messages(frame):
                if isinstance(message, SyncUpdate):
                    return message.update

"""Runs the application on uvicorn: prints its address, adds the fast transport, and bounds the drain at the end."""

from __future__ import annotations

import asyncio
import gc
import re
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any, cast

import click
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from crdt_server.api import probes
from crdt_server.app import create_app
from crdt_server.asgi_sockets import BoundedWebSocket
from crdt_server.http_connections import CountedConnection, HttpConnections
from crdt_server.memory import give_back_large_blocks
from crdt_server.open_files import most_websockets, raise_limit
from crdt_server.sample import plant_demo
from crdt_server.settings import Settings
from crdt_server.transport.gate import Gate
from crdt_server.workers import BACKLOG, listen, run_workers, url
from storage import migrate

DRAIN_SECONDS = 3
MOST_HEAD_BYTES = 128 * 1024  # of a request, besides its body
HEAD_PER_BODY_BYTE = 16  # chunks of a byte have five
MOST_PIPELINED = 16  # requests of one connection: each takes 3 KB, and one read of the loop may hold 6,000
UPGRADE = b"\r\nupgrade: websocket\r\n"
# Of what is malformed picows repeats a line in its answer, and a token may be in it.
WELL_FORMED = re.compile(rb"GET [^ \r\n]+ HTTP/1\.1\r\n(?:[\x21-\x39\x3b-\x7e]+:[\t\x20-\x7e\x80-\xff]*\r\n)+\r\n")
GC_THRESHOLDS = (10_000, 1, 10_000)
# A commit's thread requests the interpreter about ten times; beside a busy loop each time takes this long.
SWITCH_SECONDS = 0.001


class HandshakeSwitch(asyncio.Protocol):
    """The first protocol of a connection: gives a WebSocket handshake to picows as it came, all else to uvicorn.

    Through uvicorn a handshake is parsed twice, and written anew between: half of what a new connection costs.
    """

    request_seconds: float
    upgraded: Callable[[], asyncio.BaseProtocol]
    http_connections: HttpConnections
    _counted: CountedConnection | None = None

    def __init__(self, *, server_state: ServerState, **options: Any) -> None:
        self._server_state = server_state
        self._options = options
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self._deadline = asyncio.get_running_loop().call_later(self.request_seconds, transport.abort)
        self._counted = self.http_connections.admit(transport)
        self._server_state.connections.add(self)  # type: ignore[arg-type]  # uvicorn calls `shutdown` of each

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        self._server_state.connections.discard(self)
        if UPGRADE in data.lower() and WELL_FORMED.match(data):
            self._deadline.cancel()
            _release(self._counted)
            websocket = cast("asyncio.Protocol", self.upgraded())
            websocket.connection_made(transport)
            websocket.data_received(data)
            transport.set_protocol(websocket)
        else:
            http = TimedHttpProtocol(server_state=self._server_state, **self._options)
            http.request_seconds = self.request_seconds
            http.take_over(transport, self._deadline, self._counted)
            transport.set_protocol(http)
            http.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        _release(self._counted)
        self._server_state.connections.discard(self)

    def shutdown(self) -> None:
        """Called by uvicorn at its end."""
        self._transport.close()


class TooManyRequests(Exception):
    """A connection has sent more requests than may wait for the response to the first."""


class TimedHttpProtocol(HttpToolsProtocol):
    """The HTTP protocol of uvicorn with what it lacks: a time limit for the headers of each request, a bound on their
    bytes (with the line before them, trailers, and the heads of chunks), and one on requests that wait for another."""

    request_seconds: float
    http_connections: HttpConnections | None = None
    _counted: CountedConnection | None = None
    _head_bytes = _body_bytes = 0  # of the request that is under way
    _completed = False  # one was, by the newest bytes

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.request_seconds, transport.abort)
        if self.http_connections is not None:
            self._counted = self.http_connections.admit(transport)

    def take_over(
        self, transport: asyncio.Transport, deadline: asyncio.TimerHandle, counted: CountedConnection | None
    ) -> None:
        """`connection_made` of a connection that is counted, and whose time limit runs, already."""
        super().connection_made(transport)
        self._deadline, self._counted = deadline, counted

    def data_received(self, data: bytes) -> None:
        before, self._completed = self._body_bytes, False
        super().data_received(data)
        if self._completed:
            self._head_bytes = self._body_bytes = 0
            return
        self._head_bytes += len(data) - (self._body_bytes - before)
        if self._head_bytes > MOST_HEAD_BYTES + HEAD_PER_BODY_BYTE * self._body_bytes:
            self.transport.abort()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._completed = True
        super().on_message_complete()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MOST_PIPELINED:
            raise TooManyRequests  # ends the parser; uvicorn answers 400 and closes
        super().on_message_begin()
        if self._deadline.cancelled():
            self._deadline = self.loop.call_later(self.request_seconds, self.transport.abort)

    def on_headers_complete(self) -> None:
        self._deadline.cancel()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        self._deadline.cancel()
        _release(self._counted)
        super().handle_websocket_upgrade()
        # The parser and this protocol refer to each other, and one of them to the connection with all its buffers:
        # together they would stay until the next full collection, which may be hours away.
        del self.parser

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        _release(self._counted)
        super().connection_lost(exc)


def _release(counted: CountedConnection | None) -> None:
    if counted is not None:
        counted.release()


class DrainingServer(uvicorn.Server):
    """uvicorn that prints when it listens, and ends streams and pending sockets before it waits for connections.
    ``probes``: a listening socket where health and metrics are answered, or None."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, probes: socket.socket | None = None) -> None:
        super().__init__(config)
        self._app = app
        self._listener = probes
        self._probes: asyncio.Server | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.started:
            return
        if self._listener is not None:
            self._probes = await _answer_probes(self._app, self._listener)
        click.echo(f"listening on {url(self.servers[0].sockets[0])}")
        if self._listener is not None:
            click.echo(f"probes on {url(self._listener)}")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.hub.events.close()
        self._app.state.gate.stop()
        await super().shutdown(sockets)
        if self._probes is not None:
            self._probes.close()


async def _answer_probes(app: FastAPI, listener: socket.socket) -> asyncio.Server:
    """Answer the probes of the application at an address of their own."""
    protocol = type("ProbeProtocol", (TimedHttpProtocol,), {"request_seconds": app.state.hub.settings.request_seconds})
    config = uvicorn.Config(
        probes.application(app.state), http=protocol, ws="none", lifespan="off", log_config=None, access_log=False
    )
    config.load()

    def connected() -> asyncio.Protocol:
        return cast("asyncio.Protocol", protocol(config=config, server_state=ServerState(), app_state={}))

    return await asyncio.get_running_loop().create_server(connected, sock=listener)


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises StorageError, WorkersFailed, and SystemExit where the address is taken."""
    raise_limit()
    settings = settings.model_copy(update={"max_connections": most_websockets(settings.max_connections)})
    app = create_app(settings)
    # An unusable database is one line here, a traceback inside uvicorn.
    asyncio.run(plant_demo(settings.database_url) if settings.dev else migrate(settings.database_url))

    if settings.workers > 1:
        run_workers(settings)
        return

    give_back_large_blocks()
    gc.collect()
    gc.freeze()
    # Sessions and rooms are long-lived and hardly ever cyclic: a search for cycles after every 700 allocations took
    # 12 % of the time under load. Each generation is small all the same: 10,000 connects left a million objects to
    # `gc.collect(1)` of the next sweep, which held the loop for 0.1 s.
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_SECONDS)
    sockets = [socket.socket(fileno=settings.listen_fd)] if settings.listen_fd >= 0 else None
    _run(DrainingServer(configure(app, settings), app, _probes_listener(settings)), sockets)


def _probes_listener(settings: Settings) -> socket.socket | None:
    if settings.probes_fd >= 0:
        return socket.socket(fileno=settings.probes_fd)
    return listen(settings.probes_host or settings.host, settings.probes_port) if settings.probes_port >= 0 else None


def configure(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves the application."""

    def upgraded(*_: Any, **__: Any) -> Any:
        return app.state.fast_transport.protocol()

    fast = settings.websocket_lane == "fast"

    def gate() -> Gate:
        found: Gate = app.state.gate
        return found

    options = {
        "request_seconds": settings.request_seconds,
        "upgraded": staticmethod(upgraded),
        "http_connections": HttpConnections(gate, settings),
    }
    bounded = type("WebSocketProtocol", (BoundedWebSocket,), {"gate": staticmethod(gate)})
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=type("HttpProtocol", (HandshakeSwitch if fast else TimedHttpProtocol,), options),
        ws=cast("type[asyncio.Protocol]", upgraded) if fast else bounded,
        ws_max_size=settings.max_frame_bytes,
        ws_ping_interval=settings.ping_seconds,
        ws_ping_timeout=settings.ping_seconds,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        backlog=BACKLOG,
        proxy_headers=False,  # see `trusted_proxies`: uvicorn would believe the headers of anybody on this machine
        timeout_graceful_shutdown=DRAIN_SECONDS,
        server_header=False,
    )


def _run(server: DrainingServer, sockets: list[socket.socket] | None) -> None:
    """Run the server, and drop the signal that uvicorn raises once more at its end: the drain has served it."""
    handlers = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)

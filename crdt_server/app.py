"""The only wiring: settings in, an ASGI application out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from crdt_server import web
from crdt_server.access.limits import Admission
from crdt_server.api import commands, conflicts, documents, events, probes
from crdt_server.api.problems import on_http_error, on_invalid_request, on_server_error
from crdt_server.cluster.cluster import Cluster
from crdt_server.editing import Editor
from crdt_server.errors import CrdtServerError
from crdt_server.hosts.jobs import JobFailed
from crdt_server.hub.commands import IdempotentCommands
from crdt_server.hub.hub import Hub
from crdt_server.metrics import Metrics
from crdt_server.settings import Settings
from crdt_server.transport.asgi import serve_websocket
from crdt_server.transport.gate import Gate
from crdt_server.transport.picows import PicowsTransport
from storage import Storage, StorageError, open_storage


class DevModeRequired(Exception):
    """There is no access control yet, so nothing but ``dev`` may be served."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The server as an ASGI application, to serve alone or to mount in an application of your own.

    Mounted, its lifespan must run: pass ``app.router.lifespan_context`` on (``examples/embed.py`` shows it).
    Its WebSockets then take the plain ASGI lane; the fast lane needs ``crdt-server serve``. While it runs,
    ``app.state.server`` is an `Editor`: programs read and write rows with it.
    Raises DevModeRequired where the settings do not say ``dev``, StorageError where they name stores that do not go
    together.
    """
    settings = settings or Settings.load()
    _require_cluster(settings)
    if not settings.dev:
        raise DevModeRequired("there is no access control yet: start with --dev (then anybody may read and write)")

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        storage = await open_storage(settings.database_url, synchronous=settings.database_synchronous, migrate=True)
        hub = _make_hub(settings, storage)
        app.state.hub = hub
        app.state.entrance = Gate(hub, time.monotonic)
        app.state.fast_lane = PicowsTransport(app.state.entrance)
        app.state.answers = IdempotentCommands(storage)
        app.state.streams = Admission(settings.max_connections, settings.max_streams_per_address)
        app.state.server = Editor(hub)
        await hub.start()
        pinging = asyncio.create_task(app.state.fast_lane.keep_pinging())
        try:
            yield
        finally:
            pinging.cancel()
            await hub.stop()
            await storage.close()

    async def websocket(socket: WebSocket) -> None:
        await serve_websocket(socket, app.state.entrance)

    app = FastAPI(
        title="crdt-server",
        lifespan=lifespan,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        exception_handlers={
            CrdtServerError: on_server_error,
            JobFailed: on_server_error,
            StorageError: on_server_error,
            HTTPException: on_http_error,
            RequestValidationError: on_invalid_request,
        },
    )
    app.include_router(probes.router)
    for resource in (documents, commands, events, conflicts):
        app.include_router(resource.router)
    app.router.routes.append(WebSocketRoute("/ws/{address:path}", websocket))
    app.router.routes.extend(web.routes())
    return app


def _make_hub(settings: Settings, storage: Storage) -> Hub:
    cluster = _cluster(settings, storage)
    hub = Hub(settings, storage, Metrics(), cluster)
    if cluster is not None:
        cluster.join(hub)
    return hub


def _cluster(settings: Settings, storage: Storage) -> Cluster | None:
    if not settings.redis_url:
        return None
    from storage.redis_bus import RedisBus  # an extra

    return Cluster(storage, RedisBus(settings.redis_url))


def _require_cluster(settings: Settings) -> None:
    several = settings.workers > 1 or bool(settings.redis_url)
    if several and not settings.database_url.startswith("postgresql"):
        raise StorageError(
            "several nodes need one PostgreSQL database: --database-url postgresql://USER:PASSWORD@HOST/NAME"
        )
    if settings.workers > 1 and not settings.redis_url:
        raise StorageError("several workers need Redis between them: --redis-url redis://HOST")

"""Probes for whoever operates the server."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from crdt_server.api.problems import problem
from crdt_server.rooms.hub import Hub
from storage import StorageError

PROBE_SECONDS = 2.0

router = APIRouter(tags=["probes"])


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """The database takes writes and the event loop is not late; else 503 with the reason."""
    hub: Hub = request.app.state.hub
    if hub.draining:
        return problem(503, "draining", "the server is going away")
    if hub.loop_lag_seconds > hub.settings.max_loop_lag_seconds:
        return problem(503, "overloaded", f"the event loop is {hub.loop_lag_seconds:.2f} s late")
    try:
        await asyncio.wait_for(hub.storage.probe_write(), PROBE_SECONDS)
    except TimeoutError:
        return problem(503, "database_slow", f"a write took longer than {PROBE_SECONDS:g} s")
    except StorageError as error:
        return problem(503, "database_unavailable", str(error))
    return Response('{"status":"ready"}', media_type="application/json")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    hub: Hub = request.app.state.hub
    return Response(hub.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

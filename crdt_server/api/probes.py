"""Probes for operators and load balancers."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.datastructures import State
from starlette.responses import PlainTextResponse

from crdt_server.api.problems import problem
from crdt_server.hub.hub import Hub
from storage import StorageError

PROBE_SECONDS = 2.0
# After a commit that failed: on a full disk a page may still be written, which is all that a probe writes. Then the
# node takes people again, and the next commit decides.
FAILURE_SECONDS = 10.0

router = APIRouter(tags=["probes"])


def application(state: State) -> FastAPI:
    """The probes alone, of the application with this state."""
    alone = FastAPI(openapi_url=None)
    alone.state = state
    alone.include_router(router)
    return alone


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """The database takes writes and the event loop is not late; else 503 with the reason.

    ``degraded`` while the bus between the nodes is away: what this node owns goes on, so it stays in service.
    """
    hub: Hub = request.app.state.hub
    if hub.draining:
        return problem(503, "draining", "the server is going away")
    if hub.overloaded:
        return problem(503, "overloaded", f"the event loop is {hub.loop_monitor.seconds:.2f} s late")
    failed_at = hub.commits.failed_at
    if failed_at is not None and hub.time() - failed_at < FAILURE_SECONDS:
        return problem(503, "database_unavailable", "the last commit failed")
    try:
        await _probe(request.app.state, hub)
    except TimeoutError:
        return problem(503, "database_slow", f"a write took longer than {PROBE_SECONDS:g} s")
    except StorageError as error:
        return problem(503, "database_unavailable", str(error))
    degraded = hub.cluster is not None and not hub.cluster.connected
    status = '{"status":"degraded","reason":"bus_away"}' if degraded else '{"status":"ready"}'
    return Response(status, media_type="application/json")


async def _probe(state: State, hub: Hub) -> None:
    """A write, within a time. A write cannot be interrupted, so probes share the one that is under way."""
    probe: asyncio.Task[None] | None = getattr(state, "probe", None)
    if probe is None or probe.done():
        probe = state.probe = asyncio.create_task(hub.storage.probe_write())
        probe.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps nobody waits any more
    await asyncio.wait((probe,), timeout=PROBE_SECONDS)
    if not probe.done():
        raise TimeoutError
    probe.result()


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Prometheus text format."""
    hub: Hub = request.app.state.hub
    return Response(hub.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

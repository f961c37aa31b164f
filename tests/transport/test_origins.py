"""Pages of other hosts: sockets of both lanes, and HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from tests.support.databases import sqlite_database
from tests.support.gate import ended, local_server

LISTED, STRANGER = "https://app.test", "https://attacker.test"
STATE = "/api/weddings/w/documents/notes.a/state"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}


@pytest.fixture(params=["fast", "asgi"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(
        port=0,
        websocket_lane=request.param,
        database_url=sqlite_database(tmp_path),
        document_hosts=1,
        allowed_origins=LISTED,
    )


async def test_pages_of_listed_origins_may_connect(settings: Settings) -> None:
    async with local_server(settings, DevAccess()) as server:
        url = f"{server.ws_url}/w/notes.a"
        for origin in (LISTED, server.url, None):
            async with connect(url, proxy=None, origin=origin) as websocket:  # type: ignore[arg-type]
                assert isinstance(await websocket.recv(), bytes), origin
        for origin in (STRANGER, "null"):
            async with connect(url, proxy=None, origin=origin) as websocket:  # type: ignore[arg-type]
                assert await ended(websocket) == (4403, "pages of this origin may not connect")


async def test_and_call_over_http(settings: Settings) -> None:
    async with (
        local_server(settings, DevAccess()) as server,
        httpx.AsyncClient(base_url=server.url, trust_env=False) as client,
    ):
        answer = await client.get(STATE, headers={"Origin": LISTED})
        assert answer.headers["Access-Control-Allow-Origin"] == LISTED
        assert "Access-Control-Allow-Credentials" not in answer.headers, "there are no cookies"
        answer = await client.options(STATE, headers={"Origin": LISTED} | PREFLIGHT)
        assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (200, LISTED)
        assert (await client.options(STATE, headers={"Origin": STRANGER} | PREFLIGHT)).status_code == 400
        assert "Access-Control-Allow-Origin" not in (await client.get(STATE, headers={"Origin": STRANGER})).headers
        refused = await client.get("/api/weddings/-/events", headers={"Origin": LISTED})
        assert (refused.status_code, refused.headers["Access-Control-Allow-Origin"]) == (404, LISTED)


async def test_without_the_setting_nothing_is_checked(settings: Settings) -> None:
    async with (
        local_server(settings.model_copy(update={"allowed_origins": ""}), DevAccess()) as server,
        connect(f"{server.ws_url}/w/notes.a", proxy=None, origin=STRANGER) as websocket,  # type: ignore[arg-type]
        httpx.AsyncClient(base_url=server.url, trust_env=False) as client,
    ):
        assert isinstance(await websocket.recv(), bytes)
        answer = await client.get(STATE, headers={"Origin": STRANGER})
        assert answer.status_code == 200
        assert "Access-Control-Allow-Origin" not in answer.headers

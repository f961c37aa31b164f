"""Behind a reverse proxy, sockets of both transports and HTTP requests count for the client's address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from tests.support.gate import ended, local_server

ALICE, BOB = {"X-Forwarded-For": "198.51.100.1, 203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
TRUSTED, STRANGER = "127.0.0.1", "127.0.0.2"


@pytest.fixture(params=["fast", "asgi"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(
        port=0,
        websocket_lane=request.param,
        database_url=f"sqlite:///{tmp_path}/store.db",
        document_hosts=1,
        trusted_proxies=TRUSTED,
        max_strikes=2,
        max_connections_per_address=1,
        max_loop_lag_seconds=3600.0,
    )


def visit(url: str, headers: dict[str, str], address: str = TRUSTED) -> Any:
    return connect(
        f"{url}/w/notes.a", compression=None, proxy=None, additional_headers=headers, local_addr=(address, 0)
    )


async def test_a_socket_has_the_address_that_the_proxy_names(settings: Settings) -> None:
    async with local_server(settings, DevAccess()) as server:
        async with visit(server.ws_url, ALICE) as alice, visit(server.ws_url, BOB) as bob:
            assert isinstance(await alice.recv(), bytes)
            assert isinstance(await bob.recv(), bytes)
            (room,) = server.hub.rooms.values()
            assert {each.connection.address for each in room.members} == {"203.0.113.1", "203.0.113.2"}
            async with visit(server.ws_url, ALICE) as again:
                assert (await ended(again))[0] == 4503
        async with visit(server.ws_url, ALICE, STRANGER) as forger:
            assert isinstance(await forger.recv(), bytes)
            (room,) = server.hub.rooms.values()
            assert STRANGER in {each.connection.address for each in room.members}


async def test_so_has_an_http_request(settings: Settings) -> None:
    path = "/api/weddings/w/documents/notes.a/state"
    async with local_server(settings, DevAccess()) as server:
        for _ in range(2):
            async with visit(server.ws_url, ALICE) as alice:
                await alice.send(b"\x09")
                assert (await ended(alice))[0] == 4400
        async with visit(server.ws_url, ALICE) as alice:
            assert (await ended(alice))[0] == 4529
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            refused = await client.get(path, headers=ALICE)
            assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
            assert refused.headers["Retry-After"] == "60"
            assert (await client.get(path, headers=BOB)).status_code == 200
        transport = httpx.AsyncHTTPTransport(local_address=STRANGER)
        async with httpx.AsyncClient(base_url=server.url, transport=transport) as stranger:
            assert (await stranger.get(path, headers=ALICE)).status_code == 200


async def test_without_the_setting_no_header_is_believed(settings: Settings) -> None:
    plain = settings.model_copy(update={"trusted_proxies": ""})
    async with local_server(plain, DevAccess()) as server, visit(server.ws_url, ALICE) as alice:
        assert isinstance(await alice.recv(), bytes)
        (room,) = server.hub.rooms.values()
        assert {each.connection.address for each in room.members} == {TRUSTED}
        for _ in range(2):
            async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
                body = b"\x01\x00\x05\x01\x01\x01\x01\x01"
                answer = await client.post("/api/weddings/w/documents/notes.a/sync", headers=ALICE, content=body)
                assert answer.json()["code"] == "malformed_update"
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            answer = await client.get("/api/weddings/w/documents/notes.a/state", headers=BOB)
            assert answer.status_code == 429

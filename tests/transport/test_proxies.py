"""Behind a reverse proxy, sockets of both transports and HTTP requests count for the client's address.

The last tests have a real proxy in front, which writes the header.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from tests.support.codec import encode_update
from tests.support.databases import sqlite_database
from tests.support.gate import ended, local_server, update_from
from tests.support.reverse_proxy import ReverseProxy
from tests.support.wire import Replica

ALICE, BOB = {"X-Forwarded-For": "198.51.100.1, 203.0.113.1"}, {"X-Forwarded-For": "203.0.113.2"}
TRUSTED, STRANGER = "127.0.0.1", "127.0.0.2"


@pytest.fixture(params=["fast", "asgi"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(
        port=0,
        websocket_lane=request.param,
        database_url=sqlite_database(tmp_path),
        document_hosts=1,
        trusted_proxies=TRUSTED,
        max_strikes=2,
        max_connections_per_address=1,
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


PHONES, SOCKETS, REQUESTS = 50, 4, 6
STATE = "/api/weddings/w/documents/notes.a/state"


def phone(number: int) -> str:
    """The address of a phone."""
    return f"127.0.1.{number + 1}"


def call(proxy: ReverseProxy, number: int, room: str = "w/notes.a", headers: dict[str, str] | None = None) -> Any:
    """A socket of a phone."""
    url = f"ws://127.0.0.1:{proxy.port}/ws/{room}"
    local = (phone(number), 0)
    return connect(url, compression=None, proxy=None, local_addr=local, additional_headers=headers)


async def get_state(proxy: ReverseProxy, number: int) -> int:
    """The status of a request of a phone."""
    transport = httpx.AsyncHTTPTransport(local_address=phone(number))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{proxy.port}", transport=transport, timeout=20) as client:
        return (await client.get(STATE)).status_code


async def test_fifty_phones_behind_a_proxy_are_each_limited_for_themselves(settings: Settings) -> None:
    changes = {"max_connections_per_address": SOCKETS, "requests_per_address": 2 * REQUESTS}
    async with (
        local_server(settings.model_copy(update=changes), DevAccess()) as server,
        ReverseProxy(int(server.url.rpartition(":")[2]), TRUSTED) as proxy,
        AsyncExitStack() as stack,
    ):
        server.hub.time = lambda: 0.0  # type: ignore[method-assign]
        for number in range(PHONES):
            for _ in range(SOCKETS // 2):
                await stack.enter_async_context(call(proxy, number, f"w/notes.{number}"))
        async with call(proxy, 0) as third, call(proxy, 0, headers={"X-Forwarded-For": phone(1)}) as forger:
            assert await ended(third) == await ended(forger) == (4503, "too many connections")
        assert server.gate.admission.held == PHONES * SOCKETS // 2

        flood = Counter([await get_state(proxy, 0) for _ in range(3 * REQUESTS)])
        assert flood == {200: REQUESTS, 429: 2 * REQUESTS}
        statuses = await asyncio.gather(*(get_state(proxy, number) for number in range(1, PHONES)))
        assert set(statuses) == {200}


async def test_a_bad_phone_behind_a_proxy_is_shut_out_alone(settings: Settings) -> None:
    async with (
        local_server(settings.model_copy(update={"max_connections_per_address": SOCKETS}), DevAccess()) as server,
        ReverseProxy(int(server.url.rpartition(":")[2]), TRUSTED) as proxy,
    ):
        for _ in range(2):
            async with call(proxy, 0) as bad:
                await bad.send(b"\x09")
                assert (await ended(bad))[0] == 4400
        async with call(proxy, 0) as bad:
            assert (await ended(bad))[0] == 4529
        assert await get_state(proxy, 0) == 429
        edit = Replica(1).type("hello")
        async with call(proxy, 1) as other:
            await other.send(encode_update(edit))
            assert await update_from(other) == edit
        assert await get_state(proxy, 1) == 200

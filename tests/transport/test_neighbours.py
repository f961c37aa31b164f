"""Persons behind one address, a venue's Wi-Fi or a proxy: none of them takes what belongs to the others."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from crdt_server.hub.hub import LOGGED_REFUSALS
from crdt_server.transport import gate
from tests.support.codec import encode_update
from tests.support.databases import sqlite_database
from tests.support.gate import LocalServer, ended, local_server, update_from
from tests.support.wire import Replica

SOCKETS, HANDSHAKES, STRIKES, PHONES = 4, 20, 3, 50
STRUCK = 4529, "too many refused updates or malformed messages"
MALFORMED = b"\xff\xff\xff"

Connected = int | tuple[int | None, str | None]


@pytest.fixture(params=["fast", "asgi"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    return Settings(
        port=0,
        websocket_lane=request.param,
        database_url=sqlite_database(tmp_path),
        document_hosts=1,
        max_strikes=STRIKES,
        handshakes_per_second=0,
    )


@asynccontextmanager
async def serving(settings: Settings, **changes: int) -> AsyncIterator[LocalServer]:
    async with local_server(settings.model_copy(update=changes), DevAccess()) as server:
        yield server


@asynccontextmanager
async def visit(server: LocalServer, user: str, room: str = "w/notes.a") -> AsyncIterator[ClientConnection]:
    async with connect(f"{server.ws_url}/{room}?user={user}", compression=None, proxy=None) as websocket:
        yield websocket


async def arrive(server: LocalServer, user: str) -> Connected:
    """The HTTP status of a handshake that is refused, 0 of a socket that is let in, or how it is closed."""
    try:
        async with visit(server, user) as websocket:
            try:
                await websocket.recv()
            except Exception:  # noqa: BLE001 - closed in place of a greeting
                return await ended(websocket)
            return 0
    except InvalidStatus as refusal:
        return refusal.response.status_code


async def get(server: LocalServer, user: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        return await client.get("/api/weddings/w/documents/notes.a/state", params={"user": user})


async def misbehave(server: LocalServer, user: str) -> int | None:
    """Send what is malformed; the close code."""
    async with visit(server, user) as websocket:
        await websocket.send(MALFORMED)
        return (await ended(websocket))[0]


async def test_one_person_does_not_take_all_sockets(settings: Settings) -> None:
    async with serving(settings, max_connections_per_address=SOCKETS) as server, AsyncExitStack() as stack:
        for user in ("ada", "ada"):
            websocket = await stack.enter_async_context(visit(server, user))
            assert isinstance(await websocket.recv(), bytes)
        assert await arrive(server, "ada") == (4503, "too many connections")
        for user in ("bob", "bob"):
            websocket = await stack.enter_async_context(visit(server, user))
            assert isinstance(await websocket.recv(), bytes)
        assert await arrive(server, "eve") == (4503, "too many connections")


async def test_one_person_does_not_take_all_handshakes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "DEFERRED_SECONDS", 0)
    async with serving(settings, handshakes_per_second=HANDSHAKES) as server:
        server.gate._now = lambda: 0.0
        arrived = Counter([await arrive(server, "ada") for _ in range(2 * HANDSHAKES)])
        assert arrived == {0: HANDSHAKES // 2, (4503, "too many handshakes"): HANDSHAKES * 3 // 2}
        assert [await arrive(server, f"bob{number}") for number in range(HANDSHAKES // 2)] == [0] * (HANDSHAKES // 2)
        assert await arrive(server, "eve") == 429  # of all persons together the address has no more


async def test_malformed_messages_count_for_the_person(settings: Settings) -> None:
    """Ten a minute shut out everybody behind the address."""
    async with serving(settings) as server:
        assert [await misbehave(server, "ada") for _ in range(STRIKES)] == [4400] * STRIKES
        assert await arrive(server, "ada") == STRUCK
        refused = await get(server, "ada")
        assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
        assert await arrive(server, "bob") == 0
        assert (await get(server, "bob")).status_code == 200


async def test_a_new_name_for_each_malformed_message_shuts_out_nobody(settings: Settings) -> None:
    """What that costs is bounded by the handshakes of an address, and by lines of the log."""
    with capture_logs() as logs:
        async with serving(settings) as server:
            codes = [await misbehave(server, f"name{number}") for number in range(2 * LOGGED_REFUSALS)]
            assert codes == [4400] * 2 * LOGGED_REFUSALS
            assert await arrive(server, "bob") == 0
            assert (await get(server, "bob")).status_code == 200
    lines = [line for line in logs if line["event"] == "session_refused"]
    assert LOGGED_REFUSALS <= len(lines) < 2 * LOGGED_REFUSALS
    assert len(json.dumps(lines)) < 200 * len(lines)


async def test_of_fifty_phones_a_bad_one_is_shut_out_alone(settings: Settings) -> None:
    async with serving(settings) as server, AsyncExitStack() as stack:
        phones = [await stack.enter_async_context(visit(server, f"guest{n}", f"w/notes.{n}")) for n in range(PHONES)]
        assert [await misbehave(server, "bad") for _ in range(STRIKES)] == [4400] * STRIKES
        assert await arrive(server, "bad") == STRUCK
        edits = [Replica(number + 1).type("hello") for number in range(PHONES)]
        for phone, edit in zip(phones, edits, strict=True):
            await phone.send(encode_update(edit))
        assert await asyncio.gather(*map(update_from, phones)) == edits
        assert [await arrive(server, f"late{number}") for number in range(3)] == [0] * 3

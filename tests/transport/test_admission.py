"""The time between a handshake and the decision on access, on both transports: bounded, and nothing leaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect

from crdt_server import Settings
from crdt_server.access.access import Action, Decision, Denied
from crdt_server.access.identity import Identity
from crdt_server.errors import ForbiddenError
from tests.support.codec import encode_update
from tests.support.databases import sqlite_database
from tests.support.gate import (
    BROKEN,
    BROKEN_AT_ONCE,
    CLOSED,
    SECONDS,
    SLOW,
    UNKNOWN,
    HeldAccess,
    LocalServer,
    ended,
    local_server,
    until,
    update_from,
)
from tests.support.wire import Replica

ADA = Identity("ada", "couple")
MOST_PENDING, MOST_PENDING_PER_ADDRESS = 3, 2

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Access(HeldAccess):
    """Some weddings raise."""

    def may(self, identity: Identity, action: Action, wedding: str, document: str | None) -> Decision:
        if wedding == "raising":
            raise ForbiddenError("forbidden", "not you")
        if wedding == "defective":
            raise RuntimeError("the table of members is on fire")
        return super().may(identity, action, wedding, document)


@pytest.fixture(scope="module")
def access() -> Access:
    return Access()


@pytest.fixture(scope="module", params=["fast", "asgi"])
def settings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        port=0,
        websocket_lane=request.param,
        database_url=sqlite_database(tmp_path_factory.mktemp("server")),
        document_hosts=1,
        max_pending_connections=MOST_PENDING,
        max_pending_per_address=MOST_PENDING_PER_ADDRESS,
        admission_seconds=SECONDS,
    )


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(settings: Settings, access: Access) -> AsyncIterator[LocalServer]:
    async with local_server(settings, access) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def nothing_leaks(server: LocalServer, access: Access) -> AsyncIterator[None]:
    yield
    access.answer(Denied("forbidden", "the test is over"))
    await until(lambda: counts(server) == (0, 0))
    assert not server.gate._waiting
    assert not any(room.members.sessions for room in server.hub.rooms.values())


def counts(server: LocalServer) -> tuple[int, int]:
    return server.gate.admission.held, server.gate.pending.held


@asynccontextmanager
async def visit(server: LocalServer, wedding: str, address: str = "127.0.0.1") -> AsyncIterator[ClientConnection]:
    url = f"{server.ws_url}/{wedding}/notes.a"
    async with connect(url, compression=None, proxy=None, max_size=None, local_addr=(address, 0)) as websocket:
        yield websocket


async def test_an_immediate_decision_makes_no_task(server: LocalServer) -> None:
    async with visit(server, "w") as websocket:
        await websocket.recv()
        assert counts(server) == (1, 0)
        assert not server.gate._waiting


@pytest.mark.parametrize(
    ("wedding", "code", "reason"),
    [
        (CLOSED, 4403, "not invited"),
        (UNKNOWN, 4401, "no token"),
        (BROKEN, 1013, "try again"),
        (BROKEN_AT_ONCE, 1013, "try again"),
        ("raising", 4403, "not you"),
        ("defective", 1013, "try again"),
    ],
)
async def test_a_refused_socket_gets_its_close_code(server: LocalServer, wedding: str, code: int, reason: str) -> None:
    async with visit(server, wedding) as websocket:
        assert await ended(websocket) == (code, reason)


async def test_a_name_that_cannot_be_stored_gets_its_close_code(server: LocalServer) -> None:
    async with connect(f"{server.ws_url}/w/notes.a?user=a%00", compression=None, proxy=None) as websocket:
        assert await ended(websocket) == (4401, "user has a control character")


async def test_messages_before_the_decision_are_kept(server: LocalServer, access: Access) -> None:
    edit = Replica(1).type("early")
    async with visit(server, SLOW) as websocket:
        await websocket.send(encode_update(edit))
        await until(lambda: len(access.held) == 1)
        assert counts(server) == (1, 1)
        assert not server.hub.rooms.get((SLOW, "notes.a"))
        access.answer(ADA)
        assert await update_from(websocket) == edit
        assert counts(server) == (1, 0)


async def test_a_pending_socket_is_not_read(server: LocalServer, access: Access) -> None:
    """Its bytes stay in the buffers of the system and of its sender. (uvicorn's own parser takes one message.)"""
    edits = [Replica(2 + number).type("x" * 6_000_000) for number in range(3)]

    async def send(websocket: ClientConnection) -> None:
        for edit in edits:
            await websocket.send(encode_update(edit))

    async with visit(server, SLOW) as websocket:
        sending = asyncio.create_task(send(websocket))
        await until(lambda: len(access.held) == 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(sending), 0.3)
        access.answer(ADA)
        await asyncio.wait_for(sending, SECONDS)
        assert len(await update_from(websocket)) > 6_000_000


async def test_pending_sockets_of_one_address_are_bounded(server: LocalServer, access: Access) -> None:
    async with visit(server, SLOW) as one, visit(server, SLOW) as two, visit(server, SLOW) as three:
        assert await ended(three) == (4503, "too many connections")
        assert counts(server) == (2, 2)
        access.answer(Denied("unauthenticated", "expired"))
        assert await ended(one) == await ended(two) == (4401, "expired")


async def test_pending_sockets_are_bounded_in_all(server: LocalServer, access: Access) -> None:
    async with visit(server, SLOW) as one, visit(server, SLOW) as two, visit(server, SLOW, "127.0.0.2") as three:
        async with visit(server, SLOW, "127.0.0.3") as four:
            assert await ended(four) == (4503, "too many connections")
        async with visit(server, "w") as unaffected:  # an immediate decision does not count
            await unaffected.recv()
        access.answer(ADA)
        for each in (one, two, three):
            await each.recv()


async def test_a_peer_that_leaves_while_pending(server: LocalServer, access: Access) -> None:
    async with visit(server, SLOW) as websocket:
        await until(lambda: len(access.held) == 1)
        websocket.transport.abort()
    access.answer(ADA)
    await until(lambda: counts(server) == (0, 0))


async def test_a_peer_that_leaves_while_it_is_refused(server: LocalServer, access: Access) -> None:
    async with visit(server, SLOW), visit(server, SLOW), visit(server, SLOW) as three:
        await until(lambda: counts(server) == (2, 2))
        three.transport.abort()
        access.answer(ADA)


async def test_a_decision_that_never_comes(settings: Settings, access: Access, database_url: str) -> None:
    impatient = settings.model_copy(update={"admission_seconds": 0.2, "database_url": database_url})
    async with local_server(impatient, access) as server:
        async with visit(server, SLOW) as websocket:
            assert await ended(websocket) == (4503, "no decision in time, try later")
        async with visit(server, SLOW) as websocket:
            websocket.transport.abort()
        await until(lambda: counts(server) == (0, 0))


async def test_a_server_that_stops_refuses_those_that_wait(
    settings: Settings, access: Access, database_url: str
) -> None:
    async with local_server(settings.model_copy(update={"database_url": database_url}), access) as server:
        websocket = await connect(f"{server.ws_url}/{SLOW}/notes.a", proxy=None)
        await until(lambda: counts(server) == (1, 1))
    assert (await ended(websocket))[0] == 1012
    assert counts(server) == (0, 0)

"""The socket of a person that sends more than its role allows is slowed: it loses nothing, and nobody else waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from crdt_server.access.role_limits import RoleLimits
from crdt_server.hub import pacing
from crdt_server.rooms.session import PACE
from tests.support.codec import encode_update
from tests.support.databases import sqlite_database
from tests.support.gate import LocalServer, local_server, until, update_from
from tests.support.wire import Replica, message_update

LIMITS = {
    "default": RoleLimits(),
    "guest": RoleLimits(edits_per_second=20, edits_at_once=10, messages_per_minute=2),
}
PING_SECONDS = 0.2


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["fast", "asgi"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalServer]:
    directory = tmp_path_factory.mktemp("server")
    path = directory / "limits.toml"
    lines = [
        line
        for role, limits in LIMITS.items()
        for line in (f"[{role}]", *(f"{name} = {value}" for name, value in limits._asdict().items()))
    ]
    path.write_text("\n".join(lines))
    settings = Settings(
        port=0,
        websocket_lane=request.param,
        database_url=sqlite_database(directory),
        document_hosts=1,
        role_limits=str(path),
        ping_seconds=PING_SECONDS,
    )
    async with local_server(settings, DevAccess()) as running:
        yield running


@asynccontextmanager
async def visit(server: LocalServer, user: str, role: str, room: str = "w/notes.a") -> AsyncIterator[ClientConnection]:
    url = f"{server.ws_url}/{room}?user={user}&role={role}"
    async with connect(url, compression=None, proxy=None, ping_interval=None) as websocket:
        yield websocket


@pytest.fixture
def pauses(server: LocalServer) -> Callable[[], int]:
    """How often a socket was paused since the test began."""
    counters = server.hub.metrics.counters
    before = counters.edit_pauses
    return lambda: counters.edit_pauses - before


async def test_all_edits_arrive_but_not_at_once(server: LocalServer, pauses: Callable[[], int]) -> None:
    """Two seconds of a guest's edits, in one; the socket answers no ping meanwhile, and is not closed for that."""
    async with visit(server, "gus", "guest", "w/notes.g") as guest, visit(server, "ada", "couple") as ada:
        replica, edit = Replica(1), Replica(2).type("hello")
        edits = [replica.type("x") for _ in range(50)]
        frames = [Frame(Opcode.BINARY, encode_update(each)).serialize(mask=True) for each in edits]
        guest.transport.write(b"".join(frames))
        await until(lambda: pauses() > 0)
        await ada.send(encode_update(edit))
        assert await update_from(ada) == edit
        session = next(iter(server.hub.rooms["w", "notes.g"].members))
        assert session.paused == PACE, "an edit of somebody else did not wait for this one"
        whole = Replica(3)
        while str(whole) != str(replica):
            whole.receive(await update_from(guest))
        assert guest.close_code is None


async def test_a_role_without_a_limit_is_not_slowed_down(server: LocalServer, pauses: Callable[[], int]) -> None:
    async with visit(server, "ada", "couple", "w/notes.b") as ada:
        replica, whole = Replica(1), Replica(2)
        for _ in range(200):
            await ada.send(encode_update(replica.type("x")))
        while str(whole) != str(replica):
            whole.receive(await update_from(ada))
        assert pauses() == 0


async def test_large_updates_count_with_their_bytes(server: LocalServer, pauses: Callable[[], int]) -> None:
    async with visit(server, "gil", "guest", "w/notes.c") as guest:
        await guest.send(encode_update(Replica(1).type("x" * 20 * pacing.UPDATE_BYTES)))
        await until(lambda: pauses() > 0)


async def test_an_update_of_a_thread_is_a_message(server: LocalServer, pauses: Callable[[], int]) -> None:
    async with visit(server, "tim", "guest", "w/thread.a") as guest:
        await guest.send(encode_update(message_update(0, "tim")))
        await update_from(guest)
        assert pauses() == 0
        await guest.send(encode_update(message_update(1, "tim")))
        await until(lambda: pauses() == 1)
        assert guest.close_code is None


async def test_one_that_leaves_while_it_waits(server: LocalServer, pauses: Callable[[], int]) -> None:
    async with visit(server, "zoe", "guest", "w/notes.d") as guest:
        for each in range(20):
            await guest.send(encode_update(Replica(each + 1).type("x")))
        await until(lambda: pauses() > 0)
        room = server.hub.rooms["w", "notes.d"]
        guest.transport.abort()
    await asyncio.sleep(0)
    await until(lambda: not room.members.sessions)

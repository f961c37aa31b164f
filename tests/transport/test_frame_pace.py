"""Frames cost the loop, whatever is in them: the sockets of a person that sends too many are not read for a while, and
nothing is sent to a peer that reads no pongs."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from tests.support.codec import encode_update
from tests.support.databases import sqlite_database
from tests.support.gate import LocalServer, local_server, until, update_from
from tests.support.wire import Replica

FRAMES_PER_SECOND = 100
FLOOD_BYTES = 24 << 20  # more than the buffers of the system hold

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["fast", "asgi"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalServer]:
    settings = Settings(
        port=0,
        websocket_lane=request.param,
        database_url=sqlite_database(tmp_path_factory.mktemp("server")),
        document_hosts=1,
        frames_per_second=FRAMES_PER_SECOND,
    )
    async with local_server(settings, DevAccess()) as running:
        yield running


@asynccontextmanager
async def flooding(websocket: ClientConnection, frames: bytes) -> AsyncIterator[asyncio.Task[None]]:
    """Write frames again and again, until the end of the block."""
    with socket.socket(fileno=os.dup(websocket.transport.get_extra_info("socket").fileno())) as raw_socket:
        raw_socket.setblocking(False)
        loop = asyncio.get_running_loop()
        writing = loop.create_task(loop.sock_sendall(raw_socket, frames))
        yield writing
        writing.cancel()
        await asyncio.wait([writing])


@asynccontextmanager
async def visit(server: LocalServer, user: str, path: str = "ws/w/notes.a") -> AsyncIterator[ClientConnection]:
    url = f"{server.url.replace('http', 'ws', 1)}/{path}?user={user}"
    async with connect(url, compression=None, proxy=None, ping_interval=None, close_timeout=0.1) as websocket:
        yield websocket


@pytest.fixture
def pauses(server: LocalServer) -> Callable[[], int]:
    """How often a socket was paused since the test began."""
    counters = server.hub.metrics.counters
    before = counters.frame_pauses
    return lambda: counters.frame_pauses - before


def raw(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin=fin).serialize(mask=True)


def many(frame: bytes) -> bytes:
    return frame * (FLOOD_BYTES // len(frame))


FRAMES = {
    "pings": raw(Opcode.PING),
    "pongs": raw(Opcode.PONG),
    "presence of nobody": raw(Opcode.BINARY, b"\1\1\0"),
    "queries": raw(Opcode.BINARY, b"\3"),
    "updates of nothing": raw(Opcode.BINARY, b"\0\2\2\0\0"),
}


@pytest.mark.parametrize("kind", FRAMES)
async def test_a_person_that_sends_too_many_frames_is_not_read_for_a_while(
    server: LocalServer, pauses: Callable[[], int], kind: str
) -> None:
    room = f"ws/w{list(FRAMES).index(kind)}/notes.a"
    async with (
        visit(server, room.split("/")[1], room) as flood,
        visit(server, "ada", room) as ada,
        flooding(flood, many(FRAMES[kind])) as writing,
    ):
        await until(lambda: pauses() > 0)
        replica, edit = Replica(1), Replica(2).type(kind)
        await ada.send(encode_update(edit))
        while str(replica) != kind:
            replica.receive(await update_from(ada))
        assert not writing.done(), "the flood was read in full"


async def test_empty_fragments_count_as_frames(server: LocalServer, pauses: Callable[[], int]) -> None:
    async with visit(server, "fay") as flood:
        frames = raw(Opcode.BINARY, fin=False) + many(raw(Opcode.CONT, fin=False))
        async with flooding(flood, frames) as writing:
            await until(lambda: pauses() > 0)
            assert not writing.done()


async def test_a_socket_that_names_nobody_counts_for_its_address(
    server: LocalServer, pauses: Callable[[], int]
) -> None:
    async with visit(server, "", "hocuspocus") as flood, flooding(flood, many(raw(Opcode.BINARY, b"\x09"))):
        await until(lambda: pauses() > 0)


async def test_all_that_was_sent_too_fast_is_read_in_the_end(server: LocalServer, pauses: Callable[[], int]) -> None:
    async with visit(server, "ben", "ws/w/notes.b") as ben:
        replica = Replica(3)
        edits = [replica.type("x") for _ in range(4 * FRAMES_PER_SECOND)]
        ben.transport.write(b"".join(raw(Opcode.BINARY, encode_update(each)) for each in edits))
        seen = Replica(4)
        while len(str(seen)) < len(edits):
            seen.receive(await update_from(ben))
        assert pauses() > 0


async def test_a_socket_that_is_closed_meanwhile_is_forgotten(server: LocalServer, pauses: Callable[[], int]) -> None:
    """Its rest ends when it is gone already."""
    errors: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, error: errors.append(error))
    async with visit(server, "zed", "ws/w/notes.z") as flood:
        flood.transport.write(3 * FRAMES_PER_SECOND * FRAMES["pongs"])
        await until(lambda: pauses() > 0)
        room = server.hub.rooms["w", "notes.z"]
        (session,) = room.members
        session.connection.close(1013, "gone")
    await until(lambda: not room.members)
    before = pauses()
    async with visit(server, "zed", "ws/w/notes.y") as later:  # waits behind the same person's rest
        later.transport.write(64 * FRAMES["pongs"])
        await until(lambda: pauses() > before)
        await (await later.ping())  # answered at the end of its rest, which is the later one
    assert not errors

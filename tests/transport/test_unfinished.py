"""Messages and bodies that are not complete: their bytes are bounded per person and address, and so is the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.frames import Frame, Opcode

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from crdt_server.asgi_sockets import BoundedWebSocket
from crdt_server.transport.asgi import AsgiConnection
from crdt_server.transport.picows import PicowsConnection
from tests.support.codec import encode_update
from tests.support.gate import SECONDS, LocalServer, ended, local_server, until
from tests.support.wire import Replica

BUDGET_BYTES = 1 << 20  # of one person; its address has twice as much
PART_BYTES = 600_000
HURRIED_SECONDS = 0.3
SYNC = "/api/weddings/w/documents/notes.a/sync"

pytestmark = pytest.mark.asyncio(loop_scope="module")


def server_settings(database_url: str, **changes: float) -> Settings:
    return Settings(
        port=0,
        database_url=database_url,
        document_hosts=1,
        max_unfinished_per_address=2 * BUDGET_BYTES,
        max_strikes=0,
    ).model_copy(update=changes)


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServer]:
    path = tmp_path_factory.mktemp("server") / "store.db"
    async with local_server(server_settings(f"sqlite:///{path}"), DevAccess()) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", autouse=True)
async def nothing_leaks(server: LocalServer) -> AsyncIterator[None]:
    yield
    await until(lambda: server.gate.unfinished.held == 0)
    assert not server.gate.unfinished._by_key


@asynccontextmanager
async def visit(server: LocalServer, user: str = "ada") -> AsyncIterator[ClientConnection]:
    url = f"{server.ws_url}/w/notes.a?user={user}"
    async with connect(url, compression=None, proxy=None, max_size=None) as websocket:
        yield websocket


def send(
    websocket: ClientConnection, payload: bytes, *, opcode: Opcode = Opcode.BINARY, fin: bool, less: int = 0
) -> None:
    """Write a frame, ``less`` its last bytes."""
    raw = Frame(opcode, payload, fin=fin).serialize(mask=True)
    websocket.transport.write(raw[: len(raw) - less])


async def hold(server: LocalServer, websocket: ClientConnection, **form: int) -> None:
    """Send an incomplete message, and wait until the server counts it."""
    before = server.gate.unfinished.held
    send(websocket, bytes(PART_BYTES), **form)  # type: ignore[arg-type]
    await until(lambda: server.gate.unfinished.held > before + PART_BYTES - 100_000)


FORMS = pytest.mark.parametrize("form", [{"fin": 0}, {"fin": 1, "less": 1000}], ids=["fragments", "frame"])


async def check_bounds(server: LocalServer, form: dict[str, int]) -> None:
    """One person has half of what its address has."""
    async with AsyncExitStack() as stack:
        one, two, three, four, five = [
            await stack.enter_async_context(visit(server, user)) for user in ("ada", "ada", "bob", "eve", "zoe")
        ]
        await hold(server, one, **form)
        send(two, bytes(PART_BYTES), **form)  # type: ignore[arg-type]
        assert await ended(two) == (1013, "too many bytes are under way")
        await until(lambda: server.gate.unfinished.held < PART_BYTES + 1000)  # headers count, that of the handshake too
        await hold(server, three, **form)
        await hold(server, four, **form)
        send(five, bytes(PART_BYTES), **form)  # type: ignore[arg-type]
        assert await ended(five) == (1013, "too many bytes are under way")
        for websocket in (one, three, four):
            assert websocket.close_code is None
            websocket.transport.abort()


@FORMS
async def test_incomplete_messages_of_one_address_are_bounded(server: LocalServer, form: dict[str, int]) -> None:
    """One person had all of it: of its neighbours nobody could send 64 KB."""
    await check_bounds(server, form)


async def test_of_a_message_that_was_refused_nothing_more_is_kept(server: LocalServer) -> None:
    """Its connection is read for a second longer: 60 of 16 MB took 460 MB, with a budget of 64."""
    connections: set[PicowsConnection] = server.app.state.fast_transport.connections
    async with visit(server) as websocket:
        (connection,) = connections
        send(websocket, bytes(20 * PART_BYTES), fin=True, less=1000)
        assert await ended(websocket) == (1013, "too many bytes are under way")
        await until(lambda: connection not in connections)
        assert connection.partial < 2 * BUDGET_BYTES


async def test_a_complete_message_is_not_counted_any_more(server: LocalServer) -> None:
    message = encode_update(Replica(1).type("x" * PART_BYTES))
    async with visit(server) as websocket:
        for _ in range(3):  # more than the budget, one after the other
            send(websocket, message[:PART_BYTES], fin=False)
            await until(lambda: server.gate.unfinished.held > 0)
            send(websocket, message[PART_BYTES:], opcode=Opcode.CONT, fin=True)
            await until(lambda: server.gate.unfinished.held == 0)
        await websocket.ping()
        assert websocket.close_code is None


@FORMS
async def test_incomplete_messages_are_bounded_on_the_asgi_lane(database_url: str, form: dict[str, int]) -> None:
    """60 sockets of 16 MB took 2.1 GB, and the loop stood still for 8 s."""
    settings = server_settings(database_url).model_copy(update={"websocket_lane": "asgi"})
    async with local_server(settings, DevAccess()) as server:
        await check_bounds(server, form)
        await until(lambda: server.gate.unfinished.held == 0)


async def test_a_message_that_is_not_taken_counts_on_the_asgi_lane(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that is paused takes none: each of its sockets held 16 MB that nothing counted."""
    complete, may_take, read = asyncio.Event(), asyncio.Event(), AsgiConnection.read
    pass_on = WebSocketsSansIOProtocol.send_receive_event_to_app

    async def read_later(connection: AsgiConnection) -> bytes | str | None:
        await may_take.wait()
        return await read(connection)

    def complete_message(protocol: WebSocketsSansIOProtocol) -> None:
        pass_on(protocol)
        complete.set()

    monkeypatch.setattr(AsgiConnection, "read", read_later)
    monkeypatch.setattr(WebSocketsSansIOProtocol, "send_receive_event_to_app", complete_message)
    settings = server_settings(database_url).model_copy(update={"websocket_lane": "asgi"})
    message = encode_update(Replica(1).type("x" * PART_BYTES))
    async with local_server(settings, DevAccess()) as server, visit(server) as one, visit(server) as two:
        send(one, message[:-10], fin=False)
        await until(lambda: server.gate.unfinished.held > PART_BYTES - 100_000)
        send(one, message[-10:], opcode=Opcode.CONT, fin=True)
        send(one, encode_update(Replica(2).type("y")), fin=True)  # stays unread
        await complete.wait()
        assert server.gate.unfinished.held > PART_BYTES - 100_000
        send(two, bytes(PART_BYTES), fin=False)
        assert await ended(two) == (1013, "too many bytes are under way")
        may_take.set()
        await until(lambda: server.gate.unfinished.held == 0)
        await until(lambda: server.hub.rooms["w", "notes.a"].head_seq == 2)


@FORMS
async def test_a_connection_that_is_lost_keeps_no_bytes_on_the_asgi_lane(
    database_url: str, monkeypatch: pytest.MonkeyPatch, form: dict[str, int]
) -> None:
    """40 refused messages held 170 MB until a full collection."""
    ended_ones: list[BoundedWebSocket] = []
    end = BoundedWebSocket.connection_lost

    def end_and_record(protocol: BoundedWebSocket, exc: Exception | None) -> None:
        end(protocol, exc)
        ended_ones.append(protocol)

    monkeypatch.setattr(BoundedWebSocket, "connection_lost", end_and_record)
    settings = server_settings(database_url).model_copy(update={"websocket_lane": "asgi"})
    async with local_server(settings, DevAccess()) as server:
        for size, refused in ((PART_BYTES, False), (2 * BUDGET_BYTES, True)):
            async with visit(server) as websocket:
                send(websocket, bytes(size), **form)  # type: ignore[arg-type]
                if refused:
                    assert await ended(websocket) == (1013, "too many bytes are under way")
                else:
                    await until(lambda: server.gate.unfinished.held > 0)
                    websocket.transport.abort()
        await until(lambda: len(ended_ones) == 2)
        for protocol in ended_ones:
            assert (protocol.frames, protocol.unread, len(protocol.conn.reader.buffer)) == ([], b"", 0)


async def test_bodies_of_one_person_are_bounded(server: LocalServer) -> None:
    address = urlsplit(server.url)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    head = f"POST {SYNC} HTTP/1.1\r\nHost: test\r\nContent-Length: {PART_BYTES + 1}\r\n\r\n"
    writer.write(head.encode() + bytes(PART_BYTES))
    await until(lambda: server.gate.unfinished.held == PART_BYTES)
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=SECONDS) as client:
        answer = await client.post(SYNC, content=bytes(PART_BYTES))
        assert (answer.status_code, answer.json()["code"]) == (503, "admission")
        assert (await client.post(SYNC, params={"user": "bob"}, content=bytes(PART_BYTES))).status_code == 400
        writer.close()
        await until(lambda: server.gate.unfinished.held == 0)
        assert (await client.post(SYNC, content=bytes(PART_BYTES))).status_code == 400


@pytest.mark.parametrize("lane", ["fast", "asgi"])
@FORMS
async def test_a_message_that_takes_too_long_is_ended(database_url: str, lane: str, form: dict[str, int]) -> None:
    """On the ASGI lane it was not: 64 MB of one address were held for as long as it answered pings."""
    hurried = server_settings(database_url, message_seconds=HURRIED_SECONDS)
    ping_seconds = HURRIED_SECONDS if lane == "fast" else SECONDS  # the fast lane reads its clock when it pings
    hurried = hurried.model_copy(update={"websocket_lane": lane, "ping_seconds": ping_seconds})
    async with local_server(hurried, DevAccess()) as server, visit(server) as websocket:
        send(websocket, bytes(PART_BYTES), **form)  # type: ignore[arg-type]
        assert await ended(websocket) == (1013, "a message did not come in time")
        await until(lambda: server.gate.unfinished.held == 0)


async def test_a_body_that_takes_too_long_is_ended(database_url: str) -> None:
    hurried = server_settings(database_url, message_seconds=HURRIED_SECONDS)
    async with local_server(hurried, DevAccess()) as server:
        address = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"POST {SYNC} HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nslow".encode())
        async with asyncio.timeout(SECONDS):
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
        writer.close()

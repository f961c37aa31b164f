"""What a socket may do, and what it is told when it may not: one suite for both lanes, against real servers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket as sockets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from crdt_server.protocol.messages import SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from tests.support.codec import decode_messages, encode_sync_step1, encode_sync_step2, encode_update
from tests.support.server import Lane, ServerProcess
from tests.support.wire import Replica, presence, state_vector

SECONDS = 60.0
LAG_SECONDS = 0.5
FRAME_BYTES = 4 << 20
WRITE_BUFFER_BYTES = 512 << 10


@pytest.fixture(scope="module", params=["fast", "asgi"])
def lane(request: pytest.FixtureRequest) -> Lane:
    found: Lane = request.param
    return found


def _server(directory: Path, lane: Lane, **settings: object) -> Iterator[ServerProcess]:
    env = {f"CRDT_SERVER_{name.upper()}": str(value) for name, value in settings.items()}
    server = ServerProcess(directory, lane=lane, env=env)
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def server(lane: Lane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Few limits: these tests come from one address and are often hostile."""
    yield from _server(
        tmp_path_factory.mktemp("server"),
        lane,
        max_strikes=0,
        handshakes_per_second=0,
        max_frame_bytes=FRAME_BYTES,
        write_buffer_bytes=WRITE_BUFFER_BYTES,
        document_hosts=1,
    )


@pytest.fixture(scope="module")
def strict(lane: Lane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Small limits."""
    yield from _server(
        tmp_path_factory.mktemp("strict"),
        lane,
        max_strikes=3,
        handshakes_per_second=20,
        max_connections_per_address=4,
        max_connections_per_room=2,
        ping_seconds=2,
        document_hosts=1,
    )


@asynccontextmanager
async def visit(server: ServerProcess, room: str = "w/notes.a", **options: object) -> AsyncIterator[ClientConnection]:
    url = f"{server.ws_url}/{room}"
    async with connect(url, compression=None, max_size=None, proxy=None, **options) as websocket:  # type: ignore[arg-type]
        yield websocket


async def close_code(websocket: ClientConnection) -> int | None:
    """Read to the end, and say how it ended."""
    async with asyncio.timeout(SECONDS):
        with suppress(ConnectionClosed):
            while True:
                await websocket.recv()
    return websocket.close_code


async def update_from(websocket: ClientConnection) -> bytes:
    """The next update; whatever else comes is passed over."""
    async with asyncio.timeout(SECONDS):
        while True:
            frame = await websocket.recv()
            assert isinstance(frame, bytes)
            (message,) = decode_messages(frame)
            if isinstance(message, SyncUpdate):
                return message.update


async def answer_from(websocket: ClientConnection) -> bytes:
    """The next sync step 2, with the updates before it."""
    replica = Replica(99)
    async with asyncio.timeout(SECONDS):
        while True:
            frame = await websocket.recv()
            assert isinstance(frame, bytes)
            (message,) = decode_messages(frame)
            if isinstance(message, SyncUpdate | SyncStep2):
                replica.receive(message.update)
            if isinstance(message, SyncStep2):
                return replica.all()


def text_of(update: bytes) -> str:
    reader = Replica(98)
    reader.receive(update)
    return str(reader)


class TestMessages:
    async def test_the_server_asks_first(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.first") as websocket:
            frame = await websocket.recv()
            assert isinstance(frame, bytes)
            assert decode_messages(frame) == [SyncStep1(EMPTY_STATE_VECTOR)]

    async def test_an_edit_comes_back_to_all(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.all") as one, visit(server, "w/notes.all") as two:
            edit = Replica(1).type("x")
            await one.send(encode_update(edit))
            assert await update_from(one) == await update_from(two) == edit

    async def test_several_messages_in_one_frame(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.several") as websocket:
            replica = Replica(1)
            messages = [encode_update(replica.type(c)) for c in "abc"] + [encode_sync_step1(EMPTY_STATE_VECTOR)]
            await websocket.send(b"".join(messages) + presence(1, 1, {"name": "Zoë"}))
            assert text_of(await answer_from(websocket)) == "abc"

    @pytest.mark.parametrize("size", [1, 7, 300])
    async def test_a_message_in_fragments(self, server: ServerProcess, size: int) -> None:
        async with visit(server, f"w/notes.fragments{size}") as websocket:
            edit = Replica(1).type("x" * 500)
            message = encode_update(edit)
            await websocket.send(message[i : i + size] for i in range(0, len(message), size))
            assert await update_from(websocket) == edit

    async def test_a_ping_between_fragments(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.between") as websocket:
            edit = Replica(1).type("x")
            message = encode_update(edit)
            raw(websocket, Frame(Opcode.BINARY, message[:3], fin=False))
            await (await websocket.ping())
            raw(websocket, Frame(Opcode.CONT, message[3:], fin=True))
            assert await update_from(websocket) == edit

    async def test_a_large_edit_takes_the_same_way(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.large") as one, visit(server, "w/notes.large") as two:
            edit = Replica(1).type("x" * 300_000)
            await one.send(encode_update(edit))
            assert await update_from(one) == await update_from(two) == edit

    async def test_presence_is_told_and_taken_back(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.presence") as one:
            async with visit(server, "w/notes.presence") as two:
                await two.send(presence(2, 7, {"name": "Chloé 💍"}))
                assert "Chloé 💍".encode() in await self._awareness(one)
            assert await self._awareness(one) == presence(2, 7, None)

    async def _awareness(self, websocket: ClientConnection) -> bytes:
        async with asyncio.timeout(SECONDS):
            while True:
                frame = await websocket.recv()
                assert isinstance(frame, bytes)
                if frame[0] == 1:
                    return frame

    async def test_names_may_be_quoted(self, server: ServerProcess) -> None:
        async with visit(server, "w%5F1/notes%2Equoted?user=ada") as one, visit(server, "w_1/notes.quoted") as two:
            edit = Replica(1).type("x")
            await one.send(encode_update(edit))
            assert await update_from(two) == edit


def raw(websocket: ClientConnection, frame: Frame) -> None:
    """Write a frame as it is, whatever the protocol thinks of it."""
    websocket.transport.write(frame.serialize(mask=True))


class TestRefusals:
    @pytest.mark.parametrize(
        "frame", [b"", b"\x09", b"\x00\x02\x7f", b"\x02\x00\x02no", b"\x00\x00\x05\x80\x80\x80\x80\x02"]
    )
    async def test_malformed_messages(self, server: ServerProcess, frame: bytes) -> None:
        async with visit(server) as websocket:
            await websocket.send(frame)
            assert await close_code(websocket) == 4400

    async def test_malformed_updates(self, server: ServerProcess) -> None:
        async with visit(server) as websocket:
            await websocket.send(encode_update(bytes.fromhex("80808040")))
            assert await close_code(websocket) == 4400

    async def test_text(self, server: ServerProcess) -> None:
        async with visit(server) as websocket:
            await websocket.send("hello")
            assert await close_code(websocket) == 4400

    async def test_text_in_fragments(self, server: ServerProcess) -> None:
        async with visit(server) as websocket:
            raw(websocket, Frame(Opcode.TEXT, b"hel", fin=False))
            raw(websocket, Frame(Opcode.CONT, b"lo", fin=True))
            assert await close_code(websocket) in (4400, 1002)

    @pytest.mark.parametrize("opcode", [Opcode.CONT, Opcode.BINARY])
    async def test_fragments_out_of_order(self, server: ServerProcess, opcode: Opcode) -> None:
        async with visit(server) as websocket:
            if opcode is Opcode.BINARY:
                raw(websocket, Frame(Opcode.BINARY, b"\x00", fin=False))
            raw(websocket, Frame(opcode, b"\x00", fin=True))
            assert await close_code(websocket) in (4400, 1002)

    async def test_reserved_bits(self, server: ServerProcess) -> None:
        async with visit(server) as websocket:
            frame = bytearray(Frame(Opcode.BINARY, encode_update(Replica(1).type("x")), fin=True).serialize(mask=True))
            frame[0] |= 0x40
            websocket.transport.write(bytes(frame))
            assert await close_code(websocket) in (4400, 1002)

    async def test_an_unmasked_frame(self, server: ServerProcess) -> None:
        async with visit(server) as websocket:
            websocket.transport.write(Frame(Opcode.BINARY, b"\x03", fin=True).serialize(mask=False))
            assert await close_code(websocket) in (1002, 4400, 1006)

    async def test_a_frame_that_is_too_large(self, server: ServerProcess) -> None:
        async with visit(server) as websocket:
            with suppress(ConnectionClosed):
                await websocket.send(b"\x00" * (FRAME_BYTES + 1))
            assert await close_code(websocket) == 1009

    async def test_a_message_that_is_too_large_in_fragments(self, server: ServerProcess) -> None:
        async with visit(server) as websocket:
            with suppress(ConnectionClosed):
                await websocket.send(b"\x00" * (FRAME_BYTES // 4) for _ in range(5))
            assert await close_code(websocket) == 1009

    @pytest.mark.parametrize(
        "room", ["w/nothing", "w/notes", "w/notes.", "-/notes.a", "w/notes.a%2Fb", "w/notes.%C3%A9"]
    )
    async def test_documents_that_cannot_exist(self, server: ServerProcess, room: str) -> None:
        async with visit(server, room) as websocket:
            assert await close_code(websocket) == 4404

    async def test_one_refusal_is_nobody_elses(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.shared") as good, visit(server, "w/notes.shared") as bad:
            await bad.send(b"\x09")
            assert await close_code(bad) == 4400
            edit = Replica(1).type("x")
            await good.send(encode_update(edit))
            assert await update_from(good) == edit


@asynccontextmanager
async def calm_visit(server: ServerProcess, room: str = "w/notes.a") -> AsyncIterator[ClientConnection]:
    """A visit to a server which does not lag any more."""
    async with AsyncExitStack() as stack:
        async with asyncio.timeout(SECONDS):
            while True:
                websocket = await stack.enter_async_context(visit(server, room))
                with suppress(ConnectionClosed):
                    await websocket.recv()
                    break
        yield websocket


@pytest.mark.slow
async def test_a_server_that_lags_takes_no_more_sockets(lane: Lane, tmp_path: Path) -> None:
    for server in _server(tmp_path, lane, max_loop_lag_seconds=LAG_SECONDS, document_hosts=1):
        async with calm_visit(server) as calm:
            os.kill(server.pid, signal.SIGSTOP)
            # Its request is there when the server goes on: the lag is remembered for a quarter of a second.
            late = asyncio.ensure_future(connect(f"{server.ws_url}/w/notes.b", proxy=None).__aenter__())
            try:
                done, _ = await asyncio.wait([late], timeout=2 * LAG_SECONDS)
                assert not done
            finally:
                os.kill(server.pid, signal.SIGCONT)
            assert await close_code(await late) == 4503
            async with calm_visit(server, "w/notes.b"):
                pass
            edit = Replica(1).type("x")
            await calm.send(encode_update(edit))
            assert await update_from(calm) == edit


class TestLimits:
    async def test_sockets_in_one_room(self, strict: ServerProcess) -> None:
        room = "w/notes.room"
        async with visit(strict, room), visit(strict, room), visit(strict, f"{room}?user=third") as third:
            assert await close_code(third) == 4503
        async with visit(strict, "w/notes.room") as again:
            await again.recv()

    async def test_sockets_of_one_address(self, strict: ServerProcess) -> None:
        async with AsyncExitStack() as stack:
            for number in range(4):
                await stack.enter_async_context(visit(strict, f"w/notes.{number}?user=u{number}"))
            fifth = await stack.enter_async_context(visit(strict, "w/notes.5?user=u5"))
            assert await close_code(fifth) == 4503

    async def test_handshakes_in_a_second(self, strict: ServerProcess) -> None:
        knocks = await asyncio.gather(*(self._knock(strict, n) for n in range(60)), return_exceptions=True)
        refusals = [knock for knock in knocks if isinstance(knock, InvalidStatus)]
        assert {refusal.response.status_code for refusal in refusals} == {429}
        async with asyncio.timeout(SECONDS):
            while True:
                with suppress(InvalidStatus):
                    async with visit(strict, "w/notes.later", local_addr=("127.0.0.2", 0)) as later:
                        await later.recv()
                        break

    async def _knock(self, server: ServerProcess, number: int) -> None:
        async with visit(server, f"w/notes.{number}?user=u{number}"):
            pass

    async def test_strikes(self, strict: ServerProcess) -> None:
        address = ("127.0.0.3", 0)
        for _ in range(3):
            async with visit(strict, local_addr=address) as websocket:
                await websocket.send(b"\x09")
                assert await close_code(websocket) == 4400
        async with visit(strict, local_addr=address) as websocket:
            assert await close_code(websocket) == 4529
        async with visit(strict, local_addr=("127.0.0.4", 0)) as other:
            await other.recv()

    async def test_who_does_not_answer_pings_is_cut_and_who_does_stays(self, strict: ServerProcess) -> None:
        async with visit(strict, "w/notes.ping", local_addr=("127.0.0.5", 0), ping_interval=None) as alive:
            async with handshake(strict, "127.0.0.6") as (reader, _), asyncio.timeout(SECONDS):
                with suppress(ConnectionResetError):
                    while await reader.read(4096):
                        pass
            edit = Replica(1).type("still here")
            await alive.send(encode_update(edit))
            assert await update_from(alive) == edit


@asynccontextmanager
async def handshake(
    server: ServerProcess, address: str = "127.0.0.1", room: str = "w/notes.raw", receive_bytes: int = 1 << 16
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A bare connection, upgraded."""
    host, port = server.url.removeprefix("http://").split(":")
    bare = sockets.socket()
    bare.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_bytes)
    bare.bind((address, 0))
    bare.setblocking(False)
    await asyncio.get_running_loop().sock_connect(bare, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=bare, limit=receive_bytes)
    try:
        writer.write(request(f"/ws/{room}"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101")
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


def request(path: str, **changes: str | None) -> bytes:
    """An upgrade request, with headers changed or (None) left out."""
    headers: dict[str, str | None] = {
        "Host": "127.0.0.1",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        **{name.replace("_", "-"): value for name, value in changes.items()},
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode()


class TestHandshake:
    @pytest.mark.parametrize(
        "changes",
        [
            {"Sec_WebSocket_Key": None},
            {"Sec_WebSocket_Key": "short"},
            {"Sec_WebSocket_Version": None},
            {"Sec_WebSocket_Version": "8"},
            {"Connection": "keep-alive"},
            {"Upgrade": "h2c"},
        ],
        ids=str,
    )
    async def test_a_malformed_upgrade_opens_nothing(
        self, server: ServerProcess, changes: dict[str, str | None]
    ) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request("/ws/w/notes.a", **changes))
        async with asyncio.timeout(SECONDS):
            head = await reader.read(4096)
        writer.close()
        await writer.wait_closed()
        assert not head.startswith(b"HTTP/1.1 101")
        assert b" 5" not in head[:12]

    @pytest.mark.parametrize("size", [1, 50, 10_000])
    async def test_an_upgrade_in_pieces_of_any_size(self, server: ServerProcess, size: int) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        whole = request(f"/ws/w/notes.pieces{size}", Upgrade="WebSocket")
        for start in range(0, len(whole), size):
            writer.write(whole[start : start + size])
            await writer.drain()
        async with asyncio.timeout(SECONDS):
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.close()
        await writer.wait_closed()

    async def test_an_upgrade_after_a_request_on_one_connection(self, server: ServerProcess) -> None:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        async with asyncio.timeout(SECONDS):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
            writer.write(request("/ws/w/notes.after"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.close()
        await writer.wait_closed()

    async def test_http_works_on_the_same_port(self, server: ServerProcess) -> None:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
            assert (await client.get("/healthz")).status_code == 200
            assert (await client.get("/ws/w/notes.a")).status_code in (404, 426, 400)

    async def test_closing_politely(self, server: ServerProcess) -> None:
        async with visit(server) as websocket:
            await websocket.recv()
            await websocket.close(1000, "bye")
            assert websocket.close_code == 1000


class TestBackPressure:
    async def test_who_sends_without_end_is_slowed_down_and_loses_nothing(self, server: ServerProcess) -> None:
        replica = Replica(1)
        frames = [encode_update(replica.type("x" * 900)) for _ in range(1500)]
        async with visit(server, "w/notes.flood") as websocket:

            async def write() -> None:
                for frame in frames:
                    await websocket.send(frame)
                await websocket.send(encode_sync_step1(EMPTY_STATE_VECTOR))

            writing = asyncio.create_task(write())
            assert len(text_of(await answer_from(websocket))) == 1500 * 900
            await writing

    async def test_who_never_reads_edits_is_closed(self, server: ServerProcess) -> None:
        bare = handshake(server, room="w/notes.slow", receive_bytes=4096)
        async with bare, visit(server, "w/notes.slow") as busy:
            before = await metric(server, "crdt_slow_consumers_total")
            replica = Replica(1)
            async with asyncio.timeout(SECONDS):
                while await metric(server, "crdt_slow_consumers_total") == before:
                    for _ in range(4):
                        await busy.send(encode_update(replica.type("x" * 200_000)))
                        await update_from(busy)

    async def test_who_asks_again_and_again_and_never_reads_is_closed(self, server: ServerProcess) -> None:
        """Every question may be answered with the whole document: the allowance for answers must not add up."""
        async with visit(server, "w/notes.asked") as author:
            await author.send(encode_update(Replica(1).type("x" * 400_000)))
            await update_from(author)
        before = await metric(server, "crdt_slow_consumers_total")
        async with handshake(server, room="w/notes.asked", receive_bytes=4096) as (_, writer):
            for number in range(50):
                question = encode_sync_step1(state_vector({1000 + number: 1}))
                writer.write(Frame(Opcode.BINARY, question, fin=True).serialize(mask=True))
            async with asyncio.timeout(SECONDS):
                while await metric(server, "crdt_slow_consumers_total") == before:
                    pass

    async def test_an_update_above_the_write_buffer_closes_nobody(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.above") as one, visit(server, "w/notes.above") as two:
            edit = Replica(1).type("x" * (4 * WRITE_BUFFER_BYTES))
            await one.send(encode_update(edit))
            assert await update_from(one) == await update_from(two) == edit

    async def test_a_large_answer_is_not_a_slow_reader(self, server: ServerProcess) -> None:
        async with visit(server, "w/notes.answer") as author:
            replica = Replica(1)
            for _ in range(6):
                await author.send(encode_update(replica.type("y" * 400_000)))
                await update_from(author)
            await author.send(encode_sync_step2(replica.all()))
            for _ in range(3):
                await author.send(encode_sync_step1(EMPTY_STATE_VECTOR))
                assert len(text_of(await answer_from(author))) == 6 * 400_000


async def metric(server: ServerProcess, name: str) -> float:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as client:
        lines = (await client.get("/metrics")).text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name))

"""Hostile bytes on a socket with several documents: the neighbours on the same socket, and in the same rooms, go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crdt_server import Settings
from crdt_server.protocol.hocuspocus import HocuspocusCodec, read_address
from crdt_server.protocol.lib0 import read_var_string, write_var_string
from crdt_server.protocol.messages import DocumentMessage, SyncStep1, SyncUpdate
from tests.hostile.link import Link, client_frame
from tests.hostile.shared_socket_attacks import Payloads, token
from tests.support.gate import LocalServer, local_server, until
from tests.support.tokens import SECRET
from tests.support.tokens import token as signed
from tests.support.wire import Replica, Typist

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOOD, BAD = "w/notes.good", ("w/notes.bad", "w/timeline", "w/notes.bad\0twice")
MOST_DOCUMENTS = 4
STORED, CLOSED, REFUSED = b"\x08\1", b"\7", b"\2\1"
ROUNDS, MESSAGES = 3, 60
SLOW_ITEMS = 1500  # 13 KB, for more than the CPU time of an update of that size
STRANGE_NAMES = {
    "other/notes.a": "4403",
    "w/nothing": "4404",
    "w": "4404",
    "/notes.a": "4404",
    "w/notes.a/b": "4404",
    "../w/notes.a": "4404",
    "w/notes.\n": "4404",
    f"w/notes.{'n' * 300}": "4404",
    "\0w/notes.a": "4404",
}
IDS = iter(range(1000, 2000))


def encoded(name: str, what: DocumentMessage) -> bytes:
    return HocuspocusCodec(name.encode()).encode(what)


def update(name: str, text: bytes) -> bytes:
    """Text of a new client."""
    return encoded(name, SyncUpdate(Typist(next(IDS)).text(text)))


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["fast", "asgi"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[LocalServer]:
    directory = tmp_path_factory.mktemp("server")
    (directory / "secret").write_bytes(SECRET)
    settings = Settings(
        port=0,
        websocket_lane=request.param,
        database_url=f"sqlite:///{directory}/store.db",
        document_hosts=1,
        jwt_secret_file=f"{directory}/secret",
        max_documents_per_socket=MOST_DOCUMENTS,
        max_strikes=0,
        handshakes_per_second=0,
    )
    async with local_server(settings) as running:
        yield running


@asynccontextmanager
async def opened(server: LocalServer, *names: str) -> AsyncIterator[ClientConnection]:
    """A socket of Mallory with documents that are open. It is gone for the server at the end."""
    url = f"{server.url.replace('http', 'ws')}/hocuspocus?token={signed(sub='mallory')}"
    async with connect(url, compression=None, proxy=None) as socket:
        for name in names:
            await socket.send(token(name))
            await socket.send(encoded(name, SyncStep1(b"\0")))
            await receives(socket, name, b"\0\1")
        yield socket
    await until(lambda: not server.gate.admission.held and not server.gate.pending.held)


async def receives(socket: ClientConnection, name: str, *bodies: bytes) -> bytes:
    """Wait for a message of a document that begins with one of these bytes; it from its type on. Raises
    ConnectionClosed, TimeoutError."""
    async with asyncio.timeout(60):
        while True:
            payload = await socket.recv()
            assert isinstance(payload, bytes)
            if len(payload) > 1:
                address, pos = read_address(payload)
                if address == name.encode() and payload[pos:].startswith(bodies):
                    return payload[pos:]


async def is_stored(socket: ClientConnection, name: str, text: bytes) -> None:
    """An honest edit of a document is received and stored."""
    await socket.send(update(name, text))
    await receives(socket, name, STORED)


async def stored(server: LocalServer, name: str) -> bytes:
    """All that a document holds."""
    wedding, _, document = name.partition("/")
    async with httpx.AsyncClient(trust_env=False, params={"token": signed()}) as client:
        answer = await client.get(f"{server.url}/api/weddings/{wedding}/documents/{document}/state")
    return answer.raise_for_status().content


def code_of(body: bytes) -> str:
    """The code that a document was closed or refused with."""
    return read_var_string(body, len(CLOSED if body.startswith(CLOSED) else REFUSED))[0].partition(":")[0]


async def attack(server: LocalServer, random: Random, *, addressed: bool) -> int | None:
    """One socket: hostile payloads to some documents, and an honest edit in another. Returns the close code, where one
    of the payloads has closed the socket, as one with a malformed address does."""
    payloads = Payloads(random, BAD)
    honest = Replica(random.randrange(1, 1 << 30))
    async with opened(server, GOOD, *BAD) as socket:
        try:
            for _ in range(MESSAGES):
                await socket.send(payloads.addressed() if addressed else payloads.payload())
                if random.random() < 0.3:
                    await socket.send(write_var_string(random.choice(BAD)) + b"\2\0\0")
            await socket.send(encoded(GOOD, SyncUpdate(honest.type("x"))))
            await receives(socket, GOOD, STORED)
        except ConnectionClosed:
            return socket.close_code
    return None


async def test_hostile_bytes_on_a_shared_socket(server: LocalServer) -> None:
    for seed in range(ROUNDS):
        assert await attack(server, Random(seed), addressed=True) is None, seed
    ended = [await attack(server, Random(seed), addressed=False) for seed in range(ROUNDS)]
    assert set(ended) <= {None, 4400}, ended
    async with opened(server, GOOD) as socket:
        await is_stored(socket, GOOD, b"calm")
    closed = server.hub.metrics.counters.closed
    assert closed.get(4400, 0) > ROUNDS, closed


async def test_names_that_do_not_belong_and_too_many_documents(server: LocalServer) -> None:
    async with opened(server, GOOD) as socket:
        for name, code in STRANGE_NAMES.items():
            for payload in (update(name, b"early"), token(name), update(name, b"late")):
                await socket.send(payload)
            assert code_of(await receives(socket, name, REFUSED)) == code, name
            await socket.send(update(name, b"later"))
        several = [f"w/notes.n{number}" for number in range(MOST_DOCUMENTS)]
        for name in several:
            await socket.send(token(name))
        assert code_of(await receives(socket, several[-1], REFUSED)) == "4503"
        await socket.send(update(several[-1], b"one too many"))
        await is_stored(socket, GOOD, b"still here")
        assert server.gate.admission.held == MOST_DOCUMENTS
        assert {wedding for wedding, _ in server.hub.rooms} == {"w"}
        assert ("w", several[-1].removeprefix("w/")) not in server.hub.rooms


async def test_half_sent_frames(server: LocalServer) -> None:
    host, _, port = server.url.removeprefix("http://").rpartition(":")
    name, path = "w/notes.half", f"/hocuspocus?token={signed(sub='mallory')}"
    frame = client_frame(update(name, b"half a frame"))
    for cut in (1, 2, 5, 6, 12, len(frame) // 2, len(frame) - 1):
        link = await Link.open(host, int(port), path, "127.0.0.1")
        link.send(token(name))
        assert await link.receives(b"read-write", 60)
        link.raw(frame[:cut])
        link.abort()
    async with opened(server, name, GOOD) as socket:
        await is_stored(socket, GOOD, b"whole")
    assert b"half a frame" not in await stored(server, name)
    link = await Link.open(host, int(port), path, "127.0.0.1")
    for byte in client_frame(token(name)) + frame:  # a slow network, and an honest client
        link.raw(bytes((byte,)))
    assert await link.receives(write_var_string(name) + STORED, 60)
    link.abort()
    assert b"half a frame" in await stored(server, name)


async def test_an_expelled_document_goes_on_sending(server: LocalServer) -> None:
    expelled = "w/notes.expelled"
    async with opened(server, expelled, GOOD) as socket:
        room = server.hub.rooms["w", "notes.expelled"]
        (session,) = room.members
        room.members.close(session, 4403, "not a member any more")
        for _ in range(MESSAGES):
            await socket.send(update(expelled, b"from outside"))
        assert code_of(await receives(socket, expelled, CLOSED)) == "4403"
        await socket.send(write_var_string(expelled) + b"\3")
        await is_stored(socket, GOOD, b"inside")
    assert b"from outside" not in await stored(server, expelled)


async def test_a_slow_document_closes_itself_alone(server: LocalServer) -> None:
    slow = "w/notes.slow"
    async with opened(server, slow, GOOD) as socket:
        await socket.send(encoded(slow, SyncUpdate(Typist(next(IDS)).many_items(SLOW_ITEMS))))
        await receives(socket, slow, STORED)
        await socket.send(encoded(slow, SyncUpdate(Typist(next(IDS)).many_items(SLOW_ITEMS))))
        await is_stored(socket, GOOD, b"meanwhile")
        assert code_of(await receives(socket, slow, CLOSED)) == "4409"
        await is_stored(socket, GOOD, b"and after it")

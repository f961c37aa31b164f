"""Connections cost an open file before they have sent a byte: they are bounded per address, and all together below the
number of files that the process may open."""

from __future__ import annotations

import asyncio
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from copy import copy

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from crdt_server.access.addresses import TrustedProxies
from crdt_server.http_connections import HttpConnections
from crdt_server.open_files import MOST_FILES, most_http_connections, most_websockets
from crdt_server.serve import MOST_HEAD_BYTES, MOST_PIPELINED
from tests.support.databases import sqlite_database
from tests.support.gate import SECONDS, LocalServer, local_server

MOST = 5
ELSEWHERE = "127.0.0.2"

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
        max_connections_per_address=MOST - 1,
        max_pending_per_address=1,
    )
    async with local_server(settings, DevAccess()) as running:
        yield running


async def healthz(server: LocalServer, address: str) -> int:
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(transport=transport, timeout=SECONDS) as http:
        return (await http.get(f"{server.url}/healthz")).status_code


async def test_silent_connections_of_one_address_are_bounded(server: LocalServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    async with AsyncExitStack() as stack:
        for _ in range(MOST):
            _, writer = await asyncio.open_connection(host, port)
            stack.callback(writer.close)
        with pytest.raises(httpx.TransportError):
            await healthz(server, host)
        assert await healthz(server, ELSEWHERE) == 200
    assert await until_answered(server, host) == 200


class Arriving(asyncio.Transport):
    """A connection of which only the address of its peer is known."""

    aborted = False

    def __init__(self, peer: str) -> None:
        super().__init__({"peername": (peer, 40_000, 0, 0)})

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("proxies", ["127.0.0.1", "::1", "2001:db8::7", "2001:db8::/32"])
async def test_those_of_a_trusted_proxy_are_not_those_of_one_address(server: LocalServer, proxies: str) -> None:
    """Of IPv6 a network counts as one address, and it is not that of a proxy in it."""
    gate = copy(server.gate)
    gate.proxies = TrustedProxies(proxies)
    connections = HttpConnections(lambda: gate, server.hub.settings)
    arriving = [Arriving(proxies.removesuffix("/32")) for _ in range(2 * MOST)]
    assert all(connections.admit(each) for each in arriving)
    strangers = [Arriving("2001:db9::1") for _ in range(2 * MOST)]
    assert sum(connections.admit(each) is not None for each in strangers) == MOST
    assert sum(each.aborted for each in (*arriving, *strangers)) == MOST


async def test_one_address_leaves_connections_to_others_where_there_are_few_files(server: LocalServer) -> None:
    """With 1,024 files all had 128 connections, and one address might have 1,100: it shut out everybody else."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
    try:
        connections = HttpConnections(lambda: server.gate, Settings())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sum(connections.admit(Arriving("192.0.2.1")) is not None for _ in range(200)) == 64
    assert connections.admit(Arriving("192.0.2.2")) is not None


async def until_answered(server: LocalServer, address: str) -> int:
    """The server learns of each close in a turn of its own."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                return await healthz(server, address)
            except httpx.TransportError:
                continue


async def test_websockets_count_until_their_handshake_only(server: LocalServer) -> None:
    """From then on the gate counts them, for half of what an address may have of one person."""
    async with AsyncExitStack() as stack:
        for user in ("ada", "ben"):
            for _ in range(2):
                url = f"{server.ws_url}/w/notes.a?user={user}"
                await stack.enter_async_context(connect(url, compression=None, proxy=None))
        for _ in range(2 * MOST):
            assert await healthz(server, "127.0.0.1") == 200


async def pipelined(server: LocalServer, requests: int) -> bytes:
    """Send so many at once, the last to be closed after; everything that is answered."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, port)
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
    writer.write((request + b"\r\n") * (requests - 1) + request + b"Connection: close\r\n\r\n")
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_requests_that_wait_for_the_response_to_another_are_bounded(server: LocalServer) -> None:
    """Those of 200 connections took 2 GB of memory in four seconds."""
    few = await pipelined(server, MOST_PIPELINED)
    assert few.count(b"HTTP/1.1 200") == MOST_PIPELINED
    many = await pipelined(server, 2000)
    assert many.count(b"HTTP/1.1 200") <= MOST_PIPELINED


HEAD = b"POST /api/weddings/w/documents/notes.a/sync HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "headers": (HEAD, b"X-A: b\r\n"),
    "a header": (HEAD + b"X-A: ", b"aaaa"),
    "a path": (b"GET /", b"aaaa"),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\n", b"X-A: b\r\n"),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_what_comes_besides_a_body_is_bounded(server: LocalServer, kind: str) -> None:
    """35 MB of short headers took 200 MB of memory."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, port)
    begin, more = ENDLESS[kind]
    writer.write(begin + more * (2 * MOST_HEAD_BYTES // len(more)))
    with suppress(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 5)  # before the time for headers is over
    writer.close()


async def test_a_body_in_small_chunks_is_taken(server: LocalServer) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(CHUNKED + b"1\r\n\0\r\n" * MOST_HEAD_BYTES + b"0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 4"), "it is answered, and malformed"
    writer.close()


async def test_there_are_files_left_when_all_connections_are_there() -> None:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most_websockets(0) + most_http_connections() < 0.9 * files
    assert most_websockets(10) == 10


LOWERED = """
import resource
import sys
from crdt_server.open_files import raise_limit
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
raise_limit()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


async def test_a_process_takes_as_many_files_as_its_system_allows() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", LOWERED, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert int(printed) == (MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES))

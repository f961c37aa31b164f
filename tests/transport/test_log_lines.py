"""What strangers send costs a bounded number of lines in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.server import Lane, ServerProcess

TIMES = 300
MOST_LOG_BYTES = 25_000  # 20 lines of a kind have 3 to 16 KB, tracebacks included

HANDSHAKE = (
    b"GET /ws/demo/notes.a?user=mal HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
SENT = {
    "a request that is none": (b"\xc3\xb6\r\n\r\n", b""),
    "a frame that is none": (HANDSHAKE, b"\xff" * 50),
    "text that is none": (HANDSHAKE, b"\x81\x82\0\0\0\0\xff\xfe"),
}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=["fast", "asgi"])
async def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[ServerProcess]:
    lane: Lane = request.param
    directory: Path = tmp_path_factory.mktemp("server")
    unbounded = {"CRDT_SERVER_HANDSHAKES_PER_SECOND": "0", "CRDT_SERVER_MAX_STRIKES": "0"}
    running = ServerProcess(directory, lane=lane, env=unbounded)
    running.start()
    yield running
    running.close()


async def send(server: ServerProcess, request: bytes, frame: bytes) -> None:
    """Open a connection, send this, and read until the server ends it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    await reader.readuntil(b"\r\n\r\n")
    writer.write(frame)
    with suppress(ConnectionResetError):
        while await reader.read(4096):
            pass
    writer.close()


@pytest.mark.parametrize("kind", SENT)
async def test_malformed_bytes_are_logged_a_few_times(server: ServerProcess, kind: str) -> None:
    before = len(server.log)
    await asyncio.gather(*(send(server, *SENT[kind]) for _ in range(TIMES)))
    assert len(server.log) - before < MOST_LOG_BYTES

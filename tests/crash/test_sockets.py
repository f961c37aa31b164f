"""Peers that stop halfway: in a request, in a frame, in reading. Everybody else goes on; nothing is kept for them."""

from __future__ import annotations

import asyncio
import os
import socket
import statistics
import struct
from base64 import b64encode
from contextlib import suppress
from time import monotonic

import pytest
from pycrdt import Text

from tests.crash.process import CrashServer, StartServer
from tests.support.effort import and_repeated, promised, timed
from tests.support.yclient import YClient

LANES = pytest.mark.parametrize("lane", ["fast", "asgi"])
HALF_OPEN = 200
REQUEST_SECONDS = 2.0
MALFORMED = 4400
CLOSE_FRAME = 0x88
WRITE_BUFFER_BYTES = 512 * 1024
MEMORY_BYTES = 24 << 20  # how much the serving process may grow while it pours megabytes at somebody who does not read
LATENCY_SECONDS = promised(1.0)
PATIENT = bool(int(os.environ.get("CRASH_PATIENT", "0")))


def handshake(server: CrashServer, document: str) -> bytes:
    """The upgrade request of a WebSocket."""
    return (
        f"GET /ws/w/{document} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Key: {b64encode(bytes(16)).decode()}\r\n\r\n"
    ).encode()


def frame(opcode: int, payload: bytes) -> bytes:
    """One final frame from a client (masked with zeros)."""
    assert len(payload) < 126
    return bytes((0x80 | opcode, 0x80 | len(payload))) + bytes(4) + payload


async def dial(server: CrashServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.port)


async def upgrade(server: CrashServer, document: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A raw WebSocket, its handshake done."""
    reader, writer = await dial(server)
    writer.write(handshake(server, document))
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def close_code(reader: asyncio.StreamReader) -> int:
    """Read small frames up to the close frame: its code."""
    while True:
        opcode, size = await reader.readexactly(2)
        if size == 126:
            size = int.from_bytes(await reader.readexactly(2), "big")
        payload = await reader.readexactly(size)
        if opcode == CLOSE_FRAME:
            return int.from_bytes(payload[:2], "big")


def cut(writer: asyncio.StreamWriter) -> None:
    """Reset the connection, as a network that breaks does."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """Everything until the server ends the connection."""
    with suppress(ConnectionError):
        return await reader.read(-1)
    return b""


@timed
async def test_requests_that_never_end(start: StartServer) -> None:
    """Silent, half a request, a header now and then, the second request of a connection: all are ended in time, and a
    client beside them edits on."""
    server = await start(request_seconds=REQUEST_SECONDS)
    async with YClient(server.socket_url("notes.a"), "ann") as ann:
        await ann.until(lambda: ann.synced)
        begun = monotonic()
        half_open = [await dial(server) for _ in range(HALF_OPEN)]
        for number, (_, writer) in enumerate(half_open):
            writer.write(handshake(server, "notes.a")[: number % 120])
        second_reader, second_writer = await dial(server)
        second_writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        await second_reader.readuntil(b"}")
        second_writer.write(b"GET /healthz HTTP/1.1\r\n")
        slow_reader, slow_writer = await dial(server)
        slow_writer.write(b"GET / HTTP/1.1\r\n")
        half_open += [(second_reader, second_writer), (slow_reader, slow_writer)]
        ends = asyncio.gather(*(end_of(reader) for reader, _ in half_open))
        while not ends.done():
            with suppress(ConnectionError):
                slow_writer.write(b"X-A: b\r\n")
            await ann.write()
            await ann.until(lambda: ann.saved, LATENCY_SECONDS)
            await asyncio.wait((ends,), timeout=0.5)
            assert monotonic() - begun < REQUEST_SECONDS + promised(10), "half-open connections are still there"
        for _, writer in half_open:
            writer.close()
        assert await server.status("/readyz") == 200
        assert ann.closes == []


@LANES
async def test_sockets_that_break_or_speak_in_text(start: StartServer, lane: str) -> None:
    server = await start(websocket_lane=lane)
    async with YClient(server.socket_url("notes.a"), "ann") as ann:
        await ann.write()
        await ann.until(lambda: ann.saved)
        whole = frame(2, b"\0\2" + bytes((8,)) + bytes(8))
        for size in (1, 3, 7, len(whole) - 1):
            _, writer = await upgrade(server, "notes.a")
            writer.write(whole[:size])
            await writer.drain()
            cut(writer)
            await ann.write()
        fragment = bytes((0x02,)) + whole[1:]  # the first of several, and the others never come
        _, writer = await upgrade(server, "notes.a")
        writer.write(fragment)
        await writer.drain()
        cut(writer)
        await ann.until(lambda: ann.saved)
        for text in (b"", b"hello", b"\xff\xfe"):
            reader, writer = await upgrade(server, "notes.a")
            writer.write(frame(1, text))
            code = await asyncio.wait_for(close_code(reader), 60)
            writer.close()
            # what is not UTF-8 may be refused by the WebSocket parser itself, with 1007
            assert code == MALFORMED or (code == 1007 and text == b"\xff\xfe")
        async with asyncio.timeout(60):
            while await server.metric("crdt_sockets") != 1:
                await ann.write()
                await ann.until(lambda: ann.saved)
        assert ann.closes == []


@timed
@pytest.mark.parametrize("lane", and_repeated("fast", "asgi"))  # both: tests/transport
async def test_a_reader_that_never_reads(start: StartServer, lane: str) -> None:
    server = await start(websocket_lane=lane, write_buffer_bytes=WRITE_BUFFER_BYTES)
    async with (
        YClient(server.socket_url("notes.busy"), "ann") as ann,
        YClient(server.socket_url("notes.busy"), "bob") as bob,
    ):
        for client in (ann, bob):
            await client.write()
            await client.until(lambda c=client: c.saved)  # type: ignore[misc]
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", server.port))
            deaf.sendall(handshake(server, "notes.busy"))
            before = server.memory_bytes()
            latencies = await _pour(server, ann)
            grown = server.memory_bytes() - before
            if lane == "fast" or PATIENT:  # plain ASGI has to wait for the one write under way: 20 s
                async with asyncio.timeout(90):
                    while await server.metric("crdt_sockets") != 2:
                        latencies.append(await _paragraph(ann))
        assert ann.closes == bob.closes == []
        await bob.until(lambda: str(bob.doc.get("text", type=Text)) == str(ann.doc.get("text", type=Text)))
    latency = f"p50 {statistics.median(latencies):.3f} s, most {max(latencies):.3f} s of {len(latencies)}"
    print(f"{lane}: grown {grown >> 10} KiB, latency {latency}")
    assert max(latencies) < LATENCY_SECONDS
    assert grown < MEMORY_BYTES


async def _pour(server: CrashServer, client: YClient) -> list[float]:
    """Write until the server has given the deaf socket up; seconds from each edit to its echo."""
    latencies = []
    async with asyncio.timeout(90):
        while await server.metric("crdt_slow_consumers_total") == 0:
            latencies += [await _paragraph(client) for _ in range(5)]
            if await server.metric("crdt_sockets") == 2:
                break  # where this is slow, one write of the plain transport takes too long before too much waits
    return latencies


async def _paragraph(client: YClient) -> float:
    """Replace a text by another one of 30 KB: much traffic, small document."""
    text = client.doc.get("text", type=Text)
    if len(text):
        del text[0 : len(text)]
    text.insert(0, os.urandom(15_000).hex())
    begin = monotonic()
    await client.flush()
    await client.until(lambda: client.saved)
    return monotonic() - begin

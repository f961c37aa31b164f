"""The least that a durable server of this design has to do: ``python sketch_server.py PORT DATABASE``.

uvicorn gives WebSockets to picows; one forked document host applies and merges each batch with pycrdt; a thread commits
the merged updates to SQLite with ``synchronous=FULL``; only then each room gets one frame, its writers included. There
are no checks, no limits and no recovery from errors, and stored documents are not read back, so only clients that begin
with empty documents are served. It is the floor for the questions about updates, fan-out and presence.
"""

import asyncio
import gc
import logging
import os
import pickle
import queue
import socket
import sqlite3
import struct
import sys
import threading
from typing import Any

import uvicorn
from picows import WSAutoPingStrategy, WSFrame, WSListener, WSMsgType, WSTransport
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from pycrdt import Doc, merge_updates
from starlette.applications import Starlette

SYNC_STEP_1, SYNC_STEP_2, SYNC_UPDATE = b"\0\0", b"\0\1", b"\0\2"
EMPTY_STATE_VECTOR, EMPTY_UPDATE = b"\1\0", b"\2\0\0"  # with their lengths
LENGTH = struct.Struct("<I")
PIPE_BYTES = 4 << 20
READ_BUFFER_BYTES = 2048
MAX_FRAME_BYTES = 10 << 20
BACKLOG = 8192

LOGGER = logging.LoggerAdapter(logging.getLogger("picows"))
LOGGER.logger.setLevel(logging.ERROR)


def var_uint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(128 | (number & 127))
        number >>= 7
    out.append(number)
    return bytes(out)


def websocket_frame(payload: bytes) -> bytes:
    length = len(payload)
    if length < 126:
        return bytes((0x82, length)) + payload
    if length < 1 << 16:
        return b"\x82\x7e" + length.to_bytes(2, "big") + payload
    return b"\x82\x7f" + length.to_bytes(8, "big") + payload


def serve_documents(pipe: socket.socket) -> None:
    """The document host: batches of (room, updates) in, one merged update of each room out."""
    documents: dict[str, Doc[Any]] = {}
    source = pipe.makefile("rb", 1 << 20)
    while head := source.read(LENGTH.size):
        merged = []
        for name, updates in pickle.loads(source.read(*LENGTH.unpack(head))):  # noqa: S301 - from its own parent
            document = documents.setdefault(name, Doc())
            for update in updates:
                document.apply_update(update)
            merged.append(updates[0] if len(updates) == 1 else merge_updates(*updates))
        body = pickle.dumps(merged, 5)
        pipe.sendall(LENGTH.pack(len(body)) + body)


class Room:
    __slots__ = ("connections", "name", "received")

    def __init__(self, name: str) -> None:
        self.name = name
        self.connections: set[Connection] = set()
        self.received: list[bytes] = []


class Hub:
    """One batch is with the document host; what arrives meanwhile is the next one."""

    def __init__(self, database: str) -> None:
        self.rooms: dict[str, Room] = {}
        self._database = database
        self._changed: list[Room] = []
        self._with_host: list[Room] = []
        self._answer = bytearray()
        self._to_commit: queue.SimpleQueue[list[tuple[Room, bytes]]] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pipe, other = socket.socketpair()
        for end in (self._pipe, other):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PIPE_BYTES)
        if os.fork() == 0:
            self._pipe.close()
            serve_documents(other)
            os._exit(0)
        other.close()
        threading.Thread(target=self._commit, daemon=True).start()

    def receive(self, room: Room, update: bytes) -> None:
        room.received.append(update)
        if len(room.received) > 1:
            return
        self._changed.append(room)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._pipe.setblocking(False)
            self._loop.add_reader(self._pipe.fileno(), self._read_answer)
        if not self._with_host and len(self._changed) == 1:
            self._loop.call_soon(self._send_batch)

    def _send_batch(self) -> None:
        self._with_host, self._changed = self._changed, []
        body = pickle.dumps([(room.name, room.received) for room in self._with_host], 5)
        for room in self._with_host:
            room.received = []
        self._pipe.setblocking(True)
        self._pipe.sendall(LENGTH.pack(len(body)) + body)
        self._pipe.setblocking(False)

    def _read_answer(self) -> None:
        self._answer += self._pipe.recv(1 << 20)
        if len(self._answer) < LENGTH.size:
            return
        end = LENGTH.size + LENGTH.unpack_from(self._answer)[0]
        if len(self._answer) < end:
            return
        merged = pickle.loads(self._answer[LENGTH.size : end])  # noqa: S301 - from its own child
        self._answer.clear()
        self._to_commit.put(list(zip(self._with_host, merged, strict=True)))
        self._with_host = []
        if self._changed:
            self._send_batch()

    def _commit(self) -> None:
        connection = sqlite3.connect(self._database, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE updates (id INTEGER PRIMARY KEY, room TEXT, bytes BLOB)")
        while True:
            batch = self._to_commit.get()
            while not self._to_commit.empty():
                batch += self._to_commit.get()
            connection.execute("BEGIN")
            rows = [(room.name, update) for room, update in batch]
            connection.executemany("INSERT INTO updates (room, bytes) VALUES (?, ?)", rows)
            connection.execute("COMMIT")
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._broadcast, batch)

    def _broadcast(self, batch: list[tuple[Room, bytes]]) -> None:
        for room, update in batch:
            frame = websocket_frame(SYNC_UPDATE + var_uint(len(update)) + update)
            for connection in room.connections:
                connection.write(frame)


class Connection(WSListener):
    def __init__(self, hub: Hub, room: Room) -> None:
        self.hub, self.room = hub, room

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.write = transport.underlying_transport.write
        self.room.connections.add(self)
        self.write(websocket_frame(SYNC_STEP_1 + EMPTY_STATE_VECTOR))

    def on_ws_disconnected(self, _transport: WSTransport) -> None:
        self.room.connections.discard(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), b"")
            transport.disconnect()
        if frame.msg_type != WSMsgType.BINARY:
            return
        message = frame.get_payload_as_bytes()
        if message[:2] == SYNC_STEP_1:
            self.write(websocket_frame(SYNC_STEP_2 + EMPTY_UPDATE))
        elif message[0] == 0:
            start = 2
            while message[start] & 128:
                start += 1
            if (update := message[start + 1 :]) != EMPTY_UPDATE[1:]:
                self.hub.receive(self.room, update)
        else:
            presence = websocket_frame(message)
            for connection in self.room.connections:
                connection.write(presence)


def protocol_class(hub: Hub) -> type[WSProtocol]:
    def listener(request: Any) -> Connection:
        path = request.path.decode()
        return Connection(hub, hub.rooms.setdefault(path, Room(path)))

    class Protocol(WSProtocol):  # type: ignore[misc]
        """Fed by uvicorn with the request that it has read already."""

        def __init__(self, **_: Any) -> None:
            idle_ping = (True, 5, False, 20, 20, WSAutoPingStrategy.PING_WHEN_IDLE, True)
            super().__init__(None, None, False, listener, LOGGER, *idle_ping, MAX_FRAME_BYTES, None, READ_BUFFER_BYTES)

        def data_received(self, data: bytes) -> None:
            rest = memoryview(data)
            while rest:
                buffer = self.get_buffer(-1)
                taken = min(len(buffer), len(rest))
                buffer[:taken] = rest[:taken]
                self.buffer_updated(taken)
                rest = rest[taken:]

        def shutdown(self) -> None:
            self.transport.disconnect()

    return Protocol


def main() -> None:
    hub = Hub(sys.argv[2])
    gc.freeze()
    protocol = protocol_class(hub)
    options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "log_level": "warning", "backlog": BACKLOG}
    # uvicorn takes a class; picows' own __new__ wants positional arguments only
    ws = type("Ws", (asyncio.Protocol,), {"__new__": lambda _cls, **_: protocol()})
    uvicorn.run(Starlette(), host="127.0.0.1", port=int(sys.argv[1]), ws=ws, **options)


if __name__ == "__main__":
    main()

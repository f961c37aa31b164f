"""The bus over Redis: PUBLISH and SUBSCRIBE over two connections, one for each direction.

Redis forwards a message and keeps nothing, so a message is missing only when a connection broke or when the message was
never sent. The first is an interruption: both connections are made anew and every subscription gets `on_resync`. The
publisher knows of the second, since Redis acknowledges each message: it then sends a loss notice on the channel.

An old connection may still deliver after the new one (a frozen network thaws). So each message carries its publisher
and the number of the publisher's connection, and a message of an earlier connection than the last is dropped: the loss
notice covers it. Streams were measured as well (benchmarks/bus.py): they cost more, and everything they would keep is
in the database anyway.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from storage.bus import QUEUE_BYTES, Listener, QueuedMessage, SendQueue, Subscription
from storage.redis_channels import Command, RedisChannels

BATCH_BYTES = 128 * 1024
TICK_SECONDS = 0.25
SILENT_TICKS = 6  # counted, not measured: a process that was stopped itself must not blame Redis
CONNECT_SECONDS = 1.0
CLOSE_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5  # so that a Redis that is back is in use within a second
STEADY_SECONDS = 2.0
MAX_PUBLISHERS = 4_096

HEADER = struct.Struct(">8sI?")  # publisher, number of its connection, whether this is a loss notice
PING = ("PING",)


class RedisTimeout(ConnectionError):
    """Redis is connected and does not answer."""


class Link:
    """One connection, and for how many ticks nothing has arrived over it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.silent_ticks = 0

    async def open(self) -> None:
        """Connect, and set the client's name, which Redis answers."""
        await self._connection.connect()

    async def write(self, commands: Iterable[Command]) -> None:
        packed = self._connection.pack_commands(commands)
        try:
            await self._connection.send_packed_command(packed, check_health=False)
        except RuntimeError as error:  # raised by uvloop for a socket that is closed already
            raise ConnectionError(f"closed: {error}") from error

    async def read(self) -> Any:
        """The next reply. Raises RedisError when it is an error or the connection breaks."""
        reply = await self._connection.read_response(disable_decoding=True, timeout=math.inf, disconnect_on_error=False)
        self.silent_ticks = 0
        return reply

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


class RedisBus:
    """A bus for all processes with the same Redis and the same `prefix`.

    ``url`` is redis://, rediss:// or unix://. Databases do not separate channels in Redis, `prefix` does.
    """

    def __init__(self, url: str, *, prefix: str = "crdt:", queue_bytes: int = QUEUE_BYTES) -> None:
        self.connected = False
        self.reason = "not started"
        self._pool: Any = ConnectionPool.from_url(
            url,
            protocol=2,
            client_name="crdt-server",
            socket_timeout=None,
            socket_connect_timeout=CONNECT_SECONDS,
        )
        self._prefix = prefix.encode()
        self._send_queue = SendQueue(queue_bytes)
        self._send_wakeup, self._command_wakeup, self._all_sent = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._channels = RedisChannels(self._prefix, self._command_wakeup.set)
        self._watchers: list[Callable[[bool], None]] = []
        self._publisher = secrets.token_bytes(8)
        self._connection_number = 0
        self._newest_connections: dict[bytes, int] = {}  # of each publisher
        self._task: asyncio.Task[None] | None = None

    def publish(self, channel: str, message: bytes) -> bool:
        if not self.connected:
            self._send_queue.mark_lost(channel)
            return False
        self._all_sent.clear()
        accepted = self._send_queue.put(channel, message)
        self._send_wakeup.set()
        return accepted

    def subscribe(self, channel: str, listener: Listener) -> Subscription:
        return self._channels.subscribe(channel, listener)

    def watch(self, changed: Callable[[bool], None]) -> None:
        self._watchers.append(changed)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        if self.connected and self._send_queue:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._all_sent.wait()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._channels.close()

    # Connection

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        while True:
            start = loop.time()
            await self._connect_once()
            if loop.time() - start > STEADY_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            await asyncio.sleep(pause * (0.5 + secrets.randbelow(500) / 1_000))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _connect_once(self) -> None:
        """Return after an interruption, with its reason kept."""
        outward, inward = Link(self._pool.make_connection()), Link(self._pool.make_connection())
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await outward.open()
                await inward.open()
            self._connection_number += 1
            self._channels.connected()
            self._send_wakeup.set()
            self.reason = ""
            self._set_connected(True)
            async with asyncio.TaskGroup() as tasks:
                for work in (self._send(outward), self._send_commands(inward), self._receive(inward)):
                    tasks.create_task(work)
                tasks.create_task(self._check_links((outward, inward)))
        except* (RedisError, OSError) as broken:
            self.reason = repr(broken.exceptions[0])
        except* Exception as unforeseen:  # noqa: BLE001 - the outer edge: nobody else would notice
            self.reason = repr(unforeseen.exceptions[0])
            asyncio.get_running_loop().call_exception_handler({"message": "bus", "exception": unforeseen})
        finally:
            self._send_queue.mark_all_lost()
            self._channels.disconnected()
            if self.connected:
                self._set_connected(False)
            await outward.close()
            await inward.close()

    def _set_connected(self, connected: bool) -> None:
        self.connected = connected
        for changed in self._watchers:
            asyncio.get_running_loop().call_soon(changed, connected)

    async def _check_links(self, links: tuple[Link, ...]) -> None:
        """Send a PING over each connection every tick, and raise RedisTimeout when no reply comes."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for link in links:
                link.silent_ticks += 1
                if link.silent_ticks > SILENT_TICKS:
                    raise RedisTimeout(f"no reply for {SILENT_TICKS * TICK_SECONDS} s")
            self._send_wakeup.set()
            self._channels.commands.append(PING)
            self._command_wakeup.set()

    # Outward

    async def _send(self, link: Link) -> None:
        """Send a batch, then read all its replies; the next batch grows meanwhile."""
        while True:
            await self._send_wakeup.wait()
            self._send_wakeup.clear()
            batch = self._send_queue.take(BATCH_BYTES)
            commands = [self._publish_command(queued) for queued in batch] or [PING]
            await link.write(commands)
            for _ in commands:
                await link.read()
            self._send_queue.acknowledge()
            if self._send_queue:
                self._send_wakeup.set()
            else:
                self._all_sent.set()

    def _publish_command(self, queued: QueuedMessage) -> Command:
        header = HEADER.pack(self._publisher, self._connection_number, queued.message is None)
        return "PUBLISH", self._prefix + queued.channel.encode(), header + (queued.message or b"")

    # Inward

    async def _send_commands(self, link: Link) -> None:
        while True:
            await self._command_wakeup.wait()
            self._command_wakeup.clear()
            commands = list(self._channels.commands)
            self._channels.commands.clear()
            await link.write(commands)

    async def _receive(self, link: Link) -> None:
        while True:
            kind, *rest = await link.read()
            if kind == b"message":
                self._deliver(*rest)
            elif kind == b"subscribe":
                self._channels.subscribed(rest[0])
            elif kind == b"unsubscribe":
                self._channels.unsubscribed(rest[0])

    def _deliver(self, redis_name: bytes, frame: bytes) -> None:
        """Deliver a message. One without a header was not published by a bus."""
        if len(frame) < HEADER.size:
            return
        publisher, connection, is_notice = HEADER.unpack_from(frame)
        if connection < self._newest_connections.get(publisher, 0):
            return
        self._newest_connections[publisher] = connection
        if len(self._newest_connections) > MAX_PUBLISHERS:
            del self._newest_connections[next(iter(self._newest_connections))]
        self._channels.deliver(redis_name, None if is_notice else frame[HEADER.size :])

"""The bus over Redis: publish and subscribe, two connections, one for what goes out and one for what comes in.

Redis hands on what it was given and keeps nothing, so a message is missing only when a connection broke or when it
never left. The first is an interruption: both connections are made anew and every subscription has a `gained`. Of the
second the publisher knows, since Redis answers each message: it sends the news behind, on the channel it is about.

An old connection may still deliver after the new one (a frozen network thaws). So each message says who published it
and over which of its connections, and what comes from an earlier one than was heard last is dropped: it is among what
the news declared lost. Streams were measured as well (benchmarks/bus.py): they cost more, and what they would keep
rests in the database anyway.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

from storage.bus import QUEUE_BYTES, Letter, Listener, Outgoing, Subscription

BATCH_BYTES = 128 * 1024
TICK_SECONDS = 0.25
QUIET_TICKS = 6  # counted, not measured: a process that was stopped itself must not blame Redis
CONNECT_SECONDS = 1.0
CLOSE_SECONDS = 1.0
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5  # so that a Redis that is back is in use within a second
STEADY_SECONDS = 2.0
PUBLISHERS_KNOWN = 4_096

HEADER = struct.Struct(">8sI?")  # publisher, which of its connections, whether this is only the news of a loss
PING = ("PING",)
Command = tuple[str | bytes, ...]


class Silence(ConnectionError):
    """Redis is connected and answers nothing."""


class Link:
    """One connection, and for how many ticks nothing has come over it."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.quiet_ticks = 0

    async def open(self) -> None:
        """Connect and say who this is, which Redis answers."""
        await self._connection.connect()

    async def write(self, commands: Iterable[Command]) -> None:
        packed = self._connection.pack_commands(commands)
        try:
            await self._connection.send_packed_command(packed, check_health=False)
        except RuntimeError as error:  # what uvloop says of a socket that is closed already
            raise ConnectionError(f"closed: {error}") from error

    async def read(self) -> Any:
        """The next answer. Raises RedisError when it is a refusal or the connection breaks."""
        answer = await self._connection.read_response(
            disable_decoding=True, timeout=math.inf, disconnect_on_error=False
        )
        self.quiet_ticks = 0
        return answer

    async def close(self) -> None:
        await self._connection.disconnect(nowait=True)


class Phase(Enum):
    """Where a channel stands with Redis. One command about it is on the way at most."""

    ASKED = auto()
    IN_FORCE = auto()
    LEAVING = auto()


@dataclass(slots=True)
class Channel:
    """Who listens here to one channel."""

    phase: Phase = Phase.ASKED
    subscriptions: list[Subscription] = field(default_factory=list)


class RedisBus:
    """A bus for all processes that give the same Redis and the same `prefix`.

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
        self._outgoing = Outgoing(queue_bytes)
        self._channels: dict[str, Channel] = {}
        self._asks: deque[Command] = deque()
        self._watchers: list[Callable[[bool], None]] = []
        self._to_send, self._to_ask, self._all_sent = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._publisher = secrets.token_bytes(8)
        self._connections = 0
        self._heard_last: dict[bytes, int] = {}
        self._task: asyncio.Task[None] | None = None

    def publish(self, channel: str, message: bytes) -> bool:
        if not self.connected:
            self._outgoing.lose(channel)
            return False
        self._all_sent.clear()
        taken = self._outgoing.put(channel, message)
        self._to_send.set()
        return taken

    def subscribe(self, channel: str, listener: Listener) -> Subscription:
        subscription = Subscription(channel, listener, self._forget)
        if channel not in self._channels:
            self._channels[channel] = Channel()
            self._ask("SUBSCRIBE", channel)
        self._channels[channel].subscriptions.append(subscription)
        if self._channels[channel].phase is Phase.IN_FORCE:
            subscription.gain()
        return subscription

    def watch(self, changed: Callable[[bool], None]) -> None:
        self._watchers.append(changed)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep_connected())

    async def close(self) -> None:
        if self.connected and self._outgoing:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._all_sent.wait()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for subscription in [one for channel in self._channels.values() for one in channel.subscriptions]:
            subscription.close()

    # Being connected

    async def _keep_connected(self) -> None:
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_SECONDS
        while True:
            began = loop.time()
            await self._connect_once()
            if loop.time() - began > STEADY_SECONDS:
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
            self._begin()
            async with asyncio.TaskGroup() as tasks:
                for work in (self._send(outward), self._ask_all(inward), self._listen(inward)):
                    tasks.create_task(work)
                tasks.create_task(self._mind((outward, inward)))
        except* (RedisError, OSError) as broken:
            self.reason = repr(broken.exceptions[0])
        except* Exception as unforeseen:  # noqa: BLE001 - the outer edge: nobody else would notice
            self.reason = repr(unforeseen.exceptions[0])
            asyncio.get_running_loop().call_exception_handler({"message": "bus", "exception": unforeseen})
        finally:
            self._end()
            await outward.close()
            await inward.close()

    def _begin(self) -> None:
        self._connections += 1
        self._asks.clear()
        for channel in self._channels:
            self._ask("SUBSCRIBE", channel)
        self._to_send.set()
        self.reason = ""
        self._change(connected=True)

    def _end(self) -> None:
        """Nothing goes out or comes in; everybody who listens still wants to."""
        self._outgoing.lose_all()
        self._channels = {
            name: Channel(subscriptions=channel.subscriptions)
            for name, channel in self._channels.items()
            if channel.subscriptions
        }
        for channel in self._channels.values():
            for subscription in channel.subscriptions:
                subscription.lapse()
        if self.connected:
            self._change(connected=False)

    def _change(self, *, connected: bool) -> None:
        self.connected = connected
        for changed in self._watchers:
            asyncio.get_running_loop().call_soon(changed, connected)

    async def _mind(self, links: tuple[Link, ...]) -> None:
        """Make Redis say something on both connections all the time, and notice when it does not."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            for link in links:
                link.quiet_ticks += 1
                if link.quiet_ticks > QUIET_TICKS:
                    raise Silence(f"nothing heard for {QUIET_TICKS * TICK_SECONDS} s")
            self._to_send.set()
            self._asks.append(PING)
            self._to_ask.set()

    # What goes out

    async def _send(self, link: Link) -> None:
        """All that waits in one piece, then all the answers: while they come, the next piece grows."""
        while True:
            await self._to_send.wait()
            self._to_send.clear()
            letters = self._outgoing.take(BATCH_BYTES)
            commands = [self._command(letter) for letter in letters] or [PING]
            await link.write(commands)
            for _ in commands:
                await link.read()
            self._outgoing.arrived()
            if self._outgoing:
                self._to_send.set()
            else:
                self._all_sent.set()

    def _command(self, letter: Letter) -> Command:
        header = HEADER.pack(self._publisher, self._connections, letter.message is None)
        return "PUBLISH", self._prefix + letter.channel.encode(), header + (letter.message or b"")

    # What comes in

    def _ask(self, verb: str, channel: str) -> None:
        self._asks.append((verb, self._prefix + channel.encode()))
        self._to_ask.set()

    async def _ask_all(self, link: Link) -> None:
        while True:
            await self._to_ask.wait()
            self._to_ask.clear()
            commands = list(self._asks)
            self._asks.clear()
            await link.write(commands)

    async def _listen(self, link: Link) -> None:
        while True:
            kind, *rest = await link.read()
            if kind == b"message":
                self._hand(*rest)
            elif kind == b"subscribe":
                self._in_force(rest[0])
            elif kind == b"unsubscribe":
                self._left(rest[0])

    def _name(self, channel: bytes) -> str:
        return channel[len(self._prefix) :].decode()

    def _in_force(self, asked: bytes) -> None:
        name = self._name(asked)
        channel = self._channels[name]
        channel.phase = Phase.IN_FORCE
        for subscription in channel.subscriptions:
            subscription.gain()
        self._leave_if_deserted(name, channel)

    def _left(self, asked: bytes) -> None:
        name = self._name(asked)
        channel = self._channels[name]
        if channel.subscriptions:
            channel.phase = Phase.ASKED
            self._ask("SUBSCRIBE", name)
        else:
            del self._channels[name]

    def _forget(self, subscription: Subscription) -> None:
        channel = self._channels[subscription.channel]
        channel.subscriptions.remove(subscription)
        self._leave_if_deserted(subscription.channel, channel)

    def _leave_if_deserted(self, name: str, channel: Channel) -> None:
        if channel.phase is Phase.IN_FORCE and not channel.subscriptions:
            channel.phase = Phase.LEAVING
            self._ask("UNSUBSCRIBE", name)

    def _hand(self, published: bytes, frame: bytes) -> None:
        """Pass on a message to who listens. What has no header was not published by a bus."""
        if len(frame) < HEADER.size:
            return
        publisher, connection, is_news = HEADER.unpack_from(frame)
        if connection < self._heard_last.get(publisher, 0):
            return
        self._heard_last[publisher] = connection
        if len(self._heard_last) > PUBLISHERS_KNOWN:
            del self._heard_last[next(iter(self._heard_last))]
        message = None if is_news else frame[HEADER.size :]
        for subscription in self._channels[self._name(published)].subscriptions:
            subscription.hand(message)

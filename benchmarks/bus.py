"""``python -m benchmarks.bus``: publish and subscribe or streams, for messages between nodes over Redis?

Two processes and a Redis of their own. One publishes 300-byte messages, the other is subscribed; a time runs from
publishing to receipt. Steady: a fixed rate. Flat out: as fast as the subscriber acknowledges, so times are those of a
queue that is always full. The buses take turns, and figures are medians of the rounds. ``--url`` measures against a
Redis that runs already (its CPU is then not measured).

Prediction, which held: streams cost Redis two to three times as much (each entry is kept, then cut off) and the
subscriber more (each answer is followed by a new request), and one XREAD over many rooms names all of them every time.
A stream would keep messages for a node that was away; the database has those updates already.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import statistics
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Protocol

import uvloop
from redis.asyncio import Redis

from benchmarks.processes import own_cpu_seconds
from storage.redis_bus import RedisBus
from tests.support.redis import BRANDS, RedisServer

MESSAGE_BYTES = 300
STEADY_RATE = 1_000
STEADY_SECONDS = 4.0
FLAT_OUT_MESSAGES = 20_000
REPORT_EVERY = 1_000
IN_FLIGHT = 4_000
WARM_UP = 500
BATCH = 500
STREAM_LENGTH = 10_000
RUN_SECONDS = 60
STAMP = struct.Struct("<q")

OnMessage = Callable[[bytes], None]
Load = Callable[[Callable[[], None], int, Callable[[], Awaitable[int]]], Awaitable[None]]


class MessageBus(Protocol):
    """`subscribe` returns when the subscription is in force."""

    async def subscribe(self, channel: str, on_message: OnMessage) -> None: ...
    def publish(self, channel: str, message: bytes) -> None: ...
    async def close(self) -> None: ...


class OurBus:
    """storage.redis_bus as it is."""

    def __init__(self, url: str) -> None:
        self._bus = RedisBus(url)
        self._started: asyncio.Task[None] | None = None

    async def subscribe(self, channel: str, on_message: OnMessage) -> None:
        in_force = asyncio.Event()

        class Subscriber:
            def on_message(self, message: bytes) -> None:
                on_message(message)

            def on_resync(self) -> None:
                if in_force.is_set():
                    raise RuntimeError("the bus lost messages: figures mean nothing")
                in_force.set()

        self._bus.subscribe(channel, Subscriber())
        await self._bus.start()
        await in_force.wait()

    def publish(self, channel: str, message: bytes) -> None:
        if not self._bus.publish(channel, message):
            raise RuntimeError("the bus refused a message: figures mean nothing")

    async def close(self) -> None:
        await self._bus.close()


class Pipelined:
    """Common to the other buses: waiting messages are sent in one pipeline of redis-py, one task receives."""

    def __init__(self, url: str) -> None:
        self._redis = Redis.from_url(url, protocol=2)
        self._waiting: list[tuple[str, bytes]] = []
        self._wake = asyncio.Event()
        self._tasks = [asyncio.create_task(self._send())]

    def publish(self, channel: str, message: bytes) -> None:
        self._waiting.append((channel, message))
        self._wake.set()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                pipeline = self._redis.pipeline(transaction=False)
                for channel, message in batch:
                    self.add(pipeline, channel, message)
                await pipeline.execute()

    def add(self, pipeline: Any, channel: str, message: bytes) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        for task in self._tasks:
            while not task.done():  # a blocked XREAD takes the first cancellation for a broken connection
                task.cancel()
                await asyncio.wait([task], timeout=0.5)
        await self._redis.aclose()


class PlainPubSub(Pipelined):
    """Publish and subscribe with what redis-py offers on top: pipelines and PubSub."""

    def add(self, pipeline: Any, channel: str, message: bytes) -> None:
        pipeline.publish(channel, message)

    async def subscribe(self, channel: str, on_message: OnMessage) -> None:
        pubsub = self._redis.pubsub()
        await pubsub.subscribe(channel)
        await pubsub.get_message(timeout=10)
        self._tasks.append(asyncio.create_task(self._receive(pubsub, on_message)))

    async def _receive(self, pubsub: Any, on_message: OnMessage) -> None:
        while True:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=None)
            if message is not None:
                on_message(message["data"])


class Streams(Pipelined):
    """XADD with a length that is kept roughly, XREAD that blocks."""

    def add(self, pipeline: Any, channel: str, message: bytes) -> None:
        pipeline.xadd(channel, {"m": message}, maxlen=STREAM_LENGTH, approximate=True)

    async def subscribe(self, channel: str, on_message: OnMessage) -> None:
        self._tasks.append(asyncio.create_task(self._receive(channel, on_message)))

    async def _receive(self, channel: str, on_message: OnMessage) -> None:
        last: Any = "0"
        while True:
            answer: Any = await self._redis.xread({channel: last}, count=BATCH, block=1_000)
            for _, entries in answer or ():
                for last, fields in entries:  # noqa: B007 - read from there on
                    on_message(fields[b"m"])


BUSES: dict[str, Callable[[str], MessageBus]] = {
    "pub/sub, storage.redis_bus": OurBus,
    "pub/sub, redis-py's pipeline and PubSub": PlainPubSub,
    "streams, redis-py's pipeline and XREAD": Streams,
}


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one run. CPU is per message; of Redis only where this program started it."""

    per_second: float
    p50_ms: float
    p99_ms: float
    publisher_us: float
    subscriber_us: float
    redis_us: float


def run_subscriber(bus: str, url: str, messages: int, parent: Connection) -> None:
    """The subscribed process; sends its times (ns) and its CPU seconds to the parent."""
    uvloop.run(_count_messages(BUSES[bus], url, messages, parent))


async def _count_messages(open_bus: Callable[[str], MessageBus], url: str, messages: int, parent: Connection) -> None:
    bus = open_bus(url)
    times: list[int] = []
    done = asyncio.Event()
    cpu = 0.0

    def on_message(message: bytes) -> None:
        nonlocal cpu
        times.append(time.monotonic_ns() - STAMP.unpack_from(message)[0])
        if len(times) == WARM_UP:
            cpu = time.process_time()
        if len(times) % REPORT_EVERY == 0:
            bus.publish("back", STAMP.pack(len(times)))
        if len(times) == messages:
            done.set()

    await bus.subscribe("there", on_message)
    parent.send("ready")
    await done.wait()
    parent.send((times[WARM_UP:], time.process_time() - cpu))
    await asyncio.Event().wait()  # the parent ends this process


async def publish_steadily(
    publish: Callable[[], None], messages: int, acknowledged: Callable[[], Awaitable[int]]
) -> None:
    began = time.monotonic()
    for number in range(messages):
        await asyncio.sleep(max(0.0, began + number / STEADY_RATE - time.monotonic()))
        publish()


async def publish_flat_out(
    publish: Callable[[], None], messages: int, acknowledged: Callable[[], Awaitable[int]]
) -> None:
    received = 0
    for number in range(messages):
        while number - received >= IN_FLIGHT:
            received = await acknowledged()
        publish()
        if number % 50 == 0:
            await asyncio.sleep(0)
    while received < messages:
        received = await acknowledged()


async def run(name: str, url: str, pid: int | None, load: Load, messages: int) -> Figures:
    """One bus under one load."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=run_subscriber, args=(name, url, messages, there))
    process.start()
    bus = BUSES[name](url)
    try:
        async with asyncio.timeout(RUN_SECONDS):
            return await measure(bus, here, pid, load, messages)
    finally:
        process.kill()
        process.join()
        await bus.close()


async def measure(bus: MessageBus, subscriber: Connection, pid: int | None, load: Load, messages: int) -> Figures:
    """Publish when the subscriber is ready, then read its times."""
    reports: asyncio.Queue[int] = asyncio.Queue()
    await bus.subscribe("back", lambda message: reports.put_nowait(STAMP.unpack(message)[0]))
    await asyncio.to_thread(subscriber.recv)
    filling = bytes(MESSAGE_BYTES - STAMP.size)
    cpu, redis_cpu, began = time.process_time(), own_cpu_seconds(pid) if pid else math.nan, time.monotonic()
    await load(lambda: bus.publish("there", STAMP.pack(time.monotonic_ns()) + filling), messages, reports.get)
    spent = time.process_time() - cpu
    times, subscriber_cpu = await asyncio.to_thread(subscriber.recv)
    seconds = time.monotonic() - began
    redis_cpu = own_cpu_seconds(pid) - redis_cpu if pid else math.nan
    cuts = statistics.quantiles(times, n=100)
    each = 1e6 / messages
    return Figures(
        messages / seconds, cuts[49] / 1e6, cuts[98] / 1e6, spent * each, subscriber_cpu * each, redis_cpu * each
    )


def median(rounds: list[Figures]) -> Figures:
    return Figures(*(statistics.median(getattr(one, name) for one in rounds) for name in Figures.__slots__))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="a Redis that runs already")
    parser.add_argument("--brand", choices=list(BRANDS), default="valkey-9")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    loads = (
        (f"steady, {STEADY_RATE:,}/s", publish_steadily, int(STEADY_RATE * STEADY_SECONDS)),
        ("flat out", publish_flat_out, FLAT_OUT_MESSAGES),
    )
    found: dict[tuple[str, str], list[Figures]] = {}
    for _ in range(options.rounds):
        for title, load, messages in loads:
            for bus in BUSES:
                with nullcontext() if options.url else RedisServer(options.brand) as server:
                    url, pid = (options.url, None) if server is None else (server.url, server.pid)
                    found.setdefault((title, bus), []).append(uvloop.run(run(bus, url, pid, load, messages)))
    print("| load | bus | messages/s | p50 ms | p99 ms | publisher us | subscriber us | Redis us |")
    print("|---|---|---|---|---|---|---|---|")
    for (title, bus), rounds in found.items():
        f = median(rounds)
        print(
            f"| {title} | {bus} | {f.per_second:,.0f} | {f.p50_ms:.2f} | {f.p99_ms:.2f} "
            f"| {f.publisher_us:.1f} | {f.subscriber_us:.1f} | {f.redis_us:.1f} |"
        )


if __name__ == "__main__":
    main()

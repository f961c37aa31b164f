"""Failures that only a bus over Redis can have: a server that dies, stops, refuses or drops slow subscribers, and a
frozen wire."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
import redis
import redis.asyncio

from storage.redis_bus import HEADER, RedisBus
from tests.support.effort import and_repeated, promised, timed
from tests.support.proxy import CuttingProxy
from tests.support.recorder import RESYNC, ConnectionRecorder, RecordingListener
from tests.support.redis import DRIVEN, Brand, RedisServer

DETECTION_SECONDS = promised(3.0)  # two are, one is for a busy machine
BACK_SECONDS = promised(2.0)  # one is
PATIENCE_SECONDS = 60.0


class Node:
    """A bus with an recorder on the channel `rooms`."""

    def __init__(self, url: str, prefix: str = "crdt:") -> None:
        self.bus = RedisBus(url, prefix=prefix)
        self.watch = ConnectionRecorder()
        self.recorder = RecordingListener()
        self.bus.watch(self.watch)

    async def start(self) -> None:
        self.bus.subscribe("rooms", self.recorder)
        await self.bus.start()
        await self.recorder.until_received(RESYNC)


@pytest.fixture(params=and_repeated(*DRIVEN))
def brand(request: pytest.FixtureRequest) -> Brand:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def server(brand: Brand) -> Iterator[RedisServer]:
    with RedisServer(brand) as server:
        yield server


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def join(stack: AsyncExitStack, url: str, prefix: str = "crdt:") -> Node:
    node = Node(url, prefix)
    stack.push_async_callback(node.bus.close)
    await node.start()
    return node


@timed
async def test_a_killed_server_is_detected_and_used_again(server: RedisServer, stack: AsyncExitStack) -> None:
    nodes = [await join(stack, server.url) for _ in range(2)]
    for kills in range(1, 4):
        server.kill()
        for node in nodes:
            await node.watch.until(False, within_seconds=DETECTION_SECONDS)
            assert not node.bus.publish("rooms", b"refused")
        server.start()
        for node in nodes:
            await node.watch.until(True, within_seconds=BACK_SECONDS)
            # Else the server may be killed again before the channel is subscribed, and there is one for both.
            await node.recorder.until(lambda received, kills=kills: received.count(RESYNC) > kills)  # type: ignore[misc]
    for node in nodes:  # a channel of its own: active after all that were subscribed before
        node.bus.subscribe("fence", fence := RecordingListener())
        await fence.until(bool)
    assert nodes[0].bus.publish("rooms", b"news")
    for node in nodes:
        await node.recorder.until_last(b"news")
        assert node.recorder.received.count(RESYNC) >= 4
        assert b"refused" not in node.recorder.received


@timed
async def test_a_stopped_server_is_detected_and_used_again(server: RedisServer, stack: AsyncExitStack) -> None:
    here, there = [await join(stack, server.url) for _ in range(2)]
    server.pause()
    assert here.bus.publish("rooms", b"1")
    for node in (here, there):
        await node.watch.until(False, within_seconds=DETECTION_SECONDS)
        assert "RedisTimeout" in node.bus.reason
    server.resume()
    await there.watch.until(True, within_seconds=BACK_SECONDS)
    await there.recorder.until_last(RESYNC)
    await here.watch.until(True, within_seconds=BACK_SECONDS)
    assert here.bus.publish("rooms", b"2")
    await here.recorder.until_last(b"2")
    assert here.bus.reason == ""


async def test_a_server_that_is_stopped_at_the_start_is_used_later(server: RedisServer, stack: AsyncExitStack) -> None:
    server.pause()
    node = Node(server.url)
    stack.push_async_callback(node.bus.close)
    node.bus.subscribe("rooms", node.recorder)
    await node.bus.start()
    server.resume()
    await node.recorder.until_received(RESYNC)
    assert node.watch.changes == [True]


@timed
async def test_a_frozen_wire_is_detected_and_its_losses_are_reported(
    server: RedisServer, stack: AsyncExitStack
) -> None:
    proxy = await stack.enter_async_context(CuttingProxy(server.port))
    here, there = await join(stack, f"redis://127.0.0.1:{proxy.port}"), await join(stack, server.url)
    proxy.freeze()
    held = [b"%d" % number for number in range(100)]
    assert all(here.bus.publish("rooms", message) for message in held)
    await here.watch.until(False, within_seconds=DETECTION_SECONDS)
    await proxy.heal()
    await here.watch.until(True)
    assert here.bus.publish("rooms", b"last")
    await there.recorder.until(lambda received: received[-1] == b"last")
    arrived = there.recorder.received[1:-2]
    assert arrived == held[: len(arrived)]  # the wire may have held them until it was healed
    assert there.recorder.received == [RESYNC, *arrived, RESYNC, b"last"]
    assert there.watch.changes == [True]


async def test_a_late_message_of_an_earlier_connection_is_dropped(server: RedisServer, stack: AsyncExitStack) -> None:
    proxy = await stack.enter_async_context(CuttingProxy(server.port))
    here, there = await join(stack, f"redis://127.0.0.1:{proxy.port}"), await join(stack, server.url)
    client = await stack.enter_async_context(redis.asyncio.Redis.from_url(server.url))
    taps = await stack.enter_async_context(client.pubsub())
    await taps.subscribe("crdt:rooms")
    assert await taps.get_message(timeout=PATIENCE_SECONDS)
    here.bus.publish("rooms", b"early")
    tapped = await taps.get_message(timeout=PATIENCE_SECONDS)
    assert tapped is not None
    proxy.cut()
    await here.watch.until(False)
    await proxy.heal()
    await here.watch.until(True)
    here.bus.publish("rooms", b"later")
    await there.recorder.until_last(b"later")
    await client.publish("crdt:rooms", tapped["data"])
    here.bus.publish("rooms", b"last")
    await there.recorder.until_last(b"last")
    assert there.recorder.received.count(b"early") == 1


async def test_a_subscriber_too_slow_for_redis_gets_a_report(brand: Brand, stack: AsyncExitStack) -> None:
    server = stack.enter_context(RedisServer(brand, {"client-output-buffer-limit": "pubsub 1mb 1mb 1"}))
    node = await join(stack, server.url)
    frame = HEADER.pack(b"somebody", 1, False) + bytes(1 << 20)
    with redis.Redis.from_url(server.url) as client:
        # This loop stands still meanwhile. How much the sockets hold before Redis does is up to the kernel.
        published = 0
        while client.publish("crdt:rooms", frame):
            published += 1
            assert published < 1024, "Redis never closed the connection"
    await node.recorder.until(lambda received: received.count(RESYNC) >= 2)
    assert node.recorder.received.count(bytes(1 << 20)) < published
    assert node.bus.publish("rooms", b"news")
    await node.recorder.until_last(b"news")


async def test_a_loop_that_stands_still_does_not_blame_redis(server: RedisServer, stack: AsyncExitStack) -> None:
    node = await join(stack, server.url)
    time.sleep(2.5)  # noqa: ASYNC251 - that is the fault: a process that is stopped for longer than Redis may be silent
    for turn in range(20):
        node.bus.publish("rooms", b"%d" % turn)
        await node.recorder.until_last(b"%d" % turn)
    assert node.watch.changes == [True]


async def test_many_channels_come_back_after_an_interruption(server: RedisServer, stack: AsyncExitStack) -> None:
    node = await join(stack, server.url)
    recorders = [RecordingListener() for _ in range(2_000)]
    for number, recorder in enumerate(recorders):
        node.bus.subscribe(f"room {number}", recorder)
    await recorders[-1].until_received(RESYNC)
    server.kill()
    await node.watch.until(False)
    server.start()
    for recorder in recorders:
        await recorder.until_received(RESYNC, RESYNC)


async def test_a_refused_password_is_the_reason_and_the_right_one_connects(brand: Brand, stack: AsyncExitStack) -> None:
    server = stack.enter_context(RedisServer(brand, {"requirepass": "sesame"}))
    refused = RedisBus(server.url)
    stack.push_async_callback(refused.close)
    await refused.start()
    await join(stack, server.url.replace("redis://", "redis://:sesame@"))
    assert not refused.connected
    assert "Authentication" in refused.reason


async def test_prefixes_separate_clusters_and_foreign_messages_are_ignored(
    server: RedisServer, stack: AsyncExitStack
) -> None:
    one, other = await join(stack, server.url, prefix="one:"), await join(stack, server.url, prefix="other:")
    async with redis.asyncio.Redis.from_url(server.url) as client:
        await client.publish("one:rooms", b"short")
    one.bus.publish("rooms", b"1")
    other.bus.publish("rooms", b"2")
    await one.recorder.until_received(RESYNC, b"1")
    await other.recorder.until_received(RESYNC, b"2")

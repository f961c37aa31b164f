"""One contract for every bus between nodes."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from typing import Any, Protocol, cast

import pytest

from storage import Bus, LocalBus, LocalWire, Subscription
from storage.redis_bus import RedisBus
from tests.support.effort import and_repeated
from tests.support.proxy import CuttingProxy
from tests.support.recorder import RESYNC, ConnectionRecorder, RecordingListener
from tests.support.redis import DRIVEN, Brand, RedisServer

QUEUE_BYTES = 1 << 20


class Net(Protocol):
    """Connected buses, each with a wire that can be cut."""

    async def join(self) -> Bus:
        """One more bus, connected."""

    async def cut(self, bus: Bus) -> None:
        """Return when the bus is disconnected."""

    async def heal(self, bus: Bus) -> None:
        """Return when it is connected again."""


class LocalNet:
    def __init__(self) -> None:
        self._wire = LocalWire()

    async def join(self) -> Bus:
        bus = LocalBus(self._wire, queue_bytes=QUEUE_BYTES)
        await bus.start()
        return bus

    async def cut(self, bus: Bus) -> None:
        cast(LocalBus, bus).cut()

    async def heal(self, bus: Bus) -> None:
        cast(LocalBus, bus).rejoin()


class RedisNet:
    def __init__(self, server: RedisServer, stack: AsyncExitStack) -> None:
        self._server = server
        self._stack = stack
        self._wires: dict[Bus, tuple[CuttingProxy, ConnectionRecorder]] = {}

    async def join(self) -> Bus:
        proxy = await self._stack.enter_async_context(CuttingProxy(self._server.port))
        bus, watch = RedisBus(f"redis://127.0.0.1:{proxy.port}", queue_bytes=QUEUE_BYTES), ConnectionRecorder()
        bus.watch(watch)
        self._stack.push_async_callback(bus.close)
        self._wires[bus] = proxy, watch
        await bus.start()
        await watch.until(True)
        return bus

    async def cut(self, bus: Bus) -> None:
        proxy, watch = self._wires[bus]
        proxy.cut()
        await watch.until(False)

    async def heal(self, bus: Bus) -> None:
        proxy, watch = self._wires[bus]
        await proxy.heal()
        await watch.until(True)


@pytest.fixture(scope="module", params=["local", *and_repeated(*DRIVEN)])
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer | None]:
    if request.param == "local":
        yield None
    else:
        with RedisServer(cast(Brand, request.param)) as redis:
            yield redis


@pytest.fixture
async def net(server: RedisServer | None) -> AsyncIterator[Net]:
    async with AsyncExitStack() as stack:
        yield LocalNet() if server is None else RedisNet(server, stack)


async def listen(bus: Bus, channel: str) -> tuple[RecordingListener, Subscription]:
    """An active subscription of a channel."""
    recorder = RecordingListener()
    subscription = bus.subscribe(channel, recorder)
    await recorder.until_received(RESYNC)
    return recorder, subscription


async def test_every_subscription_of_a_channel_gets_its_messages_in_order(net: Net) -> None:
    here, there = await net.join(), await net.join()
    own, _ = await listen(here, "rooms")
    recorders = [own, *[(await listen(there, "rooms"))[0] for _ in range(2)]]
    other, _ = await listen(there, "users")
    messages = [str(number).encode() for number in range(1_000)]
    assert all(here.publish("rooms", message) for message in messages)
    here.publish("users", b"")
    for recorder in recorders:
        await recorder.until_received(RESYNC, *messages)
    await other.until_received(RESYNC, b"")


async def test_a_closed_subscription_gets_nothing_and_leaves_the_others_alone(net: Net) -> None:
    here, there = await net.join(), await net.join()
    closed, subscription = await listen(there, "rooms")
    recorder, _ = await listen(there, "rooms")
    here.publish("rooms", b"1")
    await closed.until_received(RESYNC, b"1")
    subscription.close()
    subscription.close()
    here.publish("rooms", b"2")
    await recorder.until_received(RESYNC, b"1", b"2")
    assert closed.received == [RESYNC, b"1"]


async def test_a_listener_may_close_its_subscription_in_a_call(net: Net) -> None:
    bus = await net.join()

    class Once(RecordingListener):
        def on_message(self, message: bytes) -> None:
            super().on_message(message)
            if message != RESYNC:
                subscription.close()

    once = Once()
    subscription = bus.subscribe("rooms", once)
    recorder, _ = await listen(bus, "rooms")
    for message in (b"1", b"2"):
        bus.publish("rooms", message)
    await recorder.until_received(RESYNC, b"1", b"2")
    assert once.received == [RESYNC, b"1"]


async def test_a_channel_may_be_unsubscribed_and_subscribed_at_any_moment(net: Net) -> None:
    here, there = await net.join(), await net.join()
    chance = random.Random(1)
    for turn in range(50):
        subscription = there.subscribe("rooms", RecordingListener())
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        subscription.close()
        recorder, kept = await listen(there, "rooms")
        here.publish("rooms", b"%d" % turn)
        await recorder.until_received(RESYNC, b"%d" % turn)
        kept.close()


async def test_an_interruption_is_reported_to_every_subscription(net: Net) -> None:
    here, there = await net.join(), await net.join()
    watch = ConnectionRecorder()
    there.watch(watch)
    recorder, _ = await listen(there, "rooms")
    own, _ = await listen(here, "rooms")
    await net.cut(there)
    assert not there.connected
    here.publish("rooms", b"missed")
    await own.until_received(RESYNC, b"missed")
    late = RecordingListener()
    there.subscribe("rooms", late)
    await net.heal(there)
    assert there.connected
    await recorder.until_received(RESYNC, RESYNC)
    await late.until_received(RESYNC)
    here.publish("rooms", b"received")
    await recorder.until_received(RESYNC, RESYNC, b"received")
    await late.until_received(RESYNC, b"received")
    assert watch.changes == [False, True]


async def test_a_loss_of_a_disconnected_publisher_is_reported(net: Net) -> None:
    here, there = await net.join(), await net.join()
    recorder, _ = await listen(there, "rooms")
    other, _ = await listen(there, "users")
    await net.cut(here)
    assert not here.publish("rooms", b"lost")
    assert not here.publish("rooms", b"lost too")
    await net.heal(here)
    await recorder.until_received(RESYNC, RESYNC)
    here.publish("rooms", b"1")
    here.publish("users", b"2")
    await recorder.until_received(RESYNC, RESYNC, b"1")
    await other.until_received(RESYNC, b"2")


async def test_a_message_queued_when_the_wire_is_cut_arrives_or_is_reported(net: Net) -> None:
    here, there = await net.join(), await net.join()
    recorder, _ = await listen(there, "rooms")
    messages = [b"%d" % number for number in range(100)]
    assert all(here.publish("rooms", message) for message in messages)
    await net.cut(here)
    await net.heal(here)
    here.publish("rooms", b"last")
    await recorder.until(lambda received: received[-1] == b"last")
    arrived = [message for message in recorder.received if message not in (RESYNC, b"last")]
    assert arrived == messages[: len(arrived)]
    assert recorder.received == [RESYNC, *arrived, RESYNC, b"last"]


async def test_a_full_queue_refuses_messages_and_reports_the_loss(net: Net) -> None:
    here, there = await net.join(), await net.join()
    recorder, _ = await listen(there, "rooms")
    other, _ = await listen(there, "users")
    here.publish("users", b"not touched")
    accepted = [here.publish("rooms", bytes(1_000)) for _ in range(2_000)]
    count = accepted.index(False)
    assert 900 < count < 1_050
    assert not any(accepted[count:])
    await recorder.until_received(RESYNC, *[bytes(1_000)] * count, RESYNC)
    assert here.publish("rooms", b"space again")
    await recorder.until_last(RESYNC, b"space again")
    await other.until_received(RESYNC, b"not touched")


async def test_every_loss_is_reported_in_its_place(net: Net) -> None:
    here, there = await net.join(), await net.join()
    recorder, _ = await listen(there, "rooms")
    too_large = bytes(QUEUE_BYTES)
    for message in (too_large, too_large, b"1", too_large, b"2"):
        assert here.publish("rooms", message) is (message != too_large)
    await recorder.until_received(RESYNC, RESYNC, b"1", RESYNC, b"2")
    for losses in range(4, 7):
        assert not here.publish("rooms", too_large)
        await recorder.until(lambda received, losses=losses: received.count(RESYNC) == losses)  # type: ignore[misc]


async def test_a_listener_that_raises_affects_only_itself(net: Net) -> None:
    bus = await net.join()
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    class Failing(RecordingListener):
        def on_message(self, message: bytes) -> None:
            super().on_message(message)
            raise RuntimeError("of the test")

    failing = Failing()
    bus.subscribe("rooms", failing)
    recorder, _ = await listen(bus, "rooms")
    for message in (b"1", b"2"):
        bus.publish("rooms", message)
    await recorder.until_received(RESYNC, b"1", b"2")
    assert failing.received == recorder.received
    assert [str(context["exception"]) for context in errors] == ["of the test"] * 3
    assert bus.connected


async def test_close_sends_the_queue_and_ends_every_subscription(net: Net) -> None:
    here, there = await net.join(), await net.join()
    own, _ = await listen(here, "rooms")
    recorder, _ = await listen(there, "rooms")
    messages = [b"%0200d" % number for number in range(1_000)]  # more than travels in one batch
    assert all(here.publish("rooms", message) for message in messages)
    await here.close()
    assert not here.connected
    assert not here.publish("rooms", b"after the end")
    await recorder.until_received(RESYNC, *messages)
    there.publish("rooms", b"unrelated")
    await recorder.until_last(b"unrelated")
    assert b"unrelated" not in own.received


async def test_a_bus_that_was_not_started_is_disconnected() -> None:
    for bus in (LocalBus(), RedisBus("redis://127.0.0.1:1")):
        assert not bus.connected
        assert not bus.publish("rooms", b"refused")
        await bus.close()


def gapless(received: list[bytes]) -> bool:
    """Whether all that came between two `RESYNC` came without a gap, and nothing twice or before its time."""
    last, complete = -1, False
    for message in received:
        if message == RESYNC:
            complete = False
        elif int(message) <= last or (complete and int(message) != last + 1):
            return False
        else:
            last, complete = int(message), True
    return True


async def settle(buses: list[Bus], recorders: list[RecordingListener], message: bytes) -> None:
    """Publish on the first bus and wait until all that are connected have received it."""
    there = [(bus, recorder) for bus, recorder in zip(buses, recorders, strict=True) if bus.connected]
    for bus, _ in there:
        await listen(bus, "fence")  # subscribed after the channel of the recorders, so that one is active again
    assert buses[0].publish("rooms", message)
    for _, recorder in there:
        await recorder.until_last(message)


@pytest.mark.parametrize("seed", range(4))
async def test_no_message_is_lost_without_a_report(net: Net, seed: int) -> None:
    chance = random.Random(seed)
    buses = [await net.join(), await net.join()]
    recorders = [(await listen(bus, "rooms"))[0] for bus in buses]
    numbers = (b"%d" % number for number in itertools.count())
    for _ in range(8):
        bus = chance.choice(buses)
        for step in (net.cut, net.heal):
            if buses[0].connected and chance.random() < 0.6:
                await settle(buses, recorders, next(numbers))
            for _ in range(chance.randrange(300)):
                buses[0].publish("rooms", next(numbers))
            if chance.random() < 0.5:
                await asyncio.sleep(0)
            await step(bus)
    await settle(buses, recorders, next(numbers))
    for recorder in recorders:
        assert gapless(recorder.received), f"seed {seed}: {recorder.received}"

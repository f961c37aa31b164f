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
from tests.support.ear import GAINED, BusListener, Watch
from tests.support.proxy import CuttingProxy
from tests.support.redis import BRANDS, Brand, RedisServer

QUEUE_BYTES = 1 << 20


class Net(Protocol):
    """Buses that hear each other, each with a wire that can be cut."""

    async def join(self) -> Bus:
        """One more bus, connected."""

    async def cut(self, bus: Bus) -> None:
        """Return when the bus is away."""

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
        self._wires: dict[Bus, tuple[CuttingProxy, Watch]] = {}

    async def join(self) -> Bus:
        proxy = await self._stack.enter_async_context(CuttingProxy(self._server.port))
        bus, watch = RedisBus(f"redis://127.0.0.1:{proxy.port}", queue_bytes=QUEUE_BYTES), Watch()
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


@pytest.fixture(scope="module", params=["local", *BRANDS])
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


async def listen(bus: Bus, channel: str) -> tuple[BusListener, Subscription]:
    """An ear on a channel, in force."""
    ear = BusListener()
    subscription = bus.subscribe(channel, ear)
    await ear.until_heard(GAINED)
    return ear, subscription


async def test_all_who_listen_to_a_channel_hear_it_in_order(net: Net) -> None:
    here, there = await net.join(), await net.join()
    own, _ = await listen(here, "rooms")
    ears = [own, *[(await listen(there, "rooms"))[0] for _ in range(2)]]
    other, _ = await listen(there, "users")
    messages = [str(number).encode() for number in range(1_000)]
    assert all(here.publish("rooms", message) for message in messages)
    here.publish("users", b"")
    for ear in ears:
        await ear.until_heard(GAINED, *messages)
    await other.until_heard(GAINED, b"")


async def test_a_closed_subscription_hears_nothing_and_leaves_the_others(net: Net) -> None:
    here, there = await net.join(), await net.join()
    closed, subscription = await listen(there, "rooms")
    ear, _ = await listen(there, "rooms")
    here.publish("rooms", b"1")
    await closed.until_heard(GAINED, b"1")
    subscription.close()
    subscription.close()
    here.publish("rooms", b"2")
    await ear.until_heard(GAINED, b"1", b"2")
    assert closed.heard == [GAINED, b"1"]


async def test_a_listener_may_close_while_it_hears(net: Net) -> None:
    bus = await net.join()

    class Once(BusListener):
        def hear(self, message: bytes) -> None:
            super().hear(message)
            if message != GAINED:
                subscription.close()

    once = Once()
    subscription = bus.subscribe("rooms", once)
    ear, _ = await listen(bus, "rooms")
    for message in (b"1", b"2"):
        bus.publish("rooms", message)
    await ear.until_heard(GAINED, b"1", b"2")
    assert once.heard == [GAINED, b"1"]


async def test_a_channel_may_be_left_and_joined_at_any_moment(net: Net) -> None:
    here, there = await net.join(), await net.join()
    chance = random.Random(1)
    for turn in range(50):
        subscription = there.subscribe("rooms", BusListener())
        if chance.random() < 0.5:
            await asyncio.sleep(0)
        subscription.close()
        ear, kept = await listen(there, "rooms")
        here.publish("rooms", b"%d" % turn)
        await ear.until_heard(GAINED, b"%d" % turn)
        kept.close()


async def test_an_interruption_is_told_to_all_who_listen(net: Net) -> None:
    here, there = await net.join(), await net.join()
    watch = Watch()
    there.watch(watch)
    ear, _ = await listen(there, "rooms")
    own, _ = await listen(here, "rooms")
    await net.cut(there)
    assert not there.connected
    here.publish("rooms", b"missed")
    await own.until_heard(GAINED, b"missed")
    late = BusListener()
    there.subscribe("rooms", late)
    await net.heal(there)
    assert there.connected
    await ear.until_heard(GAINED, GAINED)
    await late.until_heard(GAINED)
    here.publish("rooms", b"heard")
    await ear.until_heard(GAINED, GAINED, b"heard")
    await late.until_heard(GAINED, b"heard")
    assert watch.changes == [False, True]


async def test_what_a_publisher_lost_while_it_was_away_is_told(net: Net) -> None:
    here, there = await net.join(), await net.join()
    ear, _ = await listen(there, "rooms")
    other, _ = await listen(there, "users")
    await net.cut(here)
    assert not here.publish("rooms", b"lost")
    assert not here.publish("rooms", b"lost too")
    await net.heal(here)
    await ear.until_heard(GAINED, GAINED)
    here.publish("rooms", b"1")
    here.publish("users", b"2")
    await ear.until_heard(GAINED, GAINED, b"1")
    await other.until_heard(GAINED, b"2")


async def test_what_waited_when_the_wire_was_cut_arrives_or_is_told(net: Net) -> None:
    here, there = await net.join(), await net.join()
    ear, _ = await listen(there, "rooms")
    messages = [b"%d" % number for number in range(100)]
    assert all(here.publish("rooms", message) for message in messages)
    await net.cut(here)
    await net.heal(here)
    here.publish("rooms", b"last")
    await ear.until(lambda heard: heard[-1] == b"last")
    arrived = [message for message in ear.heard if message not in (GAINED, b"last")]
    assert arrived == messages[: len(arrived)]
    assert ear.heard == [GAINED, *arrived, GAINED, b"last"]


async def test_a_full_queue_refuses_and_tells(net: Net) -> None:
    here, there = await net.join(), await net.join()
    ear, _ = await listen(there, "rooms")
    other, _ = await listen(there, "users")
    here.publish("users", b"not touched")
    taken = [here.publish("rooms", bytes(1_000)) for _ in range(2_000)]
    room = taken.index(False)
    assert 900 < room < 1_050
    assert not any(taken[room:])
    await ear.until_heard(GAINED, *[bytes(1_000)] * room, GAINED)
    assert here.publish("rooms", b"room again")
    await ear.until_last(GAINED, b"room again")
    await other.until_heard(GAINED, b"not touched")


async def test_every_loss_is_told_in_its_place(net: Net) -> None:
    here, there = await net.join(), await net.join()
    ear, _ = await listen(there, "rooms")
    too_large = bytes(QUEUE_BYTES)
    for message in (too_large, too_large, b"1", too_large, b"2"):
        assert here.publish("rooms", message) is (message != too_large)
    await ear.until_heard(GAINED, GAINED, b"1", GAINED, b"2")
    for told in range(4, 7):
        assert not here.publish("rooms", too_large)
        await ear.until(lambda heard, told=told: heard.count(GAINED) == told)  # type: ignore[misc]


async def test_a_listener_that_fails_hurts_only_itself(net: Net) -> None:
    bus = await net.join()
    errors: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))

    class Failing(BusListener):
        def hear(self, message: bytes) -> None:
            super().hear(message)
            raise RuntimeError("of the test")

    failing = Failing()
    bus.subscribe("rooms", failing)
    ear, _ = await listen(bus, "rooms")
    for message in (b"1", b"2"):
        bus.publish("rooms", message)
    await ear.until_heard(GAINED, b"1", b"2")
    assert failing.heard == ear.heard
    assert [str(context["exception"]) for context in errors] == ["of the test"] * 3
    assert bus.connected


async def test_closing_sends_what_waits_and_ends_all(net: Net) -> None:
    here, there = await net.join(), await net.join()
    own, _ = await listen(here, "rooms")
    ear, _ = await listen(there, "rooms")
    messages = [b"%0200d" % number for number in range(1_000)]  # more than travels in one batch
    assert all(here.publish("rooms", message) for message in messages)
    await here.close()
    assert not here.connected
    assert not here.publish("rooms", b"after the end")
    await ear.until_heard(GAINED, *messages)
    there.publish("rooms", b"hears nobody")
    await ear.until_last(b"hears nobody")
    assert b"hears nobody" not in own.heard


async def test_a_bus_that_was_not_started_is_away() -> None:
    for bus in (LocalBus(), RedisBus("redis://127.0.0.1:1")):
        assert not bus.connected
        assert not bus.publish("rooms", b"refused")
        await bus.close()


def gapless(heard: list[bytes]) -> bool:
    """Whether all that came between two `GAINED` came without a gap, and nothing twice or before its time."""
    last, complete = -1, False
    for message in heard:
        if message == GAINED:
            complete = False
        elif int(message) <= last or (complete and int(message) != last + 1):
            return False
        else:
            last, complete = int(message), True
    return True


async def settle(buses: list[Bus], ears: list[BusListener], message: bytes) -> None:
    """Publish on the first bus and wait until all that are connected have heard it."""
    there = [(bus, ear) for bus, ear in zip(buses, ears, strict=True) if bus.connected]
    for bus, _ in there:
        await listen(bus, "fence")  # asked for after the channel of the ears, so that one is in force again
    assert buses[0].publish("rooms", message)
    for _, ear in there:
        await ear.until_last(message)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_cut_nothing_is_missing_in_secret(net: Net, seed: int) -> None:
    chance = random.Random(seed)
    buses = [await net.join(), await net.join()]
    ears = [(await listen(bus, "rooms"))[0] for bus in buses]
    numbers = (b"%d" % number for number in itertools.count())
    for _ in range(8):
        bus = chance.choice(buses)
        for step in (net.cut, net.heal):
            if buses[0].connected and chance.random() < 0.6:
                await settle(buses, ears, next(numbers))
            for _ in range(chance.randrange(300)):
                buses[0].publish("rooms", next(numbers))
            if chance.random() < 0.5:
                await asyncio.sleep(0)
            await step(bus)
    await settle(buses, ears, next(numbers))
    for ear in ears:
        assert gapless(ear.heard), f"seed {seed}: {ear.heard}"

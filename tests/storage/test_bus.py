import asyncio

import pytest

from storage import BusClosed, BusOverflow, LocalBus


async def test_subscribers_of_a_channel_hear_it_in_order() -> None:
    bus = LocalBus()
    await bus.publish("rooms", b"before")
    first, second, other = await bus.subscribe("rooms"), await bus.subscribe("rooms"), await bus.subscribe("users")
    for message in (b"1", b"2"):
        await bus.publish("rooms", message)
    await bus.publish("users", b"u")
    assert [await first.receive(), await first.receive()] == [b"1", b"2"]
    assert [await second.receive(), await second.receive()] == [b"1", b"2"]
    assert await other.receive() == b"u"


async def test_a_waiting_subscriber_is_woken() -> None:
    bus = LocalBus()
    subscription = await bus.subscribe("rooms")
    waiting = asyncio.create_task(subscription.receive())
    await asyncio.sleep(0)
    await bus.publish("rooms", b"news")
    assert await waiting == b"news"


async def test_a_slow_subscriber_is_told_what_it_missed() -> None:
    bus = LocalBus(queue_limit=2)
    slow, fast = await bus.subscribe("rooms"), await bus.subscribe("rooms")
    for message in (b"1", b"2", b"3"):
        await bus.publish("rooms", message)
        assert await fast.receive() == message
    for _ in range(2):
        with pytest.raises(BusOverflow):
            await slow.receive()
    again = await bus.subscribe("rooms")
    await bus.publish("rooms", b"4")
    assert await again.receive() == await fast.receive() == b"4"


async def test_closing_ends_the_waiting() -> None:
    bus = LocalBus()
    one, two = await bus.subscribe("rooms"), await bus.subscribe("rooms")
    waiting = [asyncio.create_task(one.receive()), asyncio.create_task(two.receive())]
    await asyncio.sleep(0)
    one.close()
    one.close()
    await bus.publish("rooms", b"only for two")
    assert await waiting[1] == b"only for two"
    await bus.close()
    for subscription in (one, two):
        with pytest.raises(BusClosed):
            await subscription.receive()
    with pytest.raises(BusClosed):
        await waiting[0]


async def test_close_drops_channels_nobody_listens_to() -> None:
    bus = LocalBus()
    subscription = await bus.subscribe("rooms")
    subscription.close()
    assert bus._subscriptions == {}

"""Who waits for events hears that there are some, once, and only of its own wedding."""

import asyncio

from crdt_server.hub.event_notifier import EventNotifier

SECONDS = 10


async def test_a_listener_hears_how_far_its_wedding_has_come() -> None:
    feed = EventNotifier()
    with feed.listen("w") as listener:
        waiting = asyncio.create_task(listener.wait(SECONDS))
        await asyncio.sleep(0)
        feed.announce("elsewhere", 9)
        feed.announce("w", 3)
        assert await waiting
        assert listener.head == 3


async def test_without_news_the_wait_ends() -> None:
    feed = EventNotifier()
    with feed.listen("w") as listener:
        feed.announce("elsewhere", 9)
        assert not await listener.wait(0)
        assert listener.head == 0


async def test_news_before_the_wait_is_not_lost_and_told_once() -> None:
    feed = EventNotifier()
    with feed.listen("w") as listener:
        for head in (3, 5, 4):
            feed.announce("w", head)
        assert await listener.wait(SECONDS)
        assert listener.head == 5
        assert not await listener.wait(0)
        feed.announce("w", 6)
        assert await listener.wait(SECONDS)


async def test_everybody_who_listens_hears_it() -> None:
    feed = EventNotifier()
    with feed.listen("w") as one, feed.listen("w") as two:
        feed.announce("w", 1)
        assert await one.wait(SECONDS)
        assert await two.wait(SECONDS)


async def test_what_nobody_listens_to_takes_no_memory() -> None:
    feed = EventNotifier()
    feed.announce("w", 1)
    with feed.listen("w") as first:
        with feed.listen("w"):
            assert len(feed._listeners["w"]) == 2
        feed.announce("w", 2)
        assert first.head == 2
    assert not feed._listeners
    feed.announce("w", 3)
    assert first.head == 2

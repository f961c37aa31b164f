"""Listeners are woken when there are new events, once, and only for their own wedding."""

import asyncio

from crdt_server.hub.event_notifier import EventNotifier, EventPublisher
from storage import StoredEvent

SECONDS = 10


async def test_a_listener_is_woken_with_the_newest_number_of_its_wedding() -> None:
    notifier = EventNotifier()
    with notifier.listen("w") as listener:
        waiting = asyncio.create_task(listener.wait(SECONDS))
        await asyncio.sleep(0)
        notifier.publish("elsewhere", 9)
        notifier.publish("w", 3)
        assert await waiting
        assert listener.head == 3


async def test_without_news_the_wait_ends() -> None:
    notifier = EventNotifier()
    with notifier.listen("w") as listener:
        notifier.publish("elsewhere", 9)
        assert not await listener.wait(0)
        assert listener.head == 0


async def test_news_before_the_wait_is_not_lost_and_told_once() -> None:
    notifier = EventNotifier()
    with notifier.listen("w") as listener:
        for head in (3, 5, 4):
            notifier.publish("w", head)
        assert await listener.wait(SECONDS)
        assert listener.head == 5
        assert not await listener.wait(0)
        notifier.publish("w", 6)
        assert await listener.wait(SECONDS)


async def test_all_listeners_of_a_wedding_are_woken() -> None:
    notifier = EventNotifier()
    with notifier.listen("w") as one, notifier.listen("w") as two:
        notifier.publish("w", 1)
        assert await one.wait(SECONDS)
        assert await two.wait(SECONDS)


async def test_readers_of_inboxes_are_woken_for_their_own_and_with_all() -> None:
    notifier = EventNotifier()
    with notifier.listen("w") as events, notifier.listen("w", "ann") as ann, notifier.listen("w", "ben") as ben:
        notifier.publish("w", 1)
        notifier.publish_inbox("w", {"ben", "leo"})
        notifier.publish_inbox("elsewhere", {"ann"})
        assert not await ann.wait(0)
        for listener in (events, ben):
            assert await listener.wait(SECONDS)
        notifier.wake("w")
        for listener in (events, ann, ben):
            assert await listener.wait(SECONDS)


async def test_what_is_stored_here_is_published_and_reported() -> None:
    notifier, seen = EventNotifier(), []
    publish = EventPublisher(notifier.publish)
    publish.listeners.append(lambda *event: seen.append(event))
    event = StoredEvent(5, "guest.changed", "2026-06-01T12:00:00.000Z", "guests", "g_1", "{}")
    with notifier.listen("w") as listener:
        publish("w", 4)
        assert (listener.head, seen) == (4, [("w", 4, ())])
        publish("w", 5, [event])
        assert (listener.head, seen[1:]) == (5, [("w", 5, [event])])


async def test_what_nobody_listens_to_takes_no_memory() -> None:
    notifier = EventNotifier()
    notifier.publish("w", 1)
    with notifier.listen("w") as first:
        with notifier.listen("w"):
            assert len(notifier._listeners["w"]) == 2
        notifier.publish("w", 2)
        assert first.head == 2
    assert not notifier._listeners
    notifier.publish("w", 3)
    assert first.head == 2

"""The bus between nodes: publish bytes on a channel, hear what others publish. Here: within one process."""

import asyncio
from collections import deque
from typing import Protocol


class BusOverflow(Exception):
    """The subscriber was too slow and messages are lost: read the store again and subscribe anew."""


class BusClosed(Exception):
    """The subscription, or its bus, was closed."""


class Subscription(Protocol):
    """What is published on one channel from the moment of subscribing, in order."""

    async def receive(self) -> bytes:
        """Wait for the next message. Raises BusOverflow after a loss, BusClosed after the end."""

    def close(self) -> None:
        """Stop listening."""


class Bus(Protocol):
    """The port. Publishing never waits for a subscriber; a message is delivered once or lost with BusOverflow."""

    async def publish(self, channel: str, message: bytes) -> None:
        """Give `message` to all who are subscribed to `channel` now, the publisher's own subscriptions included."""

    async def subscribe(self, channel: str) -> Subscription:
        """Listen from now on."""

    async def close(self) -> None:
        """End all subscriptions."""


class LocalSubscription:
    """A queue of at most `limit` messages. One too many empties it and ends the subscription with BusOverflow."""

    def __init__(self, bus: "LocalBus", channel: str, limit: int) -> None:
        self._bus = bus
        self._channel = channel
        self._limit = limit
        self._messages: deque[bytes] = deque()
        self._end: type[Exception] | None = None
        self._changed = asyncio.Event()

    async def receive(self) -> bytes:
        while not self._messages:
            if self._end is not None:
                raise self._end(self._channel)
            self._changed.clear()
            await self._changed.wait()
        return self._messages.popleft()

    def offer(self, message: bytes) -> None:
        """Called by the bus."""
        if len(self._messages) < self._limit:
            self._messages.append(message)
            self._changed.set()
        else:
            self._finish(BusOverflow)

    def close(self) -> None:
        self._finish(BusClosed)

    def _finish(self, end: type[Exception]) -> None:
        self._end = self._end or end
        self._messages.clear()
        self._bus.forget(self._channel, self)
        self._changed.set()


class LocalBus:
    """Publish and subscribe within this process and event loop."""

    def __init__(self, queue_limit: int = 1_000) -> None:
        self._queue_limit = queue_limit
        self._subscriptions: dict[str, set[LocalSubscription]] = {}

    async def publish(self, channel: str, message: bytes) -> None:
        for subscription in list(self._subscriptions.get(channel, ())):
            subscription.offer(message)

    async def subscribe(self, channel: str) -> LocalSubscription:
        subscription = LocalSubscription(self, channel, self._queue_limit)
        self._subscriptions.setdefault(channel, set()).add(subscription)
        return subscription

    def forget(self, channel: str, subscription: LocalSubscription) -> None:
        """Called by a subscription that has ended."""
        listening = self._subscriptions.get(channel, set())
        listening.discard(subscription)
        if not listening:
            self._subscriptions.pop(channel, None)

    async def close(self) -> None:
        for subscription in [one for listening in self._subscriptions.values() for one in listening]:
            subscription.close()

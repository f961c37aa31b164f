"""The bus between nodes: bytes published on a channel are delivered to every subscription of the channel. Here: the
port, the parts that every bus consists of, and a bus within one process.

Guarantees:

- Messages of one publisher on one channel are delivered in the order of their publication, each at most once, to the
  publisher's own subscriptions as well.
- Between two `on_resync` of a subscription no message is missing.
- A message that a publisher lost (refused, or not acknowledged when its connection broke) is reported: every
  subscription of its channel gets `on_resync` as soon as the publisher is connected again, before any later message.

Messages that a publisher had not sent when it died are lost without a report. The bus is fast, and never the only place
of anything: a listener reads from the store after `on_resync`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

QUEUE_BYTES = 16 << 20
MESSAGE_OVERHEAD_BYTES = 100  # memory of a queued message besides its own bytes


class Listener(Protocol):
    """Called on the event loop of the bus, one call after the other. Its exceptions go to the loop's handler."""

    def on_message(self, message: bytes) -> None:
        """The next message."""

    def on_resync(self) -> None:
        """Messages published before this call may be missing; after it none is, until the next `on_resync`."""


class Bus(Protocol):
    """The port. All but `start` and `close` is synchronous and belongs to one event loop."""

    @property
    def connected(self) -> bool:
        """Whether messages are accepted and delivered."""

    def publish(self, channel: str, message: bytes) -> bool:
        """Queue `message` for all subscriptions of `channel`. Never waits.

        False, and the message is lost, while the bus is disconnected or its queue is full; the loss will be reported.
        """

    def subscribe(self, channel: str, listener: Listener) -> Subscription:
        """Call `listener` until the subscription is closed.

        The first call is `on_resync`, when the subscription becomes active; another follows every interruption or loss.
        """

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call `changed` with the new value of `connected` whenever it changes."""

    async def start(self) -> None:
        """Begin to connect. Returns at once: the bus may be unreachable from the start."""

    async def close(self) -> None:
        """Send the queue within a second, drop the rest, and close for good. No listener is called after this."""


class Subscription:
    """One listener on one channel, made by `Bus.subscribe`. All methods but `close` are for the bus."""

    def __init__(self, channel: str, listener: Listener, closed: Callable[[Subscription], None]) -> None:
        self.channel = channel
        self.active = False
        self._listener = listener
        self._closed = closed
        self._open = True
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Do not call the listener again. Idempotent."""
        if self._open:
            self._open = False
            self._closed(self)

    def activate(self) -> None:
        """Deliver every message from here on."""
        self.active = True
        self._loop.call_soon(self._call_on_resync)

    def suspend(self) -> None:
        """Deliver nothing until `activate`: messages may be missing."""
        self.active = False

    def deliver(self, message: bytes | None) -> None:
        """Deliver a message, or the notice that some were lost (None)."""
        if self.active:
            self._loop.call_soon(*(self._call_on_resync,) if message is None else (self._call_on_message, message))

    def _call_on_resync(self) -> None:
        if self._open:
            self._listener.on_resync()

    def _call_on_message(self, message: bytes) -> None:
        if self._open:
            self._listener.on_message(message)


class QueuedMessage(NamedTuple):
    """A message to send, or the notice that messages of the channel were lost (None)."""

    channel: str
    message: bytes | None

    @property
    def bytes(self) -> int:
        return MESSAGE_OVERHEAD_BYTES + len(self.channel) + len(self.message or b"")


class SendQueue:
    """Messages of one publisher that are to be sent, in order, at most ``limit_bytes``.

    A loss leaves one notice behind the last message of its channel. Notices have no limit: at most one is queued for
    each channel or each queued message.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._queued: deque[QueuedMessage] = deque()
        self._in_flight: list[QueuedMessage] = []
        self._notified: set[str] = set()  # channels whose last queued message is a notice
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._queued or self._in_flight)

    def put(self, channel: str, message: bytes) -> bool:
        """Queue a message. False when the queue is full, which is a loss."""
        queued = QueuedMessage(channel, message)
        if self._bytes + queued.bytes > self._limit_bytes:
            self.mark_lost(channel)
            return False
        self._notified.discard(channel)
        self._append(queued)
        return True

    def mark_lost(self, channel: str) -> None:
        """A message for `channel` will not be sent: queue a notice."""
        if channel not in self._notified:
            self._notified.add(channel)
            self._append(QueuedMessage(channel, None))

    def take(self, limit_bytes: int) -> list[QueuedMessage]:
        """The next messages, one or as many as fit. They are in flight until `acknowledge` or `mark_all_lost`."""
        budget = limit_bytes
        while self._queued and (not self._in_flight or self._queued[0].bytes <= budget):
            queued = self._queued.popleft()
            budget -= queued.bytes
            self._in_flight.append(queued)
            if queued.message is None:
                self._notified.discard(queued.channel)
        return self._in_flight

    def acknowledge(self) -> None:
        """Everything in flight has reached the bus."""
        self._bytes -= sum(queued.bytes for queued in self._in_flight)
        self._in_flight = []

    def mark_all_lost(self) -> None:
        """The connection broke: no message in the queue or in flight is known to arrive."""
        channels = dict.fromkeys(queued.channel for queued in [*self._in_flight, *self._queued])
        self._queued.clear()
        self._notified.clear()
        self._in_flight = []
        self._bytes = 0
        for channel in channels:
            self.mark_lost(channel)

    def _append(self, queued: QueuedMessage) -> None:
        self._queued.append(queued)
        self._bytes += queued.bytes


class LocalWire:
    """Connects the buses of one process."""

    def __init__(self) -> None:
        self.connected: list[LocalBus] = []


class LocalBus:
    """Publish and subscribe within one event loop. Buses on the same wire are one bus."""

    def __init__(self, wire: LocalWire | None = None, *, queue_bytes: int = QUEUE_BYTES) -> None:
        self._wire = wire or LocalWire()
        self._send_queue = SendQueue(queue_bytes)
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._watchers: list[Callable[[bool], None]] = []
        self._flushing = False
        self.connected = False

    def publish(self, channel: str, message: bytes) -> bool:
        if not self.connected:
            self._send_queue.mark_lost(channel)
            return False
        accepted = self._send_queue.put(channel, message)
        self._flush_soon()
        return accepted

    def subscribe(self, channel: str, listener: Listener) -> Subscription:
        subscription = Subscription(channel, listener, self._remove)
        self._subscriptions.setdefault(channel, []).append(subscription)
        if self.connected:
            subscription.activate()
        return subscription

    def watch(self, changed: Callable[[bool], None]) -> None:
        self._watchers.append(changed)

    async def start(self) -> None:
        self.rejoin()

    async def close(self) -> None:
        if self.connected:
            self._flush()
        self.cut()
        for subscription in [each for subscriptions in self._subscriptions.values() for each in subscriptions]:
            subscription.close()

    def cut(self) -> None:
        """Disconnect, and lose the queue, until `rejoin`."""
        if self.connected:
            self._wire.connected.remove(self)
            self._send_queue.mark_all_lost()
            for subscriptions in self._subscriptions.values():
                for subscription in subscriptions:
                    subscription.suspend()
            self._set_connected(connected=False)

    def rejoin(self) -> None:
        """Undo `cut`."""
        if not self.connected:
            self._wire.connected.append(self)
            for subscriptions in self._subscriptions.values():
                for subscription in subscriptions:
                    subscription.activate()
            self._set_connected(connected=True)
            self._flush_soon()

    def _set_connected(self, *, connected: bool) -> None:
        self.connected = connected
        for changed in self._watchers:
            asyncio.get_running_loop().call_soon(changed, connected)

    def _remove(self, subscription: Subscription) -> None:
        subscriptions = self._subscriptions[subscription.channel]
        subscriptions.remove(subscription)
        if not subscriptions:
            del self._subscriptions[subscription.channel]

    def _flush_soon(self) -> None:
        if self._send_queue and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self.connected:
            return
        while batch := self._send_queue.take(QUEUE_BYTES):
            for channel, message in batch:
                for bus in self._wire.connected:
                    bus.deliver(channel, message)
            self._send_queue.acknowledge()

    def deliver(self, channel: str, message: bytes | None) -> None:
        """Called by the buses on the same wire."""
        for subscription in self._subscriptions.get(channel, ()):
            subscription.deliver(message)

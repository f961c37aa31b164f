"""The bus between nodes: bytes published on a channel, heard by all who subscribed to it. Here: the port, what every
bus is made of, and a bus within one process.

What may be relied on:

- messages of one publisher on one channel are heard in the order published, each at most once, by the publisher's own
  subscriptions as well;
- between two `gained` of a subscription nothing is missing;
- what a publisher lost (refused, or not known to have arrived when its connection broke) is told: every subscription
  to that channel has a `gained` as soon as that publisher is connected again, before anything later from it.

A publisher that dies takes with it what it had not sent, and nobody is told. The bus is quick, never the only place of
anything: who hears `gained` looks where things rest.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

QUEUE_BYTES = 16 << 20
LETTER_BYTES = 100  # what a waiting message costs besides its own bytes


class Listener(Protocol):
    """Called on the event loop of the bus, one call after the other. What it raises goes to the loop's handler."""

    def hear(self, message: bytes) -> None:
        """The next message."""

    def gained(self) -> None:
        """From here on nothing is missed until the next `gained`; what was published before may be."""


class Bus(Protocol):
    """The port. All but `start` and `close` is synchronous and belongs to one event loop."""

    @property
    def connected(self) -> bool:
        """Whether messages are taken and heard."""

    def publish(self, channel: str, message: bytes) -> bool:
        """Queue `message` for all who are subscribed to `channel`; never waits.

        False, and nothing is queued, while the bus is away or too many bytes wait: subscribers will be told.
        """

    def subscribe(self, channel: str, listener: Listener) -> Subscription:
        """Listen until the subscription is closed.

        `gained` comes first, when the subscription is in force, and again after every interruption or loss.
        """

    def watch(self, changed: Callable[[bool], None]) -> None:
        """Call `changed` with the new value of `connected` whenever it changes."""

    async def start(self) -> None:
        """Begin to connect. Does not wait until it is done: a bus may be away from the start."""

    async def close(self) -> None:
        """Send what waits, if that takes no longer than a second, and end for good. No listener is called any more."""


class Subscription:
    """One listener on one channel, made by `subscribe`. All but `close` is for the bus."""

    def __init__(self, channel: str, listener: Listener, closed: Callable[[Subscription], None]) -> None:
        self.channel = channel
        self.in_force = False
        self._listener = listener
        self._closed = closed
        self._open = True
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Call the listener no more. Closing twice does nothing."""
        if self._open:
            self._open = False
            self._closed(self)

    def gain(self) -> None:
        """Nothing is missed from here on."""
        self.in_force = True
        self._loop.call_soon(self._call_gained)

    def lapse(self) -> None:
        """What comes now may be incomplete: nothing is heard until `gain`."""
        self.in_force = False

    def hand(self, message: bytes | None) -> None:
        """Pass on a message, or tell that some are missing (None)."""
        if self.in_force:
            self._loop.call_soon(*(self._call_gained,) if message is None else (self._call_hear, message))

    def _call_gained(self) -> None:
        if self._open:
            self._listener.gained()

    def _call_hear(self, message: bytes) -> None:
        if self._open:
            self._listener.hear(message)


class Letter(NamedTuple):
    """Something to send: a message, or the news that some of this channel were lost (None)."""

    channel: str
    message: bytes | None

    @property
    def bytes(self) -> int:
        return LETTER_BYTES + len(self.channel) + len(self.message or b"")


class Outgoing:
    """What a publisher has to send, in order, at most ``limit_bytes`` of messages.

    What is lost leaves one letter with the news behind the last message of its channel. News has no limit: there is at
    most one piece for each channel, or each message, that waits.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._waiting: deque[Letter] = deque()
        self._sent: list[Letter] = []
        self._told: set[str] = set()  # channels whose last letter that waits is news
        self._bytes = 0

    def __bool__(self) -> bool:
        return bool(self._waiting or self._sent)

    def put(self, channel: str, message: bytes) -> bool:
        """Queue a message; False when there is no room for it, which is a loss."""
        letter = Letter(channel, message)
        if self._bytes + letter.bytes > self._limit_bytes:
            self.lose(channel)
            return False
        self._told.discard(channel)
        self._append(letter)
        return True

    def lose(self, channel: str) -> None:
        """A message for `channel` will not be sent."""
        if channel not in self._told:
            self._told.add(channel)
            self._append(Letter(channel, None))

    def take(self, limit_bytes: int) -> list[Letter]:
        """The next letters, one or as many as fit. They count as waiting until `arrived` or `lose_all`."""
        room = limit_bytes
        while self._waiting and (not self._sent or self._waiting[0].bytes <= room):
            letter = self._waiting.popleft()
            room -= letter.bytes
            self._sent.append(letter)
            if letter.message is None:
                self._told.discard(letter.channel)
        return self._sent

    def arrived(self) -> None:
        """What was taken has reached the bus."""
        self._bytes -= sum(letter.bytes for letter in self._sent)
        self._sent = []

    def lose_all(self) -> None:
        """The way is interrupted: nothing of what waits or was taken is known to arrive."""
        channels = dict.fromkeys(letter.channel for letter in [*self._sent, *self._waiting])
        self._waiting.clear()
        self._told.clear()
        self._sent = []
        self._bytes = 0
        for channel in channels:
            self.lose(channel)

    def _append(self, letter: Letter) -> None:
        self._waiting.append(letter)
        self._bytes += letter.bytes


class LocalWire:
    """What connects the buses of one process."""

    def __init__(self) -> None:
        self.ends: list[LocalBus] = []


class LocalBus:
    """Publish and subscribe within one event loop. Buses on the same wire hear each other."""

    def __init__(self, wire: LocalWire | None = None, *, queue_bytes: int = QUEUE_BYTES) -> None:
        self._wire = wire or LocalWire()
        self._outgoing = Outgoing(queue_bytes)
        self._subscriptions: dict[str, list[Subscription]] = {}
        self._watchers: list[Callable[[bool], None]] = []
        self._flushing = False
        self.connected = False

    def publish(self, channel: str, message: bytes) -> bool:
        if not self.connected:
            self._outgoing.lose(channel)
            return False
        taken = self._outgoing.put(channel, message)
        self._flush_soon()
        return taken

    def subscribe(self, channel: str, listener: Listener) -> Subscription:
        subscription = Subscription(channel, listener, self._forget)
        self._subscriptions.setdefault(channel, []).append(subscription)
        if self.connected:
            subscription.gain()
        return subscription

    def watch(self, changed: Callable[[bool], None]) -> None:
        self._watchers.append(changed)

    async def start(self) -> None:
        self.rejoin()

    async def close(self) -> None:
        if self.connected:
            self._flush()
        self.cut()
        for subscription in [one for several in self._subscriptions.values() for one in several]:
            subscription.close()

    def cut(self) -> None:
        """Lose what waits and take no part until `rejoin`."""
        if self.connected:
            self._wire.ends.remove(self)
            self._outgoing.lose_all()
            for several in self._subscriptions.values():
                for subscription in several:
                    subscription.lapse()
            self._change(connected=False)

    def rejoin(self) -> None:
        """Undo `cut`."""
        if not self.connected:
            self._wire.ends.append(self)
            for several in self._subscriptions.values():
                for subscription in several:
                    subscription.gain()
            self._change(connected=True)
            self._flush_soon()

    def _change(self, *, connected: bool) -> None:
        self.connected = connected
        for changed in self._watchers:
            asyncio.get_running_loop().call_soon(changed, connected)

    def _forget(self, subscription: Subscription) -> None:
        several = self._subscriptions[subscription.channel]
        several.remove(subscription)
        if not several:
            del self._subscriptions[subscription.channel]

    def _flush_soon(self) -> None:
        if self._outgoing and not self._flushing:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        if not self.connected:
            return
        while letters := self._outgoing.take(QUEUE_BYTES):
            for letter in letters:
                for end in self._wire.ends:
                    end.deliver(letter)
            self._outgoing.arrived()

    def deliver(self, letter: Letter) -> None:
        """Called by the buses on the same wire."""
        for subscription in self._subscriptions.get(letter.channel, ()):
            subscription.hand(letter.message)

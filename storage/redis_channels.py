"""The subscriptions of one Redis bus: which channels it subscribes to at Redis, and who gets their messages.

No I/O: commands for Redis gather in `commands`, its replies come in through the methods.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from storage.bus import Listener, Subscription

Command = tuple[str | bytes, ...]


class ChannelState(Enum):
    """The state of a channel at Redis. At most one command about it is in flight."""

    SUBSCRIBING = auto()
    ACTIVE = auto()
    UNSUBSCRIBING = auto()


@dataclass(slots=True)
class RedisChannel:
    """One channel and its subscriptions here."""

    state: ChannelState = ChannelState.SUBSCRIBING
    subscriptions: list[Subscription] = field(default_factory=list)


class RedisChannels:
    """See the head of the file. ``command_queued`` is called after each new command."""

    def __init__(self, prefix: bytes, command_queued: Callable[[], None]) -> None:
        self.commands: deque[Command] = deque()
        self._prefix = prefix
        self._command_queued = command_queued
        self._channels: dict[str, RedisChannel] = {}

    def subscribe(self, name: str, listener: Listener) -> Subscription:
        """Call `listener` until the subscription is closed."""
        subscription = Subscription(name, listener, self._remove)
        if name not in self._channels:
            self._channels[name] = RedisChannel()
            self._queue("SUBSCRIBE", name)
        channel = self._channels[name]
        channel.subscriptions.append(subscription)
        if channel.state is ChannelState.ACTIVE:
            subscription.activate()
        return subscription

    def connected(self) -> None:
        """A new connection knows no channel: subscribe to all."""
        self.commands.clear()
        for name in self._channels:
            self._queue("SUBSCRIBE", name)

    def disconnected(self) -> None:
        """Deliver nothing until Redis confirms the subscriptions of the next connection."""
        self._channels = {
            name: RedisChannel(subscriptions=channel.subscriptions)
            for name, channel in self._channels.items()
            if channel.subscriptions
        }
        for channel in self._channels.values():
            for subscription in channel.subscriptions:
                subscription.suspend()

    def subscribed(self, redis_name: bytes) -> None:
        """Redis has confirmed SUBSCRIBE."""
        name = self._name(redis_name)
        channel = self._channels[name]
        channel.state = ChannelState.ACTIVE
        for subscription in channel.subscriptions:
            subscription.activate()
        self._unsubscribe_if_unused(name, channel)

    def unsubscribed(self, redis_name: bytes) -> None:
        """Redis has confirmed UNSUBSCRIBE."""
        name = self._name(redis_name)
        channel = self._channels[name]
        if channel.subscriptions:
            channel.state = ChannelState.SUBSCRIBING
            self._queue("SUBSCRIBE", name)
        else:
            del self._channels[name]

    def deliver(self, redis_name: bytes, message: bytes | None) -> None:
        """Deliver a message, or the notice that some were lost (None)."""
        for subscription in self._channels[self._name(redis_name)].subscriptions:
            subscription.deliver(message)

    def close(self) -> None:
        """Close every subscription."""
        for subscription in [each for channel in self._channels.values() for each in channel.subscriptions]:
            subscription.close()

    def _name(self, redis_name: bytes) -> str:
        return redis_name[len(self._prefix) :].decode()

    def _queue(self, verb: str, name: str) -> None:
        self.commands.append((verb, self._prefix + name.encode()))
        self._command_queued()

    def _remove(self, subscription: Subscription) -> None:
        channel = self._channels[subscription.channel]
        channel.subscriptions.remove(subscription)
        self._unsubscribe_if_unused(subscription.channel, channel)

    def _unsubscribe_if_unused(self, name: str, channel: RedisChannel) -> None:
        if channel.state is ChannelState.ACTIVE and not channel.subscriptions:
            channel.state = ChannelState.UNSUBSCRIBING
            self._queue("UNSUBSCRIBE", name)

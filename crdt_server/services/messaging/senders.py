"""The senders of a node by channel, and counts of what they did. `send` returns also where a sender fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import structlog

from crdt_server.access.limits import Allowance
from crdt_server.metrics import Metrics
from crdt_server.services.messaging.model import Channel, Delivery, NotSent, Sender, Sent
from storage import MessageOutcome, StoredMessage
from storage.outbox import DEAD, SENT

log = structlog.get_logger(__name__)

SEND_SECONDS: Final = 60.0
"""For one attempt; channels have shorter limits of their own."""

LOGGED_DEAD, SECONDS_PER_LOGGED_DEAD = 10, 60.0
"""Lines about dead messages of a wedding at once, and seconds until there may be another one. All are counted."""

SETTINGS: Final[Mapping[Channel, str]] = MappingProxyType(
    {
        Channel.MAIL: "--smtp-url",
        Channel.SMS: "--sms-url",
        Channel.PUSH: "--push-vapid-key-file or --push-fcm-url",
    }
)
"""The setting that configures the sender of each channel."""


class ChannelSenders:
    """See the head of the file."""

    def __init__(self, senders: Mapping[Channel, Sender], metrics: Metrics) -> None:
        self._senders = senders
        self._logged = Allowance(LOGGED_DEAD, SECONDS_PER_LOGGED_DEAD)
        self._metrics = metrics
        for channel in (*SETTINGS, Channel.WEBHOOK):
            # From 0 on: a counter that begins with 1 has not increased, and raises no alert.
            for counter in (metrics.messages_sent, metrics.messages_delivered, metrics.messages_dead):
                counter.labels(channel)

    @property
    def configured(self) -> frozenset[Channel]:
        """The channels that have a sender."""
        return frozenset(self._senders)

    async def send(self, delivery: Delivery) -> Sent | NotSent:
        """Hand a message over. A channel without a sender fails like one that is out of order."""
        sender = self._senders.get(delivery.channel)
        if sender is None:
            setting = SETTINGS.get(delivery.channel)
            return NotSent(f"no sender for {delivery.channel}" + (f": set {setting}" if setting else ""))
        self._metrics.messages_sent.labels(delivery.channel).inc()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                return await sender.send(delivery)
        except TimeoutError:
            return NotSent(f"not sent within {SEND_SECONDS:g} s")
        except Exception as error:  # a defect of one channel, or with one message, stops no other
            log.error("sender_failed", channel=delivery.channel, id=delivery.id, exc_info=error)
            return NotSent(f"a defect of the server: {type(error).__name__}")

    def count(self, message: StoredMessage, outcome: MessageOutcome) -> None:
        """Count what became of a message."""
        if outcome.state == SENT:
            self._metrics.messages_delivered.labels(message.channel).inc()
        elif outcome.state == DEAD:
            self._metrics.messages_dead.labels(message.channel).inc()
            if self._logged.take(message.wedding, time.monotonic()):
                log.warning("message_dead", channel=message.channel, id=message.id, reason=outcome.error)

    def count_died(self, died: Mapping[str, int]) -> None:
        """Count messages that are dead because the nodes that sent them ended."""
        for channel, number in died.items():
            self._metrics.messages_dead.labels(channel).inc(number)
            log.warning("messages_dead", channel=channel, messages=number, reason="nodes ended during the last attempt")

    async def close(self) -> None:
        """Close all senders."""
        for sender in self._senders.values():
            await sender.close()

"""Sends messages to other nodes in batches, and receives theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import structlog

from crdt_server.cluster.messages import NodeMessage, decode_message, encode_batches, split_batch
from storage import Bus, Subscription

log = structlog.get_logger(__name__)

BROADCAST_CHANNEL = "nodes"
MOST_REPORTED = 100  # kinds of malformed messages that are logged, each once


class Messenger:
    """Messages of one turn of the event loop to one channel are sent as one batch.

    ``on_resync`` is called when messages may have been missed. `handlers` are to be set before `open`: for each kind of
    message the function that gets those that arrive.
    """

    def __init__(self, bus: Bus, node: str, on_resync: Callable[[], None]) -> None:
        self.on_resync = on_resync
        self.handlers: dict[type[NodeMessage], Callable[[Any], None]] = {}
        self._bus = bus
        self._queued: dict[str, list[NodeMessage]] = {}
        self._channels = (_channel(node), BROADCAST_CHANNEL)
        self._subscriptions: list[Subscription] = []
        self._reported: set[str] = set()
        self._loop: asyncio.AbstractEventLoop

    def open(self) -> None:
        """Subscribe to this node's messages."""
        self._loop = asyncio.get_running_loop()
        self._subscriptions = [self._bus.subscribe(channel, self) for channel in self._channels]

    def close(self) -> None:
        """Send what is queued, and unsubscribe."""
        self._flush()
        for subscription in self._subscriptions:
            subscription.close()

    def send(self, node: str, message: NodeMessage) -> None:
        """Send to one node. A loss is reported there, by `on_resync`."""
        self._enqueue(_channel(node), message)

    def broadcast(self, message: NodeMessage) -> None:
        """Send to every node, this one included."""
        self._enqueue(BROADCAST_CHANNEL, message)

    def on_message(self, batch: bytes) -> None:
        """Called by the bus."""
        try:
            encoded = split_batch(batch)
        except msgspec.DecodeError as error:
            self._report(error)
            return
        for each in encoded:
            try:
                message = decode_message(each)
            except msgspec.DecodeError as error:
                self._report(error)
                continue
            try:
                self.handlers[type(message)](message)
            except Exception:
                # The outer edge: a defect in the handling of one message must not lose the rest of its batch.
                log.exception("node_message_failed", kind=type(message).__name__)

    def _report(self, error: msgspec.DecodeError) -> None:
        reason = str(error)
        if reason not in self._reported and len(self._reported) < MOST_REPORTED:
            self._reported.add(reason)
            log.warning("node_message_malformed", reason=reason)

    def _enqueue(self, channel: str, message: NodeMessage) -> None:
        if not self._queued:
            self._loop.call_soon(self._flush)
        self._queued.setdefault(channel, []).append(message)

    def _flush(self) -> None:
        queued, self._queued = self._queued, {}
        for channel, messages in queued.items():
            for batch in encode_batches(messages):
                self._bus.publish(channel, batch)


def _channel(node: str) -> str:
    return f"node.{node}"

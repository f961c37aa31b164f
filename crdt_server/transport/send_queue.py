"""The messages of the documents of one socket, as long as its transport takes no more.

A transport holds `CONGESTED_BYTES` and one message; from there on messages wait here, in an order for each document,
and leave in turns. The queue has one bound for the socket. Above it the document of which most waits is closed, and
its messages are dropped; the others stay. A transport that sends nothing for `STALLED_SECONDS` is closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Protocol

from crdt_server.errors import CLOSE_CODES

STALLED_SECONDS = 20.0


class QueuedConnection(Protocol):
    """The part of a connection that the queue uses."""

    def send_payload(self, payload: bytes) -> None:
        """Send one message."""

    def close(self, code: int, reason: str) -> None:
        """End the connection."""

    @property
    def unsent_bytes(self) -> int:
        """The bytes that the transport still holds."""


class QueuedSender:
    """One document as a sender of messages."""

    __slots__ = ("waiting", "waiting_bytes")

    def __init__(self) -> None:
        self.waiting: deque[bytes] | None = None  # made when first needed: most sockets are never full
        self.waiting_bytes = 0


class SharedSendQueue:
    """See the head of the file. ``limit_bytes``: of what waits; ``overflow`` closes a document of which too much does,
    and returns whether that was possible. It is called with None before the connection is closed for being slow."""

    def __init__(
        self,
        connection: QueuedConnection,
        limit_bytes: int,
        overflow: Callable[[QueuedSender | None], bool],
    ) -> None:
        self._connection = connection
        self._usual_bytes = self._limit_bytes = limit_bytes
        self._overflow = overflow
        self._senders: dict[QueuedSender, None] = {}  # those that wait, the next one first
        self._unsent_bytes = 0  # at the last check for progress
        self._timer: asyncio.TimerHandle | None = None
        self.full = False
        """Whether the transport takes no more."""
        self.waiting_bytes = 0

    def send(self, sender: QueuedSender, payload: bytes) -> None:
        """Send a message of a document, now or behind those that wait."""
        if not self.full and not self._senders:
            self._connection.send_payload(payload)
            return
        if sender.waiting is None:
            sender.waiting = deque()
        sender.waiting.append(payload)
        sender.waiting_bytes += len(payload)
        self.waiting_bytes += len(payload)
        self._senders.setdefault(sender)
        if self.waiting_bytes > self._limit_bytes:
            self._shed()

    def allow(self, size_bytes: int) -> None:
        """Let this much more wait than usual, for something large. Allowances do not add up."""
        self._limit_bytes = max(self._limit_bytes, self._usual_bytes + size_bytes)

    def drop(self, sender: QueuedSender) -> None:
        """Drop what waits of a document."""
        self._senders.pop(sender, None)
        self.waiting_bytes -= sender.waiting_bytes
        sender.waiting, sender.waiting_bytes = None, 0

    def _shed(self) -> None:
        largest = max(self._senders, key=lambda sender: sender.waiting_bytes)
        if not self._overflow(largest):
            self._close()

    def _close(self) -> None:
        self._connection.close(CLOSE_CODES["try_again"], "slow consumer")

    # -- called by the transport

    def pause_writing(self) -> None:
        """The transport takes no more."""
        if not self.full:
            self.full = True
            self._watch()

    def resume_writing(self) -> None:
        """The transport has sent most of what it held."""
        self.full = False
        self.stop()
        while self._senders and not self.full:
            sender = next(iter(self._senders))
            del self._senders[sender]
            assert sender.waiting
            payload = sender.waiting.popleft()
            sender.waiting_bytes -= len(payload)
            self.waiting_bytes -= len(payload)
            if sender.waiting:
                self._senders[sender] = None  # behind the others
            else:
                sender.waiting = None
            self._connection.send_payload(payload)

    def stop(self) -> None:
        """Watch the transport no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        self._unsent_bytes = self._connection.unsent_bytes
        self._timer = asyncio.get_running_loop().call_later(STALLED_SECONDS, self._check)

    def _check(self) -> None:
        if self._connection.unsent_bytes < self._unsent_bytes:
            self._watch()
        else:
            self._overflow(None)
            self._close()

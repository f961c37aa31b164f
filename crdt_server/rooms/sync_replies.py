"""Answers to sync step 1 that a room gives again without asking its host.

An answer to anything but nothing stands until the next edit. What a newcomer gets is kept longer: everything it was
once, and the updates that were sent to all since. Otherwise a hundred sockets that come and go would have a large
document read, carried and encoded a hundred times a second.
"""

from __future__ import annotations

from collections.abc import Sequence

from crdt_server.protocol.messages import SyncStep2, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE

TAIL_MESSAGES = 200  # then a host is asked again: it has merged them by now
NOTHING_MORE = Outgoing(SyncStep2(EMPTY_UPDATE))


def answer_messages(parts: Sequence[bytes]) -> tuple[Outgoing, ...]:
    """A difference in several parts: all but the last as updates, so that the client is synced when it has all."""
    *first, last = parts
    return (*(Outgoing(SyncUpdate(part)) for part in first), Outgoing(SyncStep2(last)))


class SyncReplyCache:
    """State vector -> messages. Bytes are those of payloads."""

    def __init__(self, most_bytes: int, most_newcomer_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._most_newcomer_bytes = most_newcomer_bytes
        self._exact: dict[bytes, tuple[Outgoing, ...]] = {}
        self._exact_bytes = 0
        self._newcomer: list[Outgoing] = []  # updates; none: not known
        self._newcomer_bytes = 0
        self._tail = 0

    def find(self, state_vector: bytes) -> Sequence[Outgoing] | None:
        """The messages to send, where they are known."""
        if state_vector == EMPTY_STATE_VECTOR and self._newcomer:
            return (*self._newcomer, NOTHING_MORE)
        return self._exact.get(state_vector)

    def remember(self, state_vector: bytes, messages: tuple[Outgoing, ...]) -> None:
        """Keep what was answered while nothing was accepted in or after its batch."""
        size = len(state_vector) + sum(message.size_bytes for message in messages)
        if self._exact_bytes + size <= self._most_bytes:
            self._exact[state_vector] = messages
            self._exact_bytes += size

    def edited(self) -> None:
        """Something was accepted: exact answers are out of date."""
        self._exact.clear()
        self._exact_bytes = 0

    def remember_newcomer(self, parts: Sequence[bytes], messages: Sequence[Outgoing]) -> None:
        """Keep all there is, and the messages that say it. What is sent from now on comes in by `sent`."""
        size = sum(map(len, parts))
        if size <= self._most_newcomer_bytes:
            self._newcomer = [*messages[:-1], Outgoing(SyncUpdate(parts[-1]))]
            self._newcomer_bytes, self._tail = size, 0

    def sent(self, message: Outgoing) -> None:
        """An update went to everybody in the room."""
        if not self._newcomer:
            return
        self._newcomer.append(message)
        self._newcomer_bytes += message.size_bytes
        self._tail += 1
        if self._tail > TAIL_MESSAGES or self._newcomer_bytes > self._most_newcomer_bytes:
            self._newcomer = []

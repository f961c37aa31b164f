"""Replies to sync step 1 that a room gives without a request to its host.

The reply to a state vector is valid until the next edit. The reply to a newcomer is kept longer: everything as of one
moment, and the updates that were sent to all since. Otherwise a hundred sockets that come and go would have a large
document read, carried and encoded a hundred times a second. Of a derived document it would hold values that are not
shown any more: there it is valid until the next edit, too.
"""

from __future__ import annotations

from collections.abc import Sequence

from crdt_server.protocol.messages import SyncStep2, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE

TAIL_MESSAGES = 200  # then a host replies again: it has merged them by now
NOTHING_MORE = Outgoing(SyncStep2(EMPTY_UPDATE))


def reply_messages(updates: Sequence[bytes]) -> tuple[Outgoing, ...]:
    """A difference in several parts: all but the last as updates, so that the client is synced when it has all."""
    *first, last = updates
    return (*(Outgoing(SyncUpdate(part)) for part in first), Outgoing(SyncStep2(last)))


class SyncReplyCache:
    """State vector -> messages. Bytes are those of payloads. ``follows_edits``: the reply to a newcomer may."""

    __slots__ = (
        "_exact",
        "_exact_bytes",
        "_follows_edits",
        "_most_bytes",
        "_most_newcomer_bytes",
        "_newcomer",
        "_newcomer_bytes",
        "_tail",
        "state_vector",
    )

    def __init__(self, most_bytes: int, most_newcomer_bytes: int, *, follows_edits: bool = True) -> None:
        self._follows_edits = follows_edits
        self._most_bytes = most_bytes
        self._most_newcomer_bytes = most_newcomer_bytes
        self._exact: dict[bytes, tuple[Outgoing, ...]] = {}
        self._exact_bytes = 0
        self._newcomer: list[Outgoing] = []  # updates; empty: not in the cache
        self._newcomer_bytes = 0
        self._tail = 0
        self.state_vector: bytes | None = None  # of the document; None: not in the cache

    def find(self, state_vector: bytes) -> Sequence[Outgoing] | None:
        """The messages to send, where they are in the cache."""
        if state_vector == EMPTY_STATE_VECTOR and self._newcomer:
            return (*self._newcomer, NOTHING_MORE)
        return self._exact.get(state_vector)

    def store(
        self, state_vector: bytes, updates: Sequence[bytes], messages: tuple[Outgoing, ...], *, current: bool
    ) -> None:
        """Keep a reply, which has every update that was sent until now. ``current``: nothing was accepted since."""
        if state_vector == EMPTY_STATE_VECTOR and self._follows_edits:
            self._store_newcomer(updates, messages)
        elif current:
            size = len(state_vector) + sum(message.size_bytes for message in messages)
            if self._exact_bytes + size <= self._most_bytes:
                self._exact[state_vector] = messages
                self._exact_bytes += size

    def store_empty(self) -> None:
        """The document is empty."""
        self.state_vector = EMPTY_STATE_VECTOR
        self._exact[EMPTY_STATE_VECTOR] = (NOTHING_MORE,)

    def edited(self) -> None:
        """An update was accepted: exact replies are out of date."""
        self.state_vector = None
        if self._exact:
            self._exact.clear()
            self._exact_bytes = 0

    def forget(self) -> None:
        """The document may have been written anew: what is kept may hold what is deleted."""
        self.edited()
        self._newcomer = []

    def broadcast(self, message: Outgoing) -> None:
        """An update was sent to every session of the room."""
        if self._newcomer:
            self._append(message)

    def _store_newcomer(self, updates: Sequence[bytes], messages: Sequence[Outgoing]) -> None:
        size = sum(map(len, updates))
        if size <= self._most_newcomer_bytes:
            self._newcomer = [*messages[:-1], Outgoing(SyncUpdate(updates[-1]))]
            self._newcomer_bytes, self._tail = size, 0

    def _append(self, message: Outgoing) -> None:
        self._newcomer.append(message)
        self._newcomer_bytes += message.size_bytes
        self._tail += 1
        if self._tail > TAIL_MESSAGES or self._newcomer_bytes > self._most_newcomer_bytes:
            self._newcomer = []

"""Keeps the messages of a wedding that are over below a number of characters: the oldest go before their time.

Those that were sent or dropped have no texts any more, and are rows only. Dead ones keep theirs, so that they can be
sent once more, and have a bound of their own: what is sent drives none of them out. What waits is bounded where it is
stored, see `storage.routing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from crdt_server.counters import Counters
from crdt_server.services.messaging.wedding_bound import WeddingBound
from storage import DeliveryValues, Storage
from storage.outbox import DEAD, DROPPED, MESSAGE_CHARACTERS, SENT

OVER_CHARACTERS: Final = 16_000_000
"""Of a wedding, those that were sent or dropped; as much for dead ones. 30,000 messages without texts."""


class OutboxBound(WeddingBound):
    """See the head of the file."""

    def __init__(self, storage: Storage, counters: Counters, most: int = OVER_CHARACTERS) -> None:
        super().__init__(most)
        self._storage = storage
        self._counters = counters

    def added(self, wedding: str, deliveries: Iterable[DeliveryValues]) -> None:
        """These were added to the outbox: in the end they are over."""
        self.count(wedding, sum(MESSAGE_CHARACTERS + len(each.message.params) for each in deliveries))

    async def trim_one(self, wedding: str) -> None:
        """Delete the oldest messages of a wedding that has too many which are over."""
        for states in ((SENT, DROPPED), (DEAD,)):
            self._counters.outbox_trimmed += await self._storage.trim_messages(wedding, states, self.most)

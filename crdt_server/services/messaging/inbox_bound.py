"""Keeps the inboxes of a wedding below a number of bytes: the oldest items go.

One message is an item of each of two hundred participants, so that what a wedding may write bounds its inboxes badly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from crdt_server.counters import Counters
from crdt_server.services.messaging.wedding_bound import WeddingBound
from storage import Storage, StoredItem
from storage.inbox import ITEM_BYTES

REST_SECONDS: Final = 0.05
"""Between two slices of what is deleted."""


class InboxBound(WeddingBound):
    """See the head of the file. ``most_bytes`` 0: there is no bound."""

    def __init__(self, storage: Storage, most_bytes: int, counters: Counters) -> None:
        super().__init__(most_bytes)
        self._storage = storage
        self._counters = counters

    def added(self, wedding: str, items: Sequence[tuple[str, StoredItem]]) -> None:
        """These were added to inboxes."""
        self.count(wedding, sum(ITEM_BYTES + len(item.params.encode()) for _, item in items))

    async def trim_one(self, wedding: str) -> None:
        """Delete the oldest items of a wedding that has too many bytes of them."""
        until = await self._storage.oldest_inbox_beyond(wedding, self.most)
        while until and (trimmed := await self._storage.trim_wedding_inboxes(wedding, until)):
            self._counters.inbox_trimmed += trimmed
            await asyncio.sleep(REST_SECONDS)

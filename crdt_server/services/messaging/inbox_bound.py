"""Keeps the inboxes of a wedding below a number of bytes: the oldest items go.

One message is an item of each of two hundred participants, so that what a wedding may write bounds its inboxes badly.
Nothing is counted in the store. A node counts what it has added to a wedding since it measured it, and measures it anew
behind a part of the bound: by so much, from each node, a wedding may be above it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import structlog

from crdt_server.counters import Counters
from storage import Storage, StorageError, StoredItem
from storage.inbox import ITEM_BYTES

log = structlog.get_logger(__name__)

PART: Final = 8
"""One in so many of the bytes is added before a wedding is measured."""

WEDDINGS_COUNTED: Final = 10_000
"""Of others, counting begins again."""

REST_SECONDS: Final = 0.05
"""Between two slices of what is deleted."""

RETRY_SECONDS: Final = 10.0


class InboxBound:
    """See the head of the file. ``most_bytes`` 0: there is no bound."""

    def __init__(self, storage: Storage, most_bytes: int, counters: Counters) -> None:
        self._storage = storage
        self._most = most_bytes
        self._counters = counters
        self._added: OrderedDict[str, int] = OrderedDict()
        self._large: dict[str, None] = {}
        self._woken = asyncio.Event()

    def added(self, wedding: str, items: Sequence[tuple[str, StoredItem]]) -> None:
        """These were added to inboxes."""
        if not self._most:
            return
        size = sum(ITEM_BYTES + len(item.params.encode()) for _, item in items) + self._added.pop(wedding, 0)
        if size > self._most // PART:
            self._large[wedding] = None
            self._woken.set()
            return
        self._added[wedding] = size
        if len(self._added) > WEDDINGS_COUNTED:
            self._added.popitem(last=False)

    async def run(self) -> None:
        """Trim what may be too large, until cancelled."""
        while True:
            await self._woken.wait()
            try:
                await self.trim()
            except StorageError as error:
                log.warning("inboxes_not_trimmed", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def trim(self) -> None:
        """Measure the weddings that may be too large, and delete the oldest items of those that are. Raises
        StorageError; the others are tried with the next call."""
        while self._large:
            wedding = next(iter(self._large))
            del self._large[wedding]  # what is added from here on counts anew
            try:
                await self._trim(wedding)
            except StorageError:
                self._large[wedding] = None
                raise
        self._woken.clear()

    async def _trim(self, wedding: str) -> None:
        until = await self._storage.oldest_inbox_beyond(wedding, self._most)
        while until and (trimmed := await self._storage.trim_wedding_inboxes(wedding, until)):
            self._counters.inbox_trimmed += trimmed
            await asyncio.sleep(REST_SECONDS)

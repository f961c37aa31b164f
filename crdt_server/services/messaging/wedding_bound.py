"""Keeps what is stored of each wedding below a bound: the oldest goes.

Nothing is counted in the store. A node counts what it has added to a wedding since it measured it, and measures it anew
behind a part of the bound: by so much, from each node, a wedding may be above it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

import structlog

from storage import StorageError

log = structlog.get_logger(__name__)

PART: Final = 8
"""One in so many of the bytes is added before a wedding is measured."""

WEDDINGS_COUNTED: Final = 10_000
"""Of others, counting begins again."""

RETRY_SECONDS: Final = 10.0


class WeddingBound:
    """See the head of the file. ``most`` 0: there is no bound. Subclasses implement `trim_one`."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._added: OrderedDict[str, int] = OrderedDict()
        self._large: dict[str, None] = {}
        self._woken = asyncio.Event()

    def count(self, wedding: str, size: int) -> None:
        """So much was added."""
        if not self.most:
            return
        size += self._added.pop(wedding, 0)
        if size > self.most // PART:
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
                log.warning("wedding_not_trimmed", bound=type(self).__name__, error=str(error))
                await asyncio.sleep(RETRY_SECONDS)

    async def trim(self) -> None:
        """Measure the weddings that may be too large, and delete the oldest of those that are. Raises StorageError; the
        others are tried with the next call."""
        while self._large:
            wedding = next(iter(self._large))
            del self._large[wedding]  # what is added from here on counts anew
            try:
                await self.trim_one(wedding)
            except StorageError:
                self._large[wedding] = None
                raise
        self._woken.clear()

    async def trim_one(self, wedding: str) -> None:
        """Measure a wedding, and delete the oldest where it is too large. May raise StorageError."""
        raise NotImplementedError

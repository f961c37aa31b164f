"""Removes what is kept long enough: the oldest events of weddings, and the rows of records that were removed long ago.

Done at the owner of a wedding, in slices with a rest behind each, in which appends go on. Weddings that were written
since are looked through every hour, all others once a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

import structlog

from crdt_server.metrics import Metrics
from crdt_server.records import last_written
from storage import Append, DerivedRecords, Storage, StorageError

log = structlog.get_logger(__name__)

T = TypeVar("T")

FIRST_SECONDS, PASS_SECONDS = 300.0, 3600.0
PASSES_PER_DAY = 24
REST = 3  # parts of rest after each part of work


class Kept(NamedTuple):
    """Retention times; 0: for ever, and all of it."""

    event_days: int
    event_bytes: int
    removed_record_days: int


class Retention:
    """See the head of the file. ``node``: the name of this one; empty where there are no others."""

    def __init__(self, storage: Storage, kept: Kept, metrics: Metrics, node: str) -> None:
        self._storage = storage
        self._kept = kept
        self._metrics = metrics
        self._node = node
        self._written: dict[str, None] = {}  # weddings, since the last pass

    def stored(self, updates: Sequence[Append], derived: Sequence[DerivedRecords]) -> None:
        """These were stored just now."""
        for each in derived:
            self._written[each.key.wedding] = None

    async def run(self) -> None:
        """Pass after pass, until cancelled. The first one, a while after the start, looks through all weddings."""
        passes = 0
        await asyncio.sleep(FIRST_SECONDS)
        while True:
            try:
                await self.sweep(every=passes % PASSES_PER_DAY == 0)
            except StorageError as error:
                log.warning("retention_failed", error=str(error))
            passes += 1
            await asyncio.sleep(PASS_SECONDS)

    async def sweep(self, *, every: bool) -> None:
        """One pass, through ``every`` wedding or those that were written since the last one."""
        written, self._written = self._written, {}
        if not any(self._kept):
            return
        async for wedding in self._storage.weddings() if every else _each(written):
            owner = await self._storage.owner(wedding)
            if owner is None or owner.node == self._node:
                freed, _ = await expire(self._storage, wedding, self._kept, datetime.now(UTC), rest=REST)
                self._metrics.expired_event_bytes.inc(freed)


async def expire(
    storage: Storage, wedding: str, kept: Kept, now: datetime, *, rest: float = 0, dry_run: bool = False
) -> tuple[int, int]:
    """Remove what is kept long enough of one wedding. Returns the bytes of the events, and the number of rows of
    removed records, that were removed; in a dry run, of events only those beyond the bytes that are kept.

    ``rest``: after each slice, in parts of the time that it took. Raises StorageError.
    """
    slices = _Slices(rest)
    freed, before, excess = 0, now - timedelta(days=kept.event_days) if kept.event_days else None, 0
    if kept.event_bytes:
        excess = max(0, await slices.run(storage.event_bytes(wedding)) - kept.event_bytes)
    if dry_run:
        freed = excess
    while not dry_run and (before is not None or excess > 0):
        found = await slices.run(storage.expire_events(wedding, before=before, excess_bytes=excess))
        if not found:
            break
        freed, excess = freed + found, excess - found
    rows = 0
    if kept.removed_record_days:
        before = now - timedelta(days=kept.removed_record_days)
        rows = await _expire_rows(storage, wedding, before, slices, dry_run=dry_run)
    return freed, rows


async def _expire_rows(storage: Storage, wedding: str, before: datetime, slices: _Slices, *, dry_run: bool) -> int:
    moment = before.astimezone(UTC).isoformat().removesuffix("+00:00")
    count, after = 0, None
    while page := await slices.run(storage.removed_rows(wedding, after)):
        after = page[-1][0]
        gone = [key for key, writers in page if last_written(writers) < moment]
        if gone and not dry_run:
            await slices.run(storage.delete_removed_rows(wedding, gone))
        count += len(gone)
    return count


class _Slices:
    """Rests after each slice, in parts of the time that it took."""

    def __init__(self, rest: float) -> None:
        self._rest = rest

    async def run(self, work: Awaitable[T]) -> T:
        """The result of a slice."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        result = await work
        await asyncio.sleep(self._rest * (loop.time() - began))
        return result


async def _each(weddings: dict[str, None]) -> AsyncIterator[str]:
    for wedding in weddings:
        yield wedding

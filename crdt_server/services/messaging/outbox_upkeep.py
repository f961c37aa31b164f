"""Reports how much the outbox has to send, and deletes what is over: messages that were sent or dropped after
`SENT_DAYS`, dead ones after `DEAD_DAYS`. Runs on every node: each reports what all of them have to send."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from crdt_server.metrics import Metrics
from crdt_server.services.messaging.lanes import LANES
from storage import Storage, StorageError

log = structlog.get_logger(__name__)

REPORT_SECONDS: Final = 15.0
REPORTS_PER_EXPIRY: Final = 240
SENT_DAYS: Final = 7
DEAD_DAYS: Final = 30
REST_SECONDS: Final = 0.1
"""Between two slices of what is deleted."""


class OutboxUpkeep:
    """See the head of the file."""

    def __init__(self, storage: Storage, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._metrics = metrics
        self._now = now

    async def run(self) -> None:
        """Again and again, until cancelled."""
        passes = 0
        while True:
            try:
                await self.report()
                if passes % REPORTS_PER_EXPIRY == REPORTS_PER_EXPIRY - 1:
                    await self.expire()
            except StorageError as error:
                log.warning("outbox_upkeep_failed", error=str(error))
            passes += 1
            await asyncio.sleep(REPORT_SECONDS)

    async def report(self) -> None:
        """Set the gauges of every channel. Raises StorageError."""
        now = self._now()
        depths = {each.channel: each for each in await self._storage.outbox_depths(now)}
        for channel in LANES:
            depth = depths.get(channel)
            oldest = None if depth is None else depth.oldest
            self._metrics.outbox_depth.labels(channel).set(0 if depth is None else depth.messages)
            waited = 0.0 if oldest is None else max(0.0, (now - oldest).total_seconds())
            self._metrics.outbox_oldest_seconds.labels(channel).set(waited)

    async def expire(self) -> int:
        """Delete what is over, in slices; returns how many messages. Raises StorageError."""
        now, gone = self._now(), 0
        while count := await self._storage.expire_messages(now - timedelta(SENT_DAYS), now - timedelta(DEAD_DAYS)):
            gone += count
            await asyncio.sleep(REST_SECONDS)
        return gone

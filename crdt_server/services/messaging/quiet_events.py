"""Events that nobody is informed of, which most are: the cursor of a wedding is moved over them, and they are not read.

What was stored here is known without a read. The cursor moves with others once a second, where the events before were
routed and the wedding has no webhooks; where not, the events are read after all. Until then only this process knows
them: another one, or a start after a crash, reads them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from crdt_server.counters import Counters
from storage import EventSpan, Storage, StorageError, StoredEvent, UnroutedWedding

log = structlog.get_logger(__name__)

PASS_SECONDS: Final = 1.0
"""Between two moves of cursors."""

WEDDINGS_AT_ONCE: Final = 250
"""Weddings of one transaction: about two milliseconds of the store."""

MOST_WITH_WEBHOOKS: Final = 10_000
"""Weddings that are known to have webhooks; of further ones the oldest is forgotten, and found again."""


class QuietEvents:
    """See the head of the file. ``concerns``: whether anybody may be informed of an event, or anything else is to be
    brought up to date with it."""

    def __init__(self, storage: Storage, concerns: Callable[[StoredEvent], bool], counters: Counters) -> None:
        self._counters = counters
        self._storage = storage
        self._concerns = concerns
        self._spans: dict[str, EventSpan] = {}
        self._moving: dict[str, EventSpan] = {}  # in the transaction under way
        self._with_webhooks: dict[str, None] = {}

    def add(self, wedding: str, events: Sequence[StoredEvent]) -> bool:
        """Events of a wedding were stored. Returns whether all are quiet; where not, those before are forgotten."""
        span = self._spans.pop(wedding, None)
        if not events or wedding in self._with_webhooks or any(map(self._concerns, events)):
            return False
        first, last = events[0].seq, events[-1].seq
        if span is not None and first != span.last + 1:
            return False  # another process has stored some in between
        self._spans[wedding] = EventSpan(wedding, first if span is None else span.first, last)
        return True

    def covers(self, unrouted: UnroutedWedding) -> bool:
        """Whether all events behind a cursor are quiet, as far as is known here."""
        known = (self._moving.get(unrouted.wedding), self._spans.get(unrouted.wedding))
        after = unrouted.after
        for span in known:
            if span is not None and span.first <= after + 1:
                after = max(after, span.last)
        return after >= unrouted.head

    async def run(self, wake: Callable[[str, int], None]) -> None:
        """`pass_over` every PASS_SECONDS, until cancelled."""
        while True:
            await asyncio.sleep(PASS_SECONDS)
            await self.pass_over(wake)

    async def pass_over(self, wake: Callable[[str, int], None]) -> None:
        """Move the cursors over the events that were added. ``wake`` is called with weddings of which they have to be
        read, and the number of the newest one."""
        spans = list(self._spans.values())
        self._spans.clear()
        for begin in range(0, len(spans), WEDDINGS_AT_ONCE):
            part = spans[begin : begin + WEDDINGS_AT_ONCE]
            self._moving = {span.wedding: span for span in part}
            try:
                moved = await self._move(part)
            except StorageError as error:
                log.warning("events_not_passed_over", error=str(error))
                moved = set()
            self._moving = {}
            self._counters.routed_events += sum(span.last + 1 - span.first for span in moved)
            for span in part:
                if span not in moved:
                    wake(span.wedding, span.last)

    async def _move(self, spans: Sequence[EventSpan]) -> set[EventSpan]:
        """Move the cursors over events. Returns those of which it is behind them."""
        cursors = {each.wedding: each for each in await self._storage.pass_over(spans)}
        moved = set()
        for span in spans:
            cursor = cursors.get(span.wedding)
            if cursor is not None and cursor.seq >= span.last:
                moved.add(span)
            elif cursor is not None and cursor.webhooks:
                self._remember(span.wedding)
        return moved

    def _remember(self, wedding: str) -> None:
        self._with_webhooks[wedding] = None
        if len(self._with_webhooks) > MOST_WITH_WEBHOOKS:
            del self._with_webhooks[next(iter(self._with_webhooks))]

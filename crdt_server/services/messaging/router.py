"""The consumer of stored events: puts items into inboxes and messages into the outbox, page by page, each event once.

- It wakes when events were stored here, and compares the cursors of all weddings with their events at the start and
  every SWEEP_SECONDS: what another process stored, or a crash left, is routed then.
- A wedding has one page in a batch, and those with more go behind the others. Pages are decided about beside the loop,
  where the store reads, and stored in few transactions, none of which takes long.
- Of several routers the first that stores a page has routed it, see `storage.routing`.
- Events that nobody is informed of are not read, where they were stored here: see `quiet_events`.
- Nothing of an edit waits for it. It rests after each batch: see `routing_pace`.
- An event that cannot be routed keeps back those behind it for one sweep at most: see `_set_aside`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice, product
from typing import Final, Protocol

import structlog

from crdt_server.access.members import WeddingRights
from crdt_server.counters import Counters
from crdt_server.services.entries import Now
from crdt_server.services.messaging.planning import Planner, redacted_in
from crdt_server.services.messaging.quiet_events import QuietEvents
from crdt_server.services.messaging.routing_pace import RoutingPace
from documents.invariants.instants import instant
from storage import (
    DeliveryValues,
    Projection,
    RoutedPage,
    RoutingReader,
    Storage,
    StorageError,
    StoredEvent,
    StoredItem,
    StoredPage,
    ValuesRefused,
)
from storage.routing_reader import rest

log = structlog.get_logger(__name__)

SWEEP_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 1.0
PAGE_EVENTS: Final = 100
"""Events of one wedding in a batch."""

WEDDINGS_AT_ONCE: Final = 25
"""Weddings in a batch."""

ROWS_AT_ONCE: Final = 300
"""Items and messages of one transaction, if they are not of one page: about ten milliseconds of the store."""

TRIM_SECONDS: Final = 3600.0
TRIM_REST: Final = 0.02
"""Between two slices of what is deleted."""

OnInbox = Callable[[str, Sequence[tuple[str, StoredItem]], Sequence[str]], None]
"""Called with a wedding, its new items, each with its user, and users who have fewer unread items, when that is
stored."""


OnOutbox = Callable[[str, Sequence[DeliveryValues]], None]
"""Called with a wedding and messages to be sent, when they are stored."""


class RightsOfWeddings(Protocol):
    """The rights of weddings: `hub.rights_cache.RightsCache`."""

    def of(self, wedding: str) -> WeddingRights | Awaitable[WeddingRights]:
        """The rights in a wedding; an awaitable where they have to be read."""

    def forget(self, wedding: str) -> None:
        """Have them read anew."""


@dataclass(slots=True)
class _Behind:
    """A wedding with events to route."""

    since: datetime
    """When the oldest of them was stored, as far as that is known."""
    head: int = 0
    head_decided: int = 0
    """The head when its last page was decided about."""
    after: int | None = None
    """The cursor; None: not known yet."""
    failed: int = 0
    """An event that could not be routed: another failure sets it aside."""


class EventRouter:
    """See the head of the file. ``on_inbox`` is called with items that were stored, ``on_outbox`` with messages, and
    ``on_messages`` when some have to be sent now; ``projections`` run in the transaction. ``concerns``: whether an
    event has to be read, by the rules or for a projection."""

    def __init__(
        self,
        storage: Storage,
        planner: Planner,
        rights: RightsOfWeddings,
        now: Now,
        counters: Counters,
        *,
        on_inbox: OnInbox = lambda wedding, items, read: None,
        on_outbox: OnOutbox = lambda wedding, deliveries: None,
        on_messages: Callable[[], None] = lambda: None,
        projections: Sequence[Projection] = (),
        concerns: Callable[[StoredEvent], bool] = lambda event: True,
    ) -> None:
        self._counters = counters
        self._storage = storage
        self._planner = planner
        self._rights = rights
        self._now = now
        self._on_inbox = on_inbox
        self._on_outbox, self._on_messages = on_outbox, on_messages
        self._projections = projections
        self.writing = 0
        """Items and messages of the transaction under way."""
        self._behind: dict[str, _Behind] = {}
        self._failing: dict[str, _Behind] = {}  # of which the next page cannot be routed
        self.quiet = QuietEvents(storage, concerns, counters)
        self._woken = asyncio.Event()
        self._pace = RoutingPace()

    # -- metrics

    @property
    def lag_events(self) -> int:
        """Events that are stored and not routed, as far as this process knows of them."""
        known = (*self._behind.values(), *self._failing.values())
        return sum(1 if each.after is None else max(1, each.head - each.after) for each in known)

    @property
    def lag_seconds(self) -> float:
        """How long the oldest of them has been there."""
        known = (*self._behind.values(), *self._failing.values())
        since = min((each.since for each in known), default=None)
        return 0.0 if since is None else max(0.0, (self._now() - since).total_seconds())

    # -- life

    def wake(self, wedding: str, head: int, events: Sequence[StoredEvent] = ()) -> None:
        """Events of a wedding are stored up to a number; the last of them, as far as they are at hand."""
        if self.quiet.add(wedding, events):
            return  # also of a wedding that is behind: its page need not reach them
        found = self._failing.get(wedding) or self._behind.get(wedding)
        if found is None:
            found = self._behind[wedding] = _Behind(self._now())
        found.head = max(found.head, head)
        self._woken.set()

    async def run(self) -> None:
        """Route until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_sweep_for_ever(self))
            tasks.create_task(self._route_for_ever())
            tasks.create_task(self.quiet.run(self.wake))

    async def sweep(self) -> None:
        """Find the weddings with events that were not routed, and try those anew that failed."""
        self._behind |= self._failing
        self._failing.clear()
        after: str | None = ""
        while after is not None:
            found, after = await self._storage.unrouted(after)
            for each in found:
                if not self.quiet.covers(each):
                    self.wake(each.wedding, each.head)

    async def _route_for_ever(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._behind:
                try:
                    backlog = await self.route_batch()
                    pause = self._pace.rest(backlog=backlog)
                except StorageError as error:
                    log.warning("routing_failed", error=str(error))
                    pause = RETRY_SECONDS
                except Exception:
                    # A defect of this program, for the events of one wedding perhaps: the others are routed.
                    log.exception("routing_broken")
                    await self._route_apart()
                    pause = RETRY_SECONDS
                await asyncio.sleep(pause)

    async def _route_apart(self) -> None:
        """Route a page of each wedding that is next by itself, and event by event where that fails."""
        for wedding in list(islice(self._behind, WEDDINGS_AT_ONCE)):
            try:
                await self.route_batch([wedding])
            except StorageError:
                return
            except Exception:  # noqa: BLE001 - it was logged when it failed with the others
                with suppress(StorageError):  # then the batch that comes next raises it, too
                    await self._route_singly(wedding)

    async def _route_singly(self, wedding: str) -> None:
        """Route the events of the next page of a wedding one by one. Raises StorageError, but no ValuesRefused."""
        for _ in range(PAGE_EVENTS):
            if wedding not in self._behind:
                return
            try:
                page = await self._plan(wedding, 1)
                await self._store([] if page is None else [page])
            except Exception as error:
                if isinstance(error, StorageError) and not isinstance(error, ValuesRefused):
                    raise
                if not await self._set_aside(wedding, error):
                    self._failing[wedding] = self._behind.pop(wedding)
                    return

    async def _set_aside(self, wedding: str, error: Exception) -> bool:
        """Move the cursor of a wedding behind its next event, which cannot be routed, with as much of what follows from
        it as can be stored. Returns whether it was moved: an event is tried again after the next sweep, unless the
        store has refused what follows from it. Raises StorageError."""
        now = self._now()
        bare = await self._storage.plan_routing(wedding, lambda reader: _without_plan(reader, now))
        if bare is None:
            return True  # another router has routed it
        event, behind = bare.events[0], self._behind.get(wedding)
        if behind is not None and behind.failed != event.seq and not isinstance(error, ValuesRefused):
            behind.failed = event.seq
            log.error("routing_postponed", wedding=wedding, seq=event.seq, type=event.type, error=repr(error))
            return False
        parts = self._projections
        fewer: list[Sequence[Projection]] = [parts, *([each for each in parts if each is not one] for one in parts), ()]
        for planned, projections in product((True, False), fewer):
            try:
                page = await self._plan(wedding, 1) if planned else bare
                await self._store([] if page is None else [page], projections)
            except Exception as defect:
                if isinstance(defect, StorageError) and not isinstance(defect, ValuesRefused):
                    raise
            else:
                if not planned or len(projections) < len(parts):
                    log.error("routing_set_aside", wedding=wedding, seq=event.seq, type=event.type, error=repr(error))
                    self._counters.routing_skipped += 1
                return True
        return False

    async def route_all(self) -> None:
        """Route everything that is there now."""
        await self.sweep()
        while self._behind:
            await self.route_batch()

    async def route_batch(self, weddings: Sequence[str] = ()) -> bool:
        """Route one page of each of these weddings, or of each that is next. Returns whether there was more. Raises
        StorageError; what was stored is known then."""
        weddings = weddings or list(islice(self._behind, WEDDINGS_AT_ONCE))
        others = len(self._behind) > len(weddings)
        planned = [page for wedding in weddings if (page := await self._plan(wedding, PAGE_EVENTS)) is not None]
        for pages in _transactions(planned):
            try:
                await self._store(pages)
            except ValuesRefused:
                for page in pages:  # the values of one wedding must not end the others
                    await self._route_singly(page.wedding)
        left = (self._behind[wedding] for wedding in weddings if wedding in self._behind)
        return others or any(each.after is not None and each.after < each.head_decided for each in left)

    async def _plan(self, wedding: str, limit: int) -> RoutedPage | None:
        """The next page of a wedding; where there is none it is not behind any more."""
        behind = self._behind[wedding]
        head = behind.head
        rights = self._rights.of(wedding)
        known = await rights if inspect.isawaitable(rights) else rights

        def decide(reader: RoutingReader) -> RoutedPage | None:
            with self._pace.deciding(partial(rest, reader)) as between:
                return self._planner.plan(reader, known, self._now(), limit, between)

        page = await self._storage.plan_routing(wedding, decide)
        if page is None:
            if behind.head == head:  # else there are newer ones meanwhile
                del self._behind[wedding]
            return None
        behind.after, behind.head, behind.head_decided = page.after, max(behind.head, page.until), head
        behind.since = min(behind.since, instant(page.events[0].at) or behind.since)
        return page

    async def _store(self, pages: Sequence[RoutedPage], projections: Sequence[Projection] | None = None) -> None:
        if not pages:
            return
        projections = self._projections if projections is None else projections
        self.writing = sum(map(_rows, pages))
        try:
            with self._pace.storing():
                stored = await self._storage.store_routed(pages, projections)
        finally:
            self.writing = 0
        self._report(pages, stored)

    def _report(self, pages: Iterable[RoutedPage], stored: Iterable[StoredPage]) -> None:
        by_wedding = {page.wedding: page for page in stored}
        for page in pages:
            behind = self._behind.pop(page.wedding)
            done = by_wedding.get(page.wedding)
            if done is None:  # another router has stored it, or it was decided by rights that have changed
                self._rights.forget(page.wedding)
                self._behind[page.wedding] = behind
                continue
            self._counters.routed_events += len(page.events)
            self._counters.inbox_items += len(done.items)
            self._counters.outbox_overflow += done.overflow
            if behind.head > page.until:
                left = behind.head_decided > page.until  # else they came since
                behind.since = (instant(page.events[-1].at) or page.at) if left else page.at
                behind.after = page.until
                self._behind[page.wedding] = behind  # behind the others
            if done.items or done.read:
                self._on_inbox(page.wedding, done.items, done.read)
            if page.deliveries:
                self._on_outbox(page.wedding, page.deliveries)
            if any(each.message.next_at is None and not each.message.held for each in page.deliveries):
                self._on_messages()


async def _sweep_for_ever(router: EventRouter) -> None:
    while True:
        try:
            await router.sweep()
        except StorageError as error:
            log.warning("routing_not_compared", error=str(error))
        await asyncio.sleep(SWEEP_SECONDS)


def _without_plan(reader: RoutingReader, now: datetime) -> RoutedPage | None:
    """The next event of a wedding, of which nobody is informed; None: every event was routed."""
    after = reader.cursor()
    page: Sequence[StoredEvent] = reader.events(after, 1)
    if not page:
        return None
    return RoutedPage(reader.wedding, 0, after, page[-1].seq, now, page, redacted=redacted_in(page))


def _rows(page: RoutedPage) -> int:
    return len(page.items) + len(page.deliveries)


def _transactions(pages: Iterable[RoutedPage]) -> Iterator[list[RoutedPage]]:
    """Pages that are stored together: so few that no edit waits for long."""
    together: list[RoutedPage] = []
    for page in pages:
        if together and sum(map(_rows, together)) + _rows(page) > ROWS_AT_ONCE:
            yield together
            together = []
        together.append(page)
    if together:
        yield together


async def trim_inboxes(storage: Storage, now: Now, days: int) -> None:
    """Delete, every hour, the items that are older than so many days, slice by slice; 0: never."""
    while days:
        pause = TRIM_SECONDS
        try:
            if await storage.trim_inbox(now() - timedelta(days=days)):
                pause = TRIM_REST
        except StorageError as error:
            log.warning("inboxes_not_trimmed", error=str(error))
        await asyncio.sleep(pause)

"""The consumer of stored events: puts items into inboxes and messages into the outbox, page by page, each event once.

- It wakes when events were stored here, and compares the cursors of all weddings with their events at the start and
  every SWEEP_SECONDS: what another process stored, or a crash left, is routed then.
- A wedding has one page in a batch, and those with more go behind the others. Pages are decided about beside the loop,
  where the store reads, and stored in few transactions, none of which takes long.
- Of several routers the first that stores a page has routed it, see `storage.routing`.
- Nothing of an edit waits for it. It rests after each batch, and PAUSE_FACTOR times as long as a long one took, so that
  it never takes more than a share of the process and of the store.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol

import structlog

from crdt_server.access.members import WeddingRights
from crdt_server.counters import Counters
from crdt_server.services.entries import Now
from crdt_server.services.messaging.planning import Planner
from documents.invariants.instants import instant
from storage import Projection, RoutedPage, Storage, StorageError, StoredItem, StoredPage, ValuesRefused

log = structlog.get_logger(__name__)

SWEEP_SECONDS: Final = 30.0
RETRY_SECONDS: Final = 1.0
PAGE_EVENTS: Final = 100
"""Events of one wedding in a batch."""

WEDDINGS_AT_ONCE: Final = 25
"""Weddings in a batch."""

ROWS_AT_ONCE: Final = 300
"""Items and messages of one transaction, if they are not of one page: about ten milliseconds of the store."""

SHORTEST_PAUSE, LONGEST_PAUSE, PAUSE_FACTOR = 0.02, 1.0, 3.0
FREE_SECONDS: Final = 0.02
"""Of a batch: most of a short one is the wait for the disk, and the next event is to be in inboxes within 100 ms."""

TRIM_SECONDS: Final = 3600.0

OnInbox = Callable[[str, Sequence[tuple[str, StoredItem]]], None]
"""Called with a wedding and its new items, each with its user, when they are stored."""


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
    after: int | None = None
    """The cursor; None: not known yet."""


class EventRouter:
    """See the head of the file. ``on_inbox`` is called with items that were stored, ``on_messages`` when messages were
    that have to be sent; ``projections`` run in the transaction."""

    def __init__(
        self,
        storage: Storage,
        planner: Planner,
        rights: RightsOfWeddings,
        now: Now,
        counters: Counters,
        *,
        on_inbox: OnInbox = lambda wedding, items: None,
        on_messages: Callable[[], None] = lambda: None,
        projections: Sequence[Projection] = (),
    ) -> None:
        self._counters = counters
        self._storage = storage
        self._planner = planner
        self._rights = rights
        self._now = now
        self._on_inbox = on_inbox
        self._on_messages = on_messages
        self._projections = projections
        self.writing = 0
        """Items and messages of the transaction under way."""
        self._behind: dict[str, _Behind] = {}
        self._failing: dict[str, _Behind] = {}  # of which the next page cannot be routed
        self._woken = asyncio.Event()

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

    def wake(self, wedding: str, head: int) -> None:
        """Events of a wedding are stored up to a number."""
        found = self._failing.get(wedding) or self._behind.get(wedding)
        if found is None:
            found = self._behind[wedding] = _Behind(self._now())
        found.head = max(found.head, head)
        self._woken.set()

    async def run(self) -> None:
        """Route until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep_for_ever())
            tasks.create_task(self._route_for_ever())

    async def _sweep_for_ever(self) -> None:
        while True:
            try:
                await self.sweep()
            except StorageError as error:
                log.warning("routing_not_compared", error=str(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Find the weddings with events that were not routed, and try those anew that failed."""
        self._behind |= self._failing
        self._failing.clear()
        after: str | None = ""
        while after is not None:
            found, after = await self._storage.unrouted(after)
            for each in found:
                self.wake(each.wedding, each.head)

    async def _route_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._behind:
                begun = loop.time()
                try:
                    await self.route_batch()
                    pause = (loop.time() - begun - FREE_SECONDS) * PAUSE_FACTOR
                except StorageError as error:
                    log.warning("routing_failed", error=str(error))
                    pause = RETRY_SECONDS
                except Exception:
                    # A defect of this program, for the events of one wedding perhaps: the others are routed.
                    log.exception("routing_broken")
                    await self._route_apart()
                    pause = RETRY_SECONDS
                await asyncio.sleep(min(LONGEST_PAUSE, max(SHORTEST_PAUSE, pause)))

    async def _route_apart(self) -> None:
        """Route a page of each wedding that is next by itself; those that fail have to wait for the next sweep."""
        for wedding in list(islice(self._behind, WEDDINGS_AT_ONCE)):
            try:
                await self.route_batch([wedding])
            except StorageError:
                return
            except Exception as error:  # noqa: BLE001 - it was logged when it failed with the others
                log.error("routing_postponed", wedding=wedding, error=repr(error))
                self._failing[wedding] = self._behind.pop(wedding)

    async def route_all(self) -> None:
        """Route everything that is there now."""
        await self.sweep()
        while self._behind:
            await self.route_batch()

    async def route_batch(self, weddings: Sequence[str] = ()) -> None:
        """Route one page of each of these weddings, or of each that is next. Raises StorageError; what was stored is
        known then."""
        weddings = weddings or list(islice(self._behind, WEDDINGS_AT_ONCE))
        planned = [page for wedding in weddings if (page := await self._plan(wedding, PAGE_EVENTS)) is not None]
        for pages in _transactions(planned):
            try:
                await self._store(pages)
            except ValuesRefused:
                for page in pages:  # the values of one wedding must not end the others
                    await self._store_alone(page)

    async def _plan(self, wedding: str, limit: int) -> RoutedPage | None:
        """The next page of a wedding; where there is none it is not behind any more."""
        behind = self._behind[wedding]
        head = behind.head
        rights = self._rights.of(wedding)
        known = await rights if inspect.isawaitable(rights) else rights
        page = await self._storage.plan_routing(
            wedding, lambda reader: self._planner.plan(reader, known, self._now(), limit)
        )
        if page is None:
            if behind.head == head:  # else there are newer ones meanwhile
                del self._behind[wedding]
            return None
        behind.after, behind.head = page.after, max(behind.head, page.until)
        behind.since = min(behind.since, instant(page.events[0].at) or behind.since)
        return page

    async def _store(self, pages: Sequence[RoutedPage]) -> None:
        if not pages:
            return
        self.writing = sum(map(_rows, pages))
        try:
            stored = await self._storage.store_routed(pages, self._projections)
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
            if behind.head > page.until:
                behind.since, behind.after = self._now(), page.until
                self._behind[page.wedding] = behind  # behind the others
            if done.items:
                self._on_inbox(page.wedding, done.items)
            if page.deliveries:
                self._on_messages()

    async def _store_alone(self, page: RoutedPage) -> None:
        try:
            await self._store([page])
        except ValuesRefused as error:
            # A defect of this program. Its cursor must not stay there for ever: the events are in the log.
            log.error("routing_refused", wedding=page.wedding, after=page.after, error=str(error))
            one = await self._plan(page.wedding, 1)
            if one is not None:
                try:
                    await self._store([one])
                except ValuesRefused:
                    self._counters.routing_skipped += 1
                    await self._store([one._replace(items=(), deliveries=())])


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
                pause = SHORTEST_PAUSE
        except StorageError as error:
            log.warning("inboxes_not_trimmed", error=str(error))
        await asyncio.sleep(pause)

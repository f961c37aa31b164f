"""The storage that each open wedding takes, and whether its quota is reached.

A wedding is measured when something worth it has been written since it was opened (most are only read), and again when
what was written since might have reached a bound: rows replace one another, and compaction and retention free what was
counted. A full wedding is shrunk before it is measured again, see `shrinking`. Between two measurements of a wedding
lie some seconds, so it may take a little more than its quota. A wedding is never refused for what is not measured.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import structlog

from crdt_server.hub.background_tasks import Spawn
from crdt_server.hub.commit import Store
from crdt_server.hub.shrinking import Shrinking
from crdt_server.rooms.quota import WeddingQuota
from storage import AUDIT_BYTES, Append, DerivedRecords, Storage, StorageError, WeddingUsage

log = structlog.get_logger(__name__)

MEASURE_SECONDS = 10.0  # between two measurements of one wedding,
REST = 20  # or that many times as long as one took
OTHERS_REST = 4  # times as long as one took lie between it and that of another wedding: many are due together,
LONGEST_REST = 0.2  # or so many seconds
SHRINKING_REST = 3  # or that many times as long as it took to free what was deleted
WEDDINGS_KEPT = 10_000  # measured ones; of others that are opened again the measurement is repeated


class Limits(NamedTuple):
    """The quota of one wedding; 0: no bound."""

    size_bytes: int
    records: int
    documents: int

    def exceeded(self, taken: Amounts) -> WeddingQuota:
        """Which bounds are reached."""
        full = _reached(taken.size_bytes, self.size_bytes) or _reached(taken.records, self.records)
        return WeddingQuota(full, _reached(taken.documents, self.documents))

    def are_reached(self, taken: Amounts) -> bool:
        """Whether any bound is."""
        return (
            _reached(taken.size_bytes, self.size_bytes)
            or _reached(taken.records, self.records)
            or _reached(taken.documents, self.documents)
        )


def _reached(count: int, most: int) -> bool:
    return 0 < most <= count


@dataclass(slots=True)
class Amounts:
    """The storage that a wedding takes, or a part of it."""

    size_bytes: int = 0
    records: int = 0
    documents: int = 0

    def add(self, size_bytes: int, records: int, documents: int) -> None:
        """More is taken."""
        self.size_bytes += size_bytes
        self.records += records
        self.documents += documents

    def __add__(self, more: Amounts) -> Amounts:
        return Amounts(self.size_bytes + more.size_bytes, self.records + more.records, self.documents + more.documents)


UNMEASURED = Limits(64 * 1024, 500, 10)
"""Written by a wedding before it is measured for the first time: to measure each that is opened would double the cost
of opening it."""


@dataclass(slots=True)
class _Account:
    """One wedding."""

    quota: WeddingQuota = field(default_factory=WeddingQuota)
    taken: Amounts | None = None  # at most: as measured, with all that was written since
    written: Amounts = field(default_factory=Amounts)  # since the newest measurement began
    measuring: bool = False
    not_before: float = 0.0  # of the next measurement


class Quotas:
    """See the head of the file. ``time`` returns seconds of the loop's clock."""

    def __init__(self, storage: Storage, limits: Limits, spawn: Spawn, time: Callable[[], float]) -> None:
        self._storage = storage
        self._limits = limits
        self._spawn = spawn
        self._time = time
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        self._turn = asyncio.Lock()  # a measurement reads a whole wedding: one at a time
        self._shrinking: Shrinking | None = None

    def connect(self, shrinking: Shrinking) -> None:
        """Set the process that frees bytes of full weddings before they are measured again."""
        self._shrinking = shrinking

    @property
    def weddings_over_quota(self) -> int:
        """Weddings that have been measured and may not grow."""
        return sum(each.quota.full or each.quota.documents_full for each in self._accounts.values())

    def open(self, wedding: str) -> WeddingQuota:
        """The quota of a wedding of which a document is being opened. It is kept up to date from now on."""
        account = self._accounts.get(wedding)
        if account is None:
            account = self._accounts[wedding] = _Account()
            while len(self._accounts) > WEDDINGS_KEPT:
                forgotten, _ = self._accounts.popitem(last=False)
                if self._shrinking is not None:
                    self._shrinking.forget(forgotten)
        self._accounts.move_to_end(wedding)
        if account.quota.full or account.quota.documents_full:
            self._measure_soon(wedding, account)  # something may have been freed
        return account.quota

    def stored(self, updates: Sequence[Append], derived: Sequence[DerivedRecords]) -> None:
        """These were stored just now."""
        accounts = self._accounts
        for update in updates:
            account = accounts.get(update.key.wedding)
            if account is not None:
                self._add(update.key.wedding, account, len(update.update), 0, int(update.seq == 1))
        for each in derived:
            account = accounts.get(each.key.wedding)
            if account is not None:
                rows = sum(len(row.fields or "") + len(row.writers) for row in each.rows)
                events = sum(len(event.body) for event in each.events)
                answers = sum(len(answer.key) + len(answer.body) for answer in each.answers)
                audit = sum(AUDIT_BYTES + len(entry.detail) for entry in each.audit)
                self._add(each.key.wedding, account, rows + events + answers + audit, len(each.rows), 0)

    def _add(self, wedding: str, account: _Account, size_bytes: int, records: int, documents: int) -> None:
        account.written.add(size_bytes, records, documents)
        if account.taken is None:
            if UNMEASURED.are_reached(account.written):
                self._measure_soon(wedding, account)
            return
        account.taken.add(size_bytes, records, documents)
        if self._limits.are_reached(account.taken):  # perhaps; or something has been freed
            self._measure_soon(wedding, account)

    def _measure_soon(self, wedding: str, account: _Account) -> None:
        if not account.measuring:
            account.measuring = True
            self._spawn(self._measure(wedding, account))

    async def _measure(self, wedding: str, account: _Account) -> None:
        try:
            await asyncio.sleep(max(0.0, account.not_before - self._time()))
            rest = self._time()
            if account.quota.full and self._shrinking is not None:
                await self._shrinking.shrink(wedding)
            rest = SHRINKING_REST * (self._time() - rest)
            async with self._turn:
                account.written, began = Amounts(), self._time()
                usage = await self._storage.usage(wedding)
                ended = self._time()
                account.not_before = ended + max(MEASURE_SECONDS, REST * (ended - began), rest)
                await asyncio.sleep(min(LONGEST_REST, OTHERS_REST * (ended - began)))
        except StorageError as error:
            log.warning("wedding_not_measured", wedding=wedding, error=str(error))
            return
        finally:
            account.measuring = False
        self._measured(wedding, account, usage)

    def _measured(self, wedding: str, account: _Account, usage: WeddingUsage) -> None:
        measured = Amounts(usage.size_bytes, usage.records, usage.documents)
        account.taken = measured + account.written  # which may be in the measurement or not
        found, quota = self._limits.exceeded(measured), account.quota
        if found != quota:
            log.warning("wedding_quota", wedding=wedding, full=found.full, documents_full=found.documents_full)
            if found.full:
                self._measure_soon(wedding, account)  # what is deleted already is freed before
            elif self._shrinking is not None:
                self._shrinking.forget(wedding)
            quota.full, quota.documents_full = found.full, found.documents_full
        if self._limits.exceeded(account.taken) != found:
            self._measure_soon(wedding, account)


Observer = Callable[[Sequence[Append], Sequence[DerivedRecords]], None]
"""The type of `Quotas.stored`."""


class ObservedStore:
    """A store that reports what it has stored."""

    def __init__(self, store: Store, observers: Sequence[Observer]) -> None:
        self._store = store
        self._observers = observers

    async def append(self, batch: Sequence[Append], derived: Sequence[DerivedRecords] = ()) -> dict[str, int]:
        """As `Storage.append`."""
        first_events = await self._store.append(batch, derived)
        for observer in self._observers:
            observer(batch, derived)
        return first_events

    async def confirm(self, weddings: Collection[str]) -> None:
        """As `Storage.confirm`."""
        await self._store.confirm(weddings)

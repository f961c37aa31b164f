"""The one commit pump of the process: batches of all rooms go into the store in as few transactions as possible, and
only then to the sessions of the rooms.

While one transaction is under way the next batches gather; under load transactions grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import structlog

from crdt_server.hub.commit_queue import CommitQueue
from crdt_server.metrics import Metrics
from crdt_server.records import BatchRecords
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.room import Phase, Room
from storage import (
    AnswerTaken,
    Append,
    AuditValues,
    BookingValues,
    DerivedRecords,
    DocumentKey,
    NotOwner,
    SequenceConflict,
    StoredEvent,
    ValuesRefused,
)

log = structlog.get_logger(__name__)

BROADCAST_SLICE = 256  # batches that are broadcast before the loop gets its turn: about ten milliseconds


class Store(Protocol):
    """The receiver of batches: the storage, or the storage under the fences of this node."""

    async def append(self, batch: Sequence[Append], derived: Sequence[DerivedRecords] = ()) -> dict[str, int]:
        """As `Storage.append`."""

    async def confirm(self, weddings: Collection[str]) -> None:
        """As `Storage.confirm`."""


def derived_records(key: DocumentKey, found: BatchRecords | None, audit: Sequence[AuditValues] = ()) -> DerivedRecords:
    """The records of one document in a batch, as the store takes them."""
    if found is None:
        return DerivedRecords(key, audit=audit)
    return DerivedRecords(key, found.rows, found.events, found.owners, found.answers, found.bookings, audit)


OnEvents = Callable[[str, int, Sequence[StoredEvent]], None]

Audit = Callable[[RoomBatch], Sequence[AuditValues]]
"""The entries of the audit log about what was undone of a batch."""


def no_audit(batch: RoomBatch) -> Sequence[AuditValues]:
    """Nothing is recorded."""
    return ()


class _Transaction:
    """The content of one transaction for a list of batches."""

    __slots__ = ("derived", "owned", "updates")

    def __init__(self, batches: Sequence[RoomBatch], audit: Audit) -> None:
        self.updates: list[Append] = []
        self.derived: list[DerivedRecords] = []
        self.owned: set[str] = set()  # weddings that have to be those of this node
        for batch in batches:
            room = batch.room
            if room.phase is Phase.DEAD:
                continue
            if batch.update is not None:
                self.updates.append(Append(DocumentKey(room.wedding, room.document), batch.seq, batch.update))
            entries = audit(batch) if batch.notices else ()
            if batch.derived is not None or entries:
                key = DocumentKey(room.wedding, room.document)
                self.derived.append(derived_records(key, batch.derived, entries))
            if batch.needs_owner:
                self.owned.add(room.wedding)


class CommitPump:
    """`put` batches in; `Room.broadcast` follows after their commit, for each room in order. One `run` task.

    A refusal for good is confirmed with the store: what another owner of the wedding has stored since may look forged
    here. The content of a derived document is confirmed too: another owner may have hidden a part of it since.

    ``fail`` ends a room whose batch could not be stored. ``on_events`` is called with a wedding, the number of its
    newest event and the events of the transaction, ``on_bookings`` with changes of its bookings. What ``audit`` returns
    for a batch is stored with it.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        *,
        fail: Callable[[Room], None],
        on_events: OnEvents,
        on_bookings: Callable[[str, Sequence[BookingValues]], None],
        audit: Audit = no_audit,
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._fail_room = fail
        self._on_events = on_events
        self._on_bookings = on_bookings
        self._audit = audit
        self._waiting = CommitQueue()
        self._wake = asyncio.Event()
        self._stored: deque[RoomBatch] = deque()
        self._wake_broadcast = asyncio.Event()
        self._enqueued = 0  # batches that entered the queue since the start
        self._finished = 0  # of them, those that were stored or failed
        self._settled = 0  # of them, those that were broadcast or failed
        self._flushes: deque[tuple[int, asyncio.Future[None]]] = deque()
        self.failed_at: float | None = None
        """When the store refused a transaction, by the clock of the loop; None where it has taken one since."""

    @property
    def backlog(self) -> int:
        """Batches not yet stored."""
        return self._enqueued - self._finished

    def put(self, batch: RoomBatch) -> None:
        """Store a batch, then broadcast it. One without a commit is broadcast at once if none waits before it."""
        changes = batch.update is not None or batch.derived is not None or batch.notices
        if not changes and self._enqueued == self._settled and not batch.needs_owner:
            batch.room.broadcast(batch)
            return
        batch.room.pin()
        self._enqueued += 1
        self._waiting.add(batch)
        self._wake.set()

    async def flush(self) -> None:
        """Wait until all batches that were put before are stored, or their rooms have failed."""
        if self.backlog:
            flushed = asyncio.get_running_loop().create_future()
            self._flushes.append((self._enqueued, flushed))
            await flushed

    async def run(self) -> None:
        """The pump, until cancelled. A cancellation waits for the transaction under way."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._commit_all())
            tasks.create_task(self._broadcast_all())

    async def _broadcast_all(self) -> None:
        """Broadcast stored batches, in order, while the next transaction is under way. In slices: in between the loop
        reads sockets and hosts, so that a large transaction does not keep the hosts waiting for requests."""
        while True:
            await self._wake_broadcast.wait()
            self._wake_broadcast.clear()
            while self._stored:
                for _ in range(min(BROADCAST_SLICE, len(self._stored))):
                    self._broadcast(self._stored.popleft())
                await asyncio.sleep(0)

    def _broadcast(self, batch: RoomBatch) -> None:
        self._settled += 1
        room = batch.room
        room.unpin()
        try:
            room.broadcast(batch)
        except Exception:
            # A defect of this program: this room ends, and its clients come back to the stored state; the pump goes on.
            log.exception("broadcast_failed", room=room.name)
            self._fail_room(room)

    async def _commit_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batches = self._waiting.take()
                await self._commit(batches)
                self._finished += len(batches)
                del batches
                self._resolve_flushes()

    def _resolve_flushes(self) -> None:
        while self._flushes and self._flushes[0][0] <= self._waiting.reached:
            _, flushed = self._flushes.popleft()
            if not flushed.done():
                flushed.set_result(None)

    async def _commit(self, batches: Sequence[RoomBatch]) -> None:
        transaction = _Transaction(batches, self._audit)
        try:
            first_events = await self._store_all(transaction)
        except (NotOwner, AnswerTaken, SequenceConflict) as error:
            await self._commit_without(error, batches)
            return
        except ValuesRefused as error:
            await self._commit_each_wedding(error, batches)
            return
        except Exception as error:  # noqa: BLE001 - whatever it was, nothing is known to be stored
            self.failed_at = asyncio.get_running_loop().time()
            self._fail(batches, error)
            return
        if transaction.updates or transaction.derived:
            self.failed_at = None
        if transaction.derived:
            self._report(transaction.derived, first_events)
        self._stored.extend(batches)
        self._wake_broadcast.set()

    async def _store_all(self, transaction: _Transaction) -> Mapping[str, int]:
        if transaction.owned:
            await self._store.confirm(transaction.owned)
        if not (transaction.updates or transaction.derived):
            return {}
        with self._metrics.commit_seconds.time():
            first_events = await self._store.append(transaction.updates, transaction.derived)
        self._metrics.commit_rows.observe(len(transaction.updates))
        return first_events

    async def _commit_without(
        self, error: NotOwner | AnswerTaken | SequenceConflict, batches: Sequence[RoomBatch]
    ) -> None:
        """Fail the batches of the weddings that an error names, and store the others: nothing is stored yet."""
        lost = [batch for batch in batches if batch.room.wedding in error.weddings]
        rest = [batch for batch in batches if batch.room.wedding not in error.weddings]
        self._fail(lost or batches, error)
        if lost and rest:
            await self._commit(rest)

    async def _commit_each_wedding(self, error: ValuesRefused, batches: Sequence[RoomBatch]) -> None:
        """The values of one wedding must not end the others: each is tried alone."""
        by_wedding: dict[str, list[RoomBatch]] = {}
        for batch in batches:
            by_wedding.setdefault(batch.room.wedding, []).append(batch)
        if len(by_wedding) == 1:
            self._fail(batches, error)
            return
        for alone in by_wedding.values():
            await self._commit(alone)

    def _report(self, derived: Sequence[DerivedRecords], first_events: Mapping[str, int]) -> None:
        stored: dict[str, list[StoredEvent]] = {wedding: [] for wedding in first_events}
        for each in derived:
            if each.events:
                events, document = stored[each.key.wedding], each.key.document
                number = first_events[each.key.wedding] + len(events)
                for seq, event in enumerate(each.events, number):
                    events.append(StoredEvent(seq, event.type, event.at, document, event.record, event.body))
            if each.bookings:
                self._on_bookings(each.key.wedding, each.bookings)
        for wedding, events in stored.items():
            self._on_events(wedding, events[-1].seq, events)

    def _fail(self, batches: Sequence[RoomBatch], error: Exception) -> None:
        """End the rooms of batches that may not be stored: their clients send the updates again."""
        self._metrics.commit_failures.inc()
        rooms = {batch.room: None for batch in batches}
        log.error("append_failed", error=type(error).__name__, detail=str(error), rooms=len(rooms))
        self._settled += len(batches)
        for batch in batches:
            batch.room.unpin()
        for room in rooms:
            self._fail_room(room)

"""The one commit pump of the process: verdicts of all rooms go into the store in as few transactions as possible, and
only then to the people in the rooms.

While one transaction is under way the next verdicts gather; under load batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from crdt_server.metrics import Metrics
from crdt_server.rooms.room import Phase, Room, Verdict
from storage import (
    AnswerTaken,
    Append,
    BookingValues,
    ClientUser,
    DerivedRecords,
    DocumentKey,
    NewEvent,
    NotOwner,
    SequenceConflict,
    StoredAnswer,
    StoredRow,
    VendorBooking,
)

log = structlog.get_logger(__name__)


class Store(Protocol):
    """Where batches go: the storage, or the storage by way of who knows what this node may write."""

    async def append(self, batch: Sequence[Append], facts: Sequence[DerivedRecords] = ()) -> dict[str, int]:
        """As `Storage.append`."""

    async def confirm(self, weddings: Collection[str]) -> None:
        """As `Storage.confirm`."""


class CommitPump:
    """`put` verdicts in, `Room.release` follows after their commit, in order. One `run` task.

    Who is refused for good is refused by who owns the wedding: what another has stored since may look forged here.

    ``recorded`` hears that a wedding has events up to a number, ``booked`` how its bookings have changed. ``released``
    hears of rooms after a release that `put` did not do at once: it may have left them something to do.
    """

    def __init__(
        self,
        store: Store,
        metrics: Metrics,
        *,
        on_failure: Callable[[Room], None],
        released: Callable[[Room], None],
        recorded: Callable[[str, int], None],
        booked: Callable[[str, Sequence[BookingValues]], None],
    ) -> None:
        self._store = store
        self._metrics = metrics
        self._on_failure = on_failure
        self._released = released
        self._recorded = recorded
        self._booked = booked
        self._waiting: list[Verdict] = []
        self._wake = asyncio.Event()
        self._put = 0  # verdicts that entered the queue, ever
        self._done = 0  # and left it
        self._flushes: list[tuple[int, asyncio.Future[None]]] = []

    @property
    def backlog(self) -> int:
        """Verdicts not yet stored."""
        return self._put - self._done

    def put(self, verdict: Verdict) -> None:
        """Store and then release. What needs no commit and waits behind none is released at once."""
        if verdict.merged is None and verdict.facts is None and not verdict.refuses and not self.backlog:
            verdict.room.release(verdict)
            return
        verdict.room.unsettled += 1
        self._put += 1
        self._waiting.append(verdict)
        self._wake.set()

    async def flush(self) -> None:
        """Return when all that was put before is stored (or its rooms have failed)."""
        if self.backlog:
            flushed = asyncio.get_running_loop().create_future()
            self._flushes.append((self._put, flushed))
            await flushed

    async def run(self) -> None:
        """The pump, until cancelled. A cancellation waits for the transaction under way."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._commit(batch)
                self._done += len(batch)
                del batch
                self._tell_flushed()

    def _tell_flushed(self) -> None:
        while self._flushes and self._flushes[0][0] <= self._done:
            _, flushed = self._flushes.pop(0)
            if not flushed.done():
                flushed.set_result(None)

    async def _commit(self, batch: Sequence[Verdict]) -> None:
        rows = [
            Append(DocumentKey(verdict.room.wedding, verdict.room.document), verdict.seq, verdict.merged)
            for verdict in batch
            if verdict.merged is not None and verdict.room.phase is not Phase.DEAD
        ]
        facts = [
            _facts(verdict) for verdict in batch if verdict.facts is not None and verdict.room.phase is not Phase.DEAD
        ]
        refused = {
            verdict.room.wedding for verdict in batch if verdict.refuses and verdict.room.phase is not Phase.DEAD
        }
        if rows or facts or refused:
            try:
                first_events = await self._store_all(rows, facts, refused)
            except (NotOwner, AnswerTaken, SequenceConflict) as error:
                await self._commit_without(error, batch)
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, nothing is known to be stored
                self._fail(batch, error)
                return
            self._tell_recorded(facts, first_events)
        for verdict in batch:
            verdict.room.unsettled -= 1
            verdict.room.release(verdict)
            self._released(verdict.room)

    async def _store_all(
        self, rows: Sequence[Append], facts: Sequence[DerivedRecords], refused: Collection[str]
    ) -> Mapping[str, int]:
        if refused:
            await self._store.confirm(refused)
        if not (rows or facts):
            return {}
        with self._metrics.commit_seconds.time():
            first_events = await self._store.append(rows, facts)
        self._metrics.commit_rows.observe(len(rows))
        return first_events

    async def _commit_without(self, error: NotOwner | AnswerTaken | SequenceConflict, batch: Sequence[Verdict]) -> None:
        """What concerns some weddings must not end the others: nothing is stored yet, so the rest is tried again."""
        lost = [verdict for verdict in batch if verdict.room.wedding in error.weddings]
        rest = [verdict for verdict in batch if verdict.room.wedding not in error.weddings]
        self._fail(lost or batch, error)
        if lost and rest:
            await self._commit(rest)

    def _tell_recorded(self, facts: Sequence[DerivedRecords], first_events: Mapping[str, int]) -> None:
        heads = {wedding: first - 1 for wedding, first in first_events.items()}
        for each in facts:
            if each.events:
                heads[each.key.wedding] += len(each.events)
            if each.bookings:
                self._booked(each.key.wedding, each.bookings)
        for wedding, head in heads.items():
            self._recorded(wedding, head)

    def _fail(self, batch: Sequence[Verdict], error: Exception) -> None:
        """Nothing of the batch is known to be stored: its rooms end, and their clients bring it again."""
        self._metrics.commit_failures.inc()
        rooms = {verdict.room: None for verdict in batch}
        log.error("append_failed", error=type(error).__name__, detail=str(error), rooms=len(rooms))
        for verdict in batch:
            verdict.room.unsettled -= 1
        for room in rooms:
            self._on_failure(room)


def _facts(verdict: Verdict) -> DerivedRecords:
    """What came with a verdict, as the store takes it."""
    rows, events, owners, answers, bookings = verdict.facts
    return DerivedRecords(
        DocumentKey(verdict.room.wedding, verdict.room.document),
        rows=[StoredRow(*row) for row in rows],
        events=[NewEvent(*event) for event in events],
        owners=[ClientUser(*owner) for owner in owners],
        answers=[StoredAnswer(key, digest, body, datetime.fromisoformat(at)) for key, digest, body, at in answers],
        bookings=[VendorBooking(*booking) for booking in bookings],
    )

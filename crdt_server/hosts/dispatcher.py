"""Dispatch of requests to one document host: which rooms have requests, one batch in flight, the pause between batches.

A room that costs much (a large document, a large update, an update that was deadly) moves to the heavy host between two
batches: it is forgotten here, and read from the store there. Other rooms do not wait for it any more.

`recovery` runs the batch again after the death of the host.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import chain
from typing import Protocol

import structlog

from crdt_server.hosts.batch import SLICE_BYTES, BatchEntry, LoadFailed, LoadPlan, fits
from crdt_server.hosts.continuations import Continuations
from crdt_server.hosts.recovery import recover
from crdt_server.hosts.residency import Residency, has_to_be_held
from crdt_server.hosts.results import HEAVY_DOCUMENT_BYTES, ResultEvents, account, settle_room, submit
from crdt_server.hosts.sender_turns import SenderTurns
from crdt_server.hosts.supervisor import HostDied, Supervisor
from crdt_server.metrics import Metrics
from crdt_server.pipe import BatchResponse, ForgetRooms, Job, LoadPostponed, LoadRefused, RequestKind, RoomResult
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.intake import put_back
from crdt_server.rooms.replies import serve_empty, serve_from_store
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import Request

log = structlog.get_logger(__name__)

BATCH_BYTES = 96 * 1024
BATCH_SECONDS = 0.011  # of CPU, as far as it can be foreseen: what a host does not reach has to be sent again
HEAVY_BATCH_BYTES = 16 * 1024  # a large update comes in pieces of that size: one of them in a batch
LARGE_IN_BATCH = 1  # and none in the next batch, so that a small edit waits for one at most
# A batch and the pause behind it, for each of its requests: a single update is sent at once, batches grow under load,
# and frames that leave in bursts cost less than single ones. No pause follows a batch that took the host that long,
# nor a full one, which is large enough.
SECONDS_PER_REQUEST = 0.00015
FULL_BATCH = 100


class DispatcherEvents(ResultEvents, Protocol):
    """The port of a dispatcher to the hub. Methods that are not coroutines return at once."""

    async def fetch(self, room: Room, with_rows: bool) -> LoadPlan:
        """Read what is stored of a room, after all its commits, with the rows of its wedding where the host does not
        hold them. Raises LoadFailed."""

    def on_unreadable(self, room: Room, why: str, *, stored: bool = True) -> None:
        """A room has to end: a host cannot hold what is ``stored`` of it, or that could not be fetched now."""

    def fail(self, room: Room) -> None:
        """End a room whose host does not hold what is stored."""

    def on_scheduled(self, room: Room, due_seconds: float | None, needed: Sequence[str]) -> None:
        """The wedding of a room has work that is due in some seconds (None: none), and needs these documents open."""


class HostDispatcher:
    """Batches for one host. ``heavy`` is where heavy rooms go (None in the dispatcher of the heavy host itself)."""

    def __init__(
        self,
        supervisor: Supervisor,
        metrics: Metrics,
        events: DispatcherEvents,
        *,
        heavy: HostDispatcher | None = None,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self.supervisor = supervisor
        self.metrics = metrics
        self.events = events
        self.residency = Residency()
        self.continuations = Continuations(self.residency)
        self._begun: BatchEntry | None = None  # the command that the host is writing: with every batch until it is done
        self._heavy = heavy
        self._batch_bytes = batch_bytes
        self._scheduled: dict[Room, None] = {}
        self._fetching: dict[Room, asyncio.Task[None]] = {}
        self.in_flight: set[Room] = set()
        """The rooms of the batch that the host has."""
        self._large: set[Room] = set()  # of which the newest batch has something large
        self._large_again = False  # it was not reached, or it is being tried: it is not behind the others once more
        self._turns = SenderTurns()
        self._wake = asyncio.Event()

    # -- called by the hub, at any time

    def schedule(self, room: Room) -> None:
        """The room has requests for the host, or is derived and not held by it any more."""
        if room not in self._scheduled:
            self._scheduled[room] = None
            self._wake.set()
            self.supervisor.interrupt()

    def busy(self, room: Room) -> bool:
        """Whether the room is part of the batch in flight or of a load."""
        if room in self.in_flight or room in self._fetching or self.residency.is_loading(room):
            return True
        if not room.hosted.has_schema:
            return False
        if self._begun is not None and self._begun.room.wedding == room.wedding:
            return True
        # the server may write into any document of a wedding that is part of the batch
        return room in self.continuations or not self.in_flight.isdisjoint(self.residency.siblings(room))

    def drop(self, room: Room) -> None:
        """The room has ended: the host may forget its document."""
        self._scheduled.pop(room, None)
        if self.residency.drop(room, in_flight=room in self.in_flight):
            self._wake.set()

    def host_lost(self) -> None:
        """The host's documents are gone with it. Rooms come back from the store when they next have requests, and
        derived documents at once: somebody else writes in their sources."""
        self.continuations.clear()
        self._begun = None
        for room in self.residency.clear():
            self.schedule(room)

    # -- the pump

    async def run(self) -> None:
        """One batch after the other, until cancelled."""
        while True:
            await self._wake.wait()
            entries = self._take()
            forget = self.residency.take_forget()
            if not entries and not forget:
                self._wake.clear()
                continue
            begun = time.monotonic()
            try:
                requests = await self._run_batch(entries, forget)
            except Exception:
                # A defect of this program: these rooms end and are loaded from the store again; the dispatcher goes on.
                log.exception("batch_failed", host=self.supervisor.name)
                requests = 0
                for entry in entries:
                    self.events.fail(entry.room)
            del entries, forget  # perhaps megabytes, which would be held until the next batch
            pause = requests * SECONDS_PER_REQUEST - (time.monotonic() - begun)
            if 1 < requests < FULL_BATCH and pause > 0:
                await asyncio.sleep(pause)

    def _take(self) -> list[BatchEntry]:
        """The next batch: a slice of every load that fits, a fair share of every scheduled room, and a slice of the
        rules of a wedding."""
        entries = list(self.residency.loads.take(alone=not self._scheduled))
        if self._begun is not None:
            if self._begun.room.phase is Phase.DEAD:
                self._begun = None
            else:
                entries.insert(0, self._begun)  # first: its wedding waits for it
        arriving = {entry.room for entry in entries}
        budget, large = self._batch_bytes, 0 if self._large else LARGE_IN_BATCH
        skipped_large, self._large = bool(self._large), set()
        scheduled, self._scheduled = self._scheduled, {}
        still = "" if self._begun is None else self._begun.room.wedding  # it takes no other requests
        not_reached: list[Room] = []
        left: list[Room] = []
        behind: list[Room] = []  # had its turn at what is large
        last: list[BatchEntry] = []
        self._turns.end_batch()
        for room in self._turns.order(scheduled):
            if budget <= 0 or (room.wedding == still and room.hosted.has_schema):
                not_reached.append(room)
            elif room in self.residency:
                cost, taken_large = self._take_requests(room, budget, large, entries, last)
                budget -= cost
                large -= taken_large
                if room.inbox and room in self.residency:  # it may have moved to the heavy host
                    (behind if taken_large else left).append(room)
            elif room.phase is Phase.DEAD or room in arriving:
                pass
            elif room.inbox and not self._move_if_heavy(room):
                self._start_fetch(room)  # it is scheduled again when it is loaded
            elif has_to_be_held(room):
                self.events.on_scheduled(room, None, [room.document])  # that requests it
        self._scheduled = dict.fromkeys((*not_reached, *left, *behind)) | self._scheduled
        entries += [*last, *self.continuations.take()]
        if not entries and self._scheduled and skipped_large:
            return self._take()
        return entries

    def _take_requests(
        self, room: Room, budget: int, large: int, entries: list[BatchEntry], last: list[BatchEntry]
    ) -> tuple[int, int]:
        """Append a resident room's share to the batch; what it costs, and how many requests of it are large. With
        those it is one of the ``last``: they can use up the time of a host, and small ones would have to come again."""
        if room.phase is Phase.DEAD or not room.inbox or self._move_if_heavy(room):
            return 0, 0
        hosted = room.hosted
        if room.inbox.updates and not hosted.built and hosted.size > SLICE_BYTES:
            entries.append(BatchEntry(room, [Request(None, RequestKind.BUILD_DOC, b"")]))
            return SLICE_BYTES, 0
        seconds = BATCH_SECONDS * budget / self._batch_bytes
        taken = room.take(hosted.affordable_bytes(seconds, budget), large=large)
        if taken.requests:
            self._turns.charge(taken.requests)
            is_last = taken.large and not self._large_again
            (last if is_last else entries).append(BatchEntry(room, taken.requests, cost=taken.cost))
        if taken.large:
            self._large.add(room)
        expected = taken.cost * hosted.cpu_seconds_per_byte / BATCH_SECONDS
        cost = max(taken.cost, int(expected * self._batch_bytes))
        # A large request leaves at least half of the budget to small ones, which else would wait for it.
        return cost if not taken.large else min(cost, budget // 2), taken.large

    def _move_if_heavy(self, room: Room) -> bool:
        """Move a heavy room to the heavy host, while nothing of it is in flight here. Returns whether it has moved."""
        if self._heavy is None or not room.hosted.belongs_on_heavy_host or self.busy(room):
            return False
        self.drop(room)
        room.hosted.place(Placement.HEAVY_HOST)
        self._heavy.schedule(room)
        return True

    # -- loading

    def _start_fetch(self, room: Room, *, with_rows: bool = False) -> None:
        if room not in self._fetching and not self.residency.is_loading(room):
            self._fetching[room] = asyncio.create_task(self._fetch_room(room, with_rows))

    async def _fetch_room(self, room: Room, with_rows: bool) -> None:
        try:
            lacks_rows = room.hosted.has_schema and not self.residency.holds_wedding(room.wedding)
            plan = await self.events.fetch(room, with_rows or lacks_rows)
            if room.phase is Phase.DEAD:
                return
            if not room.hosted.derived:
                serve_from_store(room, plan.updates)
            if not plan.updates and not room.hosted.has_schema and serve_empty(room):
                return  # its first edit loads it: many rooms are opened and closed without an edit
            if sum(map(len, plan.updates)) > HEAVY_DOCUMENT_BYTES:
                room.hosted.mark_heavy()
            target = self
            if self._heavy is not None and room.hosted.belongs_on_heavy_host:
                room.hosted.place(Placement.HEAVY_HOST)
                target = self._heavy
            target.receive_load(room, plan)
        except LoadFailed as error:
            self.events.on_unreadable(room, str(error), stored=False)
        except Exception:
            # A defect of ours: the room ends, and what waits in it comes again, rather than wait for ever.
            log.exception("fetch_failed", room=room.name)
            self.events.fail(room)
        finally:
            del self._fetching[room]
            self._wake.set()

    def receive_load(self, room: Room, plan: LoadPlan) -> None:
        """Load the stored updates of a room into the host."""
        self.residency.add_load(room, plan)
        self._wake.set()
        self.supervisor.interrupt()

    # -- a batch and its response

    async def _run_batch(self, entries: list[BatchEntry], forget: list[int]) -> int:
        """Send a batch, and settle its response. Returns how many requests it had."""
        self.in_flight = {entry.room for entry in entries}
        requests = sum(len(entry.requests) for entry in entries)
        self.metrics.batch_requests.observe(requests)
        try:
            unfinished = self.settle(entries, await self.request(entries, forget))
            if self._large:
                self._large_again = any(entry.room in self._large for entry in unfinished)
            for entry in unfinished:
                again = [each for each in entry.requests if self._begun is None or each not in self._begun.requests]
                self._turns.refund(again)
                for request in reversed(again):
                    put_back(entry.room, request)
            first = dict.fromkeys(entry.room for entry in unfinished if entry.room in self._scheduled)
            self._scheduled = first | self._scheduled
            self.residency.forgotten(forget)
        except HostDied as death:
            await recover(self, entries, death)
        finally:
            self.in_flight = set()
        return requests

    async def request(self, entries: Sequence[BatchEntry], forget: Sequence[int] = ()) -> BatchResponse:
        """The host's response, checked. Raises HostDied."""
        jobs: list[Job] = [ForgetRooms(list(forget))] if forget else []
        others_wait = any(room not in self.in_flight for room in chain(self.residency.loads, self._scheduled))
        begun = None if self._begun is None else self._begun.requests[0]
        rooms = [entry.for_host(begun) for entry in entries]
        response = await self.supervisor.run(rooms, jobs, others_wait=others_wait)
        if not fits(entries, self.residency.known, response):
            raise await self.supervisor.kill("broken response")
        return response

    def settle(self, entries: Sequence[BatchEntry], response: BatchResponse) -> list[BatchEntry]:
        """Submit the results of a batch for storage. Returns the requests that have to come again."""
        unfinished: list[BatchEntry] = []
        postponed: list[BatchEntry] = []
        self._begun = None
        if response.begun is not None:
            entry = entries[response.begun.room]
            self._begun = BatchEntry(entry.room, [entry.requests[response.begun.request]])
        for entry, result in zip(entries, response.results, strict=True):
            if type(result) is RoomResult:
                if entry.load is not None and entry.load.last and self.residency.loaded(entry.room):
                    entry.room.opened()
                    if entry.room.inbox:
                        self.schedule(entry.room)
                later = settle_room(self.events, entry, result)
                if entry.cost:
                    account(self._turns, entry, result, later)
                if later:
                    unfinished.append(BatchEntry(entry.room, later))
            elif type(result) is LoadRefused:
                self.events.on_unreadable(entry.room, result.reason)
            elif type(result) is LoadPostponed:
                postponed.append(entry)
            else:
                self.residency.cancel_load(entry.room)
                self._start_fetch(entry.room, with_rows=True)
        self.residency.loads.put_back([entry for entry in postponed if entry.room not in self._fetching])
        known = self.residency.known
        for other in response.others:
            room = known[other.room]
            room.hosted.measured(other.size, built=other.built)
            submit(self.events, RoomBatch(room), other)
        for wedding in response.weddings:
            room = known[wedding.room]
            if wedding.unfinished:
                self.continuations.add(room)
            self.events.on_scheduled(room, wedding.due_seconds, wedding.needed)
        return unfinished

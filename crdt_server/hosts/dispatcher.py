"""The way to one document host: which rooms have something for it, one batch in flight, and what happens when it dies.

A death says little about the batch: the host marks in shared memory what it is busy with, so the first suspect is
known, but memory damaged earlier can kill later. Therefore the batch is run again on a new host in parts (before the
suspect, the suspect alone, after it), halving where there is no suspect, until the request that kills stands alone.
Only a request that kills a fresh host all by itself is guilty. Everything else is applied as if nothing had happened.

A room that costs much (a large document, a large update, an update that was deadly) moves to the heavy lane between two
batches, as after a death: forgotten here, read from the store there. The others do not wait for it any more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import structlog

from crdt_server.hosts.batch import SLICE_BYTES, BatchEntry, LoadPlan, split, well_formed
from crdt_server.hosts.supervisor import HostDied, Supervisor
from crdt_server.metrics import Metrics
from crdt_server.pipe import NO_SETTING, Job, ProgressMark, RequestKind, Status, answers_in
from crdt_server.rooms.room import Phase, Room, Verdict
from crdt_server.rooms.session import Request

log = structlog.get_logger(__name__)

BATCH_BYTES = 96 * 1024
HEAVY_BATCH_BYTES = 16 * 1024  # what is heavy comes in pieces of that size: one of them in a batch
LARGE_IN_BATCH = 1  # and none in the next, so that a small edit waits for one at most
HEAVY_DOCUMENT_BYTES = 1 << 20
OUTSIDE_KILLS = 5  # somebody keeps killing the host: end the room rather than judge an innocent


class LoadFailed(Exception):
    """What is stored cannot be loaded into a host."""


class LoadDied(Exception):
    """A host died while documents were brought into it, before any request ran."""


class HostDispatcher:
    """Batches for one host.

    ``fetch(room, with_rows)`` reads what is stored of a room (after all its commits), with the rows of its wedding
    where the host does not have them, and may raise; ``deliver`` takes verdicts; ``unreadable`` and ``failed`` end a
    room; ``convicted`` hears of a request that killed a host alone; ``tend`` hears that the wedding of a room has
    something to do in some seconds, and which documents it wants open; ``heavy`` is where heavy rooms go (None in the
    heavy lane itself).
    """

    def __init__(
        self,
        supervisor: Supervisor,
        metrics: Metrics,
        *,
        fetch: Callable[[Room, bool], Awaitable[LoadPlan]],
        deliver: Callable[[Verdict], None],
        unreadable: Callable[[Room, str], None],
        failed: Callable[[Room], None],
        convicted: Callable[[Request, Room, str], None],
        tend: Callable[[Room, float | None, Sequence[str]], None],
        heavy: HostDispatcher | None = None,
        batch_bytes: int = BATCH_BYTES,
    ) -> None:
        self.supervisor = supervisor
        self._metrics = metrics
        self._fetch = fetch
        self._deliver = deliver
        self._unreadable = unreadable
        self._failed = failed
        self._convicted = convicted
        self._tend = tend
        self._heavy = heavy
        self._batch_bytes = batch_bytes
        self._dirty: deque[Room] = deque()
        self._fetching: dict[Room, asyncio.Task[None]] = {}
        self._loading: dict[Room, deque[BatchEntry]] = {}
        self._resident: set[Room] = set()
        self._forget: list[int] = []
        self._busy: set[Room] = set()
        self._took_large = False
        self._weddings: dict[str, set[Room]] = {}  # of documents with a schema: which of them the host has heard of
        self._known: dict[int, Room] = {}  # the same by id, until the host has forgotten them
        self._wake = asyncio.Event()

    # -- called by the hub, at any time

    def mark(self, room: Room) -> None:
        """The room has something for the host."""
        if not room.marked:
            room.marked = True
            self._dirty.append(room)
            self._wake.set()

    def busy(self, room: Room) -> bool:
        """Whether the room is part of the batch in flight or of a load."""
        if room in self._busy or room in self._fetching or room in self._loading:
            return True
        # the server may write into any document of a wedding that is part of the batch
        return room.checked and not self._busy.isdisjoint(self._weddings.get(room.wedding, ()))

    def drop(self, room: Room) -> None:
        """The room has ended: the host may forget its document."""
        partly = self._loading.pop(room, None) is not None
        if partly or room in self._resident or room in self._busy:
            self._resident.discard(room)
            self._forget.append(room.id)
            self._wake.set()
        if room.checked and (rooms := self._weddings.get(room.wedding)):
            rooms.discard(room)
            if not rooms:
                del self._weddings[room.wedding]

    # -- the pump

    async def run(self) -> None:
        """One batch after the other, until cancelled."""
        while True:
            await self._wake.wait()
            entries = self._take()
            forget, self._forget = self._forget, []
            if not entries and not forget:
                self._wake.clear()
                continue
            try:
                await self._run_batch(entries, forget)
            except Exception:
                # A defect of ours: these rooms end and come back from the store, the lane goes on.
                log.exception("batch_failed", host=self.supervisor.name)
                for entry in entries:
                    self._failed(entry.room)
            del entries, forget  # megabytes, perhaps, while this waits for the next

    def _take(self) -> list[BatchEntry]:
        """The next batch: a slice of every load that fits, and a fair share of every dirty room."""
        entries: list[BatchEntry] = []
        budget = SLICE_BYTES
        for room in list(self._loading):
            if budget <= 0:
                break
            entries.append(self._take_slice(room))
            budget -= sum(map(len, entries[-1].load or ()))
        arriving = {entry.room for entry in entries}
        budget, large = self._batch_bytes, 0 if self._took_large else LARGE_IN_BATCH
        skipped_large, self._took_large = self._took_large, False
        for _ in range(len(self._dirty)):
            if budget <= 0:
                break
            room = self._dirty.popleft()
            room.marked = False
            if room.phase is Phase.DEAD or not room.dirty:
                continue
            if room.belongs_elsewhere and self._heavy is not None and not self.busy(room):
                self._hand_over(room, self._heavy)
                continue
            if room not in self._resident:
                if room not in arriving:  # a second fetch would set its sequence number back
                    self._start_fetch(room)
                continue  # it is marked again when it is loaded
            if room.queued_updates and not room.warm and room.size > SLICE_BYTES:
                entries.append(BatchEntry(room, [_warm_request()]))
                budget -= SLICE_BYTES // 4
            else:
                requests, used, taken_large = room.take(budget, large=large)
                if requests:
                    entries.append(BatchEntry(room, requests))
                # What is large comes on top: those with small edits are not to wait behind it in turn.
                budget -= used if not taken_large else min(used, budget // 2)
                large -= taken_large
                self._took_large = self._took_large or taken_large > 0
            if room.dirty:
                self.mark(room)
        if not entries and self._dirty and skipped_large:
            return self._take()
        return entries

    def _hand_over(self, room: Room, heavy: HostDispatcher) -> None:
        """Between two batches: nothing of the room is under way here."""
        self.drop(room)
        room.moved, room.warm = True, False
        heavy.mark(room)

    def _take_slice(self, room: Room) -> BatchEntry:
        steps = self._loading[room]
        step = steps.popleft()
        if not steps:
            del self._loading[room]
        return step

    def _start_fetch(self, room: Room, *, with_rows: bool = False) -> None:
        if room not in self._fetching and room not in self._loading:
            self._fetching[room] = asyncio.create_task(self._fetch_room(room, with_rows))

    def _lacks_rows(self, room: Room) -> bool:
        return room.checked and room.wedding not in self._weddings

    async def _fetch_room(self, room: Room, with_rows: bool) -> None:
        try:
            stored = await self._fetch(room, with_rows or self._lacks_rows(room))
            if room.phase is Phase.DEAD:
                return
            room.serve_from_store(stored.updates)
            if sum(map(len, stored.updates)) > HEAVY_DOCUMENT_BYTES:
                room.heavy = True
            target = self
            if room.belongs_elsewhere and self._heavy is not None:
                room.moved, target = True, self._heavy
            target.receive_load(room, stored)
        except LoadFailed as error:
            self._unreadable(room, str(error))
        finally:
            del self._fetching[room]
            self._wake.set()

    def receive_load(self, room: Room, stored: LoadPlan) -> None:
        """What is stored of a room, to be brought into the host."""
        self._loading[room] = stored.steps(room)
        self._meet(room)
        self._wake.set()

    def _meet(self, room: Room) -> None:
        if room.checked:
            self._weddings.setdefault(room.wedding, set()).add(room)
            self._known[room.id] = room

    async def _run_batch(self, entries: list[BatchEntry], forget: list[int]) -> None:
        self._busy = {entry.room for entry in entries}
        jobs = [[Job.FORGET, forget]] if forget else []
        self._metrics.batch_requests.observe(sum(len(entry.requests) for entry in entries))
        try:
            self._settle(entries, await self._ask(entries, jobs))
            for room_id in forget:
                self._known.pop(room_id, None)
        except HostDied as death:
            await self._recover(entries, death)
        finally:
            self._busy = set()

    async def _ask(self, entries: Sequence[BatchEntry], jobs: Sequence[Any] = ()) -> list[Any]:
        """The host's answer, checked: it has read hostile bytes, and may say anything. Raises HostDied."""
        answer = await self.supervisor.run([entry.wire() for entry in entries], jobs)
        if not well_formed(entries, self._known, answer):
            raise await self.supervisor.condemn("broken answer")
        return list(answer)

    def _settle(
        self, entries: Sequence[BatchEntry], answer: Sequence[Any], unfinished: list[BatchEntry] | None = None
    ) -> None:
        """Hand a batch's verdicts on. What has to be asked again goes back to its room, or into ``unfinished``."""
        results, _, others, weddings = answer
        for entry, (_, merged, faults, answers, size, warm, facts, notices) in zip(entries, results, strict=True):
            room = entry.room
            if size == NO_SETTING:
                self._loading.pop(room, None)
                self._start_fetch(room, with_rows=True)
                continue
            if size < 0:
                self._unreadable(room, str(warm))
                continue
            room.size, room.warm = size, warm
            room.heavy = room.heavy or size > HEAVY_DOCUMENT_BYTES
            if warm:
                room.load_deaths = 0  # what is stored has been survived: those deaths had another cause
            if entry.load is not None and entry.last:
                self._arrived(room)
            if room.phase is Phase.DEAD:
                continue
            requests = [] if entry.requests and entry.requests[0].kind is RequestKind.WARM else entry.requests
            if not (requests or merged or facts):
                continue
            statuses = {i: Status(status) for i, status in faults}
            newest = merged[-1] if merged else None
            verdicts = [Verdict(room, (), update, {}, {}, last=False) for update in merged[:-1]]
            verdicts.append(Verdict(room, requests, newest, statuses, answers_in(answers), facts, notices))
            later = [entry.requests[i] for i, status in statuses.items() if status is Status.LATER]
            if unfinished is None:
                for request in reversed(later):
                    room.put_back(request)
            elif later:
                unfinished.append(BatchEntry(room, later))
            for i, status in statuses.items():
                if status is Status.DEADLY:
                    self._convicted(entry.requests[i], room, "a copy of the host died of it")
                    room.heavy = True
                    room.give_up(entry.requests[i].session)
            for verdict in verdicts:
                room.judge(verdict)
                self._deliver(verdict)
        for room_id, merged, _, _, size, _, facts, _ in others:
            self._settle_other(self._known[room_id], merged, size, facts)
        for room_id, seconds, wanted in weddings:
            self._tend(self._known[room_id], seconds, wanted)

    def _settle_other(self, room: Room, merged: Sequence[bytes], size: int, facts: Any) -> None:
        """The server has written into a document that nobody asked anything of."""
        room.size = size
        verdicts = [Verdict(room, (), update, {}, {}, last=False) for update in merged[:-1]]
        verdicts.append(Verdict(room, (), merged[-1] if merged else None, {}, {}, facts))
        for verdict in verdicts:
            room.judge(verdict)
            self._deliver(verdict)

    def _arrived(self, room: Room) -> None:
        if room.phase is Phase.DEAD:
            self._forget.append(room.id)
            return
        self._resident.add(room)
        room.phase = Phase.LIVE
        if room.dirty:
            self.mark(room)

    # -- after a death

    def _forget_everything(self) -> None:
        """The host's documents are gone with it; rooms come back from the store when they next have something."""
        for room in self._resident:
            room.warm = False
        lost = [*self._resident, *self._loading]
        self._resident.clear()
        self._loading.clear()
        self._forget.clear()
        self._weddings.clear()
        self._known.clear()
        for room in lost:
            if room.dirty:
                self.mark(room)

    def _after_death(self, entries: Sequence[BatchEntry], death: HostDied) -> None:
        """Count it. A room whose stored bytes have killed a host twice goes on without a Doc, or ends."""
        self._metrics.host_restarts.inc()
        self._forget_everything()
        index, op = death.mark
        if len(entries) == 1 and not entries[0].requests:
            index, op = 0, ProgressMark.LOADING  # it did nothing but load
        if death.own_fault and op == ProgressMark.LOADING and index < len(entries):
            room = entries[index].room
            room.load_deaths += 1
            if room.load_deaths > 1:
                self._mistrust(room, death.cause)

    def _mistrust(self, room: Room, cause: str) -> None:
        if room.bytes_only:
            self._unreadable(room, f"reading it kills its host: {cause}")
            return
        log.error("document_without_proof", room=room.name, why=f"its Doc kills a host: {cause}")
        room.bytes_only, room.load_deaths = True, 0

    async def _recover(self, entries: Sequence[BatchEntry], death: HostDied) -> None:
        """Run a batch again that a host has died on, piece by piece. See the head of the file."""
        self._after_death(entries, death)
        work: deque[tuple[list[BatchEntry], int]] = deque()
        work.extendleft((part, 0) for part in reversed(self._parts(entries, death)))
        # What was only being loaded is loaded alone: if that kills again, it is known what did.
        work.extend(([BatchEntry(entry.room)], 0) for entry in entries if entry.load is not None)
        while work:
            part, kills = work.popleft()
            part = [entry for entry in part if entry.room.phase is not Phase.DEAD]
            try:
                await self._load_all([entry.room for entry in part])
            except LoadDied:
                work.appendleft((part, kills))
                continue
            try:
                part = [entry for entry in part if entry.requests and entry.room.phase is not Phase.DEAD]
                if part:
                    # Not put back among the others: there a request that kills would never stand alone.
                    unfinished: list[BatchEntry] = []
                    self._settle(part, await self._ask(part), unfinished)
                    if unfinished:
                        work.appendleft((unfinished, kills))
            except HostDied as again:
                self._after_death(part, again)
                alone = sum(len(entry.requests) for entry in part) == 1
                if not alone:
                    work.extendleft((smaller, 0) for smaller in reversed(self._parts(part, again)))
                elif again.own_fault:
                    self._convict(part[0], again.cause)
                elif kills < OUTSIDE_KILLS:
                    work.appendleft((part, kills + 1))
                else:
                    self._failed(part[0].room)

    def _parts(self, entries: Sequence[BatchEntry], death: HostDied) -> list[list[BatchEntry]]:
        """What to run again, in order; a suspect whose guilt is certain is convicted instead."""
        parts = split(entries, death)
        index, op = death.mark
        if death.certain and 0 <= index < len(entries) and 0 <= op < len(entries[index].requests):
            guilty = entries[index].requests[op]
            parts = [part for part in parts if not (len(part) == 1 and list(part[0].requests) == [guilty])]
            self._convict(BatchEntry(entries[index].room, [guilty]), death.cause)
        return parts

    def _convict(self, entry: BatchEntry, cause: str) -> None:
        (request,) = entry.requests
        status = Status.VIOLATION if request.kind is RequestKind.UPDATE else Status.MALFORMED
        self._convicted(request, entry.room, cause)
        verdict = Verdict(entry.room, [request], None, {0: status}, {})
        entry.room.judge(verdict)
        self._deliver(verdict)

    async def _load_all(self, rooms: Sequence[Room]) -> None:
        """Bring rooms into the new host. Raises HostDied, after which none of them is there."""
        missing = [r for r in dict.fromkeys(rooms) if r not in self._resident and r.phase is not Phase.DEAD]
        stored = await asyncio.gather(*(self._fetch_or_end(room) for room in missing))
        for room, steps in zip(missing, stored, strict=True):
            self._meet(room)
            while steps and room.phase is not Phase.DEAD:
                entry = steps.popleft()
                try:
                    self._settle([entry], await self._ask([entry]))
                except HostDied as death:
                    self._after_death([entry], death)
                    raise LoadDied from death

    async def _fetch_or_end(self, room: Room) -> deque[BatchEntry] | None:
        try:
            return (await self._fetch(room, room.checked)).steps(room)
        except LoadFailed as error:
            self._unreadable(room, str(error))
            return None


def _warm_request() -> Request:
    return Request(None, RequestKind.WARM, b"")

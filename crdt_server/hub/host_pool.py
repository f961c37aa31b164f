"""The document hosts of the process: their dispatchers, the placement of rooms, and reactions to their reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from zlib import crc32

import structlog

from crdt_server.access.limits import SenderStrikes
from crdt_server.errors import CLOSE_CODES
from crdt_server.hosts.batch import LoadFailed, LoadPlan
from crdt_server.hosts.dispatcher import BATCH_BYTES, HEAVY_BATCH_BYTES, HostDispatcher
from crdt_server.hosts.jobs import JobWorker
from crdt_server.hosts.results import HEAVY_DOCUMENT_BYTES, is_too_expensive
from crdt_server.hosts.supervisor import HostFactory, Supervisor
from crdt_server.hub.background_tasks import Spawn
from crdt_server.hub.bookings import read_vouched
from crdt_server.hub.commit import CommitPump
from crdt_server.hub.compaction import Compactor
from crdt_server.hub.host_memory import HostMemories, IdleHosts
from crdt_server.hub.quotas import Quotas
from crdt_server.hub.registry import RoomRegistry, key_of
from crdt_server.hub.scheduler import Scheduler
from crdt_server.hub.stored_documents import plan_load
from crdt_server.metrics import Metrics
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import Request
from crdt_server.settings import Settings
from storage import QuarantinedUpdate, Storage, StorageError

log = structlog.get_logger(__name__)

# Where cores are few, the serving process goes first, then the hosts of small documents, then large ones, then jobs.
HOST_NICENESS, HEAVY_NICENESS, JOB_NICENESS = 2, 4, 10
DERIVED_TAIL = 4  # rows of a derived document until it is compacted: they may hold what is not shown any more
JOB_PATIENCE = 4  # it goes last, and an update that it has no time to check is refused


class HostPool:
    """See the head of the file. It is the `DispatcherEvents` of its dispatchers. ``fail`` ends a room with all that one
    host holds of its wedding; ``spawn`` starts a task; ``strikes`` are those of senders."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        metrics: Metrics,
        factory: HostFactory,
        quotas: Quotas,
        *,
        fail: Callable[[Room], None],
        spawn: Spawn,
        strikes: SenderStrikes,
    ) -> None:
        self._settings = settings
        self._storage = storage
        self._metrics = metrics
        self._factory = factory
        self._quotas = quotas
        self.vouched = read_vouched(settings.vouched_organizations)
        self.fail = fail
        self._spawn = spawn
        self._strikes = strikes
        self._tails: dict[Room, int] = {}  # rows stored since the room was last compacted
        self.heavy = HostDispatcher(
            self._supervisor("host-heavy", HEAVY_NICENESS), metrics, self, batch_bytes=HEAVY_BATCH_BYTES
        )
        self.dispatchers = [
            HostDispatcher(
                self._supervisor(f"host-{n}", HOST_NICENESS), metrics, self, heavy=self.heavy, batch_bytes=BATCH_BYTES
            )
            for n in range(settings.document_hosts)
        ]
        self._memories = HostMemories(
            (each.supervisor for each in (*self.dispatchers, self.heavy)),
            settings.host_memory_bytes,
            metrics,
            lambda rooms: self._registry.evict_idle(asyncio.get_running_loop().time(), 0, rooms),
        )
        self.jobs = JobWorker(
            self._supervisor("jobs", JOB_NICENESS, JOB_PATIENCE),
            self._supervisor("jobs-small", JOB_NICENESS, JOB_PATIENCE),
            most_bytes=settings.max_checking_bytes,
            most_per_sender=settings.max_checking_per_sender,
        )
        self.compactor = Compactor(storage, self.jobs, metrics)
        self._commits: CommitPump
        self._registry: RoomRegistry
        self._scheduler: Scheduler

    def connect(self, registry: RoomRegistry, commits: CommitPump, scheduler: Scheduler) -> None:
        """The open rooms, where batches are stored, and what runs scheduled work. To be called before `start`."""
        self._registry, self._commits, self._scheduler = registry, commits, scheduler

    def _supervisor(self, name: str, niceness: int, patience: float = 1) -> Supervisor:
        seconds = patience * self._settings.host_timeout_seconds
        return Supervisor(name, self._factory, timeout_seconds=seconds, niceness=niceness)

    def dispatcher_for(self, room: Room) -> HostDispatcher:
        """The dispatcher of the room's wedding, whose documents are in one host, or that of the heavy host."""
        if room.hosted.placement is Placement.HEAVY_HOST:
            return self.heavy
        return self.dispatchers[crc32(room.wedding.encode()) % len(self.dispatchers)]

    async def start(self) -> None:
        """Start the hosts and their pumps."""
        await asyncio.gather(*(dispatcher.supervisor.start() for dispatcher in self.dispatchers))
        self._spawn(self.jobs.run())
        self._spawn(self.compactor.run())
        for dispatcher in (*self.dispatchers, self.heavy):
            self._spawn(dispatcher.run())
        self._spawn(IdleHosts([*self.dispatchers, self.heavy], self.jobs.supervisors).run())

    async def stop(self) -> None:
        """End the hosts."""
        supervisors = [each.supervisor for each in (*self.dispatchers, self.heavy)]
        await asyncio.gather(*(each.stop() for each in supervisors), self.jobs.stop(), self._factory.stop())

    def evicted(self, room: Room) -> None:
        """The room is evicted because it was empty: its document may be compacted."""
        self._metrics.evictions.inc()
        if self._tails.get(room, 0) > (0 if room.hosted.derived else 1):
            self.compactor.schedule(key_of(room))

    def closed(self, room: Room) -> None:
        """The room has ended."""
        self._tails.pop(room, None)
        self._memories.closed(room)

    # -- events of the dispatchers

    async def fetch(self, room: Room, with_rows: bool) -> LoadPlan:
        """The stored rows of a room, after all its commits. The room ends where its host has no memory for it."""
        await self._commits.flush()
        room.hosted.quota = self._quotas.open(room.wedding)
        key, has_schema = key_of(room), room.hosted.has_schema
        try:
            stored = await self._storage.load(key)
            plan = await plan_load(self._storage, key, stored, self.vouched, has_schema=has_schema, with_rows=with_rows)
        except StorageError as error:
            raise LoadFailed(f"{type(error).__name__}: {error}") from error
        if plan.context is not None and plan.context.others:
            # Stored by a process that has ended since, perhaps before the weddings were notified.
            self._scheduler.schedule(room.wedding, room.document, None, ["wedding"])
        if room.ended:
            return LoadPlan([])
        size = sum(map(len, plan.updates))
        is_large = size > HEAVY_DOCUMENT_BYTES and not has_schema
        dispatcher = self.heavy if is_large else self.dispatcher_for(room)
        if not self._memories.admit(room, size, dispatcher.supervisor):
            self._registry.end(room, CLOSE_CODES["try_again"], "too many documents are open")
            return LoadPlan([])
        room.loaded_from_store(stored.head_seq)
        self._tails[room] = sum(row.first_seq == row.last_seq for row in stored.updates)
        if room.hosted.derived and len(stored.updates) > 1:
            self.compactor.schedule(key)
        return plan

    def on_batch(self, batch: RoomBatch) -> None:
        """Store a batch, and have its document compacted now and then."""
        self._commits.put(batch)
        room = batch.room
        if batch.update is not None and room.phase is not Phase.DEAD:
            tail = self._tails[room] = self._tails.get(room, 0) + 1
            most = self._settings.compact_after_updates
            if tail >= (min(DERIVED_TAIL, most) if room.hosted.derived else most):
                self._tails[room] = 0
                self.compactor.schedule(key_of(room))

    def on_unreadable(self, room: Room, why: str, *, stored: bool = True) -> None:
        """The ``stored`` rows of a room cannot be held, or could not be fetched."""
        log.error("document_unreadable", room=room.name, why=why)
        self._registry.refuse(room, asyncio.get_running_loop().time() if stored else None)

    def on_over_quota(self, room: Room) -> None:
        """Measure the wedding of a room again, before long: something may have been freed."""
        self._quotas.open(room.wedding)

    def on_deadly(self, request: Request, room: Room, cause: str) -> None:
        """A request has killed a new host all by itself: quarantine it, but for a command that was too expensive."""
        session, address = request.session, request.session.connection.address
        expensive = is_too_expensive(request, cause)
        self._strikes.add(session.identity, address, asyncio.get_running_loop().time(), deadly=not expensive)
        if expensive:
            log.warning("command_too_expensive", room=room.name, user=session.user, size_bytes=len(request.payload))
            return
        sender = f"{session.user} {address}"
        log.error("update_quarantined", room=room.name, session=session.id, cause=cause)
        self._metrics.quarantined.inc()
        self._spawn(
            self._quarantine(QuarantinedUpdate(key_of(room), request.payload, cause, sender, datetime.now(UTC)))
        )

    async def _quarantine(self, item: QuarantinedUpdate) -> None:
        try:
            await self._storage.quarantine(item)
        except StorageError as error:
            log.error("quarantine_failed", error=str(error))

    def on_scheduled(self, room: Room, due_seconds: float | None, needed: Sequence[str]) -> None:
        """Schedule the work of the wedding of a room."""
        self._scheduler.schedule(room.wedding, room.document, due_seconds, needed)

"""All rooms of the process: who opens them, which host has them, when they are given up.

The hub wires rooms, dispatchers, the commit pump, compaction and timers. Methods that are no coroutines return at once.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from functools import partial
from random import shuffle
from typing import Any
from zlib import crc32

import structlog

from crdt_server.access.identity import Identity
from crdt_server.access.limits import Strikes
from crdt_server.errors import CLOSE_CODES, AdmissionError
from crdt_server.hosts.batch import LoadPlan
from crdt_server.hosts.dispatcher import BATCH_BYTES, HEAVY_BATCH_BYTES, HostDispatcher, LoadFailed
from crdt_server.hosts.jobs import JobFailed, JobWorker
from crdt_server.hosts.supervisor import HostFactory, Supervisor
from crdt_server.hub.bookings import BookingNotifier
from crdt_server.hub.cluster_port import ClusterPort, RoomDispatcher
from crdt_server.hub.commit import CommitPump
from crdt_server.hub.compaction import Compactor
from crdt_server.hub.event_notifier import EventNotifier
from crdt_server.hub.loop_monitor import LoopMonitor, forget_answers
from crdt_server.hub.request_session import RequestConnection, RequestSession, settled
from crdt_server.hub.scheduler import Scheduler
from crdt_server.memory import trim_heap
from crdt_server.metrics import Metrics
from crdt_server.protocol.messages import Received
from crdt_server.rooms.room import Phase, Room, RoomLimits, Verdict
from crdt_server.rooms.session import Connection, Request, Session, SessionId
from crdt_server.settings import Settings
from storage import DocumentKey, QuarantinedUpdate, Storage, StorageError

log = structlog.get_logger(__name__)

# Where cores are few, who carries all messages goes first, then who edits, then large documents, then long work.
HOST_NICENESS, HEAVY_NICENESS, WORKSHOP_NICENESS = 2, 4, 10
WORKSHOP_PATIENCE = 4  # it goes last, and whose update it has no time to check is refused
SWEEP_SECONDS = 5.0
SHED_TICK_SECONDS = 0.5
MOST_REVERTED = 20  # of one session in a minute
GOODBYE_SECONDS, GOODBYES_PER_SECOND, GOODBYES_AT_ONCE = 2.0, 1000, 20
KEEP_ALIVE_SECONDS = 20.0  # stock clients drop a link on which they heard nothing for 30 s


def _key(room: Room) -> DocumentKey:
    return DocumentKey(room.wedding, room.document)


def _judged_with(room: Room, other: Room) -> bool:
    """Whether one host has both, and looks from one into the other."""
    return room.checked and not room.away and room.wedding == other.wedding


class Hub:
    """See the head of the file. `start` before the first `enter`, `stop` at the end. ``cluster``: the other nodes;
    ``factory``: starts the hosts otherwise than the settings say."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        metrics: Metrics,
        cluster: ClusterPort | None = None,
        factory: HostFactory | None = None,
    ) -> None:
        self.settings = settings
        self.storage = storage
        self.metrics = metrics
        self.cluster = cluster
        self.rooms: dict[tuple[str, str], Room] = {}
        self.strikes = Strikes(settings.max_strikes)
        self.lag = LoopMonitor(metrics)
        self.draining = False
        self._limits = RoomLimits(
            max_sessions=settings.max_connections_per_room, max_awareness_bytes=settings.max_awareness_bytes
        )
        self.feed = EventNotifier()
        self._commits = CommitPump(
            storage if cluster is None else cluster.store,
            metrics,
            on_failure=self.fail,
            released=self.look,
            recorded=self.feed.announce if cluster is None else cluster.recorded,
            booked=BookingNotifier(storage, self.ask, self.spawn).changed,
        )
        self._reverted = Strikes(MOST_REVERTED)
        self._tending = Scheduler(self.ask, self.spawn)
        self._factory = factory or HostFactory(
            memory_bytes=settings.host_memory_bytes, max_document_bytes=settings.max_document_bytes
        )
        self._heavy = self._make_lane("host-heavy", HEAVY_NICENESS, batch_bytes=HEAVY_BATCH_BYTES)
        self._lanes = [self._make_lane(f"host-{n}", HOST_NICENESS, self._heavy) for n in range(settings.document_hosts)]
        self.workshop = JobWorker(self._supervisor("workshop", WORKSHOP_NICENESS, WORKSHOP_PATIENCE))
        self.compactor = Compactor(storage, self.workshop, metrics)
        self._room_ids = itertools.count(1)
        self._session_ids = itertools.count(1)
        self._empty_since: dict[Room, float] = {}
        self._tails: dict[Room, int] = {}  # rows stored since the room was last compacted
        self._presence: dict[Room, None] = {}
        self._presence_timer: asyncio.TimerHandle | None = None
        self._last_keep_alive = 0.0
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        metrics.gauge("rooms", "Rooms that are open", lambda: len(self.rooms))
        metrics.gauge("loaded_bytes", "Stored bytes of the documents in memory", lambda: self.loaded_bytes)
        metrics.gauge("commit_backlog", "Verdicts that wait for a commit", lambda: self._commits.backlog)
        metrics.gauge("loop_lag_seconds", "How late the event loop is", lambda: self.lag.seconds)

    def _supervisor(self, name: str, niceness: int, patience: float = 1) -> Supervisor:
        seconds = patience * self.settings.host_timeout_seconds
        return Supervisor(name, self._factory, timeout_seconds=seconds, niceness=niceness)

    def _make_lane(
        self, name: str, niceness: int, heavy: HostDispatcher | None = None, batch_bytes: int = BATCH_BYTES
    ) -> HostDispatcher:
        return HostDispatcher(
            self._supervisor(name, niceness),
            self.metrics,
            fetch=self._fetch,
            deliver=self._deliver,
            unreadable=self._unreadable,
            failed=self.fail,
            convicted=self._convicted,
            tend=self._tending.hear,
            heavy=heavy,
            batch_bytes=batch_bytes,
        )

    # -- life

    async def start(self) -> None:
        """Start the hosts and the pumps."""
        self._loop = asyncio.get_running_loop()
        await asyncio.gather(*(lane.supervisor.start() for lane in self._lanes))
        self.spawn(self._commits.run())
        self.spawn(self.workshop.run())
        self.spawn(self.compactor.run())
        for lane in (*self._lanes, self._heavy):
            self.spawn(lane.run())
        if self.cluster is not None:
            await self.cluster.start()
        self.spawn(self._sweep())
        self.spawn(self.lag.run())
        self.spawn(forget_answers(self.storage))

    async def stop(self) -> None:
        """Let nobody in, store what has come in, close every socket with 1012, end the hosts."""
        self.draining = True
        self._tending.end()
        await self._say_goodbye()
        deadline = self._loop.time() + 5
        while self._loop.time() < deadline and any(room.dirty or self._in_use(room) for room in self.rooms.values()):
            await self._commits.flush()
            await asyncio.sleep(0.01)
        for room in list(self.rooms.values()):
            room.fail(CLOSE_CODES["restarting"], "restarting")
        if self.cluster is not None:
            await self.cluster.stop()
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("task_failed_at_stop", error=repr(result))
        places = [self.workshop.supervisor, *(lane.supervisor for lane in (*self._lanes, self._heavy))]
        await asyncio.gather(*(place.stop() for place in places), self._factory.stop())

    async def _say_goodbye(self) -> None:
        """Close the sockets in random order over a moment: stock clients come back at once, and to the other nodes."""
        sessions = [(room, session) for room in self.rooms.values() for session in room.sessions]
        shuffle(sessions)
        pause = min(GOODBYE_SECONDS, len(sessions) / GOODBYES_PER_SECOND) / (len(sessions) or 1)
        for count, (room, session) in enumerate(sessions, 1):
            if not session.exchange:
                room.close(session, CLOSE_CODES["restarting"], "restarting")
            if count % GOODBYES_AT_ONCE == 0:
                await asyncio.sleep(GOODBYES_AT_ONCE * pause)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it until the end of the hub."""
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", task=str(task.get_coro()), exc_info=error)

    # -- sessions

    def enter(
        self,
        wedding: str,
        document: str,
        connection: Connection,
        identity: Identity,
        session_type: Callable[[SessionId, Connection, Identity], Session] = Session,
    ) -> tuple[Room, Session]:
        """Join the room of a document, opening it where needed. Raises AdmissionError."""
        room = self.open(wedding, document)
        if room.full:
            raise AdmissionError("room_full", "too many sockets in this room")
        session = session_type(SessionId(next(self._session_ids)), connection, identity)
        self._empty_since.pop(room, None)
        room.join(session)
        self.look(room)
        return room, session

    def receive(self, room: Room, session: Session, messages: Iterable[Received]) -> None:
        """The messages of one frame of a session."""
        room.receive(session, messages)
        self.look(room)

    def leave(self, room: Room, session: Session) -> None:
        """The session's connection is gone."""
        room.leave(session)
        self.rest(room)
        if room.awareness.dirty:
            self.presence_changed(room)

    def rest(self, room: Room) -> None:
        """Somebody has left the room: it may stand empty now."""
        if not room.sessions and room.phase is not Phase.DEAD:
            self._empty_since[room] = self._loop.time()

    def look(self, room: Room) -> None:
        """After anything that may have given the room something to do."""
        if room.dirty and not room.marked:
            self.lane(room).mark(room)
        if room.awareness_waiting and room not in self._presence:
            self.presence_changed(room)

    def lane(self, room: Room) -> RoomDispatcher:
        """The lane of a room: that of its wedding, whose documents are in one host, or the heavy one; or the way to
        the node that owns it."""
        if room.away:
            assert self.cluster is not None
            return self.cluster.dispatcher
        if room.moved:
            return self._heavy
        return self._lanes[crc32(room.wedding.encode()) % len(self._lanes)]

    # -- rooms

    @property
    def overloaded(self) -> bool:
        """Whether the event loop is so late that it had better not take on more."""
        return self.lag.seconds > self.settings.max_loop_lag_seconds

    @property
    def loaded_bytes(self) -> int:
        """Stored bytes of all open documents."""
        return sum(room.size for room in self.rooms.values())

    def open(self, wedding: str, document: str) -> Room:
        """The open room of a document, opened where needed. Raises AdmissionError."""
        if self.draining:
            raise AdmissionError("draining", "the server is going away")
        return self.rooms.get((wedding, document)) or self._open(wedding, document)

    def time(self) -> float:
        """Seconds of the loop's clock."""
        return self._loop.time()

    def _open(self, wedding: str, document: str) -> Room:
        if self.loaded_bytes > self.settings.loaded_bytes:
            self._give_up_idle(0)
            if self.loaded_bytes > self.settings.loaded_bytes:
                raise AdmissionError("memory", "too many documents are open")
        room = Room(
            next(self._room_ids),
            wedding,
            document,
            self._limits,
            self.metrics.counters,
            vet=self._vet,
            blame=partial(self._blame, f"{wedding}/{document}"),
            oversteps=self._oversteps,
        )
        self.rooms[wedding, document] = room
        if self.cluster is not None:
            self.cluster.opened(room)
        return room

    async def _fetch(self, room: Room, with_rows: bool) -> LoadPlan:
        """What is stored of a room, after all its commits."""
        await self._commits.flush()
        try:
            stored = await self.storage.load(_key(room))
            setting = await self._fetch_setting(room, with_rows) if room.checked else None
        except StorageError as error:
            raise LoadFailed(f"{type(error).__name__}: {error}") from error
        room.head_seq = stored.head_seq
        self._tails[room] = sum(row.first_seq == row.last_seq for row in stored.updates)
        return LoadPlan([row.update for row in stored.updates], setting)

    async def _fetch_setting(self, room: Room, with_rows: bool) -> list[Any]:
        owners = await self.storage.owners(_key(room))
        setting = [room.wedding, room.document, list(owners.items())]
        if not with_rows:
            return [*setting, None, [], []]
        rows = [(name, *row) for name, row in await self.storage.wedding_rows(room.wedding)]
        bookings = await self.storage.bookings(room.wedding)
        others = await self.storage.overlapping(room.wedding) if bookings else []
        if others:  # stored by a process that has ended since, perhaps before anybody was told
            self._tending.hear(room, None, ["wedding"])
        return [*setting, rows, bookings, others]

    def _deliver(self, verdict: Verdict) -> None:
        self._commits.put(verdict)
        room = verdict.room
        if verdict.merged is not None and room.phase is not Phase.DEAD:
            self._tails[room] = self._tails.get(room, 0) + 1
            if self._tails[room] >= self.settings.compact_after_updates:
                self._tails[room] = 0
                self.compactor.ask(_key(room))
        self.look(room)

    def _unreadable(self, room: Room, why: str) -> None:
        log.error("document_unreadable", room=room.name, why=why)
        self._end(room)

    def _end(self, room: Room) -> None:
        """End a room in the middle of its work: sockets closed with 1013, the host's copy dropped."""
        log.warning("room_failed", room=room.name, sessions=len(room.sessions))
        self._close_room(room)
        room.fail(CLOSE_CODES["try_again"], "try again")

    def fail(self, room: Room) -> None:
        """What a room's host holds is not what is stored: it ends, and comes back from the store."""
        if room.phase is Phase.DEAD:
            return
        self._end(room)
        if room.checked and not room.away:
            # What their host knows of the wedding is ahead of the store: all of it comes back from there.
            for other in [each for each in self.rooms.values() if _judged_with(each, room)]:
                self.fail(other)

    def _close_room(self, room: Room) -> None:
        if self.rooms.get((room.wedding, room.document)) is room:
            del self.rooms[room.wedding, room.document]
        self._empty_since.pop(room, None)
        self._tails.pop(room, None)
        self._presence.pop(room, None)
        self.lane(room).drop(room)
        if self.cluster is not None:
            self.cluster.closed(room)

    def _in_use(self, room: Room) -> bool:
        return room.dirty or room.unsettled > 0 or self.lane(room).busy(room)

    def _give_up_idle(self, grace_seconds: float) -> None:
        """Evict rooms that have been empty for long enough, the longest empty first."""
        now = self._loop.time()
        for room, since in list(self._empty_since.items()):
            followed = room.relay is not None
            if now - since < grace_seconds or room.sessions or followed or self._in_use(room):
                continue
            tail = self._tails.get(room, 0)
            self._close_room(room)
            room.phase = Phase.DEAD
            self.metrics.evictions.inc()
            if tail > 1:
                self.compactor.ask(_key(room))

    async def ask(self, key: DocumentKey, identity: Identity, address: str, request: Request) -> Any:
        """Ask the document something outside any socket, and wait for the answer; what it changed is stored then.

        Raises what `offline.sync` raises.
        """
        silence = RequestConnection(address)
        room, session = self.enter(*key, silence, identity, RequestSession)
        assert isinstance(session, RequestSession)
        try:
            request.session = session
            future = session.expect(request)
            room.ask(request)
            self.look(room)
            (answer,) = await settled([future], silence)
        finally:
            self.leave(room, session)
        return answer

    def _oversteps(self, session: Session) -> bool:
        now = self._loop.time()
        self._reverted.add(str(session.id), now)
        return self._reverted.out(str(session.id), now)

    # -- what is hostile

    def _blame(self, room: str, session: Session) -> None:
        """What a session sent is refused for good."""
        log.info("session_refused", room=room, session=session.id, user=session.user)
        self.strikes.add(session.connection.address, self._loop.time())

    def _vet(self, room: Room, request: Request) -> None:
        room.unsettled += 1
        self.spawn(self._check(room, request))

    async def _check(self, room: Room, request: Request) -> None:
        try:
            pieces = await self.workshop.check(request.payload)
        except JobFailed as failure:
            log.info("large_update_refused", session=request.session.id, why=str(failure))
            pieces = None
        room.unsettled -= 1
        room.vetted(request, pieces)
        self.look(room)

    def _convicted(self, request: Request, room: Room, cause: str) -> None:
        """A request has killed a fresh host all by itself: keep it for study."""
        sender = f"{request.session.user} {request.session.connection.address}"
        log.error("update_quarantined", room=room.name, session=request.session.id, cause=cause)
        self.metrics.quarantined.inc()
        self.spawn(self._keep_aside(QuarantinedUpdate(_key(room), request.payload, cause, sender, datetime.now(UTC))))

    async def _keep_aside(self, item: QuarantinedUpdate) -> None:
        try:
            await self.storage.quarantine(item)
        except StorageError as error:
            log.error("quarantine_failed", error=str(error))

    # -- ticks

    def presence_changed(self, room: Room) -> None:
        """There is something to tell of who is in the room."""
        self._presence[room] = None
        if self._presence_timer is None:
            delay = SHED_TICK_SECONDS if self.lag.slow else self.settings.awareness_tick_seconds
            self._presence_timer = self._loop.call_later(delay, self._tell_presence)

    def _tell_presence(self) -> None:
        self._presence_timer = None
        rooms, self._presence = self._presence, {}
        now = self._loop.time()
        for room in rooms:
            room.tell_presence(now)

    async def _sweep(self) -> None:
        """Every few seconds: presence that went silent, links that heard nothing, rooms that stand empty."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self._loop.time()
            keep_alive = now - self._last_keep_alive >= KEEP_ALIVE_SECONDS
            if keep_alive:
                self._last_keep_alive = now
            for count, room in enumerate(list(self.rooms.values())):
                if len(room.awareness):
                    room.awareness.expire(now, self.settings.awareness_silence_seconds)
                    room.tell_presence(now)
                if keep_alive:
                    room.keep_alive()
                if count % 50 == 49:
                    await asyncio.sleep(0)
            self._give_up_idle(self.settings.room_grace_seconds)
            # What ends in cycles (every error that was raised through a task) may hold large frames. The collector,
            # told to count to 50,000 objects, does not see their bytes: 150 MB were kept. The young ones take some ms.
            gc.collect(1)
            if keep_alive:
                await asyncio.to_thread(trim_heap)
            self.strikes.forget(now)
            self._reverted.forget(now)

"""All rooms of the process, on one event loop: sessions enter and leave, requests come from outside any socket.

The hub wires the parts that do the work: open rooms (`registry`), document hosts (`host_pool`), the commit pump
(`commit`), scheduled work (`scheduler`), periodic work (`ticks`), and the end of the process (`shutdown`). Methods that
are not coroutines return at once.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from crdt_server.access.identity import Identity, Person, proven
from crdt_server.access.limits import Allowance, SenderStrikes
from crdt_server.access.role_limits import RoleBuckets
from crdt_server.errors import CLOSE_CODES, AdmissionError
from crdt_server.hosts.fair_queue import RequestSender
from crdt_server.hosts.jobs import JobDied, JobFailed, JobsFull
from crdt_server.hosts.supervisor import HostFactory
from crdt_server.hub.audit_log import AuditLog
from crdt_server.hub.background_tasks import BackgroundTasks, Work
from crdt_server.hub.bookings import BookingNotifier
from crdt_server.hub.cluster_port import ClusterPort, RoomDispatcher
from crdt_server.hub.commit import CommitPump
from crdt_server.hub.connected_people import ConnectedPeople
from crdt_server.hub.event_notifier import EventNotifier, EventPublisher
from crdt_server.hub.host_pool import HostPool
from crdt_server.hub.loop_monitor import LoopMonitor
from crdt_server.hub.pacing import Pacer, role_limits
from crdt_server.hub.quotas import Limits, ObservedStore, Observer, Quotas
from crdt_server.hub.redactions import Purger
from crdt_server.hub.registry import RoomRegistry
from crdt_server.hub.request_session import RequestConnection, RequestSession, settled
from crdt_server.hub.retention import Kept, Retention
from crdt_server.hub.rights import RightsWatch
from crdt_server.hub.scheduler import Scheduler
from crdt_server.hub.shrinking import Shrinking
from crdt_server.hub.shutdown import close_sockets
from crdt_server.hub.ticks import Ticks, forget_answers
from crdt_server.metrics import Metrics
from crdt_server.pipe import Response
from crdt_server.protocol.messages import Received
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.intake import enqueue, not_checked, prechecked, receive
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Connection, Origin, Request, Session, SessionId
from crdt_server.settings import Settings
from storage import DocumentKey, Storage

log = structlog.get_logger(__name__)

LOGGED_REFUSALS, SECONDS_PER_LOGGED_REFUSAL = 20, 3.0  # of one address: new names have no other bound in the log
DRAIN_SECONDS = 5.0


class _RoomReactor:
    """The reactions of the hub to reports of rooms: the `RoomEvents` of all rooms."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._logged = Allowance(LOGGED_REFUSALS, SECONDS_PER_LOGGED_REFUSAL)

    def on_requests(self, room: Room) -> None:
        self._hub.dispatcher_for(room).schedule(room)

    def on_presence(self, room: Room) -> None:
        self._hub.ticks.presence_changed(room)

    def on_large_update(self, room: Room, request: Request) -> None:
        room.pin()
        self._hub.spawn(self._check(room, request))

    async def _check(self, room: Room, request: Request) -> None:
        session = request.session
        sender = RequestSender(session.connection.address, session.person)
        try:
            pieces = await self._hub.hosts.jobs.check(request.payload, sender)
        except (JobsFull, JobDied) as failure:
            log.info("large_update_deferred", session=session.id, size_bytes=len(request.payload), why=str(failure))
            if isinstance(failure, JobDied):
                self.on_refusal(room, session)
            room.unpin()
            not_checked(room, request)
            return
        except JobFailed as failure:
            log.info("large_update_refused", session=session.id, why=str(failure))
            pieces = None
        room.unpin()
        self._hub.rights.may_stay(room, session)
        prechecked(room, request, pieces)

    def on_refusal(self, room: Room, session: Session) -> None:
        self._hub.audit.record(room.wedding, session.user, "write.refused", document=room.document)
        address, now = session.connection.address, self._hub.time()
        if self._logged.take(address, now):
            log.info("session_refused", room=room.name, session=session.id, user=session.user, address=address)
        self._hub.strikes.add(session.identity, address, now)

    def on_revert(self, room: Room, session: Session) -> None:
        if not room.hosted.has_schema:  # the others are recorded with what is stored of them
            self._hub.audit.record(room.wedding, session.user, "write.reverted", document=room.document)
        self._hub.pacer.count_revert(room, session)

    def on_closed(self, room: Room) -> None:
        """The room has ended."""
        self._hub.ticks.closed(room)
        self._hub.hosts.closed(room)


def _room_limits(settings: Settings) -> RoomLimits:
    return RoomLimits(
        max_sessions=settings.max_connections_per_room,
        max_awareness_bytes=settings.max_awareness_bytes,
        presence_states_per_second=settings.presence_states_per_second,
        presence_bytes_per_second=settings.presence_bytes_per_second,
    )


def _report_gauges(hub: Hub, metrics: Metrics) -> None:
    metrics.gauge("rooms", "Rooms that are open", lambda: len(hub.registry.rooms))
    metrics.gauge("loaded_bytes", "Stored bytes of the documents in memory", lambda: hub.registry.loaded_bytes)
    metrics.gauge("checking_bytes", "Large updates that wait for their check", lambda: hub.hosts.jobs.waiting_bytes)
    metrics.gauge("commit_backlog", "Batches that wait for a commit", lambda: hub.commits.backlog)
    metrics.gauge("weddings_over_quota", "Weddings that may not grow any more", lambda: hub.quotas.weddings_over_quota)
    metrics.gauge("purges_pending", "Documents to be written anew after redactions", lambda: hub.purger.pending)
    metrics.gauge("loop_lag_seconds", "How late the event loop is", lambda: hub.loop_monitor.seconds)


def _commit_pump(hub: Hub, observers: Sequence[Observer]) -> CommitPump:
    """Commits into the store, of which the observers are notified."""
    return CommitPump(
        ObservedStore(hub.storage if hub.cluster is None else hub.cluster.store, observers),
        hub.metrics,
        fail=hub.fail,
        on_events=hub.publish_events,
        audit=hub.audit.of_batch,
        on_bookings=BookingNotifier(hub.storage, hub.request, hub.spawn, hub.hosts.vouched).changed,
    )


def _rights_watch(hub: Hub) -> RightsWatch:
    return RightsWatch(
        hub.storage,
        hub.metrics,
        hub.spawn,
        hub.time,
        rooms_of=lambda wedding: hub.registry.rooms_of(wedding),
        weddings=lambda: hub.registry.weddings,
        announce=(lambda _: None) if hub.cluster is None else hub.cluster.publish_rights,
        wake=hub.events.wake,
        left=hub.idle,
    )


def _host_factory(settings: Settings) -> HostFactory:
    return HostFactory(memory_bytes=settings.host_memory_bytes, max_document_bytes=settings.max_document_bytes)


def _limits(settings: Settings) -> Limits:
    return Limits(settings.max_wedding_bytes, settings.max_wedding_records, settings.max_wedding_documents)


def _kept(settings: Settings) -> Kept:
    return Kept(settings.event_days, settings.event_bytes, settings.removed_record_days)


async def _reload(hub: Hub, key: DocumentKey) -> None:
    """Have a document that was written anew loaded from the store; its sockets come again."""
    await hub.commits.flush()
    room = hub.registry.rooms.get((key.wedding, key.document))
    if room is not None and room.hosted.placement is not Placement.REMOTE:
        hub.registry.end(room, CLOSE_CODES["try_again"], "the document was written anew")


class Hub:
    """See the head of the file. `start` before the first `enter`, `stop` at the end. ``cluster``: the other nodes;
    ``factory``: starts the hosts; by default as the settings define."""

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
        self.strikes = SenderStrikes(settings.max_strikes)
        self.role_buckets = RoleBuckets(role_limits(settings))
        self.pacer = Pacer(self.role_buckets, metrics.counters, self.time)
        self.loop_monitor, self.events, self.draining = LoopMonitor(metrics), EventNotifier(), False
        self.quotas = Quotas(storage, _limits(settings), self.spawn, self.time)
        node = "" if cluster is None else cluster.node
        self.retention = Retention(storage, _kept(settings), metrics, node)
        self.hosts = HostPool(
            settings, storage, metrics, factory or _host_factory(settings), self.quotas,
            fail=self.fail, spawn=self.spawn, strikes=self.strikes,
        )  # fmt: skip
        self.purger = Purger(storage, self.hosts.jobs, node, partial(_reload, self))
        shrinking = Shrinking(storage, self.hosts.jobs)
        self.quotas.connect(shrinking)
        self.audit = AuditLog(storage, metrics, time.monotonic)
        self.publish_events = EventPublisher(self.events.publish if cluster is None else cluster.publish_events)
        self.publish_inbox = self.events.publish_inbox if cluster is None else cluster.publish_inbox
        self._reactor = _RoomReactor(self)
        self.registry = RoomRegistry(
            _room_limits(settings),
            metrics.counters,
            most_bytes=settings.loaded_bytes,
            dispatcher_for=self.dispatcher_for,
            closed=self._reactor.on_closed,
            evicted=self.hosts.evicted,
            cluster=cluster,
        )
        self.commits = _commit_pump(self, [shrinking.stored, self.quotas.stored, self.retention.stored])
        self.rights = _rights_watch(self)
        self.scheduler = Scheduler(self.request, self.spawn)
        self.hosts.connect(self.registry, self.commits, self.scheduler)
        self.ticks = Ticks(settings, self.registry, self.loop_monitor, self.strikes)
        self.people = ConnectedPeople(storage, node, metrics.counters, self.time)
        self._session_ids, self._tasks = itertools.count(1), BackgroundTasks()
        self._loop: asyncio.AbstractEventLoop
        _report_gauges(self, metrics)

    # -- life

    async def start(self) -> None:
        """Start the hosts and the pumps."""
        self._loop = asyncio.get_running_loop()
        await self.hosts.start()
        self.spawn(self.commits.run())
        if self.cluster is not None:
            await self.cluster.start()
        self.spawn(self.ticks.run())
        self.spawn(self.loop_monitor.run())
        self.spawn(forget_answers(self.storage))
        self.spawn(self.retention.run())
        self.spawn(self.purger.run())
        self.spawn(self.rights.run())
        self.spawn(self.audit.run())
        self.spawn(self.people.run())

    async def stop(self) -> None:
        """Let no session in, store what has come in, close every socket with 1012, end the hosts."""
        self.draining = True
        self.scheduler.stop()
        self.rights.stop()
        await close_sockets(self.registry.rooms.values())
        deadline = self._loop.time() + DRAIN_SECONDS
        rooms = self.registry.rooms
        while self._loop.time() < deadline and any(map(self.registry.in_use, rooms.values())):
            await self.commits.flush()
            await asyncio.sleep(0.01)
        for room in list(rooms.values()):
            room.fail(CLOSE_CODES["restarting"], "restarting")
        await self.people.close()
        if self.cluster is not None:
            await self.cluster.stop()
        await self._tasks.cancel()
        await self.audit.stop()
        await self.hosts.stop()

    def spawn(self, work: Work) -> None:
        """Run it until the end of the hub."""
        self._tasks.spawn(work)

    def time(self) -> float:
        """Seconds of the loop's clock."""
        return self._loop.time()

    @property
    def overloaded(self) -> bool:
        """Whether the event loop is too late to admit more sockets."""
        return self.loop_monitor.seconds > self.settings.max_loop_lag_seconds

    # -- rooms and sessions

    def open(self, wedding: str, document: str) -> Room:
        """The open room of a document, opened where needed. Raises AdmissionError."""
        if self.draining:
            raise AdmissionError("draining", "the server is going away")
        return self.registry.open(wedding, document, self._reactor, self._loop.time())

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
        if room.members.full:
            raise AdmissionError("room_full", "too many sockets in this room")
        session = session_type(SessionId(next(self._session_ids)), connection, identity)
        if session.origin is Origin.SOCKET:
            session.level = self.pacer.level_of(document, session)
        self.registry.occupied(room)
        room.join(session)
        if identity.rights and session.origin is Origin.SOCKET:
            self.audit.sign_in(wedding, identity)
        self.people.join(room, session)
        return room, session

    def receive(self, room: Room, session: Session, messages: Sequence[Received]) -> None:
        """The messages of one frame of a session."""
        receive(room, session, messages)
        if session.level is not None:
            self.pacer.count(room, session, session.level, messages)

    def leave(self, room: Room, session: Session) -> None:
        """The session's connection is gone."""
        room.leave(session)
        self.people.leave(room, session)
        self.idle(room)

    def idle(self, room: Room) -> None:
        """A session or another node has left the room: it may stand empty now."""
        self.registry.idle(room, self._loop.time())

    @property
    def rooms(self) -> dict[tuple[str, str], Room]:
        """Wedding and document -> open room."""
        return self.registry.rooms

    def dispatcher_for(self, room: Room) -> RoomDispatcher:
        """The dispatcher of a room: that of a document host, or that for the node that owns the wedding."""
        if room.hosted.placement is Placement.REMOTE:
            assert self.cluster is not None
            return self.cluster.dispatcher
        return self.hosts.dispatcher_for(room)

    def fail(self, room: Room) -> None:
        """End a room whose host does not hold what is stored; its sockets come again."""
        self.registry.fail(room)

    async def request(self, key: DocumentKey, sender: Person, address: str, request: Request) -> Response:
        """Request something of a document outside any socket, and wait for the response; what it changed is stored
        then. Raises what `http_sync.sync` raises."""
        connection, proof = RequestConnection(address), proven(sender)
        room, session = self.enter(*key, connection, proof.identity, partial(RequestSession, proof=proof))
        assert isinstance(session, RequestSession)
        try:
            request.session = session
            future = session.expect(request)
            if self.rights.may_stay(room, session):  # else its connection has failed
                enqueue(room, request)
            (response,) = await settled([future], connection)
            assert response is not None  # only an update has none
        finally:
            self.leave(room, session)
        return response

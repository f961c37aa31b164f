"""Any interleaving of what can happen to a room, over hand-flushed sockets in both directions.

Clients are real replicas, the host's program runs in this process (the updates are honest), the store is a list of
rows. After every step: nothing has reached anybody that is not stored, and no honest client was refused. At the end
everybody reconnects, all replicas are equal, and equal to what the store alone gives.
"""

from __future__ import annotations

import os
from collections import deque
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hosts.batch import BatchEntry, resolve, slices
from crdt_server.judge.clock_ranges import ClockRanges
from crdt_server.judge.process import DocumentHost
from crdt_server.pipe import (
    Batch,
    BatchResponse,
    Checked,
    CheckUpdate,
    ForgetRooms,
    Job,
    LoadStep,
    Merged,
    MergeUpdates,
    RoomRequests,
    RoomResult,
    Status,
)
from crdt_server.progress_mark import ProgressMark
from crdt_server.protocol.messages import AwarenessUpdate, SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.update import decode_update
from crdt_server.rooms.awareness_states import read_states
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.intake import prechecked, publish_presence, put_back
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import Request, Session, SessionId
from tests.support.codec import (
    decode_messages,
    encode_awareness,
    encode_sync_step1,
    encode_sync_step2,
    encode_update,
    receive,
)
from tests.support.effort import examples
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket
from tests.support.wire import Replica, presence

LIMITS = RoomLimits(session_queue_bytes=600, session_quantum_bytes=200, big_update_bytes=60, max_gaps=4)
CLIENTS = 3
SLOW_BYTES = 400
ROOMY_BYTES = 1 << 20
QUIET_ROUNDS = 200


class Client:
    """A replica, and a link that carries nothing by itself."""

    def __init__(self, number: int) -> None:
        self.replica = Replica(number)
        self.uplink: deque[bytes] = deque()
        self.socket: HandSocket | None = None
        self.session: Session | None = None
        self.room: Room | None = None
        self.clock = 0
        self.others: dict[int, str] = {}

    def send(self, frame: bytes) -> None:
        if self.socket is not None:
            self.uplink.append(frame)

    def read(self, payload: bytes) -> None:
        for message in decode_messages(payload):
            if isinstance(message, SyncStep1):
                self.send(encode_sync_step2(self.replica.lacks(message.state_vector)))
            elif isinstance(message, SyncStep2 | SyncUpdate):
                self.replica.receive(message.update)
            elif isinstance(message, AwarenessUpdate):
                for client, _, text in read_states(message.payload, None):
                    self.others[client] = text
                if self.others.keys() - {self.replica.client_id}:
                    self.send(encode_awareness(message.payload))  # stock clients repeat what they hear of others


class Reporter(RecordingRoomEvents):
    """Keeps large updates until the machine checks them."""

    def __init__(self, prechecks: deque[tuple[Room, Request]]) -> None:
        super().__init__()
        self._prechecks = prechecks

    def on_large_update(self, room: Room, request: Request) -> None:
        self._prechecks.append((room, request))


class RoomMachine(RuleBasedStateMachine):
    """See the head of the file."""

    @initialize(seed=st.integers(0, 1 << 30))
    def begin(self, seed: int) -> None:
        self.random = Random(seed)
        self.mark_fd = os.memfd_create("mark")
        os.ftruncate(self.mark_fd, ProgressMark.SIZE)
        self.mark = ProgressMark(self.mark_fd)
        self.clients = [Client(n + 1) for n in range(CLIENTS)]
        self.rows: list[bytes] = []
        self.stored_clocks: dict[int, int] = {}
        self.stored_deletions = ClockRanges()
        self.room: Room | None = None
        self.rooms_opened = 0
        self.new_host()
        self.batches: deque[RoomBatch] = deque()
        self.prechecks: deque[tuple[Room, Request]] = deque()
        self.sessions = 0
        self.now = 0.0
        for number in range(CLIENTS - 1):
            self.join(number, slow=False)

    def teardown(self) -> None:
        if not hasattr(self, "clients"):
            return
        try:
            self.end_well()
        finally:
            self.mark.close()
            os.close(self.mark_fd)

    # -- what people do

    @rule(number=st.integers(0, CLIENTS - 1), slow=st.booleans())
    def join(self, number: int, slow: bool) -> None:
        client = self.clients[number]
        if client.socket is not None:
            return
        if self.room is None:
            self.rooms_opened += 1
            self.room = Room(
                self.rooms_opened,
                "w",
                "notes.a",
                LIMITS,
                Counters(),
                Reporter(self.prechecks),
            )
        self.sessions += 1
        client.socket = HandSocket(limit_bytes=SLOW_BYTES if slow else ROOMY_BYTES)
        client.session = Session(SessionId(self.sessions), client.socket, Identity(f"user-{number}", "couple"))
        client.room = self.room
        self.room.join(client.session)
        client.send(encode_sync_step1(client.replica.state_vector))
        self.say_hello(client)

    def say_hello(self, client: Client) -> None:
        client.clock += 1
        client.send(presence(client.replica.client_id, client.clock, {"clock": client.clock}))

    @rule(number=st.integers(0, CLIENTS - 1))
    def leave(self, number: int) -> None:
        """The link is cut: what was under way in either direction is lost."""
        client = self.clients[number]
        if client.room is not None and client.session is not None:
            client.room.leave(client.session)
        client.socket = client.session = client.room = None
        client.uplink.clear()

    @rule(number=st.integers(0, CLIENTS - 1), length=st.sampled_from([1, 1, 1, 3, 80]), at=st.integers(0, 1 << 20))
    def type(self, number: int, length: int, at: int) -> None:
        client = self.clients[number]
        update = client.replica.type("abcdefgh"[at % 8] * length, at % (len(str(client.replica)) + 1))
        client.send(encode_update(update))

    @rule(number=st.integers(0, CLIENTS - 1), at=st.integers(0, 1 << 20))
    def erase(self, number: int, at: int) -> None:
        client = self.clients[number]
        length = len(str(client.replica))
        if length:
            start = at % length
            client.send(encode_update(client.replica.erase(start, min(length, start + 1 + at % 4))))

    @rule(number=st.integers(0, CLIENTS - 1))
    def renew_presence(self, number: int) -> None:
        self.say_hello(self.clients[number])

    @rule(number=st.integers(0, CLIENTS - 1))
    def swallow(self, number: int) -> None:
        """A broken client forgets to send one message: the next one leaves a gap."""
        if self.clients[number].uplink:
            self.clients[number].uplink.popleft()

    @rule(number=st.integers(0, CLIENTS - 1))
    def repeat(self, number: int) -> None:
        """Another sends one twice."""
        if self.clients[number].uplink:
            self.clients[number].uplink.append(self.clients[number].uplink[0])

    @rule(number=st.integers(0, CLIENTS - 1), lengths=st.lists(st.sampled_from([1, 2, 5, 70]), min_size=2, max_size=6))
    def type_on(self, number: int, lengths: list[int]) -> None:
        for length in lengths:
            self.type(number, length, self.random.randrange(1 << 20))

    # -- what links do

    @rule(number=st.integers(0, CLIENTS - 1), count=st.integers(1, 5))
    def carry_up(self, number: int, count: int) -> None:
        client = self.clients[number]
        for _ in range(min(count, len(client.uplink))):
            if client.socket is None or client.socket.closed or client.socket.paused:
                return
            assert client.room is not None
            assert client.session is not None
            receive(client.room, client.session, client.uplink.popleft())

    @rule(number=st.integers(0, CLIENTS - 1), count=st.integers(1, 5))
    def carry_down(self, number: int, count: int) -> None:
        client = self.clients[number]
        if client.socket is not None:
            for payload in client.socket.flush(count):
                client.read(payload)
            if client.socket.closed and not client.socket.outbox:
                self.leave(number)

    @rule(rounds=st.integers(1, 3))
    def flow(self, rounds: int) -> None:
        """A moment in which everything works."""
        for _ in range(rounds):
            self.turn()

    def turn(self) -> None:
        for number in range(CLIENTS):
            self.carry_up(number, 50)
        self.precheck()
        self.batch(100_000, dies=False)
        self.commit(100)
        self.tick()
        for number in range(CLIENTS):
            self.carry_down(number, 100)

    @rule(number=st.integers(0, CLIENTS - 1))
    def rush(self, number: int) -> None:
        """One client's messages get through, up to the verdict."""
        self.carry_up(number, 50)
        self.batch(100_000, dies=False)

    # -- what the server does

    def new_host(self) -> None:
        self.host = DocumentHost(self.mark, 1 << 24)
        self.resident = False

    def load(self) -> None:
        """Bring the room's document into the host, from the store alone and behind all commits."""
        if self.resident or self.room is None:
            return
        self.commit(len(self.batches))
        parts = slices(self.rows)
        while parts:
            part = parts.popleft()
            response = self.handle([BatchEntry(self.room, (), LoadStep(part, last=not parts)).for_host()])
            assert isinstance(response.results[0], RoomResult)
        self.room.loaded_from_store(len(self.rows))
        self.room.opened()
        self.resident = True

    def judge(self, requests: list[Request]) -> RoomResult:
        assert self.room is not None
        (result,) = self.handle([BatchEntry(self.room, requests).for_host()]).results
        assert isinstance(result, RoomResult)
        return result

    def handle(self, rooms: list[RoomRequests], *jobs: Job) -> BatchResponse:
        return self.host.handle(Batch(self.now, rooms, list(jobs)))

    @rule(budget=st.sampled_from([1, 300, 100_000]), dies=st.sampled_from([False, False, False, True]))
    def batch(self, budget: int, dies: bool) -> None:
        """One batch; a host that dies with it is replaced, reloaded, and given the same again."""
        if self.room is None or not self.room.inbox:
            return
        self.load()
        requests = self.room.take(budget).requests
        result = self.judge(requests)
        if dies:
            self.new_host()
            self.load()
            result = self.judge(requests)
        self.room.hosted.measured(result.size, built=result.built)
        statuses = {fault.index: fault.status for fault in result.faults}
        for i, status in statuses.items():
            if status is Status.LATER:
                put_back(self.room, requests[i])
        batches = [RoomBatch(self.room, (), update) for update in result.updates[:-1]]
        newest = result.updates[-1] if result.updates else None
        batches.append(RoomBatch(self.room, requests, newest, statuses, resolve(result.responses)))
        for batch in batches:
            self.room.assign_sequence(batch)
            if batch.update is None and not self.batches:
                self.room.broadcast(batch)
            else:
                self.batches.append(batch)

    @rule(count=st.integers(1, 3))
    def commit(self, count: int) -> None:
        for _ in range(min(count, len(self.batches))):
            batch = self.batches.popleft()
            if batch.update is not None and batch.room.phase is not Phase.DEAD:
                assert batch.seq == len(self.rows) + 1
                self.store(batch.update)
            batch.room.broadcast(batch)

    def store(self, data: bytes) -> None:
        self.rows.append(data)
        update = decode_update(data, max_bytes=len(data))
        for client, _, following in update.ranges:
            self.stored_clocks[client] = max(following, self.stored_clocks.get(client, 0))
        for span in update.deletes:
            self.stored_deletions.add(*span)

    @precondition(lambda self: self.batches)
    @rule()
    def commit_fails(self) -> None:
        rooms = {batch.room: None for batch in self.batches}
        self.batches.clear()
        for room in rooms:
            self.end(room)

    def end(self, room: Room) -> None:
        room.fail(1013, "try again")
        if room is self.room:
            self.room = None
            self.new_host()

    @rule()
    def host_dies(self) -> None:
        """Between two batches: killed from outside."""
        self.new_host()

    @rule()
    def evict(self) -> None:
        room = self.room
        busy = room is None or room.members or room.inbox or self.batches or self.prechecks
        if room is not None and not busy:
            room.fail(1001, "idle")
            self.handle([], ForgetRooms([room.id]))
            self.room, self.resident = None, False

    @rule()
    def precheck(self) -> None:
        if self.prechecks:
            room, request = self.prechecks.popleft()
            (checked,) = self.handle([], CheckUpdate(request.payload)).jobs
            assert isinstance(checked, Checked)
            pieces = [
                (request.payload if each.update is None else each.update, each.summary) for each in checked.pieces
            ]
            prechecked(room, request, pieces)

    @rule()
    def tick(self) -> None:
        self.now += 0.03
        if self.room is not None:
            publish_presence(self.room, self.now)

    @rule()
    def compact(self) -> None:
        """Rows become fewer in the store; sequence numbers go on. The list keeps one row per number: the rest empty."""
        if self.room is None and len(self.rows) > 2:
            (merged,) = self.handle([], MergeUpdates(self.rows)).jobs
            assert isinstance(merged, Merged)
            self.rows = [*merged.updates, *([b"\x00\x00"] * (len(self.rows) - 1))]

    # -- what must hold

    @invariant()
    def nobody_has_what_is_not_stored(self) -> None:
        for client in getattr(self, "clients", ()):
            for payload in client.socket.outbox if client.socket else ():
                for message in decode_messages(payload):
                    if isinstance(message, SyncStep2 | SyncUpdate):
                        self.is_stored(message.update)

    def is_stored(self, data: bytes) -> None:
        update = decode_update(data, max_bytes=len(data))
        assert all(following <= self.stored_clocks.get(client, 0) for client, _, following in update.ranges)
        assert all(self.stored_deletions.covers(*span) for span in update.deletes)

    @invariant()
    def the_honest_are_not_refused(self) -> None:
        for client in getattr(self, "clients", ()):
            assert client.socket is None or client.socket.close_code in (None, 1013)

    def end_well(self) -> None:
        for number in range(CLIENTS):
            self.leave(number)
        for number in self.random.sample(range(CLIENTS), CLIENTS):
            self.join(number, slow=False)
            self.turn()
            self.turn()
        for _ in range(QUIET_ROUNDS):
            self.turn()
            self.nobody_has_what_is_not_stored()
            if self.quiet():
                break
        assert self.quiet()
        self.the_honest_are_not_refused()
        texts = {str(client.replica) for client in self.clients}
        assert len(texts) == 1, texts
        assert [client.replica.pending for client in self.clients] == [[]] * CLIENTS
        reader = Replica(99)
        for row in self.rows:
            reader.receive(row)
        assert not reader.pending
        assert {str(reader)} == texts
        ids = {client.replica.client_id for client in self.clients}
        for client in self.clients:
            present = {other for other, text in client.others.items() if text != "null"}
            assert present == ids

    def quiet(self) -> bool:
        links = any(client.uplink or (client.socket and client.socket.outbox) for client in self.clients)
        return not (links or self.prechecks or self.batches or (self.room and self.room.inbox))


RoomMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("ROOM_EXAMPLES", examples(60))),
    stateful_step_count=int(os.environ.get("ROOM_STEPS", "60")),
    suppress_health_check=[HealthCheck.too_slow],
)
TestRooms = RoomMachine.TestCase

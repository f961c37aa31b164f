"""Any order of events of several nodes (started, stopped, dead, disconnected) and of their clients.

Real hubs with real hosts in one process, on one SQLite database and one wire; time is real but short. After every step:
no client has received an update that is not stored. At the end all nodes and clients are connected, all
replicas are equal, and equal to the stored document.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from crdt_server.cluster import owners, remote_dispatcher
from crdt_server.errors import AdmissionError
from crdt_server.judge.clock_ranges import ClockRanges
from crdt_server.protocol.messages import SyncStep2, SyncUpdate
from crdt_server.protocol.update import decode_update
from storage import DocumentKey
from tests.cluster.conftest import Node, Nodes
from tests.rooms.person import Person
from tests.support.codec import decode_messages, encode_update
from tests.support.databases import new_database
from tests.support.effort import examples

KEYS = [DocumentKey("w", "notes.a"), DocumentKey("v", "notes.a")]
PEOPLE = 6
MOST_NODES = 4
END_SECONDS = 60
SHORT: list[tuple[Any, str, float]] = [
    (owners, "HEARTBEAT_SECONDS", 0.1),
    (owners, "LEASE_SECONDS", 0.6),
    (remote_dispatcher, "TICK_SECONDS", 0.05),
    (remote_dispatcher, "SILENCE_SECONDS", 0.3),
    (remote_dispatcher, "PATIENCE_SECONDS", 2.0),
]

people = st.integers(0, PEOPLE - 1)
places = st.integers(0, MOST_NODES - 1)


class StoredContent:
    """The content of a document in the store, as far as it was read."""

    def __init__(self) -> None:
        self.seq = 0
        self.clocks: dict[int, int] = {}
        self.deletions = ClockRanges()

    def add(self, seq: int, data: bytes) -> None:
        update = decode_update(data, max_bytes=len(data))
        for client, _, following in update.ranges:
            self.clocks[client] = max(following, self.clocks.get(client, 0))
        for span in update.deletes:
            self.deletions.add(*span)
        self.seq = seq

    def require(self, data: bytes) -> None:
        update = decode_update(data, max_bytes=len(data))
        assert all(following <= self.clocks.get(client, 0) for client, _, following in update.ranges)
        assert all(self.deletions.covers(*span) for span in update.deletes)


class Visitor:
    """A replica that outlives its connections."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.key = KEYS[number % len(KEYS)]
        self.person: Person | None = None
        self.node: Node | None = None
        self.read = 0  # of what arrived, how much was compared with the store

    @property
    def here(self) -> bool:
        return self.node is not None

    def enter(self, node: Node) -> None:
        self.leave()
        with suppress(AdmissionError):
            if self.person is None:
                self.person = node.person(self.number + 1, self.key.document, wedding=self.key.wedding)
            else:
                self.person.hub = node.hub
                self.person.enter()
            self.node, self.read = node, 0

    def leave(self) -> None:
        if self.person is not None and self.node is not None:
            self.person.leave()
        self.node = None

    def poll(self) -> None:
        """Read what has arrived; a connection that was closed is over."""
        if self.person is not None and self.node is not None:
            self.person.read()
            if self.person.socket.closed is not None:
                assert self.person.socket.close_code in (1012, 1013)
                self.leave()


class ClusterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.usual = [(module, name, getattr(module, name)) for module, name, _ in SHORT]
        for module, name, value in SHORT:
            setattr(module, name, value)

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.stack = AsyncExitStack()
        self.databases = ExitStack()
        self.stored = {key: StoredContent() for key in KEYS}
        self.visitors = [Visitor(number) for number in range(PEOPLE)]
        self.living: list[Node] = []
        self.cut_off: set[Node] = set()
        self.do(self._begin())

    async def _begin(self) -> None:
        self.nodes = Nodes(self.databases.enter_context(new_database(Path(self.directory.name))), self.stack)
        self.nodes.storage = await self.nodes.open()
        self.living = [await self.nodes.start() for _ in range(3)]

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        self.runner.run(self._then_check(work))

    async def _then_check(self, work: Coroutine[Any, Any, None]) -> None:
        await work
        for visitor in self.visitors:
            visitor.poll()
        await self._check_all_received_is_stored()

    async def _check_all_received_is_stored(self) -> None:
        received = [(visitor, list(self._received(visitor))) for visitor in self.visitors]
        for key, stored in self.stored.items():
            for row in await self.nodes.storage.updates_after(key, stored.seq):
                stored.add(row.last_seq, row.update)
        for visitor, updates in received:
            for update in updates:
                self.stored[visitor.key].require(update)

    def _received(self, visitor: Visitor) -> list[bytes]:
        if visitor.person is None:
            return []
        arrived = visitor.person.socket.arrived
        fresh, visitor.read = arrived[visitor.read :], len(arrived)
        messages = [each for payload in fresh if payload[0] == 0 for each in decode_messages(payload)]
        return [each.update for each in messages if isinstance(each, SyncStep2 | SyncUpdate)]

    # -- people

    @rule(who=people, where=places)
    def connect(self, who: int, where: int) -> None:
        async def enter() -> None:
            self.visitors[who].enter(self.living[where % len(self.living)])

        self.do(enter())

    @rule(who=people)
    def disconnect(self, who: int) -> None:
        async def leave() -> None:
            self.visitors[who].leave()

        self.do(leave())

    @rule(who=people, letters=st.integers(1, 5), at=st.integers(0, 1 << 20))
    def type(self, who: int, letters: int, at: int) -> None:
        async def write() -> None:
            person = self.visitors[who].person
            if person is not None:  # without a connection it stays in the replica
                for letter in "abcde"[:letters]:
                    person.type(letter, at % (len(str(person.replica)) + 1))

        self.do(write())

    @rule(who=people, at=st.integers(0, 1 << 20))
    def erase(self, who: int, at: int) -> None:
        async def write() -> None:
            person = self.visitors[who].person
            if person is not None and (length := len(str(person.replica))):
                person.send(encode_update(person.replica.erase(at % length, at % length + 1)))

        self.do(write())

    # -- nodes

    @precondition(lambda self: len(self.living) < MOST_NODES)
    @rule()
    def start(self) -> None:
        async def start() -> None:
            self.living.append(await self.nodes.start())

        self.do(start())

    @precondition(lambda self: len(self.living) > 1)
    @rule(which=places, gracefully=st.booleans())
    def end(self, which: int, gracefully: bool) -> None:
        async def end() -> None:
            node = self.living.pop(which % len(self.living))
            self.cut_off.discard(node)
            if gracefully:
                await node.hub.stop()
            else:
                node.die()
            for visitor in self.visitors:
                if visitor.node is node:
                    visitor.poll()
                    visitor.node = None

        self.do(end())

    @rule(which=places)
    def cut(self, which: int) -> None:
        async def cut() -> None:
            node = self.living[which % len(self.living)]
            node.bus.cut()
            self.cut_off.add(node)

        self.do(cut())

    @precondition(lambda self: self.cut_off)
    @rule()
    def rejoin(self) -> None:
        self.do(self._rejoin())

    async def _rejoin(self) -> None:
        for node in self.cut_off:
            node.bus.rejoin()
        self.cut_off.clear()

    @rule(which=places)
    def take_for_dead(self, which: int) -> None:
        """Its heartbeat is late: other nodes may take over before the next one."""

        async def expire() -> None:
            await self.nodes.storage.heartbeat(self.living[which % len(self.living)].name, -1.0)

        self.do(expire())

    @rule(seconds=st.sampled_from([0.0, 0.02, 0.1, 0.4]))
    def wait(self, seconds: float) -> None:
        self.do(asyncio.sleep(seconds))

    @rule()
    def evict_idle(self) -> None:
        async def evict() -> None:
            for node in self.living:
                node.evict_idle()

        self.do(evict())

    @precondition(lambda self: not self.cut_off)
    @rule(who=people)
    def meet(self, who: int) -> None:
        """Every connected client gets the edit of one of them, without a new connection."""

        async def write_and_wait() -> None:
            writer = self.visitors[who]
            if writer.here and writer.person is not None:
                writer.person.type("m", 0)
                await self._until(lambda: self._equal(writer.key))

        self.do(write_and_wait())

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait. Clients whose connection was closed meanwhile reconnect."""
        async with asyncio.timeout(END_SECONDS):
            while not condition():
                for number, visitor in enumerate(self.visitors):
                    was_here = visitor.here
                    visitor.poll()
                    if was_here and not visitor.here:
                        visitor.enter(self.living[number % len(self.living)])
                await asyncio.sleep(0.02)  # no event reports it

    def _equal(self, key: DocumentKey) -> bool:
        """Whether all connected replicas are equal and complete."""
        present = [each.person for each in self.visitors if each.key == key and each.here and each.person]
        met = all(person.synced and person.saved for person in present)
        return met and len({str(person.replica) for person in present}) <= 1

    # -- the end

    def teardown(self) -> None:
        try:
            if hasattr(self, "nodes"):
                self.do(self._end_well())
        finally:
            with suppress(AttributeError):
                self.runner.run(self.stack.aclose())
                self.databases.close()
                self.directory.cleanup()
            self.runner.close()
            for module, name, value in self.usual:
                setattr(module, name, value)

    async def _end_well(self) -> None:
        await self._rejoin()
        for number, visitor in enumerate(self.visitors):
            visitor.poll()
            if not visitor.here:
                visitor.enter(self.living[number % len(self.living)])
        await self._until(lambda: all(map(self._equal, KEYS)))
        await self._check_all_received_is_stored()
        for key in KEYS:
            texts = {str(visitor.person.replica) for visitor in self.visitors if visitor.person and visitor.key == key}
            assert texts == {await self.nodes.stored_text(key.document, key.wedding)}


ClusterMachine.TestCase.settings = settings(
    max_examples=int(os.environ.get("CLUSTER_EXAMPLES", examples(5, 2))),
    stateful_step_count=int(os.environ.get("CLUSTER_STEPS", "30")),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # time is real: to make an example smaller takes hours
    suppress_health_check=[HealthCheck.too_slow],
)
TestCluster = pytest.mark.slow(ClusterMachine.TestCase)

"""Several nodes in one process: each a hub with its own hosts, on one database and one wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

import pytest

from crdt_server.cluster.cluster import Cluster
from crdt_server.settings import Settings
from storage import DocumentKey, LocalBus, LocalWire, Storage, open_storage
from tests.rooms.person import Person
from tests.support.hosts import make_hub
from tests.support.wire import Replica


class Node:
    """One node. Its bus can be disconnected, and it can die."""

    def __init__(self, name: str, storage: Storage, wire: LocalWire) -> None:
        self.name = name
        self.storage = storage
        self.bus = LocalBus(wire)
        self.cluster = Cluster(storage, self.bus, name)
        settings = Settings(dev=True, document_hosts=1, max_strikes=0, host_timeout_seconds=60)
        self.hub = make_hub(settings, storage, self.cluster)

    def owns(self, wedding: str = "w") -> bool:
        return self.cluster.owners.owns(wedding)

    def die(self) -> None:
        """As after kill -9."""
        self.bus.cut()
        for task in list(self.hub._tasks):
            task.cancel()

    def stop_heartbeats(self) -> None:
        """It does not learn any more what others have taken from it, as after a long stop."""

        async def wait_forever() -> None:
            await asyncio.Event().wait()

        self.cluster.owners.heartbeat = wait_forever  # type: ignore[method-assign]

    def evict_idle(self) -> None:
        """Evict rooms without sessions at once."""
        self.hub.registry.evict_idle(self.hub.time(), 0)

    def person(self, client_id: int, document: str = "notes.a", *, wedding: str = "w") -> Person:
        return Person(self.hub, document, client_id, wedding=wedding)


class Nodes:
    """`start` one after the other; all stop at the end. ``storage`` is for reading in tests."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._stack = stack
        self.wire = LocalWire()
        self.all: list[Node] = []
        self.storage: Storage

    async def open(self) -> Storage:
        storage = await open_storage(self._url, migrate=True)
        self._stack.push_async_callback(storage.close)
        return storage

    async def start(self) -> Node:
        node = Node(f"node-{len(self.all)}", await self.open(), self.wire)
        self.all.append(node)
        await node.hub.start()
        self._stack.push_async_callback(node.hub.stop)
        return node

    async def pair(self) -> tuple[Node, Node]:
        return await self.start(), await self.start()

    async def stored_text(self, document: str = "notes.a", wedding: str = "w") -> str:
        reader = Replica(99)
        for row in (await self.storage.load(DocumentKey(wedding, document))).updates:
            reader.receive(row.update)
        assert not reader.pending
        return str(reader)


@pytest.fixture
async def nodes(database_url: str) -> AsyncIterator[Nodes]:
    async with AsyncExitStack() as stack:
        nodes = Nodes(database_url, stack)
        nodes.storage = await nodes.open()
        yield nodes


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for a condition that no event reports. Raises TimeoutError."""
    await _until(condition, seconds, 0.005)


async def logged(condition: Callable[[], bool], seconds: float) -> None:
    """`until` for a condition that reads whole logs."""
    await _until(condition, seconds, 0.1)


async def _until(condition: Callable[[], bool], seconds: float, pause_seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - no event reports it
            await asyncio.sleep(pause_seconds)

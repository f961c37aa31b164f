"""Documents are counted with the memory that they take in a host; before a host is full, no more are opened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pycrdt import Doc, Map

from crdt_server.hub import host_memory
from crdt_server.hub.hub import Hub
from crdt_server.memory import usage_of
from crdt_server.settings import Settings
from storage import Append, DocumentKey, open_storage
from tests.rooms.person import Person
from tests.support.codec import encode_update
from tests.support.gate import SECONDS, until
from tests.support.hosts import make_hub

WEDDINGS, GUESTS = 5, 4_000
PIECE_GUESTS = 500
HEADROOM_BYTES = 70 << 20  # for documents: two of these


def stored_guests(client_id: int) -> list[bytes]:
    """The updates of a document of some hundred kilobytes."""
    doc: Doc[Any] = Doc(client_id=client_id)
    guests = doc.get("guests", type=Map)
    updates = []
    for first in range(0, GUESTS, PIECE_GUESTS):
        before = doc.get_state()
        with doc.transaction():
            for number in range(first, first + PIECE_GUESTS):
                guests[f"g_{number}"] = Map({"firstName": f"Guest {number}", "lastName": "Smith", "side": "a"})
        updates.append(doc.get_update(before))
    return updates


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    storage = await open_storage(database_url, migrate=True)
    for wedding in range(WEDDINGS):
        key = DocumentKey(f"w{wedding}", "guests")
        updates = stored_guests(100 + wedding)
        await storage.append([Append(key, seq, update) for seq, update in enumerate(updates, 1)])
    settings = {"dev": True, "document_hosts": 1, "max_strikes": 0, "host_timeout_seconds": 60}
    probe = make_hub(Settings(**settings), storage)
    await probe.start()
    pid = probe.hosts.dispatchers[0].supervisor.pid
    assert pid is not None
    usage = usage_of(pid)
    assert usage is not None
    await probe.stop()
    memory = int((usage.address_bytes + HEADROOM_BYTES) / 0.75)
    hub = make_hub(Settings(**settings, host_memory_bytes=memory), storage)
    await hub.start()
    yield hub
    await hub.stop()
    await storage.close()


class Editor(Person):
    """Has a document built, by an edit of it."""

    def __init__(self, hub: Hub, number: int) -> None:
        super().__init__(hub, "guests", 10 + number, wedding=f"w{number}")

    async def edits(self) -> bool:
        """Whether its edit was stored, and the room not closed."""

        def over() -> bool:
            self.read()
            return self.socket.closed is not None or (self.synced > 0 and self.saved)

        await self.socket.until(over)
        if self.socket.closed is None:
            before = self.replica.state_vector
            self.replica.doc.get("guests", type=Map)["g_1"]["meal"] = "fish"
            self.send(encode_update(self.replica.doc.get_update(before)))
            await self.socket.until(over)
        return self.socket.closed is None


async def test_no_host_dies_of_the_documents_that_are_opened(hub: Hub) -> None:
    editors = [Editor(hub, number) for number in range(WEDDINGS)]
    opened = [await editor.edits() for editor in editors]
    assert 0 < sum(opened) < WEDDINGS
    refused = [editor.socket.closed for editor in editors if editor.socket.closed is not None]
    assert set(refused) == {(1013, "too many documents are open")}
    assert hub.hosts.dispatchers[0].supervisor.restarts == 0
    for editor in editors:
        editor.leave()
    async with asyncio.timeout(SECONDS):  # a room that stands empty makes place, once its host has no work for it
        while not await Editor(hub, WEDDINGS - 1).edits():
            pass
    assert hub.hosts.dispatchers[0].supervisor.restarts == 0


async def test_all_at_once(hub: Hub) -> None:
    editors = [Editor(hub, number) for number in range(WEDDINGS)]
    opened = await asyncio.gather(*(editor.edits() for editor in editors))
    assert 0 < sum(opened) < WEDDINGS
    assert hub.hosts.dispatchers[0].supervisor.restarts == 0


async def test_hosts_that_have_grown_are_replaced_when_they_hold_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_memory, "GROWN_BYTES", 0)
    monkeypatch.setattr(host_memory, "RENEW_SECONDS", 0.01)
    dispatcher = hub.hosts.dispatchers[0]
    idle = host_memory.IdleHosts([dispatcher], [])
    renewing = asyncio.create_task(idle.run())
    editor = Editor(hub, 0)
    assert await editor.edits()
    pid = dispatcher.supervisor.pid
    idle._least[dispatcher.supervisor] = 1
    assert await editor.edits()  # the host holds the document, and is left alone
    assert dispatcher.supervisor.pid == pid
    editor.leave()

    def is_replaced() -> bool:
        hub.registry.evict_idle(asyncio.get_running_loop().time(), 0)
        return dispatcher.supervisor.pid != pid

    await until(is_replaced)
    renewing.cancel()
    assert await Editor(hub, 0).edits()
    assert dispatcher.supervisor.restarts == 0

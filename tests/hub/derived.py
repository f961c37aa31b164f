"""People in documents of one wedding, derived ones too, on hand-flushed sockets: every frame they were sent is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from pycrdt import Map, Text

from crdt_server.access.identity import Identity
from crdt_server.hub.hub import Hub
from crdt_server.rooms.room import Phase
from documents.registry import kind_of
from documents.rows import RowsByRoot, read
from storage import DocumentKey
from tests.rooms.person import Person
from tests.support.codec import encode_update


class Reader(Person):
    """Somebody in one document with a schema."""

    def __init__(
        self, hub: Hub, document: str, client_id: int, role: str = "couple", *, wedding: str = "w", **identity: str
    ) -> None:
        self.document = document
        self.frames: list[bytes] = []
        """All that was sent to sockets that were closed since."""
        self._role, self._identity = role, identity
        super().__init__(hub, document, client_id, wedding=wedding)

    def enter(self) -> None:
        if hasattr(self, "socket"):
            self.frames += self.socket.arrived
        self.identity = Identity(f"user-{self.replica.client_id}", self._role, **self._identity)
        super().enter()

    @property
    def rows(self) -> RowsByRoot:
        self.read()
        kind = kind_of(self.document)
        assert kind is not None
        return read(kind, self.replica.doc)

    def received_bytes(self) -> bytes:
        """Every byte that came from the server."""
        self.read()
        return b"".join([*self.frames, *self.socket.arrived])

    def write(self, change: Callable[[Any], None]) -> None:
        """Send a transaction, where the socket is open."""
        before = self.replica.state_vector
        with self.replica.doc.transaction():
            change(self.replica.doc)
        self.send(encode_update(self.replica.doc.get_update(before)))

    def add(self, root: str, record: str, fields: Mapping[str, Any]) -> None:
        kind = kind_of(self.document)
        assert kind is not None
        texts = {key: Text(fields.get(key, "")) for key in kind.roots[root].text_keys}
        self.write(lambda doc: doc.get(root, type=Map).__setitem__(record, Map({**fields, **texts})))

    def put(self, root: str, record: str, value: Any) -> None:
        """Write a record that is one value."""
        self.write(lambda doc: doc.get(root, type=Map).__setitem__(record, value))

    def set(self, root: str, record: str, **fields: Any) -> None:
        def change(doc: Any) -> None:
            shared = doc.get(root, type=Map)
            target = shared[record] if record else shared
            for key, value in fields.items():
                if value is None:
                    del target[key]
                else:
                    target[key] = value

        self.write(change)

    async def until(self, condition: Callable[[RowsByRoot], bool], seconds: float = 60) -> RowsByRoot:
        """Wait until the rows fulfil a condition, and everything that was written here is confirmed."""
        socket = self.socket
        await socket.until(lambda: socket.closed is not None or (condition(self.rows) and self.saved), seconds)
        assert self.socket.closed is None, self.socket.closed
        return self.rows


async def close(hub: Hub, *people: Reader) -> None:
    """Leave, and have the rooms evicted."""
    for person in people:
        person.leave()
    rooms = {person.room for person in people}
    async with asyncio.timeout(60):
        while any(room.phase is not Phase.DEAD for room in rooms):
            hub.registry.evict_idle(hub.time(), 0)
            await asyncio.sleep(0)


async def stored_bytes(hub: Hub, document: str) -> bytes:
    """Everything that the store has of a document, when nothing is left to be compacted."""
    await hub.hosts.compactor.idle.wait()
    stored = await hub.storage.load(DocumentKey("w", document))
    return b"".join(row.update for row in stored.updates)

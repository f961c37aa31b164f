"""A client of a hub in the same process: a replica on a hand-flushed socket."""

from __future__ import annotations

from crdt_server.access.identity import Identity
from crdt_server.hub.hub import Hub
from crdt_server.protocol.lib0 import read_var_bytes
from crdt_server.protocol.messages import SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.update import decode_state_vector, decode_update
from tests.support.codec import decode_messages, encode_sync_step1, encode_sync_step2, encode_update, receive
from tests.support.sockets import HandSocket
from tests.support.wire import Replica

DENIED = b"\2\1"


class Person:
    """Types, reads what arrives, answers questions. `heard` is every update that came, in order."""

    def __init__(self, hub: Hub, document: str, client_id: int, *, wedding: str = "w") -> None:
        self.hub = hub
        self.identity = Identity(f"user-{client_id}", "couple")
        self.replica = Replica(client_id)
        self.received: list[bytes] = []
        self.denied: list[str] = []  # what the server said of writes that it has undone or refused
        self.synced = 0
        self.receipted = 0
        self._place = (wedding, document)
        self.enter()

    @property
    def address(self) -> str:
        return f"192.0.2.{self.replica.client_id}"

    def enter(self) -> None:
        """Join (again) with the replica as it is."""
        self.socket = HandSocket(self.address)
        self.room, self.session = self.hub.enter(*self._place, self.socket, self.identity)
        self.send(encode_sync_step1(self.replica.state_vector))

    def send(self, frame: bytes) -> None:
        receive(self.room, self.session, frame, self.hub)

    def type(self, text: str, at: int | None = None) -> bytes:
        update = self.replica.type(text, at)
        self.send(encode_update(update))
        return update

    def leave(self) -> None:
        self.hub.leave(self.room, self.session)

    def read(self) -> None:
        """Take in everything that has arrived."""
        for payload in self.socket.flush():
            if payload.startswith(DENIED):
                self.denied.append(read_var_bytes(payload, len(DENIED))[0].decode())
                continue
            for message in decode_messages(payload):
                if isinstance(message, SyncStep1):
                    known = decode_state_vector(message.state_vector)
                    self._receipt(known.get(self.replica.client_id, 0))
                    self.send(encode_sync_step2(self.replica.lacks(message.state_vector)))
                elif isinstance(message, SyncStep2):
                    self.replica.receive(message.update)
                    self.synced += 1
                elif isinstance(message, SyncUpdate):
                    self.received.append(message.update)
                    for client, _, following in decode_update(message.update, max_bytes=1 << 30).ranges:
                        if client == self.replica.client_id:
                            self._receipt(following)
                    self.replica.receive(message.update)

    def _receipt(self, clock: int) -> None:
        self.receipted = max(self.receipted, clock)

    @property
    def saved(self) -> bool:
        """Whether the server has confirmed every insertion of this replica."""
        return self.receipted >= decode_state_vector(self.replica.state_vector).get(self.replica.client_id, 0)

    async def sees(self, text: str) -> None:
        """Wait until the replica holds exactly this, and all that it wrote itself is saved."""

        def done() -> bool:
            self.read()
            return self.socket.closed is not None or (self.synced > 0 and self.saved and str(self.replica) == text)

        await self.socket.until(done)
        assert self.socket.closed is None, self.socket.closed

    async def has_length(self, length: int) -> None:
        """Wait until the replica holds that many characters."""

        def done() -> bool:
            self.read()
            return self.socket.closed is not None or len(str(self.replica)) == length

        await self.socket.until(done)

    async def is_synced(self) -> None:
        """Wait for the answer to the first question."""

        def done() -> bool:
            self.read()
            return self.synced > 0

        await self.socket.until(done)

    async def refused(self) -> None:
        """Wait for a notice of something undone or refused."""

        def done() -> bool:
            self.read()
            return self.socket.closed is not None or bool(self.denied)

        await self.socket.until(done)

    async def echoed(self, count: int = 1) -> None:
        """Wait until ``count`` updates have come, or the socket was closed."""

        def done() -> bool:
            self.read()
            return self.socket.closed is not None or len(self.received) >= count

        await self.socket.until(done)

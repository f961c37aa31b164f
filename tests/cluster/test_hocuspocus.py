"""Hocuspocus' protocol at nodes that do not own the wedding: both families in one room, and receipts after the commit
of the owner."""

from __future__ import annotations

from crdt_server.access.access import DevAccess
from crdt_server.protocol.hocuspocus import HocuspocusCodec, read_address
from crdt_server.protocol.lib0 import read_var_bytes, write_var_string
from crdt_server.protocol.messages import DocumentMessage, SyncStep1, SyncStep2, SyncUpdate
from crdt_server.transport.gate import ConnectionRequest, Gate
from crdt_server.transport.hocuspocus import HocuspocusEndpoint
from tests.cluster.conftest import Node, Nodes, until
from tests.support.sockets import HandSocket
from tests.support.wire import Replica

NAME = "w/notes.a"
STORED, NOT_STORED = b"\x08\1", b"\x08\0"


class Editor:
    """A client of Hocuspocus at a node, which counts as its provider does."""

    def __init__(self, node: Node, client_id: int) -> None:
        self.replica = Replica(client_id)
        self.socket = HandSocket()
        gate = Gate(node.hub, DevAccess(), lambda: 0.0)
        request = ConnectionRequest(self.socket.address, "/hocuspocus", f"user=u_{client_id}", {})
        self.endpoint = HocuspocusEndpoint(gate, self.socket, request)
        self.unsynced = 1
        self.kinds: list[bytes] = []
        self.endpoint.receive(write_var_string(NAME) + b"\2\0\0")
        self.send(SyncStep1(self.replica.state_vector))

    def send(self, message: DocumentMessage) -> None:
        self.endpoint.receive(HocuspocusCodec(NAME.encode()).encode(message))

    def type(self, text: str) -> None:
        self.unsynced += 1
        self.send(SyncUpdate(self.replica.type(text)))

    def read(self) -> None:
        for payload in self.socket.flush():
            body = payload[read_address(payload)[1] :]
            self.kinds.append(body[:2])
            if body in (STORED, NOT_STORED):
                self.unsynced -= body == STORED
            elif body[:2] == b"\0\0":
                self.send(SyncStep2(self.replica.lacks(read_var_bytes(body, 2)[0])))
            elif body[:1] == b"\0":
                self.replica.receive(read_var_bytes(body, 2)[0])

    def is_saved(self) -> bool:
        self.read()
        return self.unsynced == 0


async def test_both_families_edit_at_three_nodes_and_are_receipted_after_the_commit(nodes: Nodes) -> None:
    one, two, three = [await nodes.start() for _ in range(3)]
    owner = one.person(1)
    await owner.is_synced()
    assert one.owns()
    here, there = Editor(two, 2), Editor(three, 3)
    await until(here.is_saved)
    await until(there.is_saved)
    for text in "ab":
        here.type(text)
        there.type(text.upper())
        owner.type("-")
    await until(lambda: here.is_saved() and there.is_saved())
    assert sorted(await nodes.stored_text()) == sorted("ab" + "AB" + "--")
    await until(
        lambda: (here.read(), there.read(), str(here.replica) == str(there.replica))[2] and len(str(here.replica)) == 6
    )
    # The owner dies: what was written meanwhile is receipted by the next one.
    one.die()
    here.type("c")
    await until(lambda: here.is_saved(), 60)
    assert "c" in await nodes.stored_text()
    await until(lambda: (there.read(), "c" in str(there.replica))[1])
    for editor in (here, there):
        editor.endpoint.disconnected()

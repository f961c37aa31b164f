"""Presence at three nodes: states travel whole between nodes, and each node sends its readers what they may see."""

from __future__ import annotations

import operator
from datetime import UTC, datetime, timedelta
from functools import partial

from crdt_server.access.identity import Identity
from crdt_server.hub.last_seen import PersonPresence, PresenceStatus, current_rows, people_of
from crdt_server.protocol.messages import AwarenessUpdate
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session
from tests.cluster.conftest import Node, Nodes, until
from tests.support.codec import decode_messages, receive
from tests.support.sockets import HandSocket
from tests.support.wire import presence

BARN, TENT = b"behind-the-barn", b"in-the-tent"
QUERY = b"\3"
SOME_DAY = datetime(2026, 6, 20, tzinfo=UTC)


class Reader:
    """A person at a node, and all frames of presence that it is sent."""

    def __init__(self, node: Node, user: str, role: str, *, rights: str = "-" * 9, document: str = "notes.a") -> None:
        self.node = node
        self.socket = HandSocket()
        identity = Identity(user, role, rights=rights)
        self.room: Room
        self.session: Session
        self.room, self.session = node.hub.enter("w", document, self.socket, identity)
        self.frames: list[bytes] = []

    def read(self) -> bytes:
        """The frames up to now, one behind the other."""
        for frame in self.socket.flush():
            if any(isinstance(message, AwarenessUpdate) for message in decode_messages(frame)):
                self.frames.append(frame)
        return b"".join(self.frames)

    def send(self, frame: bytes) -> None:
        receive(self.room, self.session, frame, self.node.hub)


async def test_a_guest_is_nowhere_sent_where_somebody_is(nodes: Nodes) -> None:
    all_nodes = [await nodes.start() for _ in range(3)]
    readers = [Reader(node, f"u_{role}{n}", role) for n, node in enumerate(all_nodes) for role in ("guest", "couple")]
    sender = Reader(all_nodes[1], "u_ada", "vendor")
    state = {"zone": BARN.decode(), "batt": BARN.decode(), "user": {"role": "couple", "color": "#fa0"}}
    sender.send(presence(7, 1, state))
    await until(lambda: all(b"#fa0" in reader.read() for reader in readers))
    newcomers = [
        Reader(node, f"u_late{n}", role) for n, node in enumerate(all_nodes) for role in ("family", "coordinator")
    ]
    for reader in readers:
        reader.send(QUERY)
    sender.send(presence(7, 2, state | {"battery": TENT.decode(), "section": "menu"}))
    await until(lambda: all(b"menu" in reader.read() for reader in (*readers, *newcomers)))
    for reader in (*readers, *newcomers):
        assert len(reader.frames) == (3 if reader in readers else 2)
        sees = reader.session.identity.role in ("couple", "coordinator")
        assert all((BARN in frame) is sees for frame in reader.frames)
        assert (TENT in reader.read()) is sees
        assert all(b'"role":"vendor"' in frame and b'"role":"couple"' not in frame for frame in reader.frames)


async def test_of_a_node_without_rules_a_guest_is_sent_no_zone_either(nodes: Nodes) -> None:
    one, two = await nodes.pair()
    sender, guest = Reader(one, "u_ada", "couple", rights=""), Reader(two, "u_gus", "guest")
    sender.send(presence(7, 1, {"section": "menu", "zöne": 1, "zone": BARN.decode()}, ensure_ascii=True))
    await until(lambda: b"menu" in guest.read())
    assert BARN not in guest.read()


async def people_at(node: Node) -> list[PersonPresence]:
    """The people as the API of a node has them, but for the moments."""
    tracked = node.hub.people
    rows = current_rows(await node.storage.last_seen("w"), await tracked.rows("w"), tracked.node)
    found = people_of(rows, tracked.moment(), live=False)
    return [person._replace(last_seen=SOME_DAY, changed_at=SOME_DAY) for person in found]


async def test_every_node_knows_who_is_there(nodes: Nodes) -> None:
    all_nodes = [await nodes.start() for _ in range(3)]
    readers = [Reader(node, f"u_{n}", "family") for n, node in enumerate(all_nodes)]
    twice = Reader(all_nodes[2], "u_0", "family", document="notes.b")
    readers[1].send(presence(7, 1, {"section": "menu"}))
    await until(lambda: readers[1].session.awareness_text != "")
    for node in all_nodes:
        await node.hub.people.flush()
    found = [await people_at(node) for node in all_nodes]
    assert found[0] == found[1] == found[2]
    assert [(person.user, person.status, dict(person.documents)) for person in found[0]] == [
        ("u_0", PresenceStatus.ACTIVE, {"notes.a": {}, "notes.b": {}}),
        ("u_1", PresenceStatus.ACTIVE, {"notes.a": {"section": "menu"}}),
        ("u_2", PresenceStatus.ACTIVE, {"notes.a": {}}),
    ]
    twice.node.hub.leave(twice.room, twice.session)
    readers[1].node.hub.leave(readers[1].room, readers[1].session)
    for node in all_nodes:
        await node.hub.people.flush()
        tracked = node.hub.people
        now = tracked.moment()
        tracked.moment = partial(operator.add, now, timedelta(seconds=31))
    for node in all_nodes:
        assert [(person.user, person.status.value, sorted(person.documents)) for person in await people_at(node)] == [
            ("u_0", "active", ["notes.a"]),
            ("u_1", "offline", ["notes.a"]),
            ("u_2", "active", ["notes.a"]),
        ]

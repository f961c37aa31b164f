"""An endpoint between a hand-flushed socket and a gate that the test plays."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from crdt_server.access.access import Denied
from crdt_server.access.identity import Identity
from crdt_server.access.limits import SenderStrikes
from crdt_server.counters import Counters
from crdt_server.errors import AdmissionError
from crdt_server.metrics import Metrics
from crdt_server.protocol.messages import Received
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Connection, Session, SessionId
from crdt_server.settings import Settings
from crdt_server.transport.endpoint import EARLY_BYTES, AdmissionState, YWebSocketEndpoint
from crdt_server.transport.gate import ConnectionRequest, Gate
from tests.support.codec import encode_update
from tests.support.gate import SLOW, HeldAccess
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket

ADA = Identity("ada", "couple")
OTHER = "192.0.2.2"


class OneRoom:
    """The hub as far as a gate sees it: one room, without hosts and store."""

    def __init__(self) -> None:
        self.settings = Settings(dev=True, max_connections=3, max_pending_per_address=2)
        self.metrics = Metrics()
        self.strikes = SenderStrikes(1)
        self.audit = self
        self.refused: list[str] = []
        self.overloaded = False
        self.full = False
        self.received: list[Received] = []
        self.room = Room(1, "w", "notes.a", RoomLimits(), Counters(), RecordingRoomEvents())
        self.room.opened()

    def enter(self, wedding: str, document: str, connection: Connection, identity: Identity) -> tuple[Room, Session]:
        if self.full:
            raise AdmissionError("room_full", "too many sockets in this room")
        session = Session(SessionId(1), connection, identity)
        self.room.join(session)
        return self.room, session

    def receive(self, room: Room, session: Session, messages: list[Received]) -> None:
        self.received += messages

    def leave(self, room: Room, session: Session) -> None:
        room.leave(session)

    def record(self, wedding: str, user: str, action: str, **detail: object) -> None:
        self.refused.append(action)


class Entry:
    """A gate, its hub and its access."""

    def __init__(self) -> None:
        self.hub, self.access = OneRoom(), HeldAccess()
        self.now = 0.0
        self.gate = Gate(self.hub, self.access, lambda: self.now)  # type: ignore[arg-type]

    def connect(self, wedding: str = "w", **options: Any) -> tuple[YWebSocketEndpoint, HandSocket]:
        socket = HandSocket(options.pop("address", "192.0.2.1"))
        path = options.pop("path", f"/ws/{wedding}/notes.a")
        request = ConnectionRequest(socket.address, path, options.pop("query", ""), {})
        return YWebSocketEndpoint(self.gate, socket, request), socket

    @property
    def counts(self) -> tuple[int, int]:
        return self.gate.admission.held, self.gate.pending.held


@pytest.fixture
def entry() -> Entry:
    return Entry()


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


async def test_an_immediate_decision_opens_and_leaving_closes(entry: Entry) -> None:
    endpoint, socket = entry.connect(query="user=ada&role=planner")
    assert (endpoint.state, entry.counts) == (AdmissionState.OPEN, (1, 0))
    assert [session.identity for session in entry.hub.room.members.sessions] == [Identity("ada", "planner")]
    endpoint.receive(encode_update(b"u"))
    assert len(entry.hub.received) == 1
    endpoint.disconnected()
    assert (endpoint.state, entry.counts, socket.closed) == (AdmissionState.CLOSED, (0, 0), None)
    assert not entry.hub.room.members.sessions


async def test_frames_before_the_decision_are_replayed_in_order(entry: Entry) -> None:
    endpoint, socket = entry.connect(SLOW)
    assert (endpoint.state, socket.paused, entry.counts) == (AdmissionState.PENDING, True, (1, 1))
    for text in (b"1", b"2", b"3"):
        endpoint.receive(memoryview(encode_update(text)))
    assert not entry.hub.received
    entry.access.answer(ADA)
    await settle()
    assert [message.update for message in entry.hub.received] == [b"1", b"2", b"3"]  # type: ignore[union-attr]
    assert (socket.paused, entry.counts) == (False, (1, 0))


async def test_a_malformed_early_frame_ends_the_replay(entry: Entry) -> None:
    endpoint, socket = entry.connect(SLOW)
    endpoint.receive(b"\x09")
    endpoint.receive(encode_update(b"u"))
    entry.access.answer(ADA)
    await settle()
    assert (socket.close_code, entry.hub.received) == (4400, [])


@pytest.mark.parametrize("size", [0, 1000, EARLY_BYTES])
async def test_frames_before_the_decision_are_bounded(entry: Entry, size: int) -> None:
    endpoint, socket = entry.connect(SLOW)
    for _ in range(EARLY_BYTES // (size + 64) + 1):
        endpoint.receive(bytes(size))
    await settle()
    assert (socket.close_code, endpoint.state, entry.counts) == (1009, AdmissionState.CLOSED, (0, 0))
    entry.access.answer(ADA)
    await settle()
    assert not entry.hub.room.members.sessions


async def test_a_peer_that_leaves_is_not_waited_for(entry: Entry) -> None:
    endpoint, _ = entry.connect(SLOW)
    endpoint.disconnected()
    await settle()
    assert entry.counts == (0, 0)
    assert entry.access.held[0].cancelled()


async def test_a_peer_that_leaves_when_the_decision_is_made(entry: Entry) -> None:
    endpoint, _ = entry.connect(SLOW)
    entry.access.answer(ADA)
    endpoint.disconnected()
    await settle()
    assert entry.counts == (0, 0)
    assert not entry.hub.room.members.sessions


async def test_text_before_the_decision(entry: Entry) -> None:
    endpoint, socket = entry.connect(SLOW)
    endpoint.reject(4400, "binary messages only")
    await settle()
    assert (socket.close_code, entry.counts) == (4400, (0, 0))


async def test_a_room_that_is_full_by_then(entry: Entry) -> None:
    endpoint, _ = entry.connect(SLOW)
    entry.hub.full = True
    entry.access.answer(ADA)
    await settle()
    assert (endpoint.state, entry.counts) == (AdmissionState.CLOSED, (0, 0))


async def test_an_answer_that_is_an_error(entry: Entry) -> None:
    _, socket = entry.connect(SLOW)
    entry.access.held[0].set_exception(AdmissionError("busy", "come back later"))
    await settle()
    assert (socket.closed, entry.counts) == ((1013, "come back later"), (0, 0))


@pytest.mark.parametrize("path", ["/ws/w/nothing", "/ws/w", "/ws/-/notes.a", "/ws/w/notes.a/b", "/ws/w/notes%2Ea%2Fb"])
async def test_names_that_cannot_be(entry: Entry, path: str) -> None:
    endpoint, socket = entry.connect(path=path)
    assert (endpoint.state, socket.close_code, entry.counts) == (AdmissionState.CLOSED, 4404, (0, 0))
    assert entry.access.calls == 0


async def test_limits_come_before_access(entry: Entry) -> None:
    entry.hub.strikes.add(ADA, "192.0.2.1", 0, deadly=True)
    assert entry.connect()[1].close_code == 4529
    entry.hub.overloaded = True
    assert entry.connect(address=OTHER)[0].state is AdmissionState.CLOSED
    entry.hub.overloaded = False
    opened = [entry.connect(address=OTHER)[0] for _ in range(4)]
    assert [each.state is AdmissionState.OPEN for each in opened] == [True, True, True, False]
    assert entry.access.calls == 3


async def test_stopping_refuses_those_that_wait(entry: Entry) -> None:
    _, socket = entry.connect(SLOW)
    entry.gate.stop()
    await settle()
    assert (socket.close_code, entry.counts) == (1012, (0, 0))


async def test_an_identity_without_rights(entry: Entry) -> None:
    entry.access.may = lambda *_: Denied("not_found", "no such document")  # type: ignore[method-assign, misc]
    _, socket = entry.connect()
    assert (socket.close_code, entry.counts) == (4404, (0, 0))
    assert entry.hub.refused == ["socket.refused"]

"""A socket with several documents between a hand-flushed transport and a gate that the test plays."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from typing import Any

import pytest

from crdt_server.access.access import Denied
from crdt_server.access.identity import Authenticated, Identity
from crdt_server.access.limits import SenderStrikes
from crdt_server.access.origins import AllowedOrigins
from crdt_server.counters import Counters
from crdt_server.errors import AdmissionError, ProtocolError
from crdt_server.hub.event_notifier import EventNotifier
from crdt_server.metrics import Metrics
from crdt_server.protocol.hocuspocus import PING, PONG, HocuspocusCodec, read_address
from crdt_server.protocol.lib0 import read_var_string, write_var_string
from crdt_server.protocol.messages import (
    AwarenessUpdate,
    DocumentMessage,
    Stateless,
    SyncStep1,
    SyncUpdate,
    TokenRequest,
)
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.intake import receive
from crdt_server.rooms.refusals import revoke
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import BACKLOG, Connection, Session, SessionId
from crdt_server.settings import Settings
from crdt_server.transport import document_connection
from crdt_server.transport.document_connection import request_renewal
from crdt_server.transport.endpoint import NO_ENDPOINT
from crdt_server.transport.gate import ConnectionRequest, Gate
from crdt_server.transport.hocuspocus import HocuspocusEndpoint
from tests.support.gate import CLOSED, SLOW, HeldAccess
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket

ADA = Identity("ada", "couple")
A, B = "w/notes.a", "w/notes.b"
STEP1 = SyncStep1(b"\0")


class Rooms:
    """The hub as far as a gate and an endpoint see it: rooms without hosts and store."""

    def __init__(self) -> None:
        self.settings = Settings(dev=True, max_documents_per_socket=3, max_pending_per_address=4, max_connections=4)
        self.metrics = Metrics()
        self.strikes = SenderStrikes(0)
        self.events = EventNotifier()
        self.audit = self
        self.overloaded = False
        self.full = False
        self.reports = RecordingRoomEvents()
        self.rooms: dict[str, Room] = {}

    def enter(self, wedding: str, document: str, connection: Connection, identity: Identity) -> tuple[Room, Session]:
        if self.full:
            raise AdmissionError("room_full", "too many sockets in this room")
        name = f"{wedding}/{document}"
        if name not in self.rooms:
            room = Room(len(self.rooms), wedding, document, RoomLimits(), Counters(), self.reports)
            room.opened()
            room.replies.store_empty()
            self.rooms[name] = room
        room, session = self.rooms[name], Session(SessionId(1), connection, identity)
        room.join(session)
        return room, session

    def receive(self, room: Room, session: Session, messages: list[Any]) -> None:
        receive(room, session, messages)

    def leave(self, room: Room, session: Session) -> None:
        room.leave(session)

    def record(self, *_: object, **__: object) -> None:
        pass


class Socket:
    """A socket with its endpoint."""

    def __init__(self, gate: Gate, **headers: str) -> None:
        self.wire = HandSocket()
        request = ConnectionRequest(self.wire.address, "/hocuspocus", "user=ada&role=couple", headers)
        self.endpoint = HocuspocusEndpoint(gate, self.wire, request)

    def send(self, name: str, *messages: DocumentMessage) -> None:
        for message in messages:
            self.endpoint.receive(HocuspocusCodec(name.encode()).encode(message))

    def authenticate(self, name: str, token: str = "") -> None:
        self.endpoint.receive(write_var_string(name) + b"\2\0" + write_var_string(token))

    def open(self, *names: str) -> None:
        for name in names:
            self.authenticate(name)
            self.send(name, STEP1)

    def leave(self, name: str) -> None:
        self.endpoint.receive(write_var_string(name) + b"\7")

    def arrived(self) -> list[tuple[str, bytes]]:
        """Name and kind of each message that arrives now: one byte, of sync and auth two."""
        found = []
        for payload in self.wire.flush():
            address, pos = read_address(payload)
            found.append((address.decode(), payload[pos : pos + (2 if payload[pos] in (0, 2) else 1)]))
        return found

    def reasons(self) -> list[tuple[str, str]]:
        """Name and reason of each document that is closed or refused by what arrives now."""
        found = []
        for payload in self.wire.flush():
            address, pos = read_address(payload)
            if payload[pos] == 7:
                found.append((address.decode(), read_var_string(payload, pos + 1)[0]))
            elif payload[pos : pos + 2] == b"\2\1":
                found.append((address.decode(), read_var_string(payload, pos + 2)[0]))
        return found


class Entry:
    """A gate with its hub and its access."""

    def __init__(self) -> None:
        self.hub, self.access = Rooms(), HeldAccess()
        self.gate = Gate(self.hub, self.access, lambda: 0.0)  # type: ignore[arg-type]

    def connect(self, *names: str) -> Socket:
        socket = Socket(self.gate)
        socket.open(*names)
        return socket

    @property
    def counts(self) -> tuple[int, int]:
        """Documents that are open or decided about, and sockets without one."""
        return self.gate.admission.held, self.gate.pending.held

    def members(self, name: str) -> list[Session]:
        room = self.hub.rooms.get(name)
        return [] if room is None else list(room.members)


@pytest.fixture
def entry() -> Entry:
    return Entry()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents that are closed for a while come again at once."""
    monkeypatch.setattr(document_connection, "RETRY_SECONDS", 0)


async def settle() -> None:
    for _ in range(4):
        await asyncio.sleep(0)


OPENED = [b"\2\2", b"\0\0", b"\0\1"]  # authenticated, step 1, step 2


async def test_documents_open_one_by_one_and_count_as_sockets(entry: Entry) -> None:
    socket = entry.connect()
    assert entry.counts == (0, 1)
    socket.open(A, B)
    assert socket.arrived() == [(name, kind) for name in (A, B) for kind in OPENED]
    assert (entry.counts, socket.endpoint.person) == ((2, 0), "192.0.2.1 ada")
    socket.endpoint.disconnected()
    await settle()
    assert (entry.counts, entry.members(A), entry.members(B)) == ((0, 0), [], [])


async def test_messages_of_a_document_without_a_token_are_dropped(entry: Entry) -> None:
    socket = entry.connect(A)
    socket.wire.flush()
    socket.send(B, STEP1, SyncUpdate(b"u"), AwarenessUpdate(b"\0"))
    assert (socket.arrived(), list(entry.hub.rooms), socket.wire.closed) == ([], [A], None)


async def test_sessions_of_one_document(entry: Entry) -> None:
    socket = entry.connect(A + "\0one", A + "\0two")
    assert len(entry.members(A)) == 2
    assert {name for name, _ in socket.arrived()} == {A + "\0one", A + "\0two"}


async def test_as_many_documents_as_a_socket_may_have(entry: Entry) -> None:
    socket = entry.connect(A, B, "w/notes.c")
    socket.wire.flush()
    socket.open("w/notes.d")
    assert socket.reasons() == [("w/notes.d", "4503: too many documents on this socket")]
    assert entry.counts == (3, 0)
    socket.leave(B)
    await settle()
    socket.open("w/notes.d")
    assert [kind for _, kind in socket.arrived()] == OPENED
    assert (entry.counts, entry.members(B)) == ((3, 0), [])


@pytest.mark.parametrize("name", ["w", "w/", "/notes.a", "w/nothing", "w/notes.a/b", "../w", f"{CLOSED}/notes.a"])
async def test_a_document_that_is_refused_leaves_the_socket_open(entry: Entry, name: str) -> None:
    socket = entry.connect(A)
    socket.wire.flush()
    socket.open(name)
    ((refused, reason),) = socket.reasons()
    assert (refused, reason[:5]) == (name, "4403:" if name.startswith(CLOSED) else "4404:")
    assert (socket.wire.closed, entry.counts, len(entry.members(A))) == (None, (1, 0), 1)


async def test_a_decision_that_takes_long_does_not_stop_the_others(entry: Entry) -> None:
    socket = entry.connect(f"{SLOW}/notes.a", A)
    assert not socket.wire.paused
    socket.send(f"{SLOW}/notes.a", SyncUpdate(b"u"), AwarenessUpdate(b"\0"))
    assert (len(entry.members(A)), entry.counts) == (1, (2, 1))
    socket.wire.flush()
    entry.access.answer(ADA)
    await settle()
    assert (len(entry.members(f"{SLOW}/notes.a")), entry.counts) == (1, (2, 0))
    assert [kind for _, kind in socket.arrived()] == OPENED


async def test_a_client_that_leaves_is_not_waited_for(entry: Entry) -> None:
    socket = entry.connect(f"{SLOW}/notes.a")
    socket.leave(f"{SLOW}/notes.a")
    await settle()
    assert (entry.access.held[0].cancelled(), entry.counts, socket.arrived()) == (True, (0, 1), [])
    socket.open(f"{SLOW}/notes.b")
    entry.access.answer(ADA)
    socket.endpoint.disconnected()
    await settle()
    assert (entry.counts, entry.members(f"{SLOW}/notes.b")) == ((0, 0), [])


async def test_a_malformed_message_closes_its_document_and_counts_against_its_person(entry: Entry) -> None:
    socket = entry.connect(A, B)
    socket.wire.flush()
    socket.endpoint.receive(write_var_string(A) + b"\6\1a")
    await settle()
    assert socket.reasons() == [(A, "4400: unexpected_message")]
    assert ([session.user for session in entry.hub.reports.refused], socket.wire.closed) == (["ada"], None)
    assert (entry.members(A), len(entry.members(B))) == ([], 1)


async def test_a_malformed_message_before_the_decision(entry: Entry) -> None:
    socket = entry.connect(f"{SLOW}/notes.a", A)
    socket.wire.flush()
    socket.endpoint.receive(write_var_string(f"{SLOW}/notes.a") + b"\x0b")
    await settle()
    assert socket.reasons() == [(f"{SLOW}/notes.a", "4400: malformed message")]


@pytest.mark.parametrize("frame", [b"", b"\x0b", b"\0\2", b"\xff\xff", b"\1\xff\2\0\0", b"\x80\x80\1" + bytes(20_000)])
async def test_a_malformed_address_closes_the_socket(entry: Entry, frame: bytes) -> None:
    socket = entry.connect(A)
    socket.endpoint.receive(frame)
    assert socket.wire.close_code == 4400
    assert len(entry.hub.reports.refused) == 1


@pytest.mark.parametrize("body", [b"", b"\2", b"\2\7", b"\2\0\5ab"])
async def test_a_malformed_message_of_no_document_closes_none(entry: Entry, body: bytes) -> None:
    socket = entry.connect(A)
    socket.wire.flush()
    socket.endpoint.receive(write_var_string(B) + body)
    assert (socket.wire.outbox, socket.wire.closed, len(entry.members(A))) == (deque(), None, 1)
    assert len(entry.hub.reports.refused) == (1 if body else 0)


async def test_pings_are_answered_and_pongs_are_not(entry: Entry) -> None:
    socket = entry.connect(A)
    socket.wire.flush()
    for frame in (PING, PONG):
        socket.endpoint.receive(frame)
    assert (socket.wire.flush(), socket.wire.closed) == ([PONG], None)


async def test_an_expelled_document_does_not_take_its_neighbours_along(entry: Entry) -> None:
    socket = entry.connect(A, B)
    socket.wire.flush()
    (session,) = entry.members(A)
    revoke(entry.hub.rooms[A], session, 4403, "not a member")
    await settle()
    assert socket.reasons() == [(A, "4403: not a member")]
    socket.send(A, SyncUpdate(b"u"))
    entry.hub.rooms[B].members.broadcast(Outgoing(SyncUpdate(b"u")))
    assert (socket.arrived(), socket.wire.closed, entry.counts) == ([(B, b"\0\2")], None, (1, 0))


async def test_the_socket_is_closed_when_the_token_of_its_last_document_has_expired(entry: Entry) -> None:
    socket = entry.connect(A, B)
    for name in (A, B):
        assert socket.wire.closed is None
        (session,) = entry.members(name)
        entry.hub.rooms[name].members.close(session, 4401, "the token has expired")
        await settle()
    assert socket.wire.close_code == 4401


async def test_a_server_that_goes_away_closes_the_socket(entry: Entry) -> None:
    socket = entry.connect(A, B)
    (session,) = entry.members(A)
    entry.hub.rooms[A].members.close(session, 1012, "restarting")
    assert socket.wire.closed == (1012, "restarting")
    waiting = entry.connect(f"{SLOW}/notes.a")
    entry.gate.stop()
    await settle()
    assert waiting.wire.closed == (1012, "restarting")


@pytest.mark.usefixtures("quick")
async def test_a_document_that_is_closed_for_a_while_comes_again_on_the_same_socket(entry: Entry) -> None:
    socket = entry.connect(A, B)
    socket.send(A, AwarenessUpdate(b"\0"))
    socket.wire.flush()
    entry.hub.rooms[A].fail(1013, "the store failed")
    del entry.hub.rooms[A]
    socket.send(A, SyncUpdate(b"u"))
    await socket.wire.until(lambda: len(socket.wire.outbox) == 2)
    await settle()
    assert socket.arrived() == [(A, b"\7"), (A, b"\2\0")]
    assert entry.counts == (1, 0)
    socket.authenticate(A, "user=ada")
    # It is brought up to date from the step 1 that it has sent before, and its presence is queried.
    assert socket.arrived() == [(A, b"\2\2"), (A, b"\0\0"), (A, b"\3"), (A, b"\0\1")]
    assert (len(entry.members(A)), entry.counts, socket.wire.closed) == (1, (2, 0), None)


@pytest.mark.usefixtures("quick")
async def test_what_is_refused_for_now_is_tried_again(entry: Entry) -> None:
    entry.hub.full = True
    socket = entry.connect(A)
    await settle()
    assert entry.counts == (0, 1)
    entry.hub.full = False
    await socket.wire.until(lambda: len(socket.wire.outbox) == 2)
    socket.wire.flush()
    socket.authenticate(A)
    assert [kind for _, kind in socket.arrived()][:2] == [b"\2\2", b"\0\0"]


async def test_a_socket_without_a_document_is_closed(entry: Entry) -> None:
    entry.hub.settings.admission_seconds = 0.01
    empty, waiting, served = entry.connect(), entry.connect(f"{SLOW}/notes.a"), entry.connect(A)
    await empty.wire.until(lambda: empty.wire.closing)
    await waiting.wire.until(lambda: waiting.wire.closing)
    assert (empty.wire.close_code, waiting.wire.close_code, served.wire.closed) == (4401, 4503, None)
    for socket in (empty, waiting):
        socket.endpoint.disconnected()
    await settle()
    assert entry.counts == (1, 0)
    served.leave(A)
    await served.wire.until(lambda: served.wire.closing)
    assert served.wire.close_code == 4401


async def test_sockets_without_a_document_are_bounded(entry: Entry) -> None:
    sockets = [entry.connect() for _ in range(5)]
    assert entry.counts == (0, 4)
    for socket in sockets:
        socket.endpoint.disconnected()
    assert entry.counts == (0, 0)


async def test_pages_of_other_origins() -> None:
    entry = Entry()
    entry.gate.origins = AllowedOrigins("https://here.test")
    socket = Socket(entry.gate, Origin="https://there.test")
    assert socket.wire.close_code == 4403
    socket.open(A)
    assert not entry.hub.rooms


async def test_a_newer_token(entry: Entry) -> None:
    socket = entry.connect(A)
    socket.wire.flush()
    (session,) = entry.members(A)

    def identify(*_: object) -> Authenticated | Denied:
        return next(answers)

    reader = Identity("ada", "guest", rights="-" * 9)
    answers = iter(
        (
            Authenticated(ADA._replace(name="Ada"), 1000.0),
            Authenticated(reader, 2000.0),
            Authenticated(Identity("bob", "couple"), 3000.0),
        )
    )
    entry.access.identify = identify  # type: ignore[method-assign, assignment]
    socket.authenticate(A, "newer")
    assert (session.identity.name, session.authenticated, socket.arrived()) == (
        "Ada", Authenticated(ADA._replace(name="Ada"), 1000.0), [],
    )  # fmt: skip
    entry.access.may = lambda _, action, *__: Denied("forbidden", "no") if action.value == "write" else None  # type: ignore[method-assign, misc]
    socket.authenticate(A, "of a reader")
    assert (session.reads_only, socket.arrived(), entry.counts) == (True, [(A, b"\2\2")], (1, 0))
    socket.authenticate(A, "of somebody else")
    await settle()
    assert (entry.members(A), socket.wire.close_code, entry.counts) == ([], 4401, (0, 1))


async def test_a_newer_token_is_requested_once_in_time(entry: Entry) -> None:
    socket = entry.connect(A)
    socket.wire.flush()
    (session,) = entry.members(A)
    for now, expected in ((0, 0), (969, 0), (970, 1), (990, 0)):
        request_renewal(session, 1000.0, now)
        assert socket.arrived() == [(A, b"\2\0")] * expected
    for now, expected in ((1000, 0), (1004, 0), (1005, 1), (1006, 0)):  # the next one is valid for ten seconds
        request_renewal(session, 1010.0, now)
        assert socket.arrived() == [(A, b"\2\0")] * expected


async def test_the_socket_is_read_again_when_no_document_is_paused(entry: Entry) -> None:
    socket = entry.connect(A, B)
    (one,), (two,) = entry.members(A), entry.members(B)
    one.pause(BACKLOG)
    two.pause(BACKLOG)
    one.resume(BACKLOG)
    assert socket.wire.paused
    socket.leave(B)
    assert not socket.wire.paused
    two.pause(BACKLOG)
    assert not socket.wire.paused


@pytest.mark.usefixtures("quick")
async def test_a_slow_reader_loses_the_document_that_overflows(entry: Entry) -> None:
    entry.hub.settings.write_buffer_bytes = 300_000
    socket = entry.connect(A, B)
    large, small = Outgoing(SyncUpdate(bytes(100_000))), Outgoing(SyncUpdate(bytes(1000)))
    for _ in range(4):
        entry.hub.rooms[A].members.broadcast(large)
        entry.hub.rooms[B].members.broadcast(small)
    await settle()
    assert (len(entry.members(A)), len(entry.members(B)), socket.wire.closed) == (1, 1, None)
    entry.hub.rooms[A].members.broadcast(large)
    await settle()
    assert (entry.members(A), len(entry.members(B)), socket.wire.closed) == ([], 1, None)
    assert socket.endpoint.documents.queue.waiting_bytes < 10_000
    while socket.wire.outbox:
        socket.wire.flush()
        await settle()
    assert socket.wire.closed is None
    token_request = HocuspocusCodec(A.encode()).encode(TokenRequest())
    await socket.wire.until(lambda: token_request in (*socket.wire.arrived, *socket.wire.outbox))


async def test_stateless_requests(entry: Entry) -> None:
    socket = entry.connect(A)
    socket.wire.flush()
    for payload in ("nothing", "[" * 1000, "x" * 5000, '{"subscribe": "outbox"}'):
        socket.send(A, Stateless(payload))
        assert b"unknown_request" in socket.wire.flush()[0]
    socket.send(A, Stateless(json.dumps({"subscribe": "inbox"})), Stateless(json.dumps({"subscribe": "inbox"})))
    entry.hub.events.publish_inbox("w", ["bob"])
    assert not socket.wire.outbox
    entry.hub.events.publish_inbox("w", ["ada"])
    assert socket.wire.flush() == [HocuspocusCodec(A.encode()).encode(Stateless('{"inbox": "changed"}'))]
    socket.endpoint.disconnected()
    entry.hub.events.publish_inbox("w", ["ada"])
    assert not socket.wire.outbox


async def test_any_frames_leave_nothing_behind(entry: Entry) -> None:
    for frame in (bytes((kind, *rest)) for kind in range(12) for rest in ((), (0,), (1, 97), (255, 255))):
        for head in (b"", write_var_string(A)):
            socket = entry.connect(A)
            try:
                socket.endpoint.receive(head + frame)
            except ProtocolError:  # pragma: no cover - the endpoint takes them
                pytest.fail(f"{frame!r}")
            socket.endpoint.disconnected()
    await settle()
    assert (entry.counts, entry.members(A), NO_ENDPOINT.person) == ((0, 0), [], "")

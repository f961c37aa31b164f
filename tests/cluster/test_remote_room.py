"""The state of a remote room, without a bus: what is sent to an owner, sent again to the next, and never twice."""

from __future__ import annotations

from typing import Any

import pytest

from crdt_server.access.identity import Identity
from crdt_server.cluster.messages import SUBSCRIBE
from crdt_server.cluster.remote_room import RemoteRoom
from crdt_server.counters import Counters
from crdt_server.hub.request_session import RequestSession
from crdt_server.pipe import Bytes, Diff, RequestKind, Status
from crdt_server.protocol.messages import SyncStep2
from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.intake import enqueue
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from tests.support.codec import decode_messages
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket

ANN = Identity("ann", "couple")
UPDATE = b"\x01\x01\x01\x00\x04\x01\x04note\x01a\x00"


class Fixture:
    """A remote room whose sessions' requests are all in flight."""

    def __init__(self) -> None:
        self.room = Room(1, "w", "notes.a", RoomLimits(), Counters(), RecordingRoomEvents())
        self.remote = RemoteRoom(self.room, now=0.0)
        self.sockets: list[HandSocket] = []
        self.number = SUBSCRIBE

    def session(self, session_type: type[Session] = Session) -> Session:
        self.sockets.append(HandSocket())
        session = session_type(SessionId(len(self.sockets)), self.sockets[-1], ANN)
        self.room.members.add(session)
        return session

    def send(self, session: Session, kind: RequestKind, payload: bytes = b"") -> Request:
        request = Request(session, kind, payload)
        if not self.remote.share(request):
            self.number += 1
            self.remote.add(self.number, request)
        return request

    def received(self, socket: int) -> list[Any]:
        return [message for payload in self.sockets[socket].outbox for message in decode_messages(payload)]


@pytest.fixture
def here() -> Fixture:
    return Fixture()


def test_a_subscription_repeats_what_is_pending(here: Fixture) -> None:
    session = here.session()
    here.send(session, RequestKind.UPDATE, UPDATE)
    here.send(session, RequestKind.DIFF, b"\x01\x01\x01")
    sent = here.remote.subscribe("node-1", now=1.0)
    assert [(each.number, each.kind, each.payload) for each in sent] == [
        (SUBSCRIBE, RequestKind.STATE_VECTOR, b""),
        (1, RequestKind.UPDATE, UPDATE),
        (2, RequestKind.DIFF, b"\x01\x01\x01"),
    ]
    assert sent[1].identity == ANN
    assert sent[1].address == here.sockets[0].address
    assert here.remote.subscribe("node-2", now=2.0) == sent


async def test_a_command_is_not_sent_twice(here: Fixture) -> None:
    here.send(here.session(RequestSession), RequestKind.COMMAND, b"x")
    here.send(here.session(), RequestKind.UPDATE, UPDATE)
    assert [each.kind for each in here.remote.subscribe("node-1", 1.0)[1:]] == [RequestKind.UPDATE]
    assert here.sockets[0].close_code == 1013
    assert here.sockets[1].closed is None


def test_equal_reads_share_one_response(here: Fixture) -> None:
    sessions = [here.session() for _ in range(3)]
    requests = [here.send(session, RequestKind.DIFF, EMPTY_STATE_VECTOR) for session in sessions]
    assert here.remote.newcomers() == [1]
    assert here.remote.pop(1) == requests
    assert not here.remote.waits
    assert here.remote.pending_bytes == 0
    here.remote.settle(requests, Status.OK, Diff([UPDATE]))
    assert [here.received(socket) for socket in range(3)] == [[SyncStep2(UPDATE)]] * 3


def test_the_refusal_of_one_session_is_not_that_of_others_with_an_equal_read(here: Fixture) -> None:
    gone, stays = here.session(), here.session()
    here.send(gone, RequestKind.DIFF, EMPTY_STATE_VECTOR)
    read = here.send(stays, RequestKind.DIFF, EMPTY_STATE_VECTOR)
    here.remote.settle(here.remote.pop(here.number), Status.FORBIDDEN, None)
    assert [socket.close_code for socket in here.sockets] == [4403, None]
    assert here.room.take(1 << 20).requests == [read]


def test_an_update_shares_nothing(here: Fixture) -> None:
    first, second = (here.send(here.session(), RequestKind.UPDATE, UPDATE) for _ in range(2))
    assert here.remote.pop(1) == [first]
    assert here.remote.pop(1) == []
    assert here.remote.pop(2) == [second]


async def test_a_request_without_a_socket_has_a_response_of_its_own(here: Fixture) -> None:
    here.send(here.session(), RequestKind.DIFF, b"\x00")
    alone = here.send(here.session(RequestSession), RequestKind.DIFF, b"\x00")
    assert here.remote.pop(2) == [alone]


def test_what_is_put_back_keeps_its_order(here: Fixture) -> None:
    session = here.session()
    sent = [here.send(session, RequestKind.UPDATE, UPDATE + bytes([n])) for n in range(3)]
    later = Request(session, RequestKind.UPDATE, UPDATE)
    enqueue(here.room, later)
    here.remote.put_back_all()
    assert here.room.take(1 << 20).requests == [*sent, later]
    assert not here.remote.waits


def test_silence_counts_only_while_something_is_expected(here: Fixture) -> None:
    remote = here.remote
    remote.subscribe("node-1", now=1.0)
    assert not remote.silent(now=1.5, seconds=1.0)
    assert remote.silent(now=2.5, seconds=1.0)  # the subscription is not confirmed
    remote.subscribed = True
    assert not remote.silent(now=9.0, seconds=1.0)
    here.send(here.session(), RequestKind.STATE_VECTOR)
    assert remote.is_oldest(1)
    assert remote.silent(now=9.0, seconds=1.0)
    assert not remote.overdue(now=9.0, seconds=5.0)
    remote.waiting_since = 3.0
    assert remote.overdue(now=9.0, seconds=5.0)


def test_a_refusal_reaches_the_session(here: Fixture) -> None:
    request = here.send(here.session(), RequestKind.UPDATE, UPDATE)
    here.remote.settle(here.remote.pop(1), Status.VIOLATION, None)
    assert here.sockets[0].closed is not None
    assert request.session in here.room.members


def test_a_state_vector_is_sent_as_step_1(here: Fixture) -> None:
    here.send(here.session(), RequestKind.STATE_VECTOR)
    here.remote.settle(here.remote.pop(1), Status.OK, Bytes(b"\x01\x01\x01"))
    (message,) = here.received(0)
    assert message.state_vector == b"\x01\x01\x01"

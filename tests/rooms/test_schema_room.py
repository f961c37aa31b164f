"""What a room of a document with a schema does besides; the test plays host and store, as in `test_room`."""

import json
from collections.abc import Callable, Mapping

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.pipe import (
    IndexedNotice,
    RequestKind,
    Status,
)
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.intake import not_checked, prechecked
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from documents.kind import MAX_UPDATE_BYTES
from tests.support.codec import encode_permission_denied, encode_sync_step1, encode_sync_step2, encode_update, receive
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket

AWAY = b"\x01\x05\x02"
NOTICE = json.dumps({"reverted": [], "why": "Zoë"}, ensure_ascii=False)


class Table:
    """A room, and what it reports."""

    def __init__(self, document: str = "guests") -> None:
        self.events = RecordingRoomEvents()
        self.room = Room(1, "w", document, RoomLimits(), Counters(), self.events)
        self.room.opened()

    def join(self) -> tuple[Session, HandSocket]:
        """A session whose greeting is over."""
        socket = HandSocket()
        session = Session(SessionId(len(self.room.members) + 1), socket, Identity("ada", "couple"))
        self.room.join(session)
        self.take()
        socket.flush()
        return session, socket

    def take(self) -> list[Request]:
        return self.room.take(1 << 20).requests

    def take_all(self) -> list[Request]:
        taken = []
        while self.room.inbox:
            taken += self.take()
        return taken

    def reverting(
        self, requests: list[Request], update: bytes | None = b"m", statuses: Mapping[int, Status] | None = None
    ) -> RoomBatch:
        """A batch of whose first request something is undone."""
        batch = RoomBatch(self.room, requests, update, statuses or {})
        batch.notices = [IndexedNotice(0, NOTICE.encode())]
        return batch

    def broadcast(self, batch: RoomBatch) -> None:
        self.room.assign_sequence(batch)
        self.room.broadcast(batch)

    def undo(self, session: Session) -> None:
        """An edit of which something is undone; the batch is broadcast."""
        receive(self.room, session, encode_update(b"u"))
        self.broadcast(self.reverting(self.take()))


@pytest.mark.parametrize(("document", "has_schema"), [("guests", True), ("thread.a", True), ("notes.a", False)])
def test_which_documents_have_a_schema(document: str, has_schema: bool) -> None:
    assert Table(document).room.hosted.has_schema is has_schema


def test_what_somebody_brings_back_goes_over_with_what_they_knew() -> None:
    """Edits made while away are concurrent with all that the others did meanwhile."""
    table = Table()
    session, _ = table.join()
    receive(table.room, session, encode_sync_step1(AWAY))
    receive(table.room, session, encode_sync_step2(b"made while away"))
    receive(table.room, session, encode_update(b"made since"))
    requests = [request for request in table.take() if request.kind is RequestKind.UPDATE]
    assert [(request.payload, request.client_state_vector) for request in requests] == [
        (b"made while away", AWAY),
        (b"made since", None),
    ]


def test_what_they_knew_goes_over_once() -> None:
    table = Table()
    session, _ = table.join()
    receive(table.room, session, encode_sync_step1(AWAY))
    for payload in (b"made while away", b"sent again", b"and again"):
        receive(table.room, session, encode_sync_step2(payload))
    receive(table.room, session, encode_sync_step1(AWAY))
    receive(table.room, session, encode_sync_step2(b"away once more"))
    requests = [request for request in table.take() if request.kind is RequestKind.UPDATE]
    assert [request.client_state_vector for request in requests] == [AWAY, None, None, AWAY]


def test_without_a_schema_the_state_vector_of_the_client_is_not_passed_on() -> None:
    table = Table("notes.a")
    session, _ = table.join()
    receive(table.room, session, encode_sync_step1(AWAY))
    receive(table.room, session, encode_sync_step2(b"made while away"))
    assert [request.client_state_vector for request in table.take()] == [None, None]


def test_a_large_one_keeps_what_its_sender_knew_in_all_its_pieces() -> None:
    table = Table()
    session, _ = table.join()
    receive(table.room, session, encode_sync_step1(AWAY))
    table.take()
    receive(table.room, session, encode_sync_step2(b"x" * 100_000))
    (large,) = table.events.large_updates
    prechecked(table.room, large, [(b"one", b""), (b"two", b"")])
    taken = [(request.payload, request.client_state_vector) for request in table.take()]
    assert taken == [(b"one", AWAY), (b"two", AWAY)]


def test_a_heavy_one_stays_where_its_wedding_is() -> None:
    for document, moves in (("guests", False), ("notes.a", True)):
        hosted = Table(document).room.hosted
        assert not hosted.belongs_on_heavy_host
        hosted.mark_heavy()
        assert hosted.belongs_on_heavy_host is moves


def test_a_notice_of_something_undone_goes_to_its_sender_alone() -> None:
    table = Table()
    (session, socket), (_, other) = table.join(), table.join()
    table.undo(session)
    assert socket.flush() == [encode_update(b"m"), encode_permission_denied(NOTICE)]
    assert other.flush() == [encode_update(b"m")]
    assert (table.room.counters.reverted, table.events.reverted) == (1, [session])


def test_a_session_that_has_left_gets_no_notice() -> None:
    table = Table()
    session, socket = table.join()
    receive(table.room, session, encode_update(b"u"))
    requests = table.take()
    table.room.leave(session)
    table.broadcast(table.reverting(requests, None, {0: Status.VIOLATION}))
    assert not socket.outbox
    assert table.events.reverted == []


@pytest.mark.parametrize("document", ["guests", "notes.a"])
@pytest.mark.parametrize("encode", [encode_update, encode_sync_step2])
def test_a_large_update_is_checked_whatever_its_size(document: str, encode: Callable[[bytes], bytes]) -> None:
    table = Table(document)
    session, socket = table.join()
    receive(table.room, session, encode(b"x" * (MAX_UPDATE_BYTES + 1)))
    assert socket.closed is None
    assert [len(request.payload) for request in table.events.large_updates] == [MAX_UPDATE_BYTES + 1]


def test_the_notices_of_one_large_update_are_not_too_many() -> None:
    table = Table()
    session, socket = table.join()
    receive(table.room, session, encode_update(b"x" * 20_000))
    prechecked(table.room, table.events.large_updates.pop(), [(b"piece", b"summary")] * 4)
    for request in table.take_all():
        table.broadcast(table.reverting([request]))
    assert len(socket.flush()) == 8
    assert len(table.events.reverted) == 1
    table.undo(session)
    assert len(table.events.reverted) == 2


def test_a_large_update_that_cannot_be_checked_now_may_be_sent_again() -> None:
    table = Table()
    session, socket = table.join()
    receive(table.room, session, encode_update(b"before"))
    receive(table.room, session, encode_update(b"x" * 20_000))
    receive(table.room, session, encode_update(b"behind"))
    not_checked(table.room, table.events.large_updates.pop())
    assert socket.closed == (1013, "a large update could not be checked now")
    assert [request.payload for request in table.take()] == [b"before"]
    assert (session.queued_bytes, table.events.refused) == (0, [])

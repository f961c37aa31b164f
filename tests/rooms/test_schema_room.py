"""What a room of a document with a schema does besides; the test plays host and store, as in `test_room`."""

import json
from collections.abc import Callable

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.errors import ProtocolError
from crdt_server.pipe import RequestKind, Status
from crdt_server.rooms.room import Phase, Room, RoomLimits, Verdict
from crdt_server.rooms.session import Request, Session, SessionId
from documents.kind import MAX_UPDATE_BYTES
from tests.support.codec import encode_permission_denied, encode_sync_step1, encode_sync_step2, encode_update, receive
from tests.support.sockets import HandSocket

AWAY = b"\x01\x05\x02"
NOTICE = json.dumps({"reverted": [], "why": "Zoë"}, ensure_ascii=False)


class Table:
    """A room, and how often something of its sessions was undone."""

    def __init__(self, document: str = "guests", *, most_undone: int = 2) -> None:
        self.undone = 0
        self.most_undone = most_undone
        self.room = Room(
            1,
            "w",
            document,
            RoomLimits(),
            Counters(),
            vet=lambda *_: None,
            blame=lambda _: None,
            oversteps=self._oversteps,
        )
        self.room.phase = Phase.LIVE

    def _oversteps(self, session: Session) -> bool:
        self.undone += 1
        return self.undone > self.most_undone

    def join(self) -> tuple[Session, HandSocket]:
        """A session whose greeting is over."""
        socket = HandSocket()
        session = Session(SessionId(len(self.room.sessions) + 1), socket, Identity("ada", "couple"))
        self.room.join(session)
        self.take()
        socket.flush()
        return session, socket

    def take(self) -> list[Request]:
        return self.room.take(1 << 20)[0]

    def undo(self, session: Session) -> None:
        """An edit of which something is undone; the batch is released."""
        receive(self.room, session, encode_update(b"u"))
        verdict = Verdict(self.room, self.take(), b"m", {}, {}, notices=[(0, NOTICE.encode())])
        self.room.judge(verdict)
        self.room.release(verdict)


@pytest.mark.parametrize(("document", "checked"), [("guests", True), ("thread.a", True), ("notes.a", False)])
def test_which_documents_have_a_schema(document: str, checked: bool) -> None:
    assert Table(document).room.checked is checked


def test_what_somebody_brings_back_goes_over_with_what_they_knew() -> None:
    """Edits made while away are concurrent with all that the others did meanwhile."""
    table = Table()
    session, _ = table.join()
    receive(table.room, session, encode_sync_step1(AWAY))
    receive(table.room, session, encode_sync_step2(b"made while away"))
    receive(table.room, session, encode_update(b"made since"))
    requests = [request for request in table.take() if request.kind is RequestKind.UPDATE]
    assert [(request.payload, request.knows) for request in requests] == [
        (b"made while away", AWAY),
        (b"made since", None),
    ]


def test_without_a_schema_nobody_asks_what_they_knew() -> None:
    table = Table("notes.a")
    session, _ = table.join()
    receive(table.room, session, encode_sync_step1(AWAY))
    receive(table.room, session, encode_sync_step2(b"made while away"))
    assert [request.knows for request in table.take()] == [None, None]


def test_a_large_one_keeps_what_its_sender_knew_in_all_its_pieces() -> None:
    table = Table()
    session, _ = table.join()
    receive(table.room, session, encode_sync_step1(AWAY))
    table.take()
    asked: list[Request] = []
    table.room._vet = lambda _, request: asked.append(request)
    receive(table.room, session, encode_sync_step2(b"x" * 100_000))
    table.room.vetted(asked[0], [(b"one", None), (b"two", None)])
    assert [(request.payload, request.knows) for request in table.take()] == [(b"one", AWAY), (b"two", AWAY)]


def test_a_heavy_one_stays_where_its_wedding_is() -> None:
    for document, moves in (("guests", False), ("notes.a", True)):
        room = Table(document).room
        assert not room.belongs_elsewhere
        room.heavy = True
        assert room.belongs_elsewhere is moves


def test_of_what_was_undone_its_sender_alone_is_told() -> None:
    table = Table()
    (session, socket), (_, other) = table.join(), table.join()
    table.undo(session)
    assert socket.flush() == [encode_update(b"m"), encode_permission_denied(NOTICE)]
    assert other.flush() == [encode_update(b"m")]
    assert (table.room.counters.reverted, table.undone) == (1, 1)


def test_who_has_too_much_undone_is_closed_and_what_they_sent_after_it_is_left() -> None:
    table = Table(most_undone=1)
    (session, socket), (_, other) = table.join(), table.join()
    table.undo(session)
    assert socket.closed is None
    receive(table.room, session, encode_update(b"u"))
    verdict = Verdict(table.room, table.take(), b"m", {}, {}, notices=[(0, NOTICE.encode())])
    receive(table.room, session, encode_update(b"later"))
    table.room.judge(verdict)
    table.room.release(verdict)
    assert socket.close_code == 4403
    assert table.take() == []
    assert other.closed is None


def test_who_has_gone_is_not_told() -> None:
    table = Table()
    session, socket = table.join()
    receive(table.room, session, encode_update(b"u"))
    requests = table.take()
    table.room.leave(session)
    verdict = Verdict(table.room, requests, None, {0: Status.VIOLATION}, {}, notices=[(0, NOTICE.encode())])
    table.room.judge(verdict)
    table.room.release(verdict)
    assert not socket.outbox
    assert table.undone == 0


@pytest.mark.parametrize("encode", [encode_update, encode_sync_step2])
def test_an_update_has_a_largest_size(encode: Callable[[bytes], bytes]) -> None:
    table = Table()
    session, socket = table.join()
    receive(table.room, session, encode(b"x" * MAX_UPDATE_BYTES))
    assert socket.closed is None
    receive(table.room, session, encode(b"x" * (MAX_UPDATE_BYTES + 1)))
    assert socket.closed == (4400, "update_too_large")


def test_also_one_that_comes_without_a_socket() -> None:
    table = Table()
    session, _ = table.join()
    with pytest.raises(ProtocolError):
        table.room.ask(Request(session, RequestKind.UPDATE, b"x" * (MAX_UPDATE_BYTES + 1)))
    assert session.queued_bytes == 0
    assert not table.room.dirty


def test_without_a_schema_it_may_be_larger() -> None:
    table = Table("notes.a")
    session, socket = table.join()
    receive(table.room, session, encode_update(b"x" * (MAX_UPDATE_BYTES + 1)))
    assert socket.closed is None

"""Turns of the sessions of a room at what is large: one of it is in a batch."""

from __future__ import annotations

from crdt_server.access.identity import Identity
from crdt_server.pipe import RequestKind
from crdt_server.rooms.inbox import Inbox, RoomLimits
from crdt_server.rooms.session import Request, Session, SessionId
from tests.support.sockets import HandSocket

BUDGET = 10_000
PIECE = b"p" * 500
LIMITS = RoomLimits(session_quantum_bytes=300)


def with_pieces(inbox: Inbox, number: int, count: int) -> Session:
    """A session with that many pieces of a large update."""
    session = Session(SessionId(number), HandSocket(), Identity("ada", "couple"))
    for _ in range(count):
        request = Request(session, RequestKind.UPDATE, PIECE, b"its summary")
        session.queued_bytes += request.cost
        inbox.add(request)
    return session


def turns(inbox: Inbox, count: int) -> list[SessionId]:
    """The senders of as many batches with something large."""
    return [request.session.id for _ in range(count) for request in inbox.take(BUDGET, 0, {}, large=1).requests]


def test_sessions_take_turns_at_what_is_large() -> None:
    inbox = Inbox(LIMITS, has_schema=False)
    for number in (1, 2, 3):
        with_pieces(inbox, number, 3)
    assert turns(inbox, 7) == [1, 2, 3, 1, 2, 3, 1]


def test_a_question_of_somebody_who_has_left_takes_no_turn() -> None:
    inbox = Inbox(LIMITS, has_schema=False)
    gone, patient = (Session(SessionId(number), HandSocket(), Identity("ada", "couple")) for number in (1, 2))
    for session in (gone, patient):
        request = Request(session, RequestKind.DIFF, b"\x01\x05\x03")
        session.queued_bytes += request.cost
        inbox.add(request)
    taken = inbox.take(BUDGET, len(PIECE), {patient: None}, large=1)
    assert [request.session for request in taken.requests] == [patient]
    assert (gone.queued_bytes, patient.queued_bytes) == (0, 0)
    assert not inbox

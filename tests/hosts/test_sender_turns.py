"""The order in which senders get their share of a batch."""

from __future__ import annotations

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hosts.batch import BatchEntry
from crdt_server.hosts.results import account
from crdt_server.hosts.sender_turns import BYTES_PER_CPU_SECOND, LARGE_GRAIN_BYTES, SenderTurns
from crdt_server.pipe import RequestKind, RoomResult, SlowUpdates
from crdt_server.rooms.hosted_document import HostedDocument
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket

BATCHES = 40


def room_of(number: int) -> tuple[Room, Session]:
    """A room in which an update of one sender waits."""
    room = Room(number, "w", f"notes.{number}", RoomLimits(), Counters(), RecordingRoomEvents())
    session = Session(SessionId(number), HandSocket(), Identity(f"user-{number}", "couple"))
    room.inbox.add(Request(session, RequestKind.UPDATE, b"small"))
    return room, session


def test_cpu_time_counts_like_bytes() -> None:
    """Both have sent as many bytes; those of the first took 5 ms more than others do."""
    (first, expensive), (second, cheap) = room_of(1), room_of(2)
    turns = SenderTurns()
    for session, seconds in ((expensive, 0.005), (cheap, 0.0)):
        requests = [Request(session, RequestKind.UPDATE, b"x" * 100)]
        turns.charge(requests)
        turns.charge_cpu(requests, seconds)
    turns.end_batch()
    assert turns.order([first, second]) == [second, first]
    assert int(0.005 * BYTES_PER_CPU_SECOND) > 100
    for _ in range(BATCHES):
        turns.end_batch()
    assert turns.order([first, second]) == [first, second]  # nobody waits for ever


def test_cpu_time_of_nothing_is_charged_to_nobody() -> None:
    (first, _), (second, _) = room_of(1), room_of(2)
    turns = SenderTurns()
    turns.charge_cpu([], 1.0)
    assert turns.order([first, second]) == [first, second]


def test_a_paste_comes_before_floods() -> None:
    """The flood has had its pieces long ago, and is first in the order of arrival."""
    (flooded, flood), (pasted, paste) = room_of(1), room_of(2)
    turns = SenderTurns()
    piece = b"x" * 16_000
    for _ in range(LARGE_GRAIN_BYTES // len(piece) + 1):
        turns.charge([Request(flood, RequestKind.UPDATE, piece, b"summary")])
    for _ in range(BATCHES):
        turns.end_batch()
    turns.charge([Request(paste, RequestKind.UPDATE, b"x", b"summary")])
    assert turns.order([flooded, pasted]) == [pasted, flooded]


def test_what_has_to_come_again_was_not_given() -> None:
    (first, session), (second, _) = room_of(1), room_of(2)
    turns = SenderTurns()
    requests = [Request(session, RequestKind.UPDATE, b"x" * LARGE_GRAIN_BYTES, b"summary")]
    turns.charge(requests)
    assert turns.order([first, second]) == [second, first]
    turns.refund(requests)
    assert turns.order([first, second]) == [first, second]


def test_a_batch_has_as_much_of_a_room_as_can_be_worked_off() -> None:
    hosted = HostedDocument(has_schema=True)
    assert hosted.affordable_bytes(0.01, 100_000) == 100_000
    for _ in range(20):
        hosted.worked(1000, 0.005)  # 5 us for a byte
    assert 1900 < hosted.affordable_bytes(0.01, 100_000) < 2100
    hosted.worked(0, 1.0)  # nothing was reached
    for _ in range(40):
        hosted.worked(1000, 0.00001)
    assert hosted.affordable_bytes(0.01, 100_000) == 100_000


def test_what_takes_long_is_charged_to_its_own_sender() -> None:
    """In one room, in one batch: somebody types, and one edit of somebody else takes 7 ms."""
    (room, typist), (elsewhere, slow) = room_of(1), room_of(2)
    turns = SenderTurns()
    requests = [Request(each, RequestKind.UPDATE, b"x") for each in (typist, typist, slow, typist)]
    result = RoomResult.empty(room.id)
    result.cpu_seconds, result.slow = 0.0075, [SlowUpdates(2, 3, 0.007)]
    turns.charge(requests)
    account(turns, BatchEntry(room, requests, cost=2300), result, [])
    turns.end_batch()
    assert turns.order([elsewhere, room]) == [room, elsewhere]
    late = [Session(SessionId(number), HandSocket(), Identity(f"user-{number}", "couple")) for number in (2, 3)]
    for each in late:
        room.inbox.add(Request(each, RequestKind.UPDATE, b"late"))
    turns.order([room])
    assert room.inbox.senders == (typist, late[1], late[0])

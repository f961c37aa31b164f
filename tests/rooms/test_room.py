"""One room with hand-flushed sockets; the test plays host and store."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.pipe import (
    DRY_RUN_BYTES,
    Bytes,
    Diff,
    NoOverlap,
    RequestKind,
    Response,
    Status,
)
from crdt_server.protocol.messages import SyncStep1, SyncStep2, SyncUpdate
from crdt_server.rooms.awareness_states import read_states
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.intake import add, prechecked, publish_presence, put_back
from crdt_server.rooms.presence import NO_STATES
from crdt_server.rooms.replies import serve_empty, serve_from_store
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import Request, Session, SessionId
from crdt_server.rooms.sync_replies import TAIL_MESSAGES
from tests.support.codec import encode_awareness, encode_sync_step1, encode_sync_step2, encode_update, receive
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket
from tests.support.wire import presence

LIMITS = RoomLimits(
    max_sessions=3,
    session_queue_bytes=1000,
    session_quantum_bytes=300,
    big_update_bytes=500,
    answer_cache_bytes=400,
    newcomer_cache_bytes=5000,
    max_gaps=3,
    max_awareness_bytes=200,
)
BUDGET = 10_000
ADA = Identity("ada", "couple")
UPDATE = b"not looked into by the room"
SOMEBODY = b"\x01\x05\x03"  # the state vector of a client that has three edits of client 5


class Table:
    """A room, and what it reports."""

    def __init__(self, limits: RoomLimits = LIMITS, *, opened: bool = True) -> None:
        self.events = RecordingRoomEvents()
        self.room = Room(1, "w", "notes.a", limits, Counters(), self.events)
        if opened:
            self.room.opened()

    def join(self) -> tuple[Session, HandSocket]:
        socket = HandSocket()
        session = Session(SessionId(len(self.room.members) + 1), socket, ADA)
        self.room.join(session)
        return session, socket

    def settled(self) -> tuple[Session, HandSocket]:
        """A session whose greeting is over."""
        session, socket = self.join()
        self.run()
        socket.flush()
        return session, socket

    def take(self) -> list[Request]:
        return self.room.take(BUDGET).requests

    def judge(
        self,
        requests: Sequence[Request],
        update: bytes | None = None,
        statuses: Mapping[int, Status] | None = None,
        responses: Mapping[int, Response] | None = None,
    ) -> RoomBatch:
        """A batch with what its host returned, numbered."""
        usual = {i: _usual_response(request) for i, request in enumerate(requests) if request.kind}
        batch = RoomBatch(self.room, requests, update, statuses or {}, {**usual, **(responses or {})})
        self.room.assign_sequence(batch)
        return batch

    def run(self, update: bytes | None = None, **returned: Any) -> None:
        """One batch from beginning to end."""
        self.room.broadcast(self.judge(self.take(), update, **returned))


def _usual_response(request: Request) -> Response:
    return Bytes(b"\x00") if request.kind is RequestKind.STATE_VECTOR else Diff([b"\x00\x00"])


@pytest.fixture
def table() -> Table:
    return Table()


def update(payload: bytes = UPDATE) -> bytes:
    return encode_update(payload)


def test_a_newcomer_is_sent_the_presence_of_all(table: Table) -> None:
    first, _ = table.settled()
    receive(table.room, first, presence(7, 1, {"name": "Chloé"}))
    publish_presence(table.room, 0)
    _, socket = table.join()
    assert [read_states(p, None) for p in socket.presence()] == [[(7, 1, '{"name": "Chloé"}')]]


def test_the_greeting_waits_for_the_document_and_is_remembered() -> None:
    table = Table(opened=False)
    _, first = table.join()
    assert not first.outbox
    table.room.opened()
    assert table.room.phase is Phase.LIVE
    table.run(responses={0: Bytes(b"\x01\x05\x02")})
    assert first.questions() == [b"\x01\x05\x02"]
    _, second = table.join()
    assert second.questions() == [b"\x01\x05\x02"]
    assert not table.room.inbox


def test_a_greeting_is_asked_anew_after_an_edit(table: Table) -> None:
    session, _ = table.settled()
    receive(table.room, session, update())
    table.run(UPDATE)
    _, second = table.join()
    assert not second.outbox
    assert table.room.inbox


def test_an_update_is_sent_to_all_only_when_it_is_broadcast(table: Table) -> None:
    (writer, a), (_, b) = table.settled(), table.settled()
    receive(table.room, writer, update())
    requests = table.take()
    batch = table.judge(requests, b"merged")
    assert not a.outbox
    assert not b.outbox
    table.room.broadcast(batch)
    assert a.updates() == b.updates() == [b"merged"]
    assert batch.seq == table.room.head_seq == 1


def test_a_large_update_makes_nobody_a_slow_reader_but_many_do(table: Table) -> None:
    table.room.broadcast(table.judge([], b"to begin with"))
    session = Session(SessionId(1), HandSocket(limit_bytes=2000), ADA)
    table.room.join(session)
    socket = session.connection
    assert isinstance(socket, HandSocket)
    for code in (None, None, None, 1013):
        assert socket.close_code == code
        table.room.broadcast(table.judge([], b"x" * 1000))


def test_numbers_follow_what_is_to_be_stored(table: Table) -> None:
    session, _ = table.settled()
    table.room.head_seq = 41
    for merged, expected in ((b"x", 42), (None, 42), (b"y", 43)):
        receive(table.room, session, update())
        assert table.judge(table.take(), merged).seq == expected


def test_an_answer_goes_to_who_asked(table: Table) -> None:
    (asker, a), (_, b) = table.settled(), table.settled()
    receive(table.room, asker, encode_sync_step1(b"\x00"))
    table.run(responses={0: Diff([b"part one", b"part two"])})
    assert a.flush() == [encode_update(b"part one"), encode_sync_step2(b"part two")]
    assert not b.outbox


def test_the_same_question_gets_the_same_answer_until_an_edit(table: Table) -> None:
    (first, _), (second, socket) = table.settled(), table.settled()
    receive(table.room, first, encode_sync_step1(SOMEBODY))
    table.run(responses={0: Diff([b"all"])})
    receive(table.room, second, encode_sync_step1(SOMEBODY))
    assert socket.answers() == [b"all"]
    assert not table.room.inbox
    receive(table.room, first, update())
    table.run(b"m")
    receive(table.room, second, encode_sync_step1(SOMEBODY))
    assert socket.answers() == []
    assert table.room.inbox


def test_a_remembered_answer_does_not_overtake_the_own_edit(table: Table) -> None:
    session, socket = table.settled()
    receive(table.room, session, encode_sync_step1(b"\x00"))
    table.run(responses={0: Diff([b"old"])})
    socket.flush()
    receive(table.room, session, update() + encode_sync_step1(b"\x00"))
    assert not socket.outbox
    requests = table.take()
    table.room.broadcast(table.judge(requests, b"m", responses={1: Diff([b"new"])}))
    assert socket.flush() == [encode_update(b"m"), encode_sync_step2(b"new")]


def test_an_answer_from_a_batch_with_edits_has_them_and_is_remembered(table: Table) -> None:
    (a, _), (b, socket) = table.settled(), table.settled()
    receive(table.room, a, encode_sync_step1(SOMEBODY))
    receive(table.room, b, update())
    table.run(b"m", responses={0: Diff([b"with the edit"])})
    socket.flush()
    receive(table.room, b, encode_sync_step1(SOMEBODY))
    assert socket.flush() == [encode_sync_step2(b"with the edit")]


def test_an_answer_overtaken_by_a_later_batch_is_not_remembered(table: Table) -> None:
    (a, _), (b, socket) = table.settled(), table.settled()
    receive(table.room, a, encode_sync_step1(SOMEBODY))
    answered = table.judge(table.take(), responses={0: Diff([b"old"])})
    receive(table.room, a, update())
    edited = table.judge(table.take(), b"m")
    table.room.broadcast(answered)
    table.room.broadcast(edited)
    socket.flush()
    receive(table.room, b, encode_sync_step1(SOMEBODY))
    assert not socket.outbox


def test_the_memory_of_answers_is_bounded(table: Table) -> None:
    (a, _), (b, socket) = table.settled(), table.settled()
    receive(table.room, a, encode_sync_step1(SOMEBODY))
    table.run(responses={0: Diff([b"x" * 500])})
    receive(table.room, b, encode_sync_step1(SOMEBODY))
    assert not socket.outbox
    assert table.room.inbox


class TestNewcomers:
    """Who has nothing gets all there is, without a host's being asked each time."""

    def sync(self, table: Table) -> list[bytes]:
        """What somebody new is answered without anything being asked; empty where the host must be asked."""
        session, socket = table.settled()
        receive(table.room, session, encode_sync_step1(b"\x00"))
        answer = socket.flush()
        table.room.leave(session)
        table.run()
        return answer

    def test_they_get_what_the_first_got_and_what_was_sent_since(self, table: Table) -> None:
        first, _ = table.settled()
        receive(table.room, first, encode_sync_step1(b"\x00"))
        table.run(responses={0: Diff([b"one", b"two"])})
        for edit in (b"three", b"four"):
            receive(table.room, first, update())
            table.run(edit)
        parts = [encode_update(part) for part in (b"one", b"two", b"three", b"four")]
        assert self.sync(table) == [*parts, encode_sync_step2(b"\0\0")]

    def test_an_answer_has_all_of_its_batch_and_is_followed_by_the_next(self, table: Table) -> None:
        (a, _), (b, _) = table.settled(), table.settled()
        receive(table.room, a, encode_sync_step1(b"\x00"))
        receive(table.room, b, update())
        requests = table.take()
        part = table.judge([], b"a part that would not merge")
        batch = table.judge(requests, b"the rest", responses={0: Diff([b"all until now"])})
        later = table.judge([], b"judged before that was sent")
        for each in (part, batch, later):
            table.room.broadcast(each)
        table.room.leave(a)
        expected = (b"all until now", b"judged before that was sent")
        assert self.sync(table) == [*map(encode_update, expected), encode_sync_step2(b"\0\0")]

    def test_after_many_edits_a_host_is_asked_again(self, table: Table) -> None:
        first, _ = table.settled()
        receive(table.room, first, encode_sync_step1(b"\x00"))
        table.run(responses={0: Diff([b"all"])})
        for _ in range(TAIL_MESSAGES):
            receive(table.room, first, update())
            table.run(b"m")
        assert len(self.sync(table)) == TAIL_MESSAGES + 2
        receive(table.room, first, update())
        table.run(b"m")
        assert self.sync(table) == []

    def test_what_is_kept_is_bounded(self, table: Table) -> None:
        first, _ = table.settled()
        receive(table.room, first, encode_sync_step1(b"\x00"))
        table.run(responses={0: Diff([b"x" * (LIMITS.newcomer_cache_bytes - 100)])})
        assert self.sync(table)
        receive(table.room, first, update())
        table.run(b"m" * 101)
        assert self.sync(table) == []
        receive(table.room, first, encode_sync_step1(b"\x00"))
        table.run(responses={0: Diff([b"x" * (LIMITS.newcomer_cache_bytes + 1)])})
        assert self.sync(table) == []

    def test_who_knows_nobody_here_is_a_newcomer(self, table: Table) -> None:
        (first, a), (second, b) = table.settled(), table.settled()
        receive(table.room, first, encode_sync_step1(SOMEBODY))
        table.run(responses={0: NoOverlap()})
        assert not a.outbox
        requests = table.take()
        assert [request.payload for request in requests] == [b"\x00"]
        table.room.broadcast(table.judge(requests, responses={0: Diff([b"all"])}))
        assert a.flush() == [encode_sync_step2(b"all")]
        receive(table.room, second, encode_sync_step1(SOMEBODY))
        table.run(responses={0: NoOverlap()})
        assert b.flush() == [encode_update(b"all"), encode_sync_step2(b"\0\0")]

    def test_a_session_without_overlap_that_has_left_gets_no_answer(self, table: Table) -> None:
        first, _ = table.settled()
        receive(table.room, first, encode_sync_step1(SOMEBODY))
        requests = table.take()
        table.room.leave(first)
        table.room.broadcast(table.judge(requests, responses={0: NoOverlap()}))
        assert not table.room.inbox


def test_known_updates_are_receipted_to_their_sender_alone(table: Table) -> None:
    (writer, a), (_, b) = table.settled(), table.settled()
    receive(table.room, writer, update())
    table.run(statuses={0: Status.KNOWN})
    assert a.updates() == [UPDATE]
    assert not b.outbox
    assert table.room.counters.known_updates == 1


def test_a_known_step_2_needs_no_receipt(table: Table) -> None:
    session, socket = table.settled()
    receive(table.room, session, encode_sync_step2(UPDATE))
    table.run(statuses={0: Status.KNOWN})
    assert not socket.outbox


def test_an_empty_step_2_is_no_work(table: Table) -> None:
    session, _ = table.settled()
    receive(table.room, session, encode_sync_step2(b"\x00\x00"))
    assert not table.room.inbox


def test_after_a_gap_everything_is_asked_for_once_at_a_time(table: Table) -> None:
    session, socket = table.settled()
    receive(table.room, session, update() + update())
    table.run(statuses={0: Status.GAP, 1: Status.GAP})
    assert len(table.room.members) == 1
    table.run(responses={0: Bytes(b"\x01\x05\x02")})
    assert socket.questions() == [b"\x01\x05\x02"]
    receive(table.room, session, update())
    table.run(statuses={0: Status.GAP})
    assert not table.room.inbox
    receive(table.room, session, encode_sync_step2(UPDATE))
    table.run(b"m")
    assert session.gaps == 0
    receive(table.room, session, update())
    table.run(statuses={0: Status.GAP})
    assert table.room.inbox


def test_many_updates_behind_one_hole_close_nobody(table: Table) -> None:
    session, socket = table.settled()
    for _ in range(3 * LIMITS.max_gaps):
        receive(table.room, session, update())
        requests = table.take()
        statuses = {i: Status.GAP for i, request in enumerate(requests) if request.kind is RequestKind.UPDATE}
        table.room.broadcast(table.judge(requests, statuses=statuses))
    assert socket.close_code is None


def test_answers_with_gaps_without_end_close(table: Table) -> None:
    session, socket = table.settled()
    for _ in range(LIMITS.max_gaps + 1):
        receive(table.room, session, encode_sync_step2(UPDATE))
        requests = table.take()
        statuses = {i: Status.GAP for i, request in enumerate(requests) if request.kind is RequestKind.UPDATE}
        table.room.broadcast(table.judge(requests, statuses=statuses))
    assert socket.close_code == 1013


@pytest.mark.parametrize(("status", "code"), [(Status.MALFORMED, 4400), (Status.VIOLATION, 4409)])
def test_what_a_document_cannot_take_closes_and_counts(table: Table, status: Status, code: int) -> None:
    (session, socket), (_, other) = table.settled(), table.settled()
    receive(table.room, session, update())
    table.run(statuses={0: status})
    assert socket.close_code == code
    assert table.events.refused == [session]
    assert other.closed is None
    assert table.room.counters.closed == {code: 1}


@pytest.mark.parametrize(
    "frame", [b"", b"\x09", b"\x00\x02\x05abc", b"\x02\x00\x00", b"\x00\x05\x00", update() + b"\x07"]
)
def test_malformed_frames_close_and_count(table: Table, frame: bytes) -> None:
    session, socket = table.settled()
    receive(table.room, session, frame)
    assert socket.close_code == 4400
    assert table.events.refused == [session]


def test_malformed_presence_closes_at_the_next_tick(table: Table) -> None:
    session, socket = table.settled()
    receive(table.room, session, encode_awareness(b"\x05"))
    publish_presence(table.room, 0)
    assert socket.close_code == 4400


def test_presence_that_is_too_large_is_not_shown(table: Table) -> None:
    session, socket = table.settled()
    receive(table.room, session, presence(7, 1, {"name": "Ann"}))
    publish_presence(table.room, 0)
    socket.flush()
    receive(table.room, session, presence(7, 2, {"name": "x" * 500}))
    publish_presence(table.room, 1)
    assert socket.close_code is None
    assert table.events.refused == []
    assert b"presence of more than 200 bytes is not shown" in b"".join(socket.flush())
    receive(table.room, session, presence(7, 3, {"name": "Anne"}))
    publish_presence(table.room, 2)
    assert [read_states(p, None) for p in socket.presence()] == [[(7, 3, '{"name": "Anne"}')]]


def test_several_messages_in_one_frame_keep_their_order(table: Table) -> None:
    session, _ = table.settled()
    receive(table.room, session, update(b"1") + encode_sync_step1(b"\x00") + encode_sync_step2(b"2") + update(b"3"))
    assert [(r.kind, r.payload) for r in table.take()] == [
        (RequestKind.UPDATE, b"1"),
        (RequestKind.DIFF, b"\x00"),
        (RequestKind.UPDATE, b"2"),
        (RequestKind.UPDATE, b"3"),
    ]


def test_the_presence_of_all_is_told_on_request(table: Table) -> None:
    session, socket = table.settled()
    receive(table.room, session, b"\x03")
    assert socket.flush() == [NO_STATES.payload]
    receive(table.room, session, presence(7, 1, {}))
    publish_presence(table.room, 0)
    socket.flush()
    receive(table.room, session, b"\x03")
    assert [read_states(p, None) for p in socket.presence()] == [[(7, 1, "{}")]]


def test_presence_is_told_to_all_once_a_tick(table: Table) -> None:
    (a, first), (b, second) = table.settled(), table.settled()
    for clock in range(1, 4):
        receive(table.room, a, presence(7, clock, {}))
    receive(table.room, b, presence(8, 1, {}))
    assert not first.outbox
    publish_presence(table.room, 0)
    told = [(7, 3, "{}"), (8, 1, "{}")]
    assert [read_states(p, None) for p in first.presence()] == [told]
    assert [read_states(p, None) for p in second.presence()] == [told]


def test_an_echo_in_the_same_tick_does_not_swallow_the_own_state(table: Table) -> None:
    """A stock client answers the room's presence with an echo right after it has sent its own."""
    (a, _), (b, socket) = table.settled(), table.settled()
    receive(table.room, a, presence(7, 1, {}))
    publish_presence(table.room, 0)
    socket.flush()
    receive(table.room, b, presence(8, 1, {"me": 1}))
    receive(table.room, b, presence(7, 1, {}))
    publish_presence(table.room, 0)
    assert [read_states(p, None) for p in socket.presence()] == [[(8, 1, '{"me": 1}')]]


def test_a_flood_of_presence_within_a_tick_is_bounded_and_the_newest_counts(table: Table) -> None:
    session, socket = table.settled()
    for clock in range(10_000):
        receive(table.room, session, presence(7, clock, {}))
    assert len(session.awareness_waiting or ()) <= 16
    publish_presence(table.room, 0)
    assert [read_states(p, None) for p in socket.presence()] == [[(7, 9_999, "{}")]]


def test_slow_sockets_are_spared_presence_but_no_edit(table: Table) -> None:
    (a, first), (_, slow) = table.settled(), table.settled()
    slow.congested = True
    receive(table.room, a, presence(7, 1, {}))
    publish_presence(table.room, 0)
    table.room.presence.keep_alive()
    receive(table.room, a, update())
    table.run(b"m")
    assert slow.flush() == [encode_update(b"m")]
    assert len(first.flush()) == 3
    assert table.room.counters.awareness_shed == 2


def test_leaving_is_told_and_what_was_sent_before_still_counts(table: Table) -> None:
    (a, _), (_, other) = table.settled(), table.settled()
    receive(table.room, a, presence(7, 4, {}))
    publish_presence(table.room, 0)
    other.flush()
    receive(table.room, a, update())
    table.room.leave(a)
    publish_presence(table.room, 0)
    assert [read_states(p, None) for p in other.presence()] == [[(7, 4, "null")]]
    table.run(b"m")
    assert other.updates() == [b"m"]


def test_presence_of_the_gone_is_not_read_any_more(table: Table) -> None:
    (a, _), (_, other) = table.settled(), table.settled()
    receive(table.room, a, presence(7, 4, {}))
    table.room.leave(a)
    publish_presence(table.room, 0)
    assert not other.outbox


def test_responses_to_requests_of_the_gone_are_not_sent(table: Table) -> None:
    session, socket = table.settled()
    receive(table.room, session, encode_sync_step1(b"\x00"))
    requests = table.take()
    table.room.leave(session)
    table.room.broadcast(table.judge(requests))
    assert not socket.outbox


def test_frames_of_other_sessions_and_of_dead_rooms_are_ignored(table: Table) -> None:
    session, _ = table.settled()
    table.room.leave(session)
    receive(table.room, session, update())
    assert not table.room.inbox
    again, socket = table.settled()
    table.room.fail(1013, "try again")
    receive(table.room, again, update())
    assert not table.room.inbox
    assert socket.close_code == 1013


def test_a_failed_room_says_nothing_more(table: Table) -> None:
    (session, socket), (_, other) = table.settled(), table.settled()
    receive(table.room, session, update())
    batch = table.judge(table.take(), b"m")
    receive(table.room, session, update())
    table.room.fail(1013, "try again")
    table.room.broadcast(batch)
    assert (socket.close_code, other.close_code) == (1013, 1013)
    assert not socket.outbox
    assert not table.room.inbox


def test_a_room_is_full_at_its_limit(table: Table) -> None:
    for _ in range(LIMITS.max_sessions):
        assert not table.room.members.full
        table.join()
    assert table.room.members.full


def test_who_sends_faster_than_it_is_applied_is_not_read(table: Table) -> None:
    session, socket = table.settled()
    for _ in range(5):
        receive(table.room, session, update(b"x" * 200))
    assert socket.pauses == 1
    taken = []
    while socket.paused:
        taken += table.take()
    assert len(taken) < 5
    assert session.queued_bytes <= LIMITS.session_queue_bytes // 2


def test_a_batch_is_shared_fairly(table: Table) -> None:
    (greedy, _), (modest, _) = table.settled(), table.settled()
    for _ in range(50):
        receive(table.room, greedy, update(b"g" * 100))
    receive(table.room, modest, update(b"m"))
    taken, cost, _ = table.room.take(BUDGET)
    assert [r.session for r in taken] == [greedy, greedy, modest]
    assert cost == sum(r.cost for r in taken)
    assert table.room.inbox
    assert table.room.inbox.updates == 48


def test_a_batch_ends_with_its_budget(table: Table) -> None:
    sessions = [table.settled()[0] for _ in range(3)]
    for session in sessions:
        receive(table.room, session, update(b"x" * 100))
    taken, *_ = table.room.take(1)
    assert [r.session for r in taken] == sessions[:1]
    taken, *_ = table.room.take(BUDGET)
    assert [r.session for r in taken] == sessions[1:]


class TestFromTheStore:
    """Who has nothing yet is answered with the stored updates, before a host has read them."""

    ROWS = (b"first row", b"second row")

    def test_newcomers_get_the_rows_as_they_are(self) -> None:
        table = Table(opened=False)
        session, socket = table.join()
        receive(table.room, session, encode_sync_step1(b"\x00"))
        serve_from_store(table.room, self.ROWS)
        assert socket.messages() == [SyncUpdate(b"first row"), SyncStep2(b"second row")]
        assert [request.kind for request in table.take()] == [RequestKind.STATE_VECTOR]
        assert session.queued_bytes == 0

    @pytest.mark.parametrize("rows", [(), (b"x",) * 1001])
    def test_nothing_and_very_many_rows_go_through_a_host(self, rows: Sequence[bytes]) -> None:
        table = Table(opened=False)
        session, socket = table.join()
        receive(table.room, session, encode_sync_step1(b"\x00"))
        serve_from_store(table.room, rows)
        assert not socket.outbox
        assert len(table.take()) == 2

    def test_not_those_who_know_something_or_have_just_written(self) -> None:
        table = Table(opened=False)
        (knows, first), (wrote, second) = table.join(), table.join()
        receive(table.room, knows, encode_sync_step1(b"\x01\x05\x02"))
        receive(table.room, wrote, update() + encode_sync_step1(b"\x00"))
        serve_from_store(table.room, self.ROWS)
        assert not first.outbox
        assert not second.outbox
        assert len(table.take()) == 5


class TestEmptyDocuments:
    """Nothing is stored: newcomers need no host."""

    EMPTY = (SyncStep1(b"\x00"), SyncStep2(b"\x00\x00"))

    def test_newcomers_are_answered_then_and_later(self) -> None:
        table = Table(opened=False)
        (one, first), (_, second) = table.join(), table.join()
        receive(table.room, one, encode_sync_step1(b"\x00"))
        assert serve_empty(table.room)
        assert first.messages() == [*self.EMPTY]
        assert second.messages() == [self.EMPTY[0]]
        third, socket = table.join()
        receive(table.room, third, encode_sync_step1(b"\x00"))
        assert socket.messages() == [*self.EMPTY]
        assert not table.room.inbox
        assert one.queued_bytes == third.queued_bytes == 0

    @pytest.mark.parametrize("sent", [encode_update(UPDATE), encode_sync_step1(SOMEBODY), encode_sync_step2(UPDATE)])
    def test_others_wait_for_a_host(self, sent: bytes) -> None:
        table = Table(opened=False)
        (newcomer, first), (writer, second) = table.join(), table.join()
        receive(table.room, newcomer, encode_sync_step1(b"\x00"))
        receive(table.room, writer, sent)
        assert not serve_empty(table.room)
        assert first.messages() == [*self.EMPTY]
        assert not second.outbox
        assert len(table.take()) == 2
        assert table.room.phase is Phase.LOADING

    def test_the_first_edit_ends_it(self) -> None:
        table = Table(opened=False)
        session, socket = table.join()
        assert serve_empty(table.room)
        socket.flush()
        receive(table.room, session, update())
        table.run(b"m")
        assert socket.messages() == [SyncUpdate(b"m")]
        newcomer, other = table.join()
        receive(table.room, newcomer, encode_sync_step1(b"\x00"))
        assert not other.outbox
        assert len(table.take()) == 2

    def test_a_socket_that_was_paused_is_read_again(self) -> None:
        table = Table(opened=False)
        session, socket = table.join()
        for _ in range(20):
            receive(table.room, session, encode_sync_step1(b"\x00"))
        assert socket.paused
        assert serve_empty(table.room)
        assert not socket.paused
        assert len(socket.answers()) == 20


class TestLongQuestions:
    """A document larger than a step: the host says "later", and the question goes first in the next batch."""

    def test_it_is_put_back_before_what_came_after(self, table: Table) -> None:
        session, _ = table.settled()
        receive(table.room, session, encode_sync_step1(b"\x00"))
        (question,) = table.take()
        receive(table.room, session, update(b"1"))
        put_back(table.room, question)
        assert [request.payload for request in table.take()] == [b"\x00", b"1"]
        assert session.queued_bytes == 0
        put_back(table.room, question)
        assert table.room.inbox

    def test_nobody_waits_for_the_answer_any_more(self, table: Table) -> None:
        session, _ = table.settled()
        receive(table.room, session, encode_sync_step1(b"\x00"))
        (question,) = table.take()
        receive(table.room, session, encode_sync_step1(b"\x00"))
        table.room.leave(session)
        put_back(table.room, question)
        assert table.take() == []
        assert not table.room.inbox


class TestDryRuns:
    """An update that a host tries first may come back: nothing of its session overtakes it, and it is never lost."""

    LARGE = b"x" * (DRY_RUN_BYTES + 1)

    def test_what_follows_waits_for_it(self) -> None:
        table = Table(replace(LIMITS, session_quantum_bytes=1 << 20))
        (session, _), (other, _) = table.settled(), table.settled()
        large = Request(session, RequestKind.UPDATE, self.LARGE, b"its summary", echo=True)
        for request in (
            Request(session, RequestKind.UPDATE, b"before"),
            large,
            Request(session, RequestKind.UPDATE, b"after"),
        ):
            add(table.room, request)
        receive(table.room, other, update(b"somebody else's"))
        assert [r.payload for r in table.take()] == [b"before", self.LARGE, b"somebody else's"]
        put_back(table.room, large)
        assert table.room.inbox.updates == 2
        assert [r.payload for r in table.take()] == [self.LARGE]
        assert [r.payload for r in table.take()] == [b"after"]
        assert table.room.inbox.updates == 0

    def test_it_is_not_lost_with_its_session(self, table: Table) -> None:
        session, _ = table.settled()
        receive(table.room, session, update())
        (request,) = table.take()
        table.room.leave(session)
        put_back(table.room, request)
        assert table.take() == [request]

    def test_until_it_is_judged_nothing_of_it_is_sent(self, table: Table) -> None:
        session, socket = table.settled()
        receive(table.room, session, update())
        table.run(statuses={0: Status.LATER})
        assert not socket.outbox
        assert table.room.counters.updates == 0


class TestLargeUpdates:
    """Checked elsewhere; what its session says meanwhile waits behind it."""

    def test_the_order_of_a_session_is_kept(self, table: Table) -> None:
        session, _ = table.settled()
        big = b"B" * (LIMITS.big_update_bytes + 1)
        receive(table.room, session, update(b"1"))
        receive(table.room, session, update(big))
        receive(table.room, session, update(b"2") + update(big) + update(b"3"))
        assert [r.payload for r in table.take()] == [b"1"]
        for summary in (b"first", b"second"):
            prechecked(table.room, table.events.large_updates.pop(), [(big, summary)])
        assert [(r.payload, r.summary) for r in self._drain(table)] == [
            (big, b"first"),
            (b"2", None),
            (big, b"second"),
            (b"3", None),
        ]
        assert session.queued_bytes == 0

    def _drain(self, table: Table) -> list[Request]:
        taken = []
        while table.room.inbox:
            taken += table.take()
        return taken

    def test_it_comes_back_in_pieces(self, table: Table) -> None:
        session, _ = table.settled()
        receive(table.room, session, update(b"B" * 600) + update(b"behind"))
        pieces = [(b"one", b"first"), (b"two", b"second"), (b"three", b"third")]
        prechecked(table.room, table.events.large_updates.pop(), pieces)
        taken = self._drain(table)
        assert [(r.payload, r.summary) for r in taken[:3]] == pieces
        assert [r.whole for r in taken] == [taken[2], taken[2], None, None]
        assert taken[3].payload == b"behind"
        assert session.queued_bytes == 0

    def test_others_do_not_wait(self, table: Table) -> None:
        (slow, _), (quick, _) = table.settled(), table.settled()
        receive(table.room, slow, update(b"B" * 600))
        receive(table.room, quick, update(b"q"))
        assert [r.payload for r in table.take()] == [b"q"]

    def test_a_malformed_one_closes(self, table: Table) -> None:
        session, socket = table.settled()
        receive(table.room, session, update(b"B" * 600))
        receive(table.room, session, update(b"behind"))
        prechecked(table.room, table.events.large_updates.pop(), None)
        assert socket.close_code == 4400
        assert table.events.refused == [session]
        assert not table.room.inbox

    def test_a_pause_ends_when_it_is_applied(self, table: Table) -> None:
        session, socket = table.settled()
        receive(table.room, session, update(b"B" * 2000))
        assert socket.paused
        prechecked(table.room, table.events.large_updates.pop(), [(b"B" * 600, b"fine")])
        self._drain(table)
        assert not socket.paused

    def test_it_is_applied_though_its_sender_has_left(self, table: Table) -> None:
        session, _ = table.settled()
        receive(table.room, session, update(b"B" * 600))
        table.room.leave(session)
        prechecked(table.room, table.events.large_updates.pop(), [(b"B" * 600, b"fine")])
        assert len(table.take()) == 1

    def test_in_a_dead_room_it_is_forgotten(self, table: Table) -> None:
        session, _ = table.settled()
        receive(table.room, session, update(b"B" * 600))
        table.room.fail(1013, "try again")
        prechecked(table.room, table.events.large_updates.pop(), [(b"B" * 600, b"fine")])
        assert not table.room.inbox

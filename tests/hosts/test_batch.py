"""What goes over to a host, and which of its responses are accepted: it has read hostile bytes, and may say anything.

Responses stand here as what msgpack carries: the decoder refuses what is of the wrong types, `fits` the rest.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hosts.batch import SLICE_BYTES, SLICE_UPDATES, BatchEntry, LoadPlan, fits
from crdt_server.hosts.recovery import put_back_waiting
from crdt_server.pipe import (
    HostRequest,
    LoadStep,
    RequestKind,
    SchemaContext,
    Status,
    decode_response,
)
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket

ADA = Identity("ada", "couple")


def make_room(room_id: int, name: str) -> Room:
    return Room(room_id, "w", name, RoomLimits(), Counters(), RecordingRoomEvents())


NOTE, GUESTS, BUDGET = make_room(5, "notes.a"), make_room(6, "guests"), make_room(7, "budget")
ROOMS = {GUESTS.id: GUESTS, BUDGET.id: BUDGET}  # what the server may have written into
SESSION = Session(SessionId(1), HandSocket(), ADA)

# Tags of results and of responses.
RESULT, LOAD_REFUSED, CONTEXT_MISSING = 0, 1, 2
BYTES, DIFF, SAME_AS, NO_OVERLAP, DIGEST, COMMAND_DONE, COMMAND_REFUSED, COMMAND_LACKS, DONE = range(9)
# Places in a result.
ROOM, SIZE, UPDATES, FAULTS, RESPONSES, DERIVED, NOTICES, CPU_SECONDS, SLOW = 1, 2, 4, 5, 6, 7, 8, 9, 10


def entry(*kinds: RequestKind, room: Room = NOTE) -> BatchEntry:
    return BatchEntry(room, [Request(SESSION, kind, b"p") for kind in kinds])


def accepts(raw: Any, *entries: BatchEntry) -> bool:
    """Whether the bytes of this value are taken as the response to a batch."""
    try:
        response = decode_response(msgspec.msgpack.encode(raw))
    except msgspec.MsgspecError:
        return False
    return fits(entries or [REQUESTED], ROOMS, response)


def result(
    room: Room, *, updates: Any = (), faults: Any = (), responses: Any = (), derived: Any = None, size: int = 10
) -> list[Any]:
    return [RESULT, room.id, size, True, list(updates), list(faults), list(responses), derived, [], 0.5, [[0, 1, 0.2]]]


def response_to(*results: Any) -> list[Any]:
    """A response of nothing but the results of a batch."""
    return [list(results), [], [], []]


REQUESTED = entry(RequestKind.UPDATE, RequestKind.STATE_VECTOR, RequestKind.DIFF)
STATE_VECTOR, DIFFERENCE = [1, [BYTES, b"\x00"]], [2, [DIFF, [b"\x00\x00"]]]
GOOD = result(NOTE, updates=[b"m"], faults=[[0, 1]], responses=[STATE_VECTOR, DIFFERENCE])
RECORDS: list[Any] = [
    [["guests", "g", "{}", "{}"], ["guests", "h", None, "{}"]],
    [["guest.added", "2026-01-01T00:00:00Z", "g", "{}"]],
    [[7, "ada"]],
    [["key", "digest", "{}", datetime(2026, 1, 1, tzinfo=UTC)]],
    [["v", "o", 0, 60, "booked", 1], ["v", "o", 0, 60, None, 0]],
]
WRITTEN = result(BUDGET, updates=[b"m"], derived=RECORDS)  # not requested: the server has written into the budget
ALL = [[GOOD], [], [WRITTEN], [[6, 1.5, ["timeline", "seating.plan"]], [7, None, []]]]


def changed(values: list[Any], index: int, value: Any) -> list[Any]:
    return [*values[:index], value, *values[index + 1 :]]


@pytest.mark.parametrize(
    "results",
    [
        *(None, 1, [], [GOOD, GOOD], [[]], [GOOD[:-1]], [[*GOOD, 1]], [5]),
        *([GOOD[1:]], [changed(GOOD, 0, 3)], [changed(GOOD, 0, None)], [changed(GOOD, 0, "0")]),
        *([changed(GOOD, ROOM, 6)], [changed(GOOD, ROOM, [5])], [changed(GOOD, ROOM, None)]),
        *([changed(GOOD, UPDATES, ["text"])], [changed(GOOD, UPDATES, None)], [changed(GOOD, UPDATES, [1])]),
        *([changed(GOOD, FAULTS, [[9, 1]])], [changed(GOOD, FAULTS, [[0, 99]])], [changed(GOOD, FAULTS, [[0.0, 1]])]),
        *([changed(GOOD, FAULTS, [[-1, 1]])], [changed(GOOD, FAULTS, [0])], [changed(GOOD, FAULTS, [[[], 1]])]),
        *([changed(GOOD, FAULTS, [[0, 0]])], [changed(GOOD, FAULTS, [[0]])], [changed(GOOD, FAULTS, None)]),
        *(
            [changed(GOOD, RESPONSES, responses)]
            for responses in (
                *([STATE_VECTOR, DIFFERENCE, [9, [BYTES, b""]]], [STATE_VECTOR, DIFFERENCE, [-1, [BYTES, b""]]]),
                *([STATE_VECTOR], [], None, [STATE_VECTOR, 2], [STATE_VECTOR, [2]]),
                *([[1, [BYTES, ["x"]]], DIFFERENCE], [[1, [BYTES, "x"]], DIFFERENCE], [[1, [DIFF, ["x"]]], DIFFERENCE]),
                *([[1, [DIFF, [b"x"]]], DIFFERENCE], [[1, [NO_OVERLAP]], DIFFERENCE], [[1, b"x"], DIFFERENCE]),
                *([STATE_VECTOR, [2, [BYTES, b"x"]]], [STATE_VECTOR, [2, [DIFF, b"x"]]], [STATE_VECTOR, [2, b"x"]]),
                *([STATE_VECTOR, [2, [DIFF, []]]], [STATE_VECTOR, [2, [DIFF, ["text"]]]], [STATE_VECTOR, [2, [9]]]),
                *([STATE_VECTOR, [2, [SAME_AS, 1]]], [STATE_VECTOR, [2, [SAME_AS, 2]]], [[2, [SAME_AS, 1]]]),
                *([STATE_VECTOR, [2.0, [DIFF, [b"\x00"]]]], [STATE_VECTOR, ["2", [DIFF, [b"\x00"]]]]),
            )
        ),
        *([changed(GOOD, SIZE, "1")], [changed(GOOD, SIZE, None)], [changed(GOOD, SIZE, 1.5)]),
        *([changed(GOOD, SIZE, -1)], [changed(GOOD, SIZE, -2)]),
        *([changed(GOOD, NOTICES, [[0, "text"]])], [changed(GOOD, NOTICES, [[3, b"{}"]])]),
        *([changed(GOOD, NOTICES, [b"{}"])], [changed(GOOD, NOTICES, [[-1, b"{}"]])]),
        *([changed(GOOD, NOTICES, None)], [changed(GOOD, NOTICES, [[0, b"\xff"]])]),
        *(
            [changed(GOOD, CPU_SECONDS, -0.1)],
            [changed(GOOD, CPU_SECONDS, math.inf)],
            [changed(GOOD, CPU_SECONDS, None)],
        ),
        *([changed(GOOD, CPU_SECONDS, math.nan)], [changed(GOOD, CPU_SECONDS, "1")]),
        *([changed(GOOD, SLOW, [[0, 1]])], [changed(GOOD, SLOW, [[0, 9, 0.1]])], [changed(GOOD, SLOW, [[1, 1, 0.1]])]),
        *([changed(GOOD, SLOW, [[-1, 1, 0.1]])], [changed(GOOD, SLOW, [[0, 1, math.inf]])]),
        *([changed(GOOD, SLOW, [[0, 1, -0.1]])], [changed(GOOD, SLOW, None)]),
    ],
)
def test_a_host_may_say_anything_of_what_was_requested(results: Any) -> None:
    assert accepts(ALL)
    assert not accepts(changed(ALL, 0, results))


@pytest.mark.parametrize("raw", [None, 1, b"", "four", [], [[GOOD]], ALL[:3], [*ALL, []], {1: 2}])
def test_or_nothing_that_is_a_response(raw: Any) -> None:
    assert not accepts(raw)


@pytest.mark.parametrize(
    "body", [b"", b"\xc1", msgspec.msgpack.encode(ALL)[:-1], msgspec.msgpack.encode(ALL) + b"\x00"]
)
def test_or_nothing_that_is_msgpack(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode_response(body)


@pytest.mark.parametrize(
    "others",
    [
        *(None, 1, [None], [[]], [7], [WRITTEN[:-1]], [WRITTEN, [*WRITTEN, 1]]),
        *([changed(WRITTEN, ROOM, 5)], [changed(WRITTEN, ROOM, 8)], [changed(WRITTEN, ROOM, [7])]),
        *([changed(WRITTEN, ROOM, "7")], [changed(WRITTEN, 0, LOAD_REFUSED)]),
        *([changed(WRITTEN, UPDATES, ["text"])], [changed(WRITTEN, UPDATES, 1)]),
        *([changed(WRITTEN, SIZE, "1")], [changed(WRITTEN, SIZE, -1)]),
        *([changed(WRITTEN, FAULTS, [[0, 1]])], [changed(WRITTEN, RESPONSES, [[0, [DONE]]])]),
        [changed(WRITTEN, NOTICES, [[0, b"{}"]])],
    ],
)
def test_or_of_what_the_server_wrote_besides(others: Any) -> None:
    assert not accepts(changed(ALL, 2, others))


@pytest.mark.parametrize(
    "wedding",
    [
        *(None, 6, [], [6, None], [6, None, [], 1], ["6", None, []], [[6], None, []], [8, None, []], [5, None, []]),
        *([6, "1", []], [6, -1.0, []], [6, float("nan"), []], [6, float("inf"), []], [6, [], []]),
        *([6, None, None], [6, None, [1]], [6, None, ["no such document"]], [6, None, ["../guests"]], [6, None, "ab"]),
    ],
)
def test_or_of_what_a_wedding_waits_for(wedding: Any) -> None:
    assert not accepts(changed(ALL, 3, [wedding]))


@pytest.mark.parametrize(
    "derived",
    [
        *(1, [], {}, RECORDS[:4], [*RECORDS, []], [None] * 5, "fives"),
        *(
            changed(RECORDS, 0, [row])
            for row in (None, [], ["r", "g", "{}"], ["r", "g", "{}", None], ["r", 1, "{}", "{}"])
        ),
        *(changed(RECORDS, 1, [event]) for event in (None, "four", ["t", "a", "r"], ["t", "a", None, "{}"])),
        *(changed(RECORDS, 2, [owner]) for owner in (7, [7], ["7", "ada"], [7, None], [7, "ada", 1])),
        *(changed(RECORDS, 3, [answer]) for answer in (None, ["k", "d", "{}"], ["k", "d", "{}", "yesterday"])),
        changed(RECORDS, 3, [["k", "d", "{}", "2026-01-01T00:00:00"]]),
        changed(RECORDS, 3, [["k", "d", "{}", None]]),
        *(changed(RECORDS, 4, [booking]) for booking in (None, ["v", "o", 0, 60, "booked"], ["v", "o", 0, 60, 1, 1])),
        *(
            changed(RECORDS, 4, [["v", "o", *span, "booked", 1]])
            for span in ((-1, 60), (0, 2**62), (0, None), (0.0, 1), (0, "1"))
        ),
    ],
)
def test_or_of_what_follows_from_updates(derived: Any) -> None:
    requested = entry(RequestKind.UPDATE, room=GUESTS)
    good = result(GUESTS, updates=[b"m"], derived=RECORDS)
    assert accepts(response_to(good), requested)
    assert not accepts(response_to(changed(good, DERIVED, derived)), requested)
    written = changed(WRITTEN, DERIVED, derived)
    assert not accepts([[changed(good, DERIVED, None)], [], [written], []], requested)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (
            RequestKind.READ,
            [BYTES, b"{}"],
            [None, [BYTES, "{}"], [BYTES, [b"{}"]], [DIFF, [b"{}"]], [BYTES, 1], 1, b"{}", [BYTES], [BYTES, b"", b""]],
        ),
        (
            RequestKind.DIGEST,
            [DIGEST, b"\x00", "00"],
            [
                *(None, b"\x00", [BYTES, b"\x00"], [DIGEST, b"\x00"], [DIGEST, b"\x00", b"00"]),
                *([DIGEST, "\x00", "00"], [DIGEST, b"", "", ""], [b"", "", ""]),
            ],
        ),
        (
            RequestKind.COMMAND,
            [COMMAND_DONE, "{}"],
            [None, [], [COMMAND_DONE], "ab", [9, "{}"], [COMMAND_DONE, "{}", 1], [COMMAND_DONE, b"{}"], [True, "{}"]],
        ),
        (RequestKind.COMMAND, [COMMAND_REFUSED, []], [True, [COMMAND_REFUSED], [COMMAND_REFUSED, ["text"]]]),
        (RequestKind.COMMAND, [COMMAND_LACKS, []], [b"x", [COMMAND_LACKS, [b"x"]], [COMMAND_LACKS, "x"], [DONE]]),
        (RequestKind.RUN_SCHEDULED, [DONE], [None, True, [DONE, 1], [BYTES, b""]]),
        (RequestKind.SET_BOOKINGS, [DONE], [None, True, [DONE, 1], [BYTES, b""]]),
        (RequestKind.DIFF, [NO_OVERLAP], [None, -1, [NO_OVERLAP, 1], [DONE]]),
        (RequestKind.UPDATE, None, [b"x", True, [BYTES, b"x"], [DONE]]),
    ],
)
def test_every_request_has_a_response_of_its_kind(kind: RequestKind, good: Any, bad: list[Any]) -> None:
    def responded(value: Any) -> bool:
        responses = [] if value is None else [[0, value]]
        return accepts(response_to(result(GUESTS, responses=responses, size=1)), entry(kind, room=GUESTS))

    assert responded(good)
    assert [responded(value) for value in bad] == [False] * len(bad)


def test_a_load_may_end_and_a_request_may_not() -> None:
    for ended in ([LOAD_REFUSED, 6, "a hole"], [CONTEXT_MISSING, 6]):
        loading = BatchEntry(GUESTS, (), LoadStep([b"u"]))
        assert accepts(response_to(ended), loading)
        assert not accepts(response_to(changed(ended, ROOM, 7)), loading)
        assert not accepts(response_to([*ended, 1]), loading)
        assert not accepts(response_to(ended), entry(RequestKind.UPDATE, room=GUESTS))


def test_a_command_that_is_being_written_is_one_that_has_to_come_again() -> None:
    commands = entry(RequestKind.UPDATE, RequestKind.COMMAND, room=GUESTS)
    later = result(GUESTS, faults=[[1, Status.LATER]])
    assert accepts([*response_to(later), [0, 1]], commands)
    refused = result(GUESTS, faults=[[1, Status.VIOLATION]])
    for raw, begun in ((later, [0, 0]), (later, [0, 2]), (later, [1, 1]), (later, [-1, 1]), (refused, [0, 1])):
        assert not accepts([*response_to(raw), begun], commands)


def test_a_refused_question_needs_no_response() -> None:
    refused = result(NOTE, faults=[[2, Status.LATER]], responses=[STATE_VECTOR])
    assert accepts(response_to(refused))


def test_the_sender_goes_over_only_where_it_matters() -> None:
    request = Request(SESSION, RequestKind.UPDATE, b"p", b"summary")
    request.client_state_vector = b"\x00"
    signed = BatchEntry(GUESTS, [request]).for_host()
    assert signed.requests == [HostRequest(RequestKind.UPDATE, b"p", b"summary", ADA, b"\x00")]
    in_a_note = BatchEntry(NOTE, [request, Request(SESSION, RequestKind.DIFF, b"")]).for_host()
    assert in_a_note.requests == [signed.requests[0], HostRequest(RequestKind.DIFF, b"", None, None, None)]
    own = BatchEntry(GUESTS, [Request(None, RequestKind.BUILD_DOC, b"")]).for_host()
    assert own.requests == [HostRequest(RequestKind.BUILD_DOC, b"", None, None, None)]


def test_a_state_vector_goes_over_once() -> None:
    room = Room(9, "w", "guests", RoomLimits(), Counters(), RecordingRoomEvents())
    pieces = [Request(SESSION, RequestKind.UPDATE, b"p", b"summary") for _ in range(3)]
    for piece in pieces:
        piece.client_state_vector, piece.first = b"\x00", pieces[0]

    def sent(*numbers: int) -> list[tuple[bytes | None, bool]]:
        requests = BatchEntry(room, [pieces[number] for number in numbers]).for_host().requests
        return [(each.client_state_vector, each.vector_of == id(pieces[0])) for each in requests]

    assert sent(0, 1) == [(b"\x00", True), (None, True)]
    assert sent(2) == [(None, True)]
    room.hosted.host_lost()
    assert sent(1, 2) == [(b"\x00", True), (None, True)]


@pytest.mark.parametrize("updates", [[], [b"x"], [b"x"] * (SLICE_UPDATES * 2 + 1), [b"x" * SLICE_BYTES, b"y", b"z"]])
def test_a_document_is_loaded_in_steps_that_begin_with_its_context(updates: list[bytes]) -> None:
    context = SchemaContext("w", "guests", [])
    steps = [step.load for step in LoadPlan(updates, context).steps(GUESTS)]
    loads = [load for load in steps if load is not None]
    assert len(loads) == len(steps)
    assert [update for load in loads for update in load.updates] == updates
    assert [load.context for load in loads] == [context, *([None] * (len(loads) - 1))]
    assert [load.last for load in loads] == [*([False] * (len(loads) - 1)), True]
    assert all(sum(map(len, load.updates)) <= SLICE_BYTES for load in loads)


def test_a_command_that_is_being_written_does_not_wait_in_its_inbox() -> None:
    """After the death of a host edits of derived documents that wait for another document go back; a command that the
    new host is writing has to come with its next batch."""
    shown, update, begun = make_room(10, "timeline@v.v_1"), RequestKind.UPDATE, RequestKind.COMMAND
    requests = [Request(SESSION, kind, b"p") for kind in (update, begun, update)]
    plain = entry(update, room=GUESTS)
    left = put_back_waiting([BatchEntry(shown, requests), plain], requests[1])
    assert left == [BatchEntry(shown, [requests[1]]), plain]
    assert shown.take(1 << 20).requests == [requests[0], requests[2]]

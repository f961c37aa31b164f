"""What goes over to a host, and what is believed of its answer: it has read hostile bytes, and may say anything."""

from __future__ import annotations

from typing import Any

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hosts.batch import SLICE_BYTES, SLICE_UPDATES, BatchEntry, LoadPlan, well_formed
from crdt_server.pipe import NO_SETTING, UNREADABLE, RequestKind, Status
from crdt_server.rooms.room import Room, RoomLimits
from crdt_server.rooms.session import Request, Session, SessionId
from tests.support.sockets import HandSocket

ADA = Identity("ada", "couple")


def make_room(room_id: int, name: str) -> Room:
    return Room(room_id, "w", name, RoomLimits(), Counters(), vet=lambda *_: None, blame=lambda _: None)


NOTE, GUESTS, BUDGET = make_room(5, "notes.a"), make_room(6, "guests"), make_room(7, "budget")
ROOMS = {GUESTS.id: GUESTS, BUDGET.id: BUDGET}  # what the server may have written into
SESSION = Session(SessionId(1), HandSocket(), ADA)


def entry(*kinds: RequestKind, room: Room = NOTE) -> BatchEntry:
    return BatchEntry(room, [Request(SESSION, kind, b"p") for kind in kinds])


def accepts(answer: Any, *entries: BatchEntry) -> bool:
    return well_formed(entries or [ASKED], ROOMS, answer)


ASKED = entry(RequestKind.UPDATE, RequestKind.HELLO, RequestKind.DIFF)
GOOD = [5, [b"m"], [(0, 1)], [(1, b"\x00"), (2, [b"\x00\x00"])], 10, True, None, []]
FACTS: list[Any] = [
    [["guests", "g", "{}", "{}"], ["guests", "h", None, "{}"]],
    [["guest.added", "2026-01-01T00:00:00Z", "g", "{}"]],
    [[7, "ada"]],
    [["key", "digest", "{}", "2026-01-01T00:00:00.000Z"]],
    [["v", "o", 0, 60, "booked", 1], ["v", "o", 0, 60, None, 0]],
]
WRITTEN = [7, [b"m"], [], [], 10, True, FACTS, []]  # nobody asked: the server has written into the budget
ALL = [[GOOD], [], [WRITTEN], [[6, 1.5, ["timeline", "seating.plan"]], [7, None, []]]]


def changed(values: list[Any], index: int, value: Any) -> list[Any]:
    return [*values[:index], value, *values[index + 1 :]]


@pytest.mark.parametrize(
    "results",
    [
        *(None, 1, [], [GOOD, GOOD], [[]], [GOOD[:-1]], [[*GOOD, 1]], [5]),
        *([changed(GOOD, 0, 6)], [changed(GOOD, 0, [5])], [changed(GOOD, 0, None)]),
        *([changed(GOOD, 1, ["text"])], [changed(GOOD, 1, None)], [changed(GOOD, 1, [1])]),
        *([changed(GOOD, 2, [(9, 1)])], [changed(GOOD, 2, [(0, 99)])], [changed(GOOD, 2, [(0.0, 1)])]),
        *([changed(GOOD, 2, [(-1, 1)])], [changed(GOOD, 2, [0])], [changed(GOOD, 2, [([], 1)])]),
        *([changed(GOOD, 3, [*GOOD[3], (9, b"")])], [changed(GOOD, 3, GOOD[3][:1])], [changed(GOOD, 3, [])]),
        *([changed(GOOD, 3, [(1, ["x"]), (2, [b"x"])])], [changed(GOOD, 3, [(1, b"x"), (2, b"x")])]),
        *([changed(GOOD, 3, [(1, b"x"), (2, [])])], [changed(GOOD, 3, [(1, b"x"), (2, ["text"])])]),
        *([changed(GOOD, 4, "1")], [changed(GOOD, 4, None)], [changed(GOOD, 4, 1.5)], [changed(GOOD, 4, NO_SETTING)]),
        *([changed(GOOD, 7, [(0, "text")])], [changed(GOOD, 7, [(3, b"{}")])], [changed(GOOD, 7, [b"{}"])]),
        *([changed(GOOD, 7, None)], [changed(GOOD, 7, [(0, b"\xff")])]),
    ],
)
def test_a_host_may_say_anything_of_what_was_asked(results: Any) -> None:
    assert accepts(ALL)
    assert not accepts(changed(ALL, 0, results))


@pytest.mark.parametrize("answer", [None, 1, b"", "four", [], [[GOOD]], ALL[:3], [*ALL, []], {1: 2}])
def test_or_nothing_that_is_an_answer(answer: Any) -> None:
    assert not accepts(answer)


@pytest.mark.parametrize(
    "others",
    [
        *(None, 1, [None], [[]], [7], [WRITTEN[:-1]], [WRITTEN, [*WRITTEN, 1]]),
        *([changed(WRITTEN, 0, 5)], [changed(WRITTEN, 0, 8)], [changed(WRITTEN, 0, [7])], [changed(WRITTEN, 0, "7")]),
        *([changed(WRITTEN, 1, ["text"])], [changed(WRITTEN, 1, 1)]),
        *([changed(WRITTEN, 4, "1")], [changed(WRITTEN, 4, -1)]),
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
    "facts",
    [
        *(1, [], {}, FACTS[:4], [*FACTS, []], [None] * 5, "fives"),
        *(
            changed(FACTS, 0, [row])
            for row in (None, [], ["r", "g", "{}"], ["r", "g", "{}", None], ["r", 1, "{}", "{}"])
        ),
        *(changed(FACTS, 1, [event]) for event in (None, "four", ["t", "a", "r"], ["t", "a", None, "{}"])),
        *(changed(FACTS, 2, [owner]) for owner in (7, [7], ["7", "ada"], [7, None], [7, "ada", 1])),
        *(changed(FACTS, 3, [answer]) for answer in (None, ["k", "d", "{}"], ["k", "d", "{}", "yesterday"])),
        changed(FACTS, 3, [["k", "d", "{}", "2026-01-01T00:00:00"]]),
        *(changed(FACTS, 4, [booking]) for booking in (None, ["v", "o", 0, 60, "booked"], ["v", "o", 0, 60, 1, 1])),
        *(changed(FACTS, 4, [["v", "o", *span, "booked", 1]]) for span in ((-1, 60), (0, 2**62), (0, None), (0.0, 1))),
    ],
)
def test_or_of_what_follows_from_updates(facts: Any) -> None:
    asked = entry(RequestKind.UPDATE, room=GUESTS)
    good = [6, [b"m"], [], [], 10, True, FACTS, []]
    assert accepts([[good], [], [], []], asked)
    assert not accepts([[changed(good, 6, facts)], [], [], []], asked)
    assert not accepts([[changed(good, 6, None)], [], [changed(WRITTEN, 6, facts)], []], asked)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (RequestKind.READ, b"{}", [None, "{}", [b"{}"], 1]),
        (
            RequestKind.DIGEST,
            [b"\x00", "00"],
            [None, b"\x00", [b"\x00"], [b"\x00", b"00"], ["\x00", "00"], [b"", "", ""]],
        ),
        (RequestKind.COMMAND, [True, "{}"], [None, [], [True], "ab", [1, "{}"], [True, "{}", 1]]),
        (RequestKind.COMMAND, [False, []], [True]),
        (RequestKind.COMMAND, [None, []], [b"x"]),
        (RequestKind.TEND, True, [None]),
        (RequestKind.BOOKINGS, True, [None]),
        (RequestKind.UPDATE, None, [b"x", True]),
    ],
)
def test_every_question_has_an_answer_of_its_kind(kind: RequestKind, good: Any, bad: list[Any]) -> None:
    def answered(value: Any) -> bool:
        answers = [] if value is None else [(0, value)]
        return accepts([[[6, [], [], answers, 1, True, None, []]], [], [], []], entry(kind, room=GUESTS))

    assert answered(good)
    assert [answered(value) for value in bad] == [False] * len(bad)


def test_a_load_may_end_and_a_request_may_not() -> None:
    for size, why in ((UNREADABLE, "a hole"), (NO_SETTING, False)):
        answer = [[[6, [], [], [], size, why, None, []]], [], [], []]
        assert accepts(answer, BatchEntry(GUESTS, (), [b"u"]))
        assert not accepts(answer, entry(RequestKind.UPDATE, room=GUESTS))


def test_a_refused_question_needs_no_answer() -> None:
    answer = [[[5, [], [(2, Status.LATER)], [(1, b"\x00")], 10, True, None, []]], [], [], []]
    assert accepts(answer)


def test_who_asks_goes_over_only_where_it_matters() -> None:
    request = Request(SESSION, RequestKind.UPDATE, b"p", "summary")
    request.knows = b"\x00"
    assert BatchEntry(GUESTS, [request]).wire()[4] == [[RequestKind.UPDATE, b"p", "summary", ADA, b"\x00"]]
    assert BatchEntry(NOTE, [request]).wire()[4] == [[RequestKind.UPDATE, b"p", "summary", None, b"\x00"]]
    assert BatchEntry(GUESTS, [Request(None, RequestKind.WARM, b"")]).wire()[4] == [
        [RequestKind.WARM, b"", None, None, None]
    ]


@pytest.mark.parametrize("updates", [[], [b"x"], [b"x"] * (SLICE_UPDATES * 2 + 1), [b"x" * SLICE_BYTES, b"y", b"z"]])
def test_a_document_is_loaded_in_steps_that_begin_with_its_setting(updates: list[bytes]) -> None:
    setting = ["w", "guests", [], None]
    steps = list(LoadPlan(updates, setting).steps(GUESTS))
    assert [update for step in steps for update in step.load or ()] == updates
    assert [step.setting for step in steps] == [setting, *([None] * (len(steps) - 1))]
    assert [step.last for step in steps] == [*([False] * (len(steps) - 1)), True]
    assert all(sum(map(len, step.load or ())) <= SLICE_BYTES for step in steps)

"""Commands of many operations are written in slices: others are answered in between, and nobody sees a part of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from crdt_server.access.identity import Identity
from crdt_server.access.policy import default_policy
from crdt_server.hosts.batch import BatchEntry
from crdt_server.judge.commands import WRITTEN_AT_ONCE
from crdt_server.pipe import (
    BatchResponse,
    BegunCommand,
    CommandDone,
    Fault,
    ForgetRooms,
    RequestKind,
    RoomResult,
    Status,
)
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from tests.judge.test_process import READS, Place, command, derived_of, guest, insert, later_of, load, mark
from tests.support.slices import of_looks
from tests.support.sockets import HandSocket

LOOKS, GUESTS = 6, 3 * WRITTEN_AT_ONCE
LATER = [Fault(0, Status.LATER)]
OF_VENDOR, ITEM = "timeline@v.v_1", {"title": "Photos", "start": 900, "vendor:v_1": True}
PART = [insert(f"g_{n}", note="") for n in range(GUESTS)]
SEATS: list[dict[str, Any]] = [
    {"op": "insert", "root": "tables", "record": f"t_{n}", "value": {"label": "5", "capacity": 8}}
    for n in range(GUESTS)
]


@pytest.fixture
def place() -> Iterator[Place]:
    with mark() as shared:
        place = Place(shared, of_looks(LOOKS))
        place.host._commands._clock = float  # it stands still: one record is a step
        yield place


def opened(place: Place, name: str, wedding: str = "w") -> Room:
    room = place.room(name, wedding)
    others = [each for each in place.rooms.values() if each.wedding == wedding and each is not room]
    place.run([load(room, None if others else ())])
    place.rows(room)
    return room


def begin(place: Place, room: Room, *parts: Any) -> BatchEntry:
    """Send a command until it is being written, and nothing of it is written yet."""
    entry = BatchEntry(room, [Request(place.session, RequestKind.COMMAND, command(*parts))])
    while place.begun is None:
        (result,) = place.run([entry]).results
        assert isinstance(result, RoomResult)
        assert (result.faults, result.updates) == (LATER, [])
    return entry


def finish(place: Place, entry: BatchEntry) -> BatchResponse:
    while (response := place.run([entry])).begun is not None:
        assert (response.others, response.weddings) == ([], [])
    return response


def result_in(response: BatchResponse, place: int) -> RoomResult:
    result = response.results[place]
    assert isinstance(result, RoomResult)
    return result


def written(place: Place, name: str, root: str) -> int:
    """How many records the host has, whoever may see them."""
    return len(place.host.held.weddings["w"].open[name].rows.roots[root])


def test_others_are_answered_meanwhile_and_the_wedding_gives_nothing_away(place: Place) -> None:
    """1,000 insertions were one step of 80 ms, and 140 with derived documents that show them."""
    guests, seating, other = opened(place, "guests"), opened(place, "seating"), opened(place, "guests", "v")
    entry = begin(place, guests, ("guests", PART), ("seating", SEATS))
    seen = set()
    for batches in count():
        theirs = Request(place.session, RequestKind.UPDATE, guest(100 + batches, f"h_{batches}"))
        mine = [Request(place.session, RequestKind.UPDATE, guest(9, "g_mine"))]
        mine += [Request(place.session, kind, payload) for kind, payload in READS]
        mine += [Request(place.session, kind, b"") for kind in (RequestKind.READ, RequestKind.DIGEST)]
        response = place.run([entry, BatchEntry(seating, mine), BatchEntry(guests, mine), BatchEntry(other, [theirs])])
        assert result_in(response, 3).faults == []
        assert len(result_in(response, 3).updates) == 1
        if response.begun is None:
            assert isinstance(result_in(response, 0).responses[0].response, CommandDone)
            assert len(derived_of(result_in(response, 0)).rows) == GUESTS + 1
            assert len(derived_of(result_in(response, 1)).rows) == GUESTS
            break
        seen.add((written(place, "guests", "guests"), written(place, "seating", "tables")))
        assert result_in(response, 0).faults == LATER
        assert [later_of(result) for result in response.results[1:3]] == [list(range(len(mine)))] * 2
        assert [(each.updates, each.derived, each.responses) for each in map(result_in, [response] * 3, range(3))] == [
            ([], None, [])
        ] * 3
        assert not response.others
        assert {each.room for each in response.weddings} <= {other.id}
    assert len(seen) > 10
    assert (written(place, "guests", "guests"), written(place, "seating", "tables")) == (GUESTS + 1, GUESTS)


def test_each_record_is_one_event_and_the_answer_is_stored_with_them(place: Place) -> None:
    guests = opened(place, "guests")
    meals = [{"op": "set", "root": "guests", "record": f"g_{n}", "key": "meal", "value": "soup"} for n in range(GUESTS)]
    body = command(("guests", [*PART, *meals]), key="k", digest="d")
    entry = BatchEntry(guests, [Request(place.session, RequestKind.COMMAND, body)])
    response = place.run([entry])
    while response.begun is not None or result_in(response, 0).faults:
        response = place.run([entry])
    records = derived_of(result_in(response, 0))
    assert sorted(event.record for event in records.events) == sorted(each["record"] for each in PART)
    assert [(answer.key, answer.digest) for answer in records.answers] == [("k", "d")]


def test_derived_documents_show_all_of_it_at_once(place: Place) -> None:
    guests, shown = opened(place, "guests"), opened(place, "guests@service")
    response = finish(place, begin(place, guests, ("guests", PART)))
    (other,) = response.others
    assert other.room == shown.id
    assert len(place.rows(shown)["guests"]) == GUESTS
    assert place.result(shown, RequestKind.DIFF, b"\0").updates == []


@pytest.fixture
def statuses(place: Place) -> BatchEntry:
    """A vendor sets the status of each of its items."""
    timeline, shown = opened(place, "timeline"), opened(place, OF_VENDOR)
    items = [{"op": "insert", "root": "items", "record": f"i_{n}", "value": ITEM} for n in range(GUESTS)]
    finish(place, begin(place, timeline, ("timeline", items)))
    place.rows(shown)
    lens = Identity("lens", "vendor", vendor="v_1", rights=default_policy().rights_to_write("vendor"))
    status = {"op": "set", "root": "items", "key": "status", "value": "ready"}
    body = command((OF_VENDOR, [{**status, "record": f"i_{n}"} for n in range(GUESTS)]))
    return BatchEntry(shown, [Request(Session(SessionId(2), HandSocket(), lens), RequestKind.COMMAND, body)])


def test_those_on_a_derived_document_are_written_in_slices_too(place: Place, statuses: BatchEntry) -> None:
    while place.begun is None:
        assert result_in(place.run([statuses]), 0).faults == LATER
    response = finish(place, statuses)
    assert isinstance(result_in(response, 0).responses[0].response, CommandDone)
    for room in place.rooms.values():
        assert [each["status"] for each in place.rows(room)["items"].values()] == ["ready"] * GUESTS


@pytest.mark.parametrize("document", ["timeline", "timeline@v.v_1"])
def test_they_end_with_either_document(place: Place, statuses: BatchEntry, document: str) -> None:
    while place.begun is None:
        place.run([statuses])
    (room,) = (each.id for each in place.rooms.values() if each.document == document)
    with pytest.raises(RuntimeError, match="in the middle"):
        place.run([], ForgetRooms([room]))


def test_a_derived_document_that_is_being_opened_shows_it_too(place: Place) -> None:
    guests, shown = opened(place, "guests"), place.room("guests@service")
    first = [insert(f"g_{n}", note="") for n in range(800)]
    finish(place, begin(place, guests, ("guests", first)))
    place.run([load(shown, None)])
    while not place.host.held.weddings["w"].derived._followers:
        assert later_of(place.result(shown, RequestKind.READ)) == [0]
    more = [insert(f"h_{n}", note="") for n in range(GUESTS)]
    finish(place, begin(place, guests, ("guests", more)))
    assert not place.host.documents[shown.id].is_built
    assert len(place.rows(shown)["guests"]) == len(first) + GUESTS


def test_one_command_is_written_at_a_time_and_small_ones_do_not_wait(place: Place) -> None:
    guests, other = opened(place, "guests"), opened(place, "guests", "v")
    entry = begin(place, guests, ("guests", PART))
    long = BatchEntry(other, [Request(place.session, RequestKind.COMMAND, command(("guests", PART)))])
    short = BatchEntry(other, [Request(place.session, RequestKind.COMMAND, command(("guests", [insert("h")])))])
    response = place.run([entry, long, short])
    assert [result_in(response, n).faults for n in range(3)] == [LATER, LATER, []]
    assert isinstance(result_in(response, 2).responses[0].response, CommandDone)
    finish(place, entry)
    while place.run([long]).begun is None:
        pass
    finish(place, long)
    assert len(place.rows(other)["guests"]) == GUESTS + 1


def test_what_was_requested_with_it_is_given_away_with_its_batch(place: Place) -> None:
    """Nothing acknowledged waits for a command behind it."""
    guests = opened(place, "guests")
    entry = begin(place, guests, ("guests", PART))
    finish(place, entry)
    edit = Request(place.session, RequestKind.UPDATE, guest(7, "g_mine"))
    more = [insert(f"h_{n}") for n in range(GUESTS)]
    both = BatchEntry(guests, [edit, Request(place.session, RequestKind.COMMAND, command(("guests", more)))])
    response = place.run([both])
    assert (later_of(result_in(response, 0)), result_in(response, 0).updates) == ([1], [edit.payload])
    alone = BatchEntry(guests, [both.requests[1]])
    while place.begun is None:
        place.run([alone])
    finish(place, alone)
    assert len(place.rows(guests)["guests"]) == 2 * GUESTS + 1


def test_what_a_long_batch_does_not_reach_goes_on_with_the_next(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the requests of a host that has died are run again, others stand before the command."""
    guests, other = opened(place, "guests"), opened(place, "guests", "v")
    entry = begin(place, guests, ("guests", PART))
    edits = [Request(place.session, RequestKind.UPDATE, guest(9 + n, f"g_{n}")) for n in range(2)]
    with monkeypatch.context() as changed:
        changed.setattr(place.host._slices, "batch_is_long", lambda: True)
        response = place.run([BatchEntry(other, edits[:1]), BatchEntry(guests, [edits[1], *entry.requests])])
    assert [later_of(result) for result in response.results] == [[], [0, 1]]
    assert response.begun == BegunCommand(1, 1)
    finish(place, entry)
    assert len(place.rows(guests)["guests"]) == GUESTS


def test_with_its_wedding_it_is_forgotten(place: Place) -> None:
    guests, seating, other = opened(place, "guests"), opened(place, "seating"), opened(place, "guests", "v")
    begin(place, guests, ("guests", PART))
    place.begun = None
    place.run([], ForgetRooms([guests.id, seating.id]))
    long = begin(place, other, ("guests", PART))
    finish(place, long)
    assert len(place.rows(other)["guests"]) == GUESTS


def test_a_document_that_it_leaves_as_it_is_ends_it_too(place: Place) -> None:
    """It comes in the room of its first document: nobody sends it any more, and its wedding would wait for ever."""
    guests, seating = opened(place, "guests"), opened(place, "seating")
    place.run([begin(place, guests, ("guests", []), ("seating", SEATS))])
    with pytest.raises(RuntimeError):
        place.run([BatchEntry(seating, [Request(place.session, RequestKind.READ, b"")])], ForgetRooms([guests.id]))


def test_a_host_does_not_outlive_half_of_it(place: Place) -> None:
    guests, seating = opened(place, "guests"), opened(place, "seating")
    place.run([begin(place, guests, ("guests", PART), ("seating", SEATS))])
    with pytest.raises(RuntimeError):
        place.run([], ForgetRooms([seating.id]))


def test_a_host_ends_rather_than_leave_one_in_the_middle(place: Place) -> None:
    """Its wedding would stand still for ever."""
    guests, other = opened(place, "guests"), opened(place, "guests", "v")
    begin(place, guests, ("guests", PART))
    place.begun = None
    with pytest.raises(RuntimeError, match="in the middle"):
        place.result(other, RequestKind.READ)

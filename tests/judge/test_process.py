"""The host's program in this process: what a batch says of documents with a schema, and of their wedding."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hosts.batch import BatchEntry, LoadPlan, fits
from crdt_server.judge import held_documents, process
from crdt_server.judge.document import RUN_UPDATES
from crdt_server.judge.process import DocumentHost
from crdt_server.judge.reads import ENCODING_SECONDS
from crdt_server.judge.slices import Slices, Unlimited
from crdt_server.pipe import (
    Batch,
    BatchResponse,
    Bytes,
    CommandBody,
    CommandDone,
    CommandLacks,
    CommandPart,
    CommandRefused,
    ContextMissing,
    Diff,
    Done,
    Fault,
    ForgetRooms,
    Job,
    LoadPostponed,
    LoadRefused,
    LoadStep,
    OtherBookings,
    RequestKind,
    Response,
    RoomResult,
    RowsDigest,
    SchemaContext,
    Status,
    WeddingState,
    decode_batch,
    decode_response,
    encode,
)
from crdt_server.progress_mark import ProgressMark
from crdt_server.protocol.update import decode_state_vector
from crdt_server.records import BatchRecords, BookingChange, ClientOwner, MirrorRow, OtherBooking
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from documents.invariants import Index, Subject
from documents.readers import canonical_json, digest
from tests.support.room_events import RecordingRoomEvents
from tests.support.slices import of_looks, of_runs
from tests.support.sockets import HandSocket
from tests.support.wire import Replica, Typist

NOW = 1_780_000_000.0
LOOKS, SEATS = 6, 30
ADA = Identity("ada", "couple")
READS = [(RequestKind.STATE_VECTOR, b""), (RequestKind.DIFF, b"\0")]


class Place:
    """A host, and rooms of one wedding. Every response is one that the serving process would take."""

    def __init__(self, mark: ProgressMark, slices: Slices | None = None) -> None:
        self.mark = mark
        self.host = DocumentHost(mark, 1 << 20, slices or Unlimited())
        self.now = NOW
        self.rooms: dict[int, Room] = {}
        self.session = Session(SessionId(1), HandSocket(), ADA)
        self.begun: Request | None = None  # the command that is being written: it has to come with every batch

    def room(self, name: str, wedding: str = "w") -> Room:
        room = Room(len(self.rooms) + 1, wedding, name, RoomLimits(), Counters(), RecordingRoomEvents())
        self.rooms[room.id] = room
        return room

    def run(self, entries: Sequence[BatchEntry], *jobs: Job) -> BatchResponse:
        batch = Batch(self.now, [entry.for_host(self.begun) for entry in entries], list(jobs))
        response = decode_response(encode(self.host.handle(decode_batch(encode(batch)))))
        assert fits(entries, self.rooms, response)
        begun = response.begun
        self.begun = None if begun is None else entries[begun.room].requests[begun.request]
        return response

    def request(self, room: Room, kind: RequestKind, payload: bytes = b"") -> BatchResponse:
        return self.run([BatchEntry(room, [Request(self.session, kind, payload)])])

    def result(self, room: Room, kind: RequestKind, payload: bytes = b"") -> RoomResult:
        return result_of(self.request(room, kind, payload))

    def response(self, room: Room, kind: RequestKind, payload: bytes = b"") -> Response:
        (indexed,) = self.result(room, kind, payload).responses
        return indexed.response

    def rows(self, room: Room) -> Any:
        while True:  # until the document is open
            result = self.result(room, RequestKind.READ)
            if result.faults != [Fault(0, Status.LATER)]:
                break
        (indexed,) = result.responses
        assert isinstance(indexed.response, Bytes)
        return json.loads(indexed.response.data)

    def finish(self, room: Room) -> int:
        """Batches until the rules of the wedding have nothing left to do; how many."""
        batches = 0
        while True:
            batches += 1
            response = self.run([BatchEntry(room, [Request(None, RequestKind.RESUME, b"")])])
            if not any(wedding.unfinished for wedding in response.weddings):
                return batches

    def digest(self, room: Room) -> RowsDigest:
        response = self.response(room, RequestKind.DIGEST)
        assert isinstance(response, RowsDigest)
        return response


def result_of(response: BatchResponse) -> RoomResult:
    (result,) = response.results
    assert isinstance(result, RoomResult)
    return result


def later_of(result: object) -> list[int]:
    """The requests that have to come again."""
    assert isinstance(result, RoomResult)
    assert all(fault.status is Status.LATER for fault in result.faults)
    return [fault.index for fault in result.faults]


def derived_of(result: RoomResult) -> BatchRecords:
    assert result.derived is not None
    return result.derived


@contextmanager
def mark() -> Iterator[ProgressMark]:
    fd = os.memfd_create("mark")
    os.ftruncate(fd, ProgressMark.SIZE)
    shared = ProgressMark(fd)
    os.close(fd)
    yield shared
    shared.close()


@pytest.fixture
def place() -> Iterator[Place]:
    with mark() as shared:
        yield Place(shared)


def context(
    room: Room,
    rows: Sequence[MirrorRow] | None = (),
    owners: Sequence[ClientOwner] = (),
    others: Sequence[OtherBooking] = (),
) -> SchemaContext:
    return SchemaContext(
        room.wedding, room.document, list(owners), None if rows is None else list(rows), [], list(others)
    )


def load(
    room: Room,
    rows: Sequence[MirrorRow] | None = (),
    updates: Sequence[bytes] = (),
    *,
    owners: Sequence[ClientOwner] = (),
    others: Sequence[OtherBooking] = (),
    last: bool = True,
) -> BatchEntry:
    step = LoadStep(list(updates), last, room.hosted.bytes_only, context(room, rows, owners, others))
    return BatchEntry(room, (), step)


def guest(client: int, record: str, **fields: Any) -> bytes:
    doc: Doc[Any] = Doc(client_id=client)
    doc.get("guests", type=Map)[record] = Map({"firstName": "Ann", "note": Text(), **fields})
    return doc.get_update()


def many_guests(client: int, count: int) -> bytes:
    doc: Doc[Any] = Doc(client_id=client)
    guests = doc.get("guests", type=Map)
    with doc.transaction():
        for n in range(count):
            guests[f"h_{n}"] = Map({"firstName": "Ann"})
    return doc.get_update()


def seats_at_no_table(client: int, count: int, *, first: int = 0) -> bytes:
    """Guests at a table that there is not: each seat is freed by rule."""
    doc: Doc[Any] = Doc(client_id=client)
    seats = doc.get("assignments", type=Map)
    with doc.transaction():
        for n in range(first, first + count):
            seats[f"g_{n}"] = {"table": "t_gone", "seat": n}
    return doc.get_update()


def insert(record: str, **fields: Any) -> dict[str, Any]:
    return {"op": "insert", "root": "guests", "record": record, "value": {"firstName": "Ann", **fields}}


def command(*parts: tuple[str, list[Any]], **more: Any) -> bytes:
    return encode(CommandBody([CommandPart(*part) for part in parts], **more))


@pytest.fixture
def guests(place: Place) -> Room:
    room = place.room("guests")
    place.run([load(room)])
    return room


@pytest.fixture
def board(place: Place, guests: Room) -> Room:
    room = place.room("wedding")
    place.run([load(room, None)])
    place.response(room, RequestKind.RUN_SCHEDULED)  # it is open now
    return room


def test_what_an_update_means_comes_with_it(place: Place, guests: Room) -> None:
    update = guest(7, "g_1")
    response = place.request(guests, RequestKind.UPDATE, update)
    result = result_of(response)
    assert (result.updates, result.faults, result.size, result.built) == ([update], [], len(update), True)
    assert (result.notices, response.others, response.weddings) == ([], [], [])
    derived = derived_of(result)
    ((root, record, fields, writers),), ((type_, at, about, body),) = derived.rows, derived.events
    assert fields is not None
    assert (root, record, json.loads(fields)) == ("guests", "g_1", {"firstName": "Ann", "note": ""})
    assert json.loads(writers)["firstName"][:2] == ["ada", "couple"]
    assert (type_, at, about) == ("guest.added", "2026-05-28T20:26:40.000Z", "g_1")
    assert json.loads(body)["actor"]["user"] == "ada"
    assert (derived.owners, derived.answers, derived.bookings) == ([ClientOwner(7, "ada")], [], [])
    result = place.result(guests, RequestKind.UPDATE, update)
    assert (result.faults, result.derived) == ([Fault(0, Status.KNOWN)], None)


@pytest.mark.parametrize("reads_first", [True, False], ids=["read, then edited", "edited, then read"])
def test_readers_have_all_that_their_batch_sends(place: Place, guests: Room, board: Room, reads_first: bool) -> None:
    """Other nodes keep the reply to a newcomer under the number of that batch, and give it to those that come later."""
    reads = [Request(place.session, kind, payload) for kind, payload in READS]
    edit = Request(place.session, RequestKind.UPDATE, guest(7, "g_1"))
    requests = [*reads, edit] if reads_first else [edit, *reads]
    elsewhere = Request(place.session, RequestKind.COMMAND, command(("guests", [insert("g_2")])))
    response = place.run([BatchEntry(guests, requests), BatchEntry(board, [elsewhere])])
    result = response.results[0]
    assert isinstance(result, RoomResult)
    responses = {each.index: each.response for each in result.responses}
    state_vector, diff = (responses[requests.index(read)] for read in reads)
    assert isinstance(state_vector, Bytes)
    assert isinstance(diff, Diff)
    sent, read = Doc[Any](), Doc[Any]()
    for update in result.updates:
        sent.apply_update(update)
    for update in diff.updates:
        read.apply_update(update)
    assert set(read.get("guests", type=Map)) == set(sent.get("guests", type=Map)) == {"g_1", "g_2"}
    assert decode_state_vector(state_vector.data) == decode_state_vector(read.get_state())


def test_what_does_not_fit_goes_no_further_and_its_sender_is_told(place: Place, guests: Room) -> None:
    update = guest(7, "g_1", plusOnesAllowed=-1)
    result = place.result(guests, RequestKind.UPDATE, update)
    (merged,), (notice,) = result.updates, result.notices
    assert (notice.index, result.faults) == (0, [])
    assert json.loads(notice.body)["reverted"][0]["key"] == "plusOnesAllowed"
    assert place.rows(guests)["guests"] == {"g_1": {"firstName": "Ann", "note": ""}}
    reader: Doc[Any] = Doc()
    reader.apply_update(merged)
    assert "plusOnesAllowed" not in reader.get("guests", type=Map)["g_1"]


def test_somebody_elses_client_id_is_refused_also_after_a_reload(place: Place, guests: Room) -> None:
    mine, theirs = guest(7, "g_1"), guest(8, "g_2")
    stored = place.result(guests, RequestKind.UPDATE, mine).updates
    again = place.room("guests")
    owners = [ClientOwner(7, "ada"), ClientOwner(8, "bob")]
    place.run([load(again, (), stored, owners=owners)], ForgetRooms([guests.id]))
    result = place.result(again, RequestKind.UPDATE, theirs)
    assert (result.updates, result.faults) == ([], [Fault(0, Status.VIOLATION)])
    assert [notice.index for notice in result.notices] == [0]


class TestQuestions:
    def test_rows_and_digest(self, place: Place, guests: Room) -> None:
        place.request(guests, RequestKind.UPDATE, guest(7, "g_1"))
        empty = place.room("care")
        place.run([load(empty, None)])
        assert place.rows(guests)["guests"] == {"g_1": {"firstName": "Ann", "note": ""}}
        digest = place.digest(guests)
        assert digest.state_vector == b"\x01\x07\x03"
        assert digest.sha256 != place.digest(empty).sha256

    @pytest.mark.parametrize(
        "kind", [RequestKind.READ, RequestKind.DIGEST, RequestKind.COMMAND, RequestKind.RUN_SCHEDULED]
    )
    def test_a_document_without_schema_has_no_rows(self, place: Place, kind: RequestKind) -> None:
        note = place.room("notes.a")
        place.run([BatchEntry(note, (), LoadStep([]))])
        result = place.result(note, kind)
        assert (result.faults, result.responses) == ([Fault(0, Status.VIOLATION)], [])

    def test_a_command_changes_documents_that_nobody_asked(self, place: Place, guests: Room, board: Room) -> None:
        place.request(guests, RequestKind.UPDATE, guest(7, "g_1"))
        text = {"op": "set", "root": "board", "value": "hello"}
        payload = command(("guests", [insert("g_2", note="")]), ("wedding", [text]), key="k", digest="d")
        response = place.request(guests, RequestKind.COMMAND, payload)
        result, (other,) = result_of(response), response.others
        assert isinstance(result.responses[0].response, CommandDone)
        (answer,) = derived_of(result).answers
        assert (answer.key, answer.digest, answer.at) == ("k", "d", datetime.fromisoformat("2026-05-28T20:26:40Z"))
        (merged,) = other.updates
        assert (other.room, other.size, derived_of(other).answers) == (board.id, len(merged), [])
        reader: Doc[Any] = Doc()
        reader.apply_update(merged)
        assert str(reader.get("board", type=Text)) == "hello"
        assert place.rows(board)["board"] == {"": "hello"}

    def test_a_refused_command_changes_nothing(self, place: Place, guests: Room, board: Room) -> None:
        before = place.digest(guests)
        text = {"op": "set", "root": "board", "value": 4}
        payload = command(("guests", [insert("g_2", note="")]), ("wedding", [text]))
        response = place.request(guests, RequestKind.COMMAND, payload)
        result = result_of(response)
        refused = result.responses[0].response
        assert isinstance(refused, CommandRefused)
        assert (result.updates, result.derived, response.others) == ([], None, [])
        assert [problem["document"] for problem in refused.problems] == ["wedding"]
        assert place.digest(guests) == before

    def test_a_command_asks_for_what_is_not_open(self, place: Place, guests: Room) -> None:
        response = place.request(guests, RequestKind.COMMAND, command(("wedding", [])))
        assert result_of(response).responses[0].response == CommandLacks(["wedding"])
        assert response.weddings == [WeddingState(guests.id, None, ["wedding"])]

    def test_texts_wait_for_their_event_until_they_are_tended(self, place: Place, board: Room) -> None:
        writer = Typist(7, "board")
        response = place.request(board, RequestKind.UPDATE, writer.text(b"a"))
        assert len(derived_of(result_of(response)).events) == 1  # that there is one now
        assert response.weddings == []
        events, waits = [], []
        for letter in (b"b", b"c"):
            response = place.request(board, RequestKind.UPDATE, writer.text(letter))
            events += derived_of(result_of(response)).events
            waits += [wedding.due_seconds for wedding in response.weddings]
            place.now += 1
        assert (events, waits) == ([], [30.0, 29.0])
        place.now += 28
        response = place.request(board, RequestKind.RUN_SCHEDULED)
        (event,) = derived_of(result_of(response)).events
        assert '"abc"' in event.body
        assert response.weddings == []


class TestWedding:
    """All documents of one wedding share what the host knows of it, from the first that opens to the last."""

    def test_the_second_document_needs_no_rows(self, place: Place, guests: Room) -> None:
        second = place.room("budget")
        assert result_of(place.run([load(second, None)])).size == 0

    @pytest.mark.parametrize("steps", [1, 2])
    def test_without_rows_a_document_is_not_loaded(self, place: Place, steps: int) -> None:
        room = place.room("guests")
        response = place.run([load(room, None, [guest(7, "g_1")], last=steps == 1)])
        assert response.results == [ContextMissing(room.id)]
        assert not place.host.documents
        assert not place.host.held.weddings

    def test_a_forgotten_wedding_is_known_from_the_store_alone(self, place: Place, guests: Room, board: Room) -> None:
        """Its rooms failed, and the new ones come in the batch that ends the old ones."""
        state = place.host.held.weddings["w"]
        again = place.room("guests")
        rows = [MirrorRow("seating", "tables", "t_1", '{"name":"Head"}', "{}")]
        place.run([load(again, rows)], ForgetRooms([guests.id, board.id]))
        place.response(again, RequestKind.RUN_SCHEDULED)
        assert place.host.held.weddings["w"] is not state
        assert place.host.held.weddings["w"].wedding.rows("seating", "tables") == {"t_1": {"name": "Head"}}

    def test_what_others_have_booked_comes_with_the_rows_and_later(self, place: Place) -> None:
        """The photographer, who is booked elsewhere, is here set back to quoted, and then not any more."""
        lens = {"name": "Lens", "organization": "o", "stage": "booked", "bookedWindow": {"start": 0, "end": 60}}
        other = OtherBooking("o", "elsewhere", "v_2", 29_698_560, 29_698_680, "booked", 1, vouched=True)
        doc: Doc[Any] = Doc(client_id=7)
        doc.get("meta", type=Map).update({"date": "2026-06-20", "strategy:W2": "priority_based"})
        room = place.room("wedding")
        place.run([load(room)])
        place.request(room, RequestKind.UPDATE, doc.get_update())
        doc.get("vendors", type=Map)["v_1"] = Map(lens | {"note": Text()})
        ((vendor, organization, start, until, *_),) = derived_of(
            place.result(room, RequestKind.UPDATE, doc.get_update())
        ).bookings
        assert (vendor, organization, start, until) == ("v_1", "o", 29_698_560, 29_698_680)
        result = place.result(room, RequestKind.SET_BOOKINGS, encode(OtherBookings("o", [other])))
        assert result.responses[0].response == Done()
        assert derived_of(result).bookings == [BookingChange("v_1", "o", start, until, None, 0)]
        assert place.rows(room)["vendors"]["v_1"]["stage"] == "quoted"
        again = place.room("wedding")
        updates = [doc.get_update()]
        place.run([load(again, (), updates, others=[other])], ForgetRooms([room.id]))
        assert place.rows(again)["vendors"]["v_1"]["stage"] == "quoted"

    def test_with_its_last_document_it_is_forgotten(self, place: Place, guests: Room, board: Room) -> None:
        place.run([], ForgetRooms([guests.id]))
        assert place.host.held.weddings
        place.run([], ForgetRooms([board.id, 99]))
        assert not place.host.held.weddings
        assert not place.host.held.rooms
        assert not place.host.documents

    def test_a_forgotten_document_is_not_named_any_more(self, place: Place, guests: Room, board: Room) -> None:
        del place.rooms[guests.id]
        writer = Typist(7, "board")
        place.request(board, RequestKind.UPDATE, writer.text(b"a"))
        entry = BatchEntry(board, [Request(place.session, RequestKind.UPDATE, writer.text(b"b"))])
        (wedding,) = place.run([entry], ForgetRooms([guests.id])).weddings
        assert (wedding.room, wedding.due_seconds) == (board.id, 30.0)

    def test_it_is_not_held_without_its_doc(self, place: Place) -> None:
        room = place.room("guests")
        room.hosted.fall_back_to_bytes()
        (refused,) = place.run([load(room)]).results
        assert isinstance(refused, LoadRefused)
        assert "schema" in refused.reason
        assert not place.host.documents

    def test_what_cannot_be_read_ends_alone(self, place: Place, guests: Room) -> None:
        place.request(guests, RequestKind.UPDATE, guest(7, "g_1"))
        broken = place.room("budget")
        (refused,) = place.run([load(broken, None, [b"damaged"])]).results
        assert isinstance(refused, LoadRefused)
        assert place.rows(guests)["guests"].keys() == {"g_1"}


class TestLongBatches:
    """What is not reached within the CPU time of a batch comes again, in order."""

    def test_requests_behind_the_end_come_again_and_nothing_is_judged_twice(self) -> None:
        with mark() as shared:
            place = Place(shared, of_runs(3))
            one, two = place.room("notes.a"), place.room("notes.b")
            place.run([load(one), load(two)])
            typist, other = Replica(7), Replica(8)
            mine = [typist.type("x") for _ in range(5 * RUN_UPDATES)]
            first = [Request(place.session, RequestKind.UPDATE, each) for each in mine]
            second = [
                Request(place.session, RequestKind.UPDATE, other.type("y")),
                Request(place.session, RequestKind.DIFF, b"\0"),
            ]
            batches = 0
            while first or second:
                batches += 1
                response = place.run([BatchEntry(one, first), BatchEntry(two, second)])
                left, behind = (later_of(each) for each in response.results)
                assert 1 <= len(first) - len(left) <= 3 * RUN_UPDATES or not first  # shorter runs where they take long
                assert not left or behind == list(range(len(second)))
                first, second = [first[n] for n in left], [second[n] for n in behind]
            assert batches > 2
            assert place.host.documents[one.id].clocks == {7: len(mine)}
            assert place.host.documents[two.id].clocks == {8: 1}

    def test_it_says_which_updates_took_long(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with mark() as shared:
            place = Place(shared)
            room, typist = place.room("notes.a"), Replica(7)
            requests = [
                Request(place.session, RequestKind.UPDATE, typist.type("a")),
                Request(place.session, RequestKind.DIFF, b"\0"),
                *(Request(place.session, RequestKind.UPDATE, typist.type("b")) for _ in range(2)),
            ]
            place.run([load(room)])
            monkeypatch.setattr(process, "SLOW_RUN_SECONDS", 0.0)
            (result,) = place.run([BatchEntry(room, requests)]).results
            assert isinstance(result, RoomResult)
            assert [n for each in result.slow for n in range(each.first, each.end)] == [0, 2, 3]  # runs get shorter
            assert 0 < sum(each.cpu_seconds for each in result.slow) <= result.cpu_seconds

    def test_the_first_run_is_applied_however_little_time_there_is(self) -> None:
        with mark() as shared:
            place = Place(shared, of_runs(1))
            room = place.room("notes.a")
            place.run([load(room)])
            assert place.result(room, RequestKind.UPDATE, Replica(7).type("x")).faults == []


class TestSlices:
    """The rules of one wedding take many batches; every other room is answered in its own."""

    @pytest.fixture
    def place(self) -> Iterator[Place]:
        with mark() as shared:
            yield Place(shared, of_looks(LOOKS))

    def test_a_batch_answers_all_and_reports_who_is_unfinished(self, place: Place) -> None:
        busy, other = place.room("seating"), place.room("guests", wedding="elsewhere")
        place.run([load(busy), load(other)])
        place.request(other, RequestKind.UPDATE, guest(7, "g_1"))
        mine = Request(place.session, RequestKind.UPDATE, seats_at_no_table(8, SEATS))
        theirs = Request(place.session, RequestKind.UPDATE, guest(9, "g_2"))
        response = place.run([BatchEntry(busy, [mine]), BatchEntry(other, [theirs])])
        assert [result.updates for result in response.results if isinstance(result, RoomResult)] == [
            [mine.payload],
            [theirs.payload],
        ]
        assert busy.id in {wedding.room for wedding in response.weddings if wedding.unfinished}
        place.finish(busy)
        place.now += 10
        place.request(busy, RequestKind.RUN_SCHEDULED)
        assert place.finish(busy) > 3
        assert len(place.rows(busy)["review"]) == SEATS
        assert "assignments" not in place.rows(busy)

    def test_a_document_opens_in_many_batches_and_edits_of_it_come_again(self, place: Place) -> None:
        room, other = place.room("seating"), place.room("guests", wedding="elsewhere")
        place.run([load(room, (), [seats_at_no_table(8, 20 * SEATS)]), load(other)])
        update = Request(place.session, RequestKind.UPDATE, seats_at_no_table(9, 1, first=20 * SEATS))
        tries = 0
        while True:
            tries += 1
            mine, theirs = place.run(
                [
                    BatchEntry(room, [update]),
                    BatchEntry(other, [Request(place.session, RequestKind.UPDATE, guest(100 + tries, f"g_{tries}"))]),
                ]
            ).results
            assert isinstance(mine, RoomResult)
            assert isinstance(theirs, RoomResult)
            assert theirs.faults == []
            if mine.faults != [Fault(0, Status.LATER)]:
                break
        assert (mine.faults, mine.built) == ([], True)
        assert tries > 3

    def test_the_rows_of_a_wedding_come_in_steps(self, place: Place) -> None:
        room = place.room("guests")
        rows = [MirrorRow("seating", "tables", f"t_{n}", '{"label":"x"}', "{}") for n in range(3)]
        first = BatchEntry(room, (), LoadStep([], False, False, context(room, rows[:1]), more_rows=True))
        place.run([first])
        place.run([BatchEntry(room, (), LoadStep([], False, rows=rows[1:2], more_rows=True))])
        place.run([BatchEntry(room, (), LoadStep([guest(7, "g_1")], rows=rows[2:]))])
        assert place.rows(room)["guests"].keys() == {"g_1"}
        assert place.host.held.weddings["w"].wedding.rows("seating", "tables").keys() == {"t_0", "t_1", "t_2"}

    def test_what_opens_alone_goes_on_until_others_wait(self) -> None:
        """A full document took 185 batches on a host with nothing else to do."""

        def batches(waiting: bool) -> int:
            with mark() as shared:
                shared.set_waiting(waiting)
                place = Place(shared, of_looks(LOOKS, shared.is_waiting))
                room = place.room("seating")
                place.run([load(room, updates=[seats_at_no_table(7, 10 * SEATS)])])
                opened = 1
                while not place.result(room, RequestKind.BUILD_DOC).built:
                    opened += 1
                return opened

        alone = batches(False)
        assert batches(True) > 2 * alone

    @pytest.mark.parametrize("kind", [RequestKind.READ, RequestKind.DIGEST])
    def test_a_large_document_is_read_in_slices_as_it_is_at_the_end(self, kind: RequestKind) -> None:
        """86,000 records were one step of 90 ms. Others are answered meanwhile, and whoever edits what is read, too."""
        with mark() as shared:
            place = Place(shared)
            room, other = place.room("guests"), place.room("guests", "v")
            place.run([load(room, updates=[many_guests(7, 3000)]), load(other)])
            place.rows(room)
            place.host._slices = place.host._reader._slices = of_looks(LOOKS)
            for batches in count():
                edit = Request(place.session, RequestKind.UPDATE, guest(100 + batches, f"g_{batches}"))
                read, mine, theirs = place.run(
                    [
                        BatchEntry(room, [Request(place.session, kind, b"")]),
                        BatchEntry(room, [edit]),
                        BatchEntry(other, [edit]),
                    ]
                ).results
                assert isinstance(read, RoomResult)
                assert isinstance(mine, RoomResult)
                assert isinstance(theirs, RoomResult)
                assert (mine.faults, theirs.faults) == ([], [])
                if read.faults != [Fault(0, Status.LATER)]:
                    break
            assert batches > 1
            (indexed,) = read.responses
            rows = place.host.held.weddings["w"].open["guests"].rows.roots
            if isinstance(indexed.response, Bytes):
                assert str(indexed.response.data, "utf-8") == canonical_json(rows)
            else:
                assert isinstance(indexed.response, RowsDigest)
                assert indexed.response.sha256 == digest(rows)

    def test_what_nobody_reads_any_more_is_not_encoded_further(self, place: Place) -> None:
        room = place.room("guests")
        place.run([load(room, updates=[many_guests(7, 3000)])])
        place.rows(room)
        place.host._slices = place.host._reader._slices = of_looks(LOOKS)
        assert place.result(room, RequestKind.READ).faults == [Fault(0, Status.LATER)]
        document = place.host.held.weddings["w"].open["guests"]
        assert document.encoding is not None
        place.now += ENCODING_SECONDS + 1
        place.run([])
        assert document.encoding is None

    def test_a_large_document_is_decoded_once(self, place: Place) -> None:
        """Above 256 KB its structs were dropped, and decoded again in the slices in which it is opened."""
        room = place.room("guests")
        update = many_guests(7, 7500)
        assert len(update) > 256 * 1024
        place.run([load(room, updates=[update])])
        assert place.host.documents[room.id].loaded
        assert len(place.rows(room)["guests"]) == 7500
        assert place.host.documents[room.id].loaded is None

    def test_what_a_reader_has_built_is_not_looked_through_for_garbage(self, place: Place) -> None:
        """A collection in the middle of opening 3 MB took 20 ms, and a full one after three of them 90 ms."""
        room = place.room("guests")
        place.run([load(room, updates=[many_guests(7, 1000)])])
        before = gc.get_freeze_count()
        assert len(place.rows(room)["guests"]) == 1000
        assert gc.get_freeze_count() > before + 1000

    def test_the_structs_that_are_kept_have_a_bound(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        updates = [many_guests(7, 20 + n) for n in range(4)]
        monkeypatch.setattr(held_documents, "STRUCTS_KEPT_BYTES", sum(map(len, updates[2:])))
        rooms = [place.room("guests", f"w_{n}") for n in range(4)]
        for room, update in zip(rooms, updates, strict=True):
            place.run([load(room, updates=[update])])
        kept = [place.host.documents[room.id].loaded is not None for room in rooms]
        assert kept == [False, False, True, True]
        assert [len(place.rows(room)["guests"]) for room in rooms] == [20, 21, 22, 23]

    def test_further_load_steps_are_postponed_while_others_wait(self, place: Place) -> None:
        room = place.room("guests")
        (first,) = LoadPlan([], context(room, ())).steps(room)
        assert first.load is not None
        first.load.last = False
        steps = [LoadStep([guest(7 + n, f"g_{n}")], last=n == 2, further=True) for n in range(3)]
        further = [BatchEntry(room, (), step) for step in steps]
        place.mark.set_waiting(True)
        results = place.run([first, *further]).results
        assert [type(each) for each in results] == [RoomResult, *3 * [LoadPostponed]]
        place.mark.set_waiting(False)
        place.run(further)
        assert place.rows(room)["guests"].keys() == {"g_0", "g_1", "g_2"}

    def test_nothing_follows_a_load_step_that_was_refused(self, place: Place) -> None:
        room = place.room("guests")
        (first,) = LoadPlan([], context(room, ())).steps(room)
        assert first.load is not None
        first.load.last = False
        bad, good = [LoadStep([data], last=False, further=True) for data in (b"no update", guest(7, "g_1"))]
        results = place.run([first, BatchEntry(room, (), bad), BatchEntry(room, (), good)]).results
        assert [type(each) for each in results] == [RoomResult, LoadRefused, LoadPostponed]
        assert not place.host.documents

    def test_a_wedding_without_rules_takes_everything_as_it_is(self, place: Place) -> None:
        room = place.room("seating")
        room.hosted.stop_rules()
        (entry,) = LoadPlan([], context(room, None), rows=[]).steps(room)
        place.run([entry])
        response = place.request(room, RequestKind.UPDATE, seats_at_no_table(8, SEATS))
        assert response.weddings == []
        assert len(place.rows(room)["assignments"]) == SEATS


class TestProgress:
    """What the mark names while something is done, and whether a limit of CPU time holds."""

    def test_no_limit_outlives_the_updates(self, place: Place, guests: Room) -> None:
        place.request(guests, RequestKind.UPDATE, guest(7, "g_1"))
        assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)

    def test_rules_have_a_mark_of_their_own_and_no_limit(
        self, place: Place, guests: Room, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        judge = place.host.held.judges[guests.id]
        find = Index.broken

        def broken(index: Index, subject: Subject) -> bool:
            seen.append((place.mark.get(), signal.getitimer(signal.ITIMER_PROF)))
            return find(index, subject)

        monkeypatch.setattr(Index, "broken", broken)
        place.request(guests, RequestKind.UPDATE, guest(7, "g_1", household="h_gone"))
        assert judge.complete
        assert set(seen) == {((0, ProgressMark.RESOLVING), (0.0, 0.0))}

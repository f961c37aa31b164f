"""The host's program in this process: what a batch says of documents with a schema, and of their wedding."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hosts.batch import BatchEntry, well_formed
from crdt_server.judge.process import DocumentHost
from crdt_server.pipe import NO_SETTING, UNREADABLE, Job, ProgressMark, RequestKind, Status, encode, unpack
from crdt_server.rooms.room import Room, RoomLimits
from crdt_server.rooms.session import Request, Session, SessionId
from tests.support.sockets import HandSocket
from tests.support.wire import Typist

NOW = 1_780_000_000.0
ADA = Identity("ada", "couple")


class Place:
    """A host, and rooms of one wedding. Every answer is one that the serving process would take."""

    def __init__(self, mark: ProgressMark) -> None:
        self.host = DocumentHost(mark, 1 << 20)
        self.now = NOW
        self.rooms: dict[int, Room] = {}
        self.session = Session(SessionId(1), HandSocket(), ADA)

    def room(self, name: str) -> Room:
        room = Room(len(self.rooms) + 1, "w", name, RoomLimits(), Counters(), vet=lambda *_: None, blame=lambda _: None)
        self.rooms[room.id] = room
        return room

    def run(self, entries: Sequence[BatchEntry], jobs: Sequence[Any] = ()) -> list[Any]:
        request = [self.now, [entry.wire() for entry in entries], jobs]
        answer: list[Any] = unpack(encode(self.host.handle(unpack(encode(request)))))
        assert well_formed(entries, self.rooms, answer)
        return answer

    def ask(self, room: Room, kind: RequestKind, payload: bytes = b"") -> list[Any]:
        return self.run([BatchEntry(room, [Request(self.session, kind, payload)])])

    def answer(self, room: Room, kind: RequestKind, payload: bytes = b"") -> Any:
        ((_, _, _, ((_, answer),), *_),), *_ = self.ask(room, kind, payload)
        return answer

    def rows(self, room: Room) -> Any:
        return json.loads(self.answer(room, RequestKind.READ))


@pytest.fixture
def place() -> Iterator[Place]:
    fd = os.memfd_create("mark")
    os.ftruncate(fd, ProgressMark.SIZE)
    mark = ProgressMark(fd)
    os.close(fd)
    yield Place(mark)
    mark.close()


def setting(room: Room, rows: Sequence[Any] | None = (), owners: Sequence[Any] = ()) -> list[Any]:
    return [room.wedding, room.document, list(owners), None if rows is None else list(rows)]


def load(room: Room, rows: Sequence[Any] | None = (), updates: Sequence[bytes] = (), **options: Any) -> BatchEntry:
    return BatchEntry(room, (), list(updates), setting=setting(room, rows), **options)


def guest(client: int, record: str, **fields: Any) -> bytes:
    doc: Doc[Any] = Doc(client_id=client)
    doc.get("guests", type=Map)[record] = Map({"firstName": "Ann", "note": Text(), **fields})
    return doc.get_update()


def insert(record: str, **fields: Any) -> dict[str, Any]:
    return {"op": "insert", "root": "guests", "record": record, "value": {"firstName": "Ann", **fields}}


def command(*parts: tuple[str, list[Any]], **more: Any) -> bytes:
    return encode({"parts": list(parts), **more})


@pytest.fixture
def guests(place: Place) -> Room:
    room = place.room("guests")
    place.run([load(room)])
    return room


@pytest.fixture
def board(place: Place, guests: Room) -> Room:
    room = place.room("wedding")
    place.run([load(room, None)])
    place.answer(room, RequestKind.TEND)  # it is open now
    return room


def test_what_an_update_means_comes_with_it(place: Place, guests: Room) -> None:
    update = guest(7, "g_1")
    ((_, merged, faults, _, size, warm, facts, notices),), _, others, weddings = place.ask(
        guests, RequestKind.UPDATE, update
    )
    assert (merged, faults, size, warm, notices, others, weddings) == ([update], [], len(update), True, [], [], [])
    ((root, record, fields, writers),), ((type_, at, about, body),), owners, answers, bookings = facts
    assert (root, record, json.loads(fields)) == ("guests", "g_1", {"firstName": "Ann", "note": ""})
    assert json.loads(writers)["firstName"][:2] == ["ada", "couple"]
    assert (type_, at, about) == ("guest.added", "2026-05-28T20:26:40.000Z", "g_1")
    assert json.loads(body)["actor"]["user"] == "ada"
    assert (owners, answers, bookings) == ([[7, "ada"]], [], [])
    ((_, _, faults, _, _, _, facts, _),), *_ = place.ask(guests, RequestKind.UPDATE, update)
    assert (faults, facts) == ([[0, Status.KNOWN]], None)


def test_what_does_not_fit_goes_no_further_and_its_sender_is_told(place: Place, guests: Room) -> None:
    update = guest(7, "g_1", plusOnesAllowed=-1)
    ((_, (merged,), faults, _, _, _, _, ((index, notice),)),), *_ = place.ask(guests, RequestKind.UPDATE, update)
    assert (index, faults) == (0, [])
    assert json.loads(notice)["reverted"][0]["key"] == "plusOnesAllowed"
    assert place.rows(guests)["guests"] == {"g_1": {"firstName": "Ann", "note": ""}}
    reader: Doc[Any] = Doc()
    reader.apply_update(merged)
    assert "plusOnesAllowed" not in reader.get("guests", type=Map)["g_1"]


def test_somebody_elses_client_id_is_refused_also_after_a_reload(place: Place, guests: Room) -> None:
    mine, theirs = guest(7, "g_1"), guest(8, "g_2")
    ((_, (stored,), *_),), *_ = place.ask(guests, RequestKind.UPDATE, mine)
    again = place.room("guests")
    entry = BatchEntry(again, (), [stored], setting=setting(again, (), [(7, "ada"), (8, "bob")]))
    place.run([entry], [[Job.FORGET, [guests.id]]])
    ((_, merged, faults, _, _, _, _, notices),), *_ = place.ask(again, RequestKind.UPDATE, theirs)
    assert (merged, faults, [index for index, _ in notices]) == ([], [[0, Status.VIOLATION]], [0])


class TestQuestions:
    def test_rows_and_digest(self, place: Place, guests: Room) -> None:
        place.ask(guests, RequestKind.UPDATE, guest(7, "g_1"))
        empty = place.room("care")
        place.run([load(empty, None)])
        assert place.rows(guests)["guests"] == {"g_1": {"firstName": "Ann", "note": ""}}
        state_vector, digest = place.answer(guests, RequestKind.DIGEST)
        assert state_vector == b"\x01\x07\x03"
        assert digest != place.answer(empty, RequestKind.DIGEST)[1]

    @pytest.mark.parametrize("kind", [RequestKind.READ, RequestKind.DIGEST, RequestKind.COMMAND, RequestKind.TEND])
    def test_a_document_without_schema_has_no_rows(self, place: Place, kind: RequestKind) -> None:
        note = place.room("notes.a")
        place.run([BatchEntry(note, (), [])])
        ((_, _, faults, answers, *_),), *_ = place.ask(note, kind)
        assert (faults, answers) == ([[0, Status.VIOLATION]], [])

    def test_a_command_changes_documents_that_nobody_asked(self, place: Place, guests: Room, board: Room) -> None:
        place.ask(guests, RequestKind.UPDATE, guest(7, "g_1"))
        text = {"op": "set", "root": "board", "value": "hello"}
        asked = command(("guests", [insert("g_2", note="")]), ("wedding", [text]), key="k", digest="d")
        ((_, _, _, ((_, (done, _)),), _, _, facts, _),), _, (other,), _ = place.ask(guests, RequestKind.COMMAND, asked)
        assert done
        assert [(key, digest) for key, digest, *_ in facts[3]] == [("k", "d")]
        room, (merged,), _, _, size, _, other_facts, _ = other
        assert (room, size, other_facts[3]) == (board.id, len(merged), [])
        reader: Doc[Any] = Doc()
        reader.apply_update(merged)
        assert str(reader.get("board", type=Text)) == "hello"
        assert place.rows(board)["board"] == {"": "hello"}

    def test_a_refused_command_changes_nothing(self, place: Place, guests: Room, board: Room) -> None:
        before = place.answer(guests, RequestKind.DIGEST)
        text = {"op": "set", "root": "board", "value": 4}
        asked = command(("guests", [insert("g_2", note="")]), ("wedding", [text]))
        ((_, merged, _, ((_, (done, problems)),), _, _, facts, _),), _, others, _ = place.ask(
            guests, RequestKind.COMMAND, asked
        )
        assert (done, merged, facts, others) == (False, [], None, [])
        assert [problem["document"] for problem in problems] == ["wedding"]
        assert place.answer(guests, RequestKind.DIGEST) == before

    def test_a_command_asks_for_what_is_not_open(self, place: Place, guests: Room) -> None:
        ((_, _, _, ((_, said),), *_),), _, _, weddings = place.ask(
            guests, RequestKind.COMMAND, command(("wedding", []))
        )
        assert said == [None, ["wedding"]]
        assert weddings == [[guests.id, None, ["wedding"]]]

    def test_texts_wait_for_their_event_until_they_are_tended(self, place: Place, board: Room) -> None:
        writer = Typist(7, "board")
        (result,), _, _, weddings = place.ask(board, RequestKind.UPDATE, writer.text(b"a"))
        assert len(result[6][1]) == 1  # that there is one now
        assert weddings == []
        told, waits = [], []
        for letter in (b"b", b"c"):
            (result,), _, _, ((_, due, _),) = place.ask(board, RequestKind.UPDATE, writer.text(letter))
            told += result[6][1]
            waits.append(due)
            place.now += 1
        assert (told, waits) == ([], [30.0, 29.0])
        place.now += 28
        (result,), _, _, weddings = place.ask(board, RequestKind.TEND)
        ((_, _, _, body),) = result[6][1]
        assert '"abc"' in body
        assert weddings == []


class TestWedding:
    """All documents of one wedding share what the host knows of it, from the first that opens to the last."""

    def test_the_second_document_needs_no_rows(self, place: Place, guests: Room) -> None:
        second = place.room("budget")
        ((_, _, _, _, size, *_),), *_ = place.run([load(second, None)])
        assert size == 0

    @pytest.mark.parametrize("steps", [1, 2])
    def test_without_rows_a_document_is_not_loaded(self, place: Place, steps: int) -> None:
        room = place.room("guests")
        ((_, _, _, _, size, *_),), *_ = place.run([load(room, None, [guest(7, "g_1")], last=steps == 1)])
        assert size == NO_SETTING
        assert not place.host.documents
        assert not place.host._weddings

    def test_a_forgotten_wedding_is_known_from_the_store_alone(self, place: Place, guests: Room, board: Room) -> None:
        """Its rooms failed, and the new ones come in the batch that ends the old ones."""
        state = place.host._weddings["w"]
        again = place.room("guests")
        rows = [("seating", "tables", "t_1", '{"name":"Head"}', "{}")]
        place.run([load(again, rows)], [[Job.FORGET, [guests.id, board.id]]])
        place.answer(again, RequestKind.TEND)
        assert place.host._weddings["w"] is not state
        assert place.host._weddings["w"].wedding.rows("seating", "tables") == {"t_1": {"name": "Head"}}

    def test_what_others_have_booked_comes_with_the_rows_and_later(self, place: Place) -> None:
        """The photographer, who is booked elsewhere, is here set back to quoted, and then not any more."""
        lens = {"name": "Lens", "organization": "o", "stage": "booked", "bookedWindow": {"start": 0, "end": 60}}
        other = ["o", "elsewhere", "v_2", 29_698_560, 29_698_680, "booked", 1]
        doc: Doc[Any] = Doc(client_id=7)
        doc.get("meta", type=Map)["date"] = "2026-06-20"
        room = place.room("wedding")
        place.run([BatchEntry(room, (), [], setting=[*setting(room), [], []])])
        place.ask(room, RequestKind.UPDATE, doc.get_update())
        doc.get("vendors", type=Map)["v_1"] = Map(lens | {"note": Text()})
        ((*_, facts, _),), *_ = place.ask(room, RequestKind.UPDATE, doc.get_update())
        ((vendor, organization, start, until, *_),) = facts[4]
        assert (vendor, organization, start, until) == ("v_1", "o", 29_698_560, 29_698_680)
        ((*_, facts, _),), *_ = place.ask(room, RequestKind.BOOKINGS, encode(["o", [other]]))
        assert facts[4] == [["v_1", "o", start, until, None, 0]]
        assert place.rows(room)["vendors"]["v_1"]["stage"] == "quoted"
        again = place.room("wedding")
        updates = [doc.get_update()]
        place.run([BatchEntry(again, (), updates, setting=[*setting(again), [], [other]])], [[Job.FORGET, [room.id]]])
        assert place.rows(again)["vendors"]["v_1"]["stage"] == "quoted"

    def test_with_its_last_document_it_is_forgotten(self, place: Place, guests: Room, board: Room) -> None:
        place.run([], [[Job.FORGET, [guests.id]]])
        assert place.host._weddings
        place.run([], [[Job.FORGET, [board.id, 99]]])
        assert not place.host._weddings
        assert not place.host._rooms
        assert not place.host.documents

    def test_a_forgotten_document_is_not_named_any_more(self, place: Place, guests: Room, board: Room) -> None:
        del place.rooms[guests.id]
        writer = Typist(7, "board")
        place.ask(board, RequestKind.UPDATE, writer.text(b"a"))
        entry = BatchEntry(board, [Request(place.session, RequestKind.UPDATE, writer.text(b"b"))])
        _, _, _, ((room, due, _),) = place.run([entry], [[Job.FORGET, [guests.id]]])
        assert (room, due) == (board.id, 30.0)

    def test_it_is_not_held_without_its_doc(self, place: Place) -> None:
        room = place.room("guests")
        room.bytes_only = True
        ((_, _, _, _, size, why, *_),), *_ = place.run([load(room)])
        assert size == UNREADABLE
        assert "schema" in why
        assert not place.host.documents

    def test_what_cannot_be_read_ends_alone(self, place: Place, guests: Room) -> None:
        place.ask(guests, RequestKind.UPDATE, guest(7, "g_1"))
        broken = place.room("budget")
        ((_, _, _, _, size, *_),), *_ = place.run([load(broken, None, [b"damaged"])])
        assert size == UNREADABLE
        assert place.rows(guests)["guests"].keys() == {"g_1"}

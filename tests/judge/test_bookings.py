"""Weddings that book one organization at overlapping times (W2), each as its host holds it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt_server.judge.bookings import MOST, MOST_IN_DOUBT, Bookings
from crdt_server.judge.ledger import Writers
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.records import BookingChange, MirrorRow, OtherBooking
from documents.events import Actor
from documents.invariants import Field, Index, Op, Subject, Wedding
from documents.registry import kind_of
from tests.support.effort import examples
from tests.support.slices import finish

START = 1_777_636_800.0  # 2026-05-01 12:00 UTC
MIDNIGHT = 29_698_500  # of 2026-06-20 in London, which is 23:00 UTC, in minutes since 1970
MANUAL = "manual_review"
LENS = "o_lens"


class Counted(Wedding):
    """A wedding that counts how many records of vendors are looked up."""

    lookups = 0

    def record(self, document: str, root: str, record: str | None) -> dict[str, Any] | None:
        self.lookups += root == "vendors"
        return super().record(document, root, record)


class Party:
    """A wedding whose name, vendor and people are all secrets from the others."""

    def __init__(self, town: Town, name: str) -> None:
        self.town = town
        self.name = name
        self.vendor = f"v_{name}"
        self.actor = Actor(f"u_{name}", "couple")
        self.updates: list[bytes] = []
        self.mirror: dict[tuple[str, str], tuple[str | None, str]] = {}
        self.bookings: dict[str, list[Any]] = {}  # vendor -> image, as the store has them
        self.sent: list[Any] = []  # everything its clients could receive
        self.open()

    def open(self) -> None:
        """As after a restart."""
        rows = [MirrorRow("wedding", *row, *image) for row, image in self.mirror.items()]
        stored = [BookingChange(vendor, *image) for vendor, image in self.bookings.items()]
        self.state = WeddingJudge(self.name, rows, stored, self.town.overlapping(self))
        self.state.set_time(self.town.now)
        kind = kind_of("wedding")
        assert kind is not None
        self.document = SchemaDocument(kind, "wedding", {})
        self.document.load(self.updates)
        self.state.build_doc(self.document)

    def set(self, **fields: Any) -> list[Any]:
        """Set fields of the vendor, None to delete; what the store is told of bookings."""
        return self.write(_op(self.vendor, key, value) for key, value in fields.items())

    def set_meta(self, key: str, value: Any) -> list[Any]:
        return self.write([Op("set", "wedding", "meta", "", key, value)])

    def write(self, ops: Iterable[Op]) -> list[Any]:
        self.town.now += 100
        self.state.set_time(self.town.now)
        self.state.write(ops, self.actor)
        self.state.resolve()
        return self.commit()

    def book(self, stage: str = "booked", start: int = 840, end: int = 1320, organization: str = LENS) -> list[Any]:
        row = {"name": f"Lens of {self.name}", "organization": organization, "stage": stage, "note": ""}
        row["bookedWindow"] = {"start": start, "end": end}
        return self.write([Op("insert", "wedding", "vendors", self.vendor, None, row)])

    def commit(self) -> list[Any]:
        """Put what has come of it into the store; the news of bookings."""
        outgoing = self.document.take_outgoing()
        taken = self.state.take_records(self.document)
        self.updates += outgoing
        self.sent += [outgoing]
        if taken is None:
            return []
        self.sent += [[row[:3] for row in taken.rows], taken.events]
        self.mirror.update({(root, record): (fields, writers) for root, record, fields, writers in taken.rows})
        for vendor, *image in taken.bookings:
            self.bookings.pop(vendor, None)
            if image[-2] is not None:
                self.bookings[vendor] = image
        self.town.news += [(self, image[1]) for image in taken.bookings]
        return list(taken.bookings)

    def receive_bookings(self, organization: str, others: Sequence[OtherBooking]) -> None:
        self.state.set_time(self.town.now)
        self.state.replace_bookings(organization, others)
        self.commit()

    @property
    def stage(self) -> Any:
        return self.state.wedding.rows("wedding", "vendors")[self.vendor].get("stage")

    @property
    def reviews(self) -> list[tuple[str, str]]:
        rows = self.state.wedding.rows("wedding", "review").values()
        return [(row["_kind"], row.get("_outcome") or row["_state"]) for row in rows]

    @property
    def summary(self) -> str:
        (row,) = self.state.wedding.rows("wedding", "review").values()
        return str(row["_summary"])


class Town:
    """Weddings, the store that compares their bookings, and a clock. ``vouched``: the operator vouches for all
    organizations, and the weddings let the rule decide."""

    def __init__(self, *names: str, vouched: bool = True) -> None:
        self.vouched = vouched
        self.now = START
        self.news: list[tuple[Party, str]] = []  # who changed bookings of which organization
        self.parties: list[Party] = []
        for name in names:
            party = Party(self, name)
            self.parties.append(party)
            party.write([Op("set", "wedding", "meta", "", "date", "2026-06-20")])
            party.set_meta("timeZone", "Europe/London")
            if vouched:
                party.set_meta("strategy:W2", "priority_based")

    def overlapping(self, party: Party) -> list[OtherBooking]:
        found = []
        for other in self.parties:
            for vendor, (organization, start, until, *rest) in other.bookings.items():
                mine = [image for image in party.bookings.values() if image[0] == organization]
                if other is not party and any(start < image[2] and image[1] < until for image in mine):
                    found.append(OtherBooking(organization, other.name, vendor, start, until, *rest, self.vouched))
        return found

    def settle(self, *, backwards: bool = False) -> None:
        """Tell all weddings of all changes, until there are no more."""
        for _ in range(20):
            if not self.news:
                return
            news, self.news = self.news, []
            tell = [
                (party, organization, [each for each in self.overlapping(party) if each[0] == organization])
                for organization in sorted({organization for _, organization in news})
                for party in self.parties
            ]
            for party, organization, others in reversed(tell) if backwards else tell:
                party.receive_bookings(organization, others)
        raise AssertionError("there is always something new")


def _op(vendor: str, key: str, value: Any) -> Op:
    return Op("delete" if value is None else "set", "wedding", "vendors", vendor, key, value)


def image(start: int, end: int, *rest: Any, organization: str = LENS) -> list[Any]:
    return [organization, MIDNIGHT + start, MIDNIGHT + end + 60, *rest]


@pytest.fixture
def town() -> Town:
    return Town("w_one", "w_two")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("first", [0, 1])
def test_the_earlier_booking_keeps_the_vendor(town: Town, first: int, backwards: bool) -> None:
    early, late = town.parties[first], town.parties[1 - first]
    early.book()
    late.book(start=1300, end=1400)
    town.settle(backwards=backwards)
    assert (early.stage, late.stage) == ("booked", "quoted")
    assert early.reviews == late.reviews == [("W2", "auto")]
    assert late.summary == f"Lens of {late.name} is not available 20 June 2026, 14:00 to 22:00."
    assert late.bookings == {}


@pytest.mark.parametrize("backwards", [False, True])
def test_confirmed_comes_before_booked(town: Town, backwards: bool) -> None:
    one, two = town.parties
    one.book()
    two.book("confirmed")
    town.settle(backwards=backwards)
    assert (one.stage, two.stage) == ("quoted", "confirmed")
    assert one.reviews == two.reviews == [("W2", "auto")]


def test_who_confirms_later_loses_to_who_has_confirmed(town: Town) -> None:
    one, two = town.parties
    one.book()
    two.book("quoted")
    town.settle()
    assert one.set(stage="confirmed")
    two.set(stage="confirmed")
    town.settle()
    assert (one.stage, two.stage) == ("confirmed", "quoted")


def test_booking_once_more_is_not_booking_later(town: Town) -> None:
    one, two = town.parties
    one.set_meta("strategy:W2", MANUAL)
    two.set_meta("strategy:W2", MANUAL)
    one.book()
    two.book()
    one.set(stage="booked")
    one.open()
    one.set(stage="booked", name="Lens & Co")
    two.set_meta("strategy:W2", "priority_based")
    one.set_meta("strategy:W2", "priority_based")
    town.settle()
    assert (one.stage, two.stage) == ("booked", "quoted")


def test_nothing_is_done_twice_nor_after_a_restart(town: Town) -> None:
    one, two = town.parties
    one.book()
    two.book()
    town.settle()
    for party in town.parties:
        before = party.state.wedding.documents["wedding"].copy()
        party.open()
        assert party.commit() == []
        assert party.state.wedding.documents["wedding"] == before
    assert (one.stage, two.stage) == ("booked", "quoted")


def test_a_clash_that_nobody_was_told_of_is_found_when_a_wedding_opens(town: Town) -> None:
    one, two = town.parties
    one.book()
    two.book()
    town.news.clear()  # the server ended here
    two.open()
    assert two.stage == "quoted"
    assert [gone for *_, gone, _ in two.commit()] == [None]


def test_bookings_that_the_store_never_heard_of_are_told_when_the_document_opens(town: Town) -> None:
    one, _ = town.parties
    (told,) = one.book()
    one.bookings.clear()
    one.open()
    assert one.commit() == [told]


class TestNews:
    """What the store is told of each change."""

    def test_of_a_booking(self, town: Town) -> None:
        one, _ = town.parties
        assert one.book("quoted") == []
        ((vendor, *told),) = one.set(stage="booked")
        assert vendor == one.vendor
        assert told == image(840, 1320, "booked", int(town.now * 1_000_000))

    @pytest.mark.parametrize(
        ("fields", "after"),
        [
            ({"bookedWindow": {"start": 0, "end": 60}}, image(0, 60, "booked")),
            ({"organization": "o_other"}, image(840, 1320, "booked", organization="o_other")),
            ({"stage": "confirmed"}, image(840, 1320, "confirmed")),
            *(({key: value}, None) for key, value in (
                ("stage", "cancelled"), ("stage", None), ("organization", None), ("bookedWindow", None),
                ("deleted", {"at": "2026-05-01T10:00:00Z", "by": "u"}),
            )),
        ],
    )  # fmt: skip
    def test_times_that_are_free_again_are_named(self, town: Town, fields: dict[str, Any], after: Any) -> None:
        one, _ = town.parties
        one.book()
        gone, *there = one.set(**fields)
        assert gone == (one.vendor, *image(840, 1320, None, 0))
        assert [told[1:-1] for told in there] == ([] if after is None else [tuple(after)])
        one.open()
        assert one.commit() == []
        if "deleted" in fields:
            ((_, *told),) = one.set(deleted=None)
            assert told[:-1] == image(840, 1320, "booked")

    def test_the_wedding_moves(self, town: Town) -> None:
        one, _ = town.parties
        one.book()
        _, (_, *told) = one.set_meta("date", "2026-06-21")
        assert told[:-1] == image(840 + 1440, 1320 + 1440, "booked")
        _, (_, *told) = one.set_meta("timeZone", "Europe/Paris")
        assert told[:-1] == image(840 + 1380, 1320 + 1380, "booked")

    def test_nothing_else_is_told(self, town: Town) -> None:
        one, _ = town.parties
        one.book()
        assert one.set(name="Else", category="photographer", dayStatus="ready", note="x") == []
        assert one.set(stage="booked") == []
        assert one.set_meta("title", "Us") == []
        assert one.set_meta("strategy:W2", MANUAL) == []

    def test_a_change_of_the_date_reads_those_that_are_booked_only(self) -> None:
        """All vendors were read as one step: 20,000 of them with each change of the date, and when it was opened."""
        window = {"organization": LENS, "bookedWindow": {"start": 1, "end": 2}}
        rows = {f"v_{n:04}": {**window, "stage": "quoted" if n % 1000 else "booked"} for n in range(5000)}
        wedding = Counted({"wedding": {"meta": {"": {"date": "2026-06-20"}}, "vendors": rows}}, Writers())  # type: ignore[arg-type]
        held = Bookings("w", wedding, [], [])
        assert wedding.lookups == 0
        assert sum(1 for _ in held.read()) == len(rows)
        index = Index(wedding, held)
        assert [change.vendor for change in held.take_changes()] == [f"v_{n}000" for n in range(5)]
        wedding.lookups = 0
        wedding.documents["wedding"]["meta"][""]["date"] = "2026-06-21"
        touched = index.update([Field("wedding", "meta", "", "date")])
        assert sum(subject.invariant == "W2" for subject in touched) == 5
        assert 0 < wedding.lookups < 50

    def test_of_too_many_only_some(self) -> None:
        rows = {
            f"v_{n:04}": {"organization": LENS, "stage": "booked", "bookedWindow": {"start": n, "end": n + 1}}
            for n in range(MOST + 5)
        }
        wedding = Wedding({"wedding": {"meta": {"": {"date": "2026-06-20"}}, "vendors": rows}}, Writers())  # type: ignore[arg-type]
        held = Bookings("w", wedding, [], [])
        finish(held.read())
        assert len(held.take_changes()) == len(list(held.candidates())) == MOST
        index = Index(wedding, held)
        last = Field("wedding", "vendors", f"v_{MOST:04}", "name")
        assert index.update([last]) == set()
        rows["v_0000"]["stage"] = "quoted"
        index.update([last._replace(record="v_0000", key="stage")])
        assert index.update([last]) == {Subject("W2", (last.record,))}


class TestPeopleDecide:
    def test_an_open_question_ends_when_the_other_gives_way(self, town: Town) -> None:
        one, two = town.parties
        one.book()
        two.set_meta("strategy:W2", MANUAL)
        two.book()
        town.settle()
        assert (two.stage, one.reviews, two.reviews) == ("booked", [("W2", "auto")], [("W2", "open")])
        one.set(stage="cancelled")
        town.settle()
        assert two.reviews == [("W2", "moot")]

    def test_it_ends_too_when_the_wedding_itself_moves(self, town: Town) -> None:
        one, two = town.parties
        one.book()
        two.set_meta("strategy:W2", MANUAL)
        two.book()
        town.settle()
        two.set_meta("date", "2026-06-27")
        town.settle()
        assert (two.stage, two.reviews) == ("booked", [("W2", "moot")])

    def test_what_was_left_as_it_is_is_asked_again_when_it_is_something_else(self, town: Town) -> None:
        one, two = town.parties
        one.set_meta("strategy:W2", MANUAL)  # a booking that is moved is later than the other
        one.book()
        two.set_meta("strategy:W2", MANUAL)
        two.book()
        town.settle()
        (record,) = two.state.wedding.rows("wedding", "review")
        two.write([Op("set", "wedding", "review", record, "choice", 1)])
        two.state.resolver.decide("wedding", record)
        two.state.resolve()
        two.commit()
        assert (two.stage, two.reviews) == ("booked", [("W2", "option")])
        two.open()
        one.set(name="Another")
        town.settle()
        assert two.reviews == [("W2", "option")]
        one.set(bookedWindow={"start": 900, "end": 960})
        town.settle()
        assert two.reviews == [("W2", "open")]
        assert two.summary == "Lens of w_two is not available 20 June 2026, 15:00 to 16:00."

    def test_who_books_again_and_again_is_asked(self, town: Town) -> None:
        one, two = town.parties
        one.book()
        two.book()
        town.settle()
        for _ in range(4):
            town.now -= 100  # all of it within one minute
            two.set(stage="booked")
            town.settle()
        assert (two.stage, two.reviews) == ("booked", [("W2", "open")])


def test_bookings_of_another_organization_stay_known(town: Town) -> None:
    one, two = town.parties
    for party in (one, two):
        party.set_meta("strategy:W2", MANUAL)
        party.book()
    town.settle()
    one.receive_bookings("o_other", [])
    assert one.reviews == [("W2", "open")]
    one.receive_bookings(LENS, [])
    assert one.reviews == [("W2", "moot")]


def test_while_the_document_is_closed_it_is_wanted(town: Town) -> None:
    one, two = town.parties
    one.book()
    two.book()
    two.document.close()
    two.state.detach(two.document)
    two.state.replace_bookings(LENS, town.overlapping(two))
    assert two.state.resolver.needed == {"wedding"}
    two.open()
    assert two.stage == "quoted"


def test_nothing_of_the_other_is_heard(town: Town) -> None:
    one, two = town.parties
    two.set_meta("strategy:W2", MANUAL)
    one.book()
    two.book()
    town.settle()
    two.set(bookedWindow={"start": 850, "end": 1000})
    town.settle()
    one.set(stage="cancelled")
    town.settle()
    for party, other in ((one, two), (two, one)):
        sent = repr(party.sent)
        assert other.name not in sent
        assert party.name in sent  # its own people and vendor are


NAMES = ("w_a", "w_b", "w_c")
some_window = st.builds(
    lambda start, length: {"start": start, "end": start + length}, st.integers(0, 4), st.integers(1, 3)
)
some_edit = st.one_of(
    st.tuples(st.just("stage"), st.sampled_from(["quoted", "booked", "confirmed", "cancelled"])),
    st.tuples(st.just("organization"), st.sampled_from([LENS, "o_other"])),
    st.tuples(st.just("bookedWindow"), some_window),
    st.tuples(st.just("date"), st.sampled_from(["2026-06-20", "2026-06-21"])),
    st.tuples(st.sampled_from(["restart", "settle"]), st.none()),
)


@settings(max_examples=examples(30))
@given(edits=st.lists(st.tuples(st.sampled_from(range(3)), some_edit), max_size=12), backwards=st.booleans())
def test_in_the_end_nobody_is_booked_twice(edits: list[tuple[int, tuple[str, Any]]], backwards: bool) -> None:
    town = Town(*NAMES)
    for party in town.parties:
        party.book("quoted", 0, 2)
    for number, (what, value) in edits:
        party = town.parties[number]
        if what == "restart":
            party.open()
            party.commit()
        elif what == "settle":
            town.settle(backwards=backwards)
        elif what == "date":
            party.set_meta("date", value)
        else:
            party.set(**{what: value})
    town.settle(backwards=backwards)
    for party in town.parties:
        assert town.overlapping(party) == []
        fresh = Bookings(party.name, party.state.wedding, [], [])
        finish(fresh.read())
        assert {vendor: told[:-1] for vendor, *told in fresh.take_changes()} == {
            vendor: told[:-1] for vendor, told in party.bookings.items()
        }
        assert json.dumps(party.reviews).count("open") == 0


class TestNobodyVouches:
    """Anybody may name any organization: nothing is changed in another wedding, and little is learned of it."""

    @pytest.fixture
    def town(self) -> Town:
        return Town("w_one", "w_two", vouched=False)

    @pytest.mark.parametrize("stage", ["booked", "confirmed"])
    @pytest.mark.parametrize("strategy", [MANUAL, "priority_based"])
    def test_who_books_later_changes_nothing(self, town: Town, stage: str, strategy: str) -> None:
        one, two = town.parties
        one.set_meta("strategy:W2", strategy)
        one.book()
        before = json.dumps(one.state.wedding.documents["wedding"])
        for again in range(3):
            two.set(stage="quoted") if again else None
            two.book(stage) if not again else two.set(stage=stage)
            town.settle()
        assert (one.stage, one.reviews) == ("booked", [])
        assert json.dumps(one.state.wedding.documents["wedding"]) == before
        assert (two.stage, two.reviews) == (stage, [("W2", "open")])
        assert two.summary == "Lens of w_two may not be available at that time."

    def test_one_vouched_booking_counts_for_itself_only(self, town: Town) -> None:
        one, two = town.parties
        one.book()
        two.book()
        two.set_meta("strategy:W2", "priority_based")
        town.settle()
        assert (one.stage, two.stage) == ("booked", "booked")

    def test_a_booking_that_is_moved_is_a_later_one(self, town: Town) -> None:
        one, two = town.parties
        two.book(start=0, end=60)
        one.book()
        two.set(bookedWindow={"start": 840, "end": 1320})
        town.settle()
        assert (one.reviews, two.reviews) == ([], [("W2", "open")])

    def test_only_some_bookings_of_one_organization_are_compared(self, town: Town) -> None:
        one, two = town.parties
        one.book()
        rows = {f"v_{n}": {"organization": LENS, "stage": "booked", "note": ""} for n in range(MOST_IN_DOUBT + 3)}
        for vendor, row in rows.items():
            window = {"bookedWindow": {"start": 840, "end": 1320}}
            two.write([Op("insert", "wedding", "vendors", vendor, None, row | window)])
        town.settle()
        assert two.reviews == [("W2", "open")] * MOST_IN_DOUBT

    def test_the_doubt_ends_with_the_other_booking(self, town: Town) -> None:
        one, two = town.parties
        one.book()
        two.book()
        town.settle()
        one.set(stage="cancelled")
        town.settle()
        assert two.reviews == [("W2", "moot")]

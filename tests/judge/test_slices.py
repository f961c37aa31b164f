"""The work of rules in slices: it never makes a batch long, and it comes to the same end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from random import Random
from typing import Any

import pytest
from pycrdt import Doc, Map

from crdt_server.judge.applied import Judgement
from crdt_server.judge.opening import opened
from crdt_server.judge.schema_document import SchemaDocument, Signed
from crdt_server.judge.slices import ALONE_SECONDS, QUANTUM_SECONDS, SLICE_SECONDS, STEPS, UNFINISHED_SECONDS, Slices
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.pipe import Status
from crdt_server.protocol.update import Update
from documents.events import Actor
from documents.invariants import Index, Wedding, review_id
from documents.registry import kind_of
from documents.sample.build import build_pieces
from tests.judge.bench import Bench
from tests.judge.crowd import Hand
from tests.judge.test_crowds import PEOPLE, wedding
from tests.support.effort import and_repeated
from tests.support.slices import of_looks, shortest

LOOKS = 6
VENDORS, ITEMS = 6, 40
ROUNDS, EDITS = 3, 10


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class TestSlices:
    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @pytest.fixture
    def slices(self, clock: Clock) -> Slices:
        return Slices(clock)

    def turn(self, slices: Slices, clock: Clock, owner: object) -> float:
        """A turn that lasts as long as it may."""
        slices.begin(owner)
        began = clock.now
        while not slices.used_up():
            clock.now += SLICE_SECONDS / 100
        slices.end()
        return clock.now - began

    def test_the_first_gets_the_slice_and_the_others_their_quantum(self, slices: Slices, clock: Clock) -> None:
        assert self.turn(slices, clock, "a") == pytest.approx(SLICE_SECONDS + QUANTUM_SECONDS, rel=0.02)
        assert self.turn(slices, clock, "b") == pytest.approx(QUANTUM_SECONDS, rel=0.1)
        assert self.turn(slices, clock, "b") < QUANTUM_SECONDS / 10
        slices.begin_batch()
        assert self.turn(slices, clock, "b") == pytest.approx(SLICE_SECONDS + QUANTUM_SECONDS, rel=0.02)

    def test_what_is_small_takes_nothing_from_others(self, slices: Slices, clock: Clock) -> None:
        for owner in range(100):
            slices.begin(owner)
            clock.now += QUANTUM_SECONDS / 2
            slices.end()
        assert self.turn(slices, clock, "last") == pytest.approx(SLICE_SECONDS + QUANTUM_SECONDS, rel=0.02)

    def test_many_that_are_unfinished_share_a_bound_in_turn(self, slices: Slices, clock: Clock) -> None:
        """80 weddings with endless work: a batch is as long as of ten, and each has its quantum again and again."""
        owners, seconds = [f"w_{n}" for n in range(80)], list[float]()
        given = dict.fromkeys(owners, 0)
        for _ in range(100):
            slices.begin_batch()
            began = clock.now
            self.turn(slices, clock, "the slice")
            for owner in owners:
                given[owner] += self.turn(slices, clock, owner) > QUANTUM_SECONDS / 2
            seconds.append(clock.now - began)
        bound = SLICE_SECONDS + QUANTUM_SECONDS + UNFINISHED_SECONDS
        assert max(seconds[1:]) < 1.1 * bound
        assert min(given.values()) >= 5
        slices.begin_batch()
        assert self.turn(slices, clock, "new") == pytest.approx(SLICE_SECONDS + QUANTUM_SECONDS, rel=0.02)
        assert self.turn(slices, clock, "new too") == pytest.approx(QUANTUM_SECONDS, rel=0.1)

    def test_a_step_that_is_too_long_takes_nothing_from_others(self, slices: Slices, clock: Clock) -> None:
        slices.begin("a")
        clock.now += 1.0
        slices.end()
        assert self.turn(slices, clock, "b") == pytest.approx(QUANTUM_SECONDS, rel=0.1)

    def test_a_turn_goes_on_while_nobody_waits(self, clock: Clock) -> None:
        waiting = False
        slices = Slices(clock, others_wait=lambda: waiting)
        slices.begin_batch(sharing=2)
        most = SLICE_SECONDS + QUANTUM_SECONDS + ALONE_SECONDS / 2
        assert self.turn(slices, clock, "a") == pytest.approx(most, rel=0.02)
        assert self.turn(slices, clock, "b") == pytest.approx(QUANTUM_SECONDS + ALONE_SECONDS / 2, rel=0.02)
        waiting = True
        slices.begin_batch(sharing=2)
        assert self.turn(slices, clock, "a") == pytest.approx(SLICE_SECONDS + QUANTUM_SECONDS, rel=0.02)
        waiting = False
        slices.begin_batch()
        assert self.turn(slices, clock, "a") == pytest.approx(SLICE_SECONDS + QUANTUM_SECONDS, rel=0.02)

    def test_steps_are_run_until_the_turn_is_over(self, slices: Slices, clock: Clock) -> None:
        done: list[int] = []

        def steps() -> Any:
            for step in range(3 * STEPS):
                done.append(step)
                clock.now += SLICE_SECONDS
                yield

        work = steps()
        slices.begin("a")
        assert not slices.run(work)
        assert len(done) == STEPS
        slices.end()
        clock.now = 0.0
        slices.begin_batch()
        slices.begin("a")
        assert not slices.run(work)
        clock.now = -1000.0
        assert slices.run(work)


def busy_day() -> dict[str, Any]:
    """A timeline of items of which two are at one time each, with the same vendors at different places."""
    items = {
        f"i_{n:02}": {
            "title": f"Item {n}", "start": n // 2 * 60, "duration": 60, "place": f"p_{n}", "note": "",
            **{f"vendor:v_{vendor}": True for vendor in range(VENDORS)},
        }
        for n in range(ITEMS)
    }  # fmt: skip
    return {"items": items}


class TestLongSteps:
    """Single steps of a full document (86,000 seats) that took 10 to 24 ms."""

    SEATS = 200

    def seats(self) -> dict[str, Any]:
        return {"assignments": {f"g_{n}": {"table": "t_1", "seat": n} for n in range(self.SEATS)}}

    def test_seats_of_guests_without_a_household_are_steps_too(self) -> None:
        index = Index(Wedding({"seating": self.seats()}))
        assert sum(1 for _ in index.candidates()) > 4 * self.SEATS

    def test_the_rows_that_the_store_had_go_one_by_one(self) -> None:
        state = WeddingJudge("w", ())
        known = state.wedding.documents["seating"] = self.seats()
        document = self.document()
        while not document.build():
            pass
        steps = opened(state, document)
        left = {len(known["assignments"]) for _ in steps}
        assert left == set(range(self.SEATS + 1)) - {0}
        assert not known["assignments"]
        assert len(state.wedding.rows("seating", "assignments")) == self.SEATS

    def test_the_structs_that_rows_are_made_of_go_one_by_one(self) -> None:
        document = self.document()
        slices, left = shortest(), set()
        while not document.build(slices):
            left.add(len(document._stored._newest))
        assert len(left) >= self.SEATS // STEPS
        assert len(document.rows.roots["assignments"]) == self.SEATS

    def document(self) -> SchemaDocument:
        kind = kind_of("seating")
        assert kind is not None
        document = SchemaDocument(kind, "seating", {})
        document.load(build_pieces(self.seats(), kind, 7, 1 << 20))
        return document


def test_a_wedding_with_much_to_resolve_takes_edits_meanwhile() -> None:
    bench = Bench({"timeline": busy_day()}, slices=of_looks(LOOKS))
    ada = bench.join("ada", "couple", 100)
    bench.reopen()
    for edit in range(EDITS):
        assert bench.state.resolver.has_work
        ada.add("guests", "guests", f"g_{edit}", {"firstName": "Ann"})
        bench.sync(ada)
    assert bench.rest() > EDITS
    assert len(bench.rows("guests")["guests"]) == EDITS
    bench.settle()
    bench.check()
    bench.check_restart()


@pytest.mark.parametrize("seed", and_repeated(1, 2, 3))
def test_whatever_the_slices_everything_wrong_is_found(seed: int) -> None:
    random, clock = Random(seed), count()
    bench = Bench(like=wedding(), now=wedding().now, slices=of_looks(LOOKS))
    hands = [Hand(bench.join(*person, 10 + n), random, clock) for n, person in enumerate(PEOPLE)]
    for _ in range(ROUNDS):
        for hand in hands:
            bench.part(hand.replica)
            for _ in range(EDITS):
                hand.edit()
        for hand in hands:
            bench.sync(hand.replica)
            if random.random() < 0.5:
                bench.reopen()
    for _ in range(2):
        bench.rest()
        bench.settle()
        for hand in hands:
            bench.sync(hand.replica)
    bench.check()
    decided = {record["id"] for record in bench.reviews() if record["_state"] in ("open", "resolved")}
    assert {review_id(finding.subject) for finding in bench.findings() if finding.manual} <= decided


def test_a_swap_is_not_repaired_between_its_two_writes_though_everything_is_looked_up() -> None:
    """What is written while the wedding is evaluated has its time to settle as at any other moment."""
    bench = Bench({"timeline": busy_day()}, slices=of_looks(LOOKS))
    ada = bench.join("ada", "couple", 100)
    bench.reopen()
    assert bench.state.resolver.evaluation.has_work
    ada.set("seating", "assignments", "g_1", None, {"table": "t_gone", "seat": 1})
    bench.sync(ada)
    bench.rest()
    assert bench.rows("seating")["assignments"].keys() == {"g_1"}
    bench.settle()
    assert bench.rows("seating")["assignments"] == {}


@pytest.fixture
def dated() -> tuple[Bench, list[bytes]]:
    """A wedding with much to resolve whose couple has set the date, and two dates that a planner writes instead."""
    bench = Bench({"timeline": busy_day(), "wedding": {"meta": {"": {"date": "2027-06-19"}}}}, slices=of_looks(3))
    ada = bench.join("ada", "couple", 100)
    ada.set("wedding", "meta", "", "date", "2027-06-20")
    bench.sync(ada)
    ben = Doc[Any](client_id=200)
    for piece in bench.documents["wedding"].diff(b"\0") or ():
        ben.apply_update(piece)
    updates = []
    for date in ("2027-07-01", "2027-07-02"):
        before = ben.get_state()
        ben.get("meta", type=Map)["date"] = date
        updates.append(ben.get_update(before))
    bench.reopen()
    return bench, updates


def receive_from_ben(bench: Bench, updates: Sequence[bytes]) -> list[Judgement]:
    bench.begin_batch()
    data: list[tuple[bytes, Update | None]] = [(update, None) for update in updates]
    signed: list[Signed] = [(Actor("ben", "planner"), None)] * len(updates)
    verdicts = bench.state.receive(bench.documents["wedding"], data, signed, lambda _: None)
    bench.commit()
    return verdicts


def test_a_write_that_is_judged_by_what_it_replaced_holds_the_next_one(dated: tuple[Bench, list[bytes]]) -> None:
    """Two writes of the date in one batch, by somebody who may not set it: the date of the couple is put back."""
    bench, waiting = dated
    seen = []
    while waiting:
        verdicts = receive_from_ben(bench, waiting)
        seen.append([verdict.status for verdict in verdicts])
        waiting = [waiting[each.number] for each in verdicts if each.status is Status.LATER]
    bench.rest()
    assert bench.value("wedding", "meta", "", "date") == "2027-06-20"
    assert any(Status.LATER in statuses for statuses in seen)
    bench.check()


def test_what_is_sent_again_behind_such_a_write_is_recorded_once(dated: tuple[Bench, list[bytes]]) -> None:
    """As by a client that reconnects: the judgement of the write is not given a second time with a known update."""
    bench, updates = dated
    first = receive_from_ben(bench, updates)
    assert [each.status for each in first] == [Status.OK, Status.LATER]
    again = [first[0]]
    while again[0].status is not Status.KNOWN:
        again = receive_from_ben(bench, updates[:1])
    assert again[0][1:] == (Status.KNOWN, None, None)
    bench.rest()
    assert bench.value("wedding", "meta", "", "date") == "2027-06-20"
    assert len([event for event in bench.events if event["actor"]["user"] == "ben"]) == 1

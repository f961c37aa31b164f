"""What becomes of a finding: it waits, is resolved, or is put before people; and what they may say to it."""

from __future__ import annotations

from typing import Any

import pytest

from crdt_server.judge.resolver import FIXES_SECONDS, MOST_FIXES
from crdt_server.judge.reviews import UNDO_SECONDS
from documents.invariants import Op
from documents.invariants.catalogue import SETTLE_SECONDS
from tests.judge.bench import Bench, Replica

GUESTS = ("guests", "guests")
SEATS = ("seating", "assignments")
ROWS: dict[str, Any] = {
    "guests": {"guests": {f"g_{each}": {"firstName": each, "meal": "soup"} for each in "abcd"}},
    "seating": {"tables": {"t_1": {"label": "1", "capacity": 4, "order": "a0"}, "t_2": {"label": "2", "capacity": 2}}},
}


def seat(table: str, number: int | None) -> dict[str, Any]:
    return {"table": table, "seat": number}


class Pair:
    """The couple and a planner, both online."""

    def __init__(self, **strategies: str) -> None:
        meta = {f"strategy:{invariant}": strategy for invariant, strategy in strategies.items()}
        self.bench = Bench(ROWS | {"wedding": {"meta": {"": {"date": "2026-06-20", **meta}}}})
        self.boss = self.bench.join("boss", "couple", 100)
        self.hand = self.bench.join("hand", "planner", 200)

    def do(self, replica: Replica, *where: Any) -> None:
        replica.set(*where)
        self.bench.sync(replica)

    def clash(self, one: Any = "fish", other: Any = "beef") -> None:
        """Both write the meal of one guest; the planner comes first."""
        self.bench.part(self.boss)
        self.hand.set(*GUESTS, "g_a", "meal", one)
        self.boss.set(*GUESTS, "g_a", "meal", other)
        self.bench.sync(self.hand)
        self.bench.sync(self.boss)
        self.bench.check()

    def record(self, invariant: str) -> dict[str, Any]:
        (found,) = self.bench.reviews(invariant)
        return found

    def choose(self, invariant: str, text: str, replica: Replica | None = None) -> None:
        record = self.record(invariant)
        option = next(each for each in record["_options"] if text in each["text"])
        self.do(replica or self.boss, record["document"], "review", record["id"], "choice", option["id"])
        self.bench.check()

    def value(self, *field: Any) -> Any:
        return self.bench.value(*field)


@pytest.fixture
def pair() -> Pair:
    return Pair()


# -- waiting


def test_a_swap_between_two_seats_is_not_repaired_halfway(pair: Pair) -> None:
    pair.do(pair.hand, *SEATS, "g_a", None, seat("t_1", 0))
    pair.do(pair.hand, *SEATS, "g_b", None, seat("t_1", 1))
    pair.do(pair.hand, *SEATS, "g_a", None, seat("t_1", 1))
    assert pair.bench.state.next_due() == SETTLE_SECONDS
    pair.bench.wait(SETTLE_SECONDS - 1)
    pair.do(pair.hand, *SEATS, "g_b", None, seat("t_1", 0))
    pair.bench.settle()
    assert pair.bench.reviews() == []
    assert pair.value(*SEATS, "g_a") == seat("t_1", 1)


def test_what_is_still_so_is_repaired_when_its_time_has_come(pair: Pair) -> None:
    pair.do(pair.hand, *SEATS, "g_a", None, seat("t_1", 1))
    pair.do(pair.hand, *SEATS, "g_b", None, seat("t_1", 1))
    pair.bench.wait(SETTLE_SECONDS - 0.5)
    assert pair.bench.reviews() == []
    pair.do(pair.hand, *SEATS, "g_c", None, seat("t_1", 1))
    assert pair.bench.state.next_due() == 0.5, "the time counts from the first of it"
    pair.bench.wait(0.5)
    assert {pair.value(*SEATS, f"g_{each}")["seat"] for each in "abc"} == {0, 1, 2}
    assert pair.record("S1")["_state"] == "auto"
    assert pair.bench.state.next_due() is None


def test_a_restart_waits_for_nothing(pair: Pair) -> None:
    pair.do(pair.hand, *SEATS, "g_a", None, seat("t_1", 1))
    pair.do(pair.hand, *SEATS, "g_b", None, seat("t_1", 1))
    pair.bench.reopen()
    assert pair.record("S1")["_state"] == "auto"
    pair.bench.check()


# -- deciding


def test_an_automatic_resolution_is_undone(pair: Pair) -> None:
    pair.clash()
    assert pair.value(*GUESTS, "g_a", "meal") == "beef"
    pair.choose("X1", "fish", pair.hand)
    assert pair.value(*GUESTS, "g_a", "meal") == "fish"
    record = pair.record("X1")
    assert (record["_state"], record["_outcome"], record["_by"]) == ("resolved", "undone", "hand")
    change = next(event for event in reversed(pair.bench.events) if event["type"] == "guest.changed")
    assert (change["actor"]["user"], change["cause"]) == ("hand", record["id"])


def test_it_can_be_undone_for_a_day(pair: Pair) -> None:
    pair.clash()
    pair.bench.wait(UNDO_SECONDS + 1)
    pair.choose("X1", "fish", pair.hand)
    assert pair.value(*GUESTS, "g_a", "meal") == "beef"
    assert "choice" not in pair.record("X1")
    assert pair.record("X1")["_state"] == "auto"


@pytest.mark.parametrize("choice", [7, 99])
def test_a_choice_that_there_is_not_is_taken_back(pair: Pair, choice: int) -> None:
    pair.clash()
    pair.do(pair.hand, "guests", "review", pair.record("X1")["id"], "choice", choice)
    assert "choice" not in pair.record("X1")
    assert pair.record("X1")["_state"] == "auto"
    pair.bench.check()


def test_what_is_decided_is_not_decided_again(pair: Pair) -> None:
    pair.clash()
    pair.choose("X1", "fish", pair.hand)
    record = pair.record("X1")
    others = [each["id"] for each in record["_options"] if each["id"] != record["choice"]]
    for choice in (*others, 99):
        pair.do(pair.boss, "guests", "review", record["id"], "choice", choice)
        assert pair.value(*GUESTS, "g_a", "meal") == "fish"
        assert pair.record("X1") == record
    pair.bench.check()


def test_the_same_conflict_happens_once_more_after_a_decision(pair: Pair) -> None:
    pair.clash()
    pair.choose("X1", "fish", pair.hand)
    pair.clash()
    assert pair.value(*GUESTS, "g_a", "meal") == "beef"
    assert pair.record("X1")["_state"] == "auto"
    assert "choice" not in pair.record("X1")


def test_what_was_left_as_it_is_opens_again_with_other_facts_only(pair: Pair) -> None:
    for guest in ("g_a", "g_b"):
        pair.do(pair.hand, *SEATS, guest, None, seat("t_2", None))
    pair.do(pair.hand, *SEATS, "g_c", None, seat("t_2", None))
    pair.bench.settle()
    assert pair.record("S2")["_state"] == "open"
    pair.choose("S2", "Leave it")
    assert pair.record("S2")["_state"] == "resolved"
    pair.do(pair.hand, "seating", "tables", "t_2", "label", "Two")
    pair.bench.settle()
    pair.bench.wait(1000)
    pair.bench.reopen()
    pair.bench.settle()
    assert pair.record("S2")["_state"] == "resolved", "left as it is"
    pair.do(pair.hand, *SEATS, "g_d", None, seat("t_2", None))
    pair.bench.settle()
    assert pair.record("S2")["_state"] == "open", "one more"
    assert "choice" not in pair.record("S2")
    pair.choose("S2", "Set 4 seats")
    assert pair.value("seating", "tables", "t_2", "capacity") == 4
    assert pair.bench.findings() == []


def test_what_holds_again_is_moot(pair: Pair) -> None:
    for guest in ("g_a", "g_b", "g_c"):
        pair.do(pair.hand, *SEATS, guest, None, seat("t_2", None))
    pair.bench.settle()
    pair.hand.delete(*SEATS, "g_a")
    pair.bench.sync(pair.hand)
    record = pair.record("S2")
    assert (record["_state"], record["_outcome"]) == ("resolved", "moot")
    assert "_by" not in record


def test_a_person_decides_where_the_wedding_wants_it() -> None:
    pair = Pair(X1="manual_review")
    pair.clash()
    assert pair.record("X1")["_state"] == "open"
    assert pair.value(*GUESTS, "g_a", "meal") == "beef" if pair.boss.client_id > pair.hand.client_id else "fish"
    pair.choose("X1", "beef")
    assert pair.value(*GUESTS, "g_a", "meal") == "beef"
    assert pair.record("X1")["_outcome"] == "option"


@pytest.mark.parametrize("restart", [False, True])
def test_a_field_that_is_written_again_is_no_open_question(restart: bool) -> None:
    pair = Pair(X1="manual_review")
    pair.clash()
    if restart:
        pair.bench.reopen()
    pair.do(pair.hand, *GUESTS, "g_a", "meal", "cake")
    assert pair.record("X1")["_outcome"] == "moot"
    assert pair.value(*GUESTS, "g_a", "meal") == "cake"


# -- approvals

APPROVALS = ("budget", "approvals")


def over_the_threshold(pair: Pair) -> str:
    """A planner quotes more than she may. Returns the id of the approval."""
    pair.do(pair.boss, "budget", "meta", "", "mustApproveOver", 1000)
    pair.hand.add("budget", "items", "b_1", {"name": "Album", "quoted": 2500})
    pair.bench.sync(pair.hand)
    (approval,) = pair.bench.rows("budget")["approvals"]
    assert pair.record("B5")["_state"] == "open"
    return approval


@pytest.mark.parametrize("vote", ["key", "option"])
def test_an_approval_closes_with_the_vote_of_the_couple(pair: Pair, vote: str) -> None:
    approval = over_the_threshold(pair)
    if vote == "key":
        pair.do(pair.boss, *APPROVALS, approval, "approvedBy:boss", "2026-05-01T10:00:00Z")
    else:
        pair.choose("B5", "Approve")
    assert pair.value(*APPROVALS, approval, "_state") == "approved"
    assert "approvedBy:boss" in pair.value(*APPROVALS, approval)
    assert (pair.record("B5")["_state"], pair.record("B5")["_outcome"]) == (
        "resolved",
        "moot" if vote == "key" else "option",
    )
    pair.bench.check()
    before = pair.bench.everything()
    pair.bench.reopen()
    assert pair.bench.everything() == before
    pair.do(pair.hand, "budget", "items", "b_1", "quoted", 2600)
    assert pair.record("B5")["_state"] == "open"
    assert len(pair.bench.rows("budget")["approvals"]) == 2


def test_a_planner_approves_nothing(pair: Pair) -> None:
    approval = over_the_threshold(pair)
    pair.do(pair.hand, *APPROVALS, approval, "approvedBy:boss", "2026-05-01T10:00:00Z")
    pair.choose("B5", "Approve", pair.hand)
    assert pair.value(*APPROVALS, approval, "_state") == "pending"
    assert pair.record("B5")["_state"] == "open"
    assert "choice" not in pair.record("B5"), "taken back"


def test_what_the_couple_rejects_stays_open_until_the_amount_changes(pair: Pair) -> None:
    approval = over_the_threshold(pair)
    pair.choose("B5", "Reject")
    assert pair.value(*APPROVALS, approval, "_state") == "rejected"
    assert pair.record("B5")["_state"] == "open"
    assert "rejected" in pair.record("B5")["_summary"]
    pair.do(pair.hand, "budget", "items", "b_1", "quoted", 900)
    assert pair.record("B5")["_state"] == "resolved"


def test_an_approval_that_was_left_pending_is_brought_up_to_date_on_opening() -> None:
    row = {"item": "b_1", "field": "quoted", "to": 2500, "_state": "pending", "approvedBy:boss": "2026-05-01T10:00:00Z"}
    rows = {
        "wedding": {"members": {"boss": {"role": "couple", "name": "Boss"}}},
        "budget": {
            "meta": {"": {"mustApproveOver": 1000}},
            "items": {"b_1": {"name": "Album", "quoted": 2500}},
            "approvals": {"a_1": row},
        },
    }
    bench = Bench(rows)
    assert bench.value(*APPROVALS, "a_1", "_state") == "approved"
    assert bench.reviews() == []
    bench.check()


# -- endless repairs


def test_what_is_broken_again_and_again_is_left_to_people(pair: Pair) -> None:
    pair.do(pair.hand, *SEATS, "g_a", None, seat("t_1", 1))
    for _ in range(MOST_FIXES):
        pair.do(pair.hand, *SEATS, "g_b", None, seat("t_1", 1))
        pair.bench.settle()
        assert pair.value(*SEATS, "g_b") == seat("t_1", 0)
    pair.do(pair.hand, *SEATS, "g_b", None, seat("t_1", 1))
    pair.bench.settle()
    assert pair.value(*SEATS, "g_b") == seat("t_1", 1)
    assert pair.record("S1")["_state"] == "open"
    assert "_undo" not in pair.record("S1"), "the rule has decided nothing any more"
    pair.choose("S1", "a keeps")
    assert pair.bench.findings() == []


def test_people_who_are_asked_after_all_have_options(pair: Pair) -> None:
    for _ in range(MOST_FIXES + 1):
        pair.do(pair.hand, *SEATS, "g_b", None, seat("t_1", 9))
        pair.bench.settle()
    record = pair.record("S3")
    assert record["_state"] == "open"
    assert record["_options"]


def test_after_a_minute_it_is_repaired_again(pair: Pair) -> None:
    pair.do(pair.hand, *SEATS, "g_a", None, seat("t_1", 1))
    for _ in range(2 * MOST_FIXES):
        pair.do(pair.hand, *SEATS, "g_b", None, seat("t_1", 1))
        pair.bench.settle()
        pair.bench.wait(FIXES_SECONDS / MOST_FIXES + 1)
        assert pair.value(*SEATS, "g_b") == seat("t_1", 0)


@pytest.mark.parametrize("items", [5, 9, 30])
def test_the_repairs_of_many_items_at_one_time_end(items: int) -> None:
    rows: dict[str, Any] = {
        "wedding": {"meta": {"": {"cascade": "flex"}}, "places": {f"p_{i}": {"name": f"P{i}"} for i in range(items)},
                    "vendors": {"v_lens": {"name": "Lens", "stage": "booked"}}},
        "timeline": {"items": {f"i_{i:02}": {"title": f"I{i}", "start": 600, "duration": 10, "place": f"p_{i}"}
                               for i in range(items)}},
    }  # fmt: skip
    pair = Pair()
    pair.bench = Bench(rows)
    boss = pair.bench.join("boss", "couple", 100)
    for i in range(items):
        boss.set("timeline", "items", f"i_{i:02}", "vendor:v_lens", True)
    pair.bench.sync(boss)
    pair.bench.settle()
    starts = {row["start"] for row in pair.bench.rows("timeline")["items"].values()}
    states = [each["_state"] for each in pair.bench.reviews("T1")]
    if items < 10:
        assert len(starts) == items
        assert states == ["auto"] * (items - 1)
    else:
        assert starts == {600}
        assert states == ["open"]
        assert pair.record("T1")["_summary"] == "Lens: I0 and I1 overlap, and 28 more."
    pair.bench.check()


# -- documents that are not open


def test_what_needs_a_closed_document_waits_for_it(pair: Pair) -> None:
    pair.do(pair.hand, *SEATS, "g_a", None, seat("t_1", 1))
    pair.bench.close("seating")
    pair.hand.set(*GUESTS, "g_a", "deleted", {"at": "2026-05-01T10:00:00Z", "by": "hand"})
    pair.bench.sync(pair.hand, ["guests"])
    pair.bench.now += SETTLE_SECONDS
    pair.bench.state.set_time(pair.bench.now)
    pair.bench.state.run_scheduled()
    assert pair.bench.state.resolver.needed == {"seating"}
    pair.bench.state.resolver.needed.clear()
    pair.bench.state.build_doc(pair.bench.documents["seating"])
    pair.bench.commit()
    assert pair.value(*SEATS, "g_a") is None
    assert pair.record("S4")["_state"] == "auto"
    pair.bench.check()


def test_a_choice_that_needs_a_closed_document_waits_for_it(pair: Pair) -> None:
    pair.bench.state.write([Op("set", "guests", "guests", "g_b", "email", "a@example.org")])
    pair.bench.state.write([Op("set", *SEATS, "g_b", None, seat("t_1", 1))])
    pair.do(pair.hand, *GUESTS, "g_a", "email", "a@example.org")
    option = next(each for each in pair.record("G1")["_options"] if "unite them as a" in each["text"])
    pair.bench.close("seating")
    pair.hand.set("guests", "review", pair.record("G1")["id"], "choice", option["id"])
    pair.bench.sync(pair.hand, ["guests"])
    assert pair.record("G1")["_state"] == "open"
    assert pair.bench.state.resolver.needed == {"seating"}
    pair.bench.state.resolver.needed.clear()
    pair.bench.state.build_doc(pair.bench.documents["seating"])
    pair.bench.commit()
    assert pair.record("G1")["_state"] == "resolved"
    assert pair.value(*SEATS, "g_a") == seat("t_1", 1)
    assert "deleted" in pair.value(*GUESTS, "g_b")


# -- X1 and X2


def test_one_who_has_seen_it_overwrites_without_a_record(pair: Pair) -> None:
    pair.do(pair.boss, *GUESTS, "g_a", "meal", "fish")
    pair.do(pair.hand, *GUESTS, "g_a", "meal", "beef")
    assert pair.value(*GUESTS, "g_a", "meal") == "beef"
    assert pair.bench.reviews() == []


def test_three_writes_of_a_field(pair: Pair) -> None:
    third = pair.bench.join("aunt", "family", 300)
    pair.bench.part(third)
    third.set(*GUESTS, "g_a", "meal", "cake")
    pair.clash()
    pair.bench.sync(third)
    assert pair.value(*GUESTS, "g_a", "meal") == "beef"
    assert {party["value"] for party in pair.record("X1")["_parties"]} == {"beef", "cake"}
    told = [event["after"]["_parties"] for event in pair.bench.events if "_parties" in (event["after"] or {})]
    assert {party["value"] for parties in told for party in parties} == {"fish", "beef", "cake"}
    pair.bench.check()


TAKEN_BACK: list[tuple[tuple[Any, ...], Any]] = [
    ((*GUESTS, "g_a", "meal"), "fish"),
    ((*GUESTS, "g_a", "tag:choir"), True),
    ((*GUESTS, "g_a", "deleted"), {"at": "2026-05-01T10:00:00Z", "by": "boss"}),
    ((*SEATS, "g_a", None), seat("t_1", 1)),
    (("wedding", "meta", "", "title"), "Ours"),
]


@pytest.mark.parametrize(("field", "value"), TAKEN_BACK)
@pytest.mark.parametrize("first", ["boss", "hand"])
def test_what_somebody_wrote_and_took_back_takes_nothing_along(
    pair: Pair, field: tuple[Any, ...], value: Any, first: str
) -> None:
    pair.bench.part(pair.boss, pair.hand)
    pair.boss.set(*field, value)
    pair.hand.set(*field, value)
    pair.hand.delete(*field)
    for replica in (pair.boss, pair.hand) if first == "boss" else (pair.hand, pair.boss):
        pair.bench.sync(replica)
    assert pair.value(*field) == value, "the couple ranks higher than the planner"
    assert pair.record("X1")["_state"] == "auto"
    pair.bench.check()
    pair.choose("X1", "nothing", pair.hand)
    assert pair.value(*field) is None


@pytest.mark.parametrize(("field", "value"), TAKEN_BACK)
def test_what_a_higher_rank_took_back_stays_away_and_the_other_value_is_told(
    pair: Pair, field: tuple[Any, ...], value: Any
) -> None:
    aunt = pair.bench.join("aunt", "family", 50)
    pair.bench.part(pair.boss, aunt)
    aunt.set(*field, value)
    pair.boss.set(*field, value)
    pair.boss.delete(*field)
    pair.bench.sync(aunt)
    pair.bench.sync(pair.boss)
    assert pair.value(*field) is None
    told = {party["user"]: party.get("value") for party in pair.record("X1")["_parties"]}
    assert told == {"boss": None, "aunt": value}
    pair.choose("X1", "what somebody of the family wrote", pair.boss)
    assert pair.value(*field) == value


@pytest.mark.parametrize(("field", "value"), TAKEN_BACK)
@pytest.mark.parametrize("first", ["boss", "hand"])
def test_what_two_wrote_alike_does_not_go_with_one_of_them(
    pair: Pair, field: tuple[Any, ...], value: Any, first: str
) -> None:
    pair.bench.part(pair.boss, pair.hand)
    one, other = (pair.boss, pair.hand) if first == "boss" else (pair.hand, pair.boss)
    one.set(*field, value)
    other.set(*field, value)
    pair.bench.sync(one)
    pair.bench.part(one)
    pair.bench.sync(other)
    one.delete(*field)
    pair.bench.sync(one)
    assert pair.value(*field) == value
    assert pair.bench.reviews() == []
    pair.bench.check()


@pytest.mark.parametrize("first", ["boss", "hand"])
def test_who_changes_their_mind_about_what_two_wrote_alike_is_told_of_the_other(pair: Pair, first: str) -> None:
    pair.bench.part(pair.boss, pair.hand)
    one, other = (pair.boss, pair.hand) if first == "boss" else (pair.hand, pair.boss)
    for replica in (one, other):
        replica.set(*GUESTS, "g_a", "meal", "fish")
    pair.bench.sync(one)
    pair.bench.part(one)
    pair.bench.sync(other)
    one.set(*GUESTS, "g_a", "meal", "beef")
    pair.bench.sync(one)
    assert pair.value(*GUESTS, "g_a", "meal") == ("beef" if one is pair.boss else "fish")
    assert {party["value"] for party in pair.record("X1")["_parties"]} == {"fish", "beef"}
    pair.bench.check()


def test_two_who_delete_one_guest_agree(pair: Pair) -> None:
    pair.bench.part(pair.boss)
    pair.hand.set(*GUESTS, "g_a", "deleted", {"at": "2026-05-01T10:00:00Z", "by": "hand"})
    pair.boss.set(*GUESTS, "g_a", "deleted", {"at": "2026-05-01T11:00:00Z", "by": "boss"})
    pair.bench.sync(pair.hand)
    pair.bench.sync(pair.boss)
    assert pair.bench.reviews() == []


def test_an_edit_of_a_deleted_record_is_recorded_whoever_comes_first() -> None:
    for first in ("boss", "hand"):
        pair = Pair()
        pair.bench.part(pair.boss, pair.hand)
        pair.hand.set(*GUESTS, "g_a", "deleted", {"at": "2026-05-01T10:00:00Z", "by": "hand"})
        pair.boss.set(*GUESTS, "g_a", "meal", "fish")
        for replica in (pair.boss, pair.hand) if first == "boss" else (pair.hand, pair.boss):
            pair.bench.sync(replica)
        assert pair.record("X2")["_state"] == "auto"
        assert "deleted" not in pair.value(*GUESTS, "g_a"), "the couple ranks higher than the planner"
        pair.choose("X2", "stays deleted", pair.hand)
        assert "deleted" in pair.value(*GUESTS, "g_a")
        pair.bench.check()

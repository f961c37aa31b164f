"""What a rule has resolved by itself can be undone for a day: for every invariant and every strategy that decides."""

from __future__ import annotations

from typing import Any

import pytest

from documents.invariants import INVARIANTS
from documents.invariants.catalogue import MANUAL
from tests.judge.bench import Bench, Replica
from tests.judge.cases import CASES, COUPLE, DELETED, FAMILY, PLANNER, Case, change, cost, guest, sit, table
from tests.judge.test_merges import merge

MEI = {"firstName": "Mei", "lastName": "Smith", "email": "mei@example.org"}
PAID = {"item": "b_band", "amount": 600, "on": "2026-04-01", "kind": "balance", "reference": "INV-17"}
MORE_CASES = [
    Case(
        "the last chair is taken twice, and there are others",
        {"S2": "open"},
        [guest("g_a"), guest("g_b"), table("t_1", 1), table("t_2", 8)],
        (FAMILY, [sit("g_a", "t_1")]),
        (PLANNER, [sit("g_b", "t_1")]),
        {},
    ),
    Case(
        "both enter one transfer with its reference",
        {"B4": "open"},
        [cost("b_band", actual=5000)],
        (PLANNER, [("set", "budget", "payments", "pay_x", None, PAID)]),
        (COUPLE, [("set", "budget", "payments", "pay_y", None, PAID)]),
        {},
    ),
    Case(
        "both add the same person",
        {"G1": "open"},
        [],
        (COUPLE, [guest("g_x", **MEI)]),
        (PLANNER, [guest("g_y", **MEI, meal="fish")]),
        {},
    ),
    Case(
        "one moves a guest away from a table that is locked",
        {"S7": "auto"},
        [guest("g_a"), table("t_1", 8, locked=DELETED), table("t_2", 8), sit("g_a", "t_1", 1)],
        (COUPLE, [change("wedding", "meta", "", "title", "Ours")]),
        (PLANNER, [sit("g_a", "t_2", 3)]),
        {},
    ),
]
RULES = [
    (invariant, strategy, case)
    for case in (*CASES, *MORE_CASES)
    for invariant in {**case.invariants, **case.sometimes}
    for strategy in INVARIANTS[invariant].strategies
    if strategy != MANUAL
]
CHANGE_NOTHING = {("G4", "merge_changes"), ("X1", "priority_based")}
"""A late answer is accepted as it is; here what is certain comes first, and money and people are for a person."""


def resolved(case: Case, invariant: str, strategy: str, first: str = "other") -> Bench:
    """The wedding after a rule has resolved a case by a strategy. ``first``: who comes back first."""
    chosen = change("wedding", "meta", "", f"strategy:{invariant}", strategy)
    return merge(case._replace(given=[chosen, *case.given]), first, (100, 200))


def changes_of(bench: Bench, record: str) -> list[dict[str, Any]]:
    """The events of what the server changed for a conflict."""
    return [
        event
        for event in bench.events
        if event.get("cause") == record and event["root"] != "review" and event["actor"]["user"] == "server"
    ]


def before(event: dict[str, Any]) -> dict[tuple[Any, ...], Any]:
    """Field -> what an event says it held before."""
    where = (event["document"], event["root"], event["record"])
    if not event["fields"]:
        return {(*where, None): event["before"]}
    return {(*where, key): (event["before"] or {}).get(key) for key in event["fields"]}


def choose(bench: Bench, user: Replica, record: dict[str, Any], option: int) -> dict[str, Any]:
    user.set(record["document"], "review", record["id"], "choice", option)
    bench.sync(user)
    bench.settle()
    (after,) = (each for each in bench.reviews() if each["id"] == record["id"])
    return after


def undo(bench: Bench, invariant: str) -> bool:
    """Undo what a rule did, where it did something; whether it did."""
    for record in bench.reviews(invariant):
        events = changes_of(bench, record["id"])
        changed = [event for event in events if event["before"] is not None or not event["fields"]]  # no new records
        if record["_state"] != "auto" or not changed:
            continue
        held = before(changed[0])
        options = [each for each in record["_options"] if each["operations"]]
        if INVARIANTS[invariant].undone_by is None:
            assert not any(_takes_back(each, held) for each in options)
            assert "_undo" not in record
            return True
        chloe = next(each for each in bench.replicas if each.actor.user == "chloe")
        after = choose(bench, chloe, record, record["_undo"])
        assert (after["_state"], after["_outcome"], after["_by"]) == ("resolved", "undone", "chloe")
        assert {field: bench.value(*field) for field in held} == held
        bench.wait(1000)
        bench.check_restart()
        assert {field: bench.value(*field) for field in held} == held, "it is not done again"
        return True
    return False


@pytest.mark.parametrize("case", [*CASES, *MORE_CASES], ids=lambda case: case.name)
def test_what_a_rule_did_can_be_undone(case: Case) -> None:
    for invariant, strategy, each in RULES:
        if each is case:
            for first in ("one", "other"):
                undo(resolved(case, invariant, strategy, first), invariant)


def test_every_rule_that_changes_something_has_a_case() -> None:
    rules = {(each.id, strategy) for each in INVARIANTS.values() for strategy in each.strategies if strategy != MANUAL}
    done = {
        (invariant, strategy)
        for invariant, strategy, case in RULES
        for first in ("one", "other")
        if undo(resolved(case, invariant, strategy, first), invariant)
    }
    assert done == {rule for rule in rules if rule[0] != "W2"} - CHANGE_NOTHING


def _takes_back(option: dict[str, Any], held: dict[tuple[Any, ...], Any]) -> bool:
    for op in option["operations"]:
        field = (op["document"], op["root"], op["record"], op.get("key"))
        if field in held and op.get("value") == held[field]:
            return True
    return False


GUARDED = [each for each in INVARIANTS.values() if each.undone_by]


def test_those_that_the_couple_alone_may_undo_are_declared() -> None:
    assert {each.id: each.undone_by for each in GUARDED} == {
        "B5": ("couple",), "G4": ("couple", "planner"), "S7": ("couple",), "W1": ("couple",)
    }  # fmt: skip


def test_nobody_gets_round_a_rule_by_undoing_it() -> None:
    case = next(each for each in CASES if "W1" in each.invariants)
    bench = resolved(case, "W1", "wedding_hierarchy")
    (record,) = bench.reviews("W1")
    planner = next(each for each in bench.replicas if each.actor.role == "planner")
    after = choose(bench, planner, record, record["_options"][0]["id"])
    assert (after["_state"], "choice" in after) == ("auto", False)
    assert bench.value("wedding", "meta", "", "date") == "2026-06-20"

"""Many updates in one batch: what follows is what would follow if they came one by one, looked up once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from documents.invariants import Field, Index, Subject
from tests.judge.bench import Bench, Replica

GUESTS = ("guests", "guests")
SEATS = ("seating", "assignments")
STAMP = {"at": "2026-05-01T10:00:00Z", "by": "boss"}

Edit = tuple[Replica, Callable[[], Any]]


def bench_with(**meta: Any) -> tuple[Bench, Replica, Replica]:
    rows: dict[str, Any] = {
        "wedding": {"meta": {"": {"date": "2026-06-20", **meta}}},
        "guests": {"guests": {f"g_{each}": {"firstName": each, "meal": "soup"} for each in "abc"}},
        "seating": {"tables": {"t_1": {"capacity": 4}, "t_2": {"capacity": 2}, "t_3": {"capacity": 2}}},
        "budget": {"meta": {"": {"mustApproveOver": 1000}}, "items": {"b_1": {"name": "Band", "quoted": 100}}},
    }
    bench = Bench(rows)
    return bench, bench.join("boss", "couple", 100), bench.join("hand", "planner", 200)


def batch(bench: Bench, name: str, edits: list[Edit]) -> None:
    """Edits of online people who see one another's at once, in one batch."""
    updates = []
    for replica, edit in edits:
        before = replica.doc(name).get_state()
        edit()
        update = replica.doc(name).get_update(before)
        updates.append((replica.actor, update, None))
        for other in bench.replicas:
            if other is not replica:
                other.doc(name).apply_update(update)
    bench.receive_batch(name, updates)
    bench.check()


def test_each_subject_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, boss, hand = bench_with()
    looked_up: list[Subject] = []
    broken = Index.broken

    def counted(index: Index, subject: Subject) -> bool:
        looked_up.append(subject)
        return broken(index, subject)

    monkeypatch.setattr(Index, "broken", counted)
    edits: list[Edit] = [
        (who, partial(who.set, *SEATS, "g_a", None, {"table": "t_1", "seat": n}))
        for n, who in enumerate((boss, hand, boss, hand))
    ]
    batch(bench, "seating", edits)
    assert looked_up.count(Subject("S3", ("seating", "g_a"))) == 1
    assert len(looked_up) == len(set(looked_up))


def test_what_is_repaired_within_a_batch_was_never_broken() -> None:
    bench, boss, hand = bench_with()
    batch(
        bench,
        "wedding",
        [
            (boss, lambda: boss.set("wedding", "meta", "", "capacity", 1)),
            (hand, lambda: hand.set("wedding", "meta", "", "capacity", 100)),
        ],
    )
    assert bench.reviews() == []


def test_a_date_that_only_the_couple_sets_is_put_back_to_what_the_couple_set() -> None:
    bench, boss, hand = bench_with()
    batch(
        bench,
        "wedding",
        [
            (boss, lambda: boss.set("wedding", "meta", "", "date", "2026-07-01")),
            (hand, lambda: hand.set("wedding", "meta", "", "date", "2026-07-02")),
            (hand, lambda: hand.set("wedding", "meta", "", "date", "2026-07-03")),
        ],
    )
    assert bench.value("wedding", "meta", "", "date") == "2026-07-01"
    assert bench.wedding_writer(Field("wedding", "meta", "", "date")).user == "server"


def test_amounts_that_were_not_approved_are_all_put_back() -> None:
    bench, _, hand = bench_with(**{"strategy:B5": "wedding_hierarchy"})
    batch(
        bench,
        "budget",
        [(hand, partial(hand.set, "budget", "items", "b_1", "quoted", n)) for n in (500, 5000, 6000)],
    )
    assert bench.value("budget", "items", "b_1", "quoted") == 500


def test_a_table_is_locked_with_those_who_sat_there_then() -> None:
    bench, boss, hand = bench_with()
    batch(
        bench,
        "seating",
        [
            (hand, lambda: hand.set(*SEATS, "g_a", None, {"table": "t_1", "seat": 1})),
            (boss, lambda: boss.set("seating", "tables", "t_1", "locked", STAMP)),
            (hand, lambda: hand.set(*SEATS, "g_a", None, {"table": "t_2", "seat": 1})),
            (hand, lambda: hand.set(*SEATS, "g_a", None, {"table": "t_3", "seat": 1})),
            (hand, lambda: hand.set(*SEATS, "g_b", None, {"table": "t_2", "seat": 0})),
            (hand, lambda: hand.set(*SEATS, "g_b", None, {"table": "t_1", "seat": 0})),
        ],
    )
    bench.settle()
    assert bench.value(*SEATS, "g_a") == {"table": "t_1", "seat": 1}
    assert bench.value(*SEATS, "g_b") == {"table": "t_2", "seat": 0}
    assert {record["_kind"] for record in bench.reviews()} >= {"S7"}


def test_the_first_of_two_choices_counts() -> None:
    bench, boss, hand = bench_with()
    bench.part(boss)
    hand.set(*GUESTS, "g_a", "meal", "fish")
    boss.set(*GUESTS, "g_a", "meal", "beef")
    bench.sync(hand)
    bench.sync(boss)
    (record,) = bench.reviews("X1")
    first, second = (option["id"] for option in record["_options"])
    updates = []
    for replica, choice in ((hand, second), (boss, first)):
        before = replica.doc("guests").get_state()
        replica.set("guests", "review", record["id"], "choice", choice)
        updates.append((replica.actor, replica.doc("guests").get_update(before), None))
    bench.receive_batch("guests", updates)
    (record,) = bench.reviews("X1")
    assert (record["_state"], record["choice"], record["_by"]) == ("resolved", second, "hand")
    assert bench.value(*GUESTS, "g_a", "meal") == "fish"
    bench.check()


def test_edits_of_a_text_in_one_batch_are_one_event() -> None:
    bench, boss, _ = bench_with()
    boss.add(*GUESTS, "g_new", {"firstName": "Ann"})
    bench.sync(boss)
    bench.events.clear()
    note = boss.text(*GUESTS, "g_new", "note")
    batch(bench, "guests", [(boss, partial(note.insert, 0, letter)) for letter in "gniS"])
    bench.settle()
    edits = [event for event in bench.events if event["type"] == "doc.text_edited"]
    assert [(event["before"], event["after"]) for event in edits] == [({"note": ""}, {"note": "Sing"})]

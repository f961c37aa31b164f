"""The root `review` is bounded in bytes, whatever is wrong; what is not listed is counted, and listed later."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crdt_server.judge import review_limits
from crdt_server.judge.review_limits import MAX_AUTO_BYTES, MAX_OPEN_BYTES, MAX_REVIEW_BYTES
from crdt_server.judge.reviews import UNDO_SECONDS
from documents.invariants.review import MAX_RECORD_BYTES
from tests.judge.bench import Bench, Replica

GUESTS = ("guests", "guests")


def twins(count: int) -> dict[str, Any]:
    """Pairs of guests with one e-mail address."""
    return {
        f"g_{i:03}{one}": {"firstName": f"{one} {i}", "email": f"guest{i}@example.org"}
        for i in range(count)
        for one in "ab"
    }


def size(bench: Bench, document: str, state: str | None = None) -> int:
    rows = bench.rows(document)["review"].values()
    rows = [row for row in rows if state in (None, row["_state"])]
    return sum(len(json.dumps(row, separators=(",", ":"), ensure_ascii=False)) for row in rows)


def listed(bench: Bench, invariant: str) -> list[dict[str, Any]]:
    return [each for each in bench.reviews(invariant) if each["_subject"] and each["_state"] == "open"]


def counted(bench: Bench, invariant: str) -> int:
    """The number of findings that are not listed."""
    summaries = [each for each in bench.reviews(invariant) if not each["_subject"] and each["_state"] != "resolved"]
    assert len(summaries) < 2
    return sum(int(each["_summary"].partition(" ")[0]) for each in summaries)


def test_an_import_without_times_makes_one_record_per_vendor() -> None:
    bench = Bench({"wedding": {"vendors": {f"v_{i}": {"name": str(i), "stage": "booked"} for i in range(2)}}})
    boss = bench.join("boss", "couple", 100)
    for i in range(70):
        row = {"title": "", "start": 0, "duration": 60, "place": f"p_{i}", "vendor:v_0": True, "vendor:v_1": True}
        boss.add("timeline", "items", f"i_{i}", row)
    bench.sync(boss)
    bench.settle()
    assert [each["_summary"].partition(",")[2] for each in bench.reviews("T1")] == [" and 68 more."] * 2
    assert size(bench, "timeline") < 2 * MAX_OPEN_BYTES
    bench.check()


def test_items_that_all_need_everybody_at_once_make_one_record_each() -> None:
    wanted = {f"vendor:v_{i}": True for i in range(20)} | {f"person:g_{i}": True for i in range(20)}
    items = {f"i_{i}": {"start": 600, "duration": 60, "place": f"p_{i}", **wanted} for i in range(100)}
    bench = Bench({"timeline": {"items": items}})
    bench.settle()
    assert len(listed(bench, "T1")) + counted(bench, "T1") == 20
    assert len(listed(bench, "T2")) + counted(bench, "T2") == 20
    assert len(listed(bench, "T6")) + counted(bench, "T6") == 100
    assert size(bench, "timeline") < 3 * (MAX_OPEN_BYTES + 1024)
    before = bench.everything()
    bench.reopen()
    assert bench.everything() == before
    bench.check()


def test_open_findings_beyond_the_bound_are_counted_and_come_up_as_others_are_resolved() -> None:
    bench = Bench({"guests": {"guests": twins(120)}})
    boss = bench.join("boss", "couple", 100)
    bench.settle()
    assert size(bench, "guests", "open") < MAX_OPEN_BYTES + 1024
    first = listed(bench, "G1")
    assert 10 < len(first) < 120
    assert counted(bench, "G1") == 120 - len(first)
    for record in first[:5]:
        leave = record["_options"][-1]["id"]
        boss.set("guests", "review", record["id"], "choice", leave)
    bench.sync(boss)
    assert len(listed(bench, "G1")) >= len(first) - 1
    assert counted(bench, "G1") == 115 - len(listed(bench, "G1"))
    for i in range(120):
        boss.set(*GUESTS, f"g_{i:03}b", "email", f"other{i}@example.org")
    bench.sync(boss)
    bench.settle()
    assert listed(bench, "G1") == []
    assert counted(bench, "G1") == 0
    bench.check()
    bench.check_restart()


def test_a_finding_that_is_not_listed_may_hold_again() -> None:
    bench = Bench({"guests": {"guests": twins(100)}})
    boss = bench.join("boss", "couple", 100)
    names = {subject["record"] for record in listed(bench, "G1") for subject in record["_subject"]}
    hidden = sorted(bench.rows("guests")["guests"].keys() - names)
    before = counted(bench, "G1")
    boss.set(*GUESTS, hidden[0], "email", "alone@example.org")
    bench.sync(boss)
    assert counted(bench, "G1") == before - 1
    bench.reopen()
    assert counted(bench, "G1") == before - 1
    bench.check()


def seated(count: int) -> dict[str, Any]:
    return {
        "guests": {"guests": {f"g_{i:03}": {"firstName": str(i)} for i in range(count)}},
        "seating": {
            "tables": {"t_1": {"label": "1", "capacity": count}},
            "assignments": {f"g_{i:03}": {"table": "t_1", "seat": i} for i in range(count)},
        },
    }


def test_what_a_rule_does_often_is_recorded_within_a_bound() -> None:
    bench = Bench(seated(400))
    boss = bench.join("boss", "couple", 100)
    boss.set("seating", "tables", "t_1", "deleted", {"at": "2026-05-01T12:00:00Z", "by": "boss"})
    bench.sync(boss)
    bench.settle()
    assert bench.rows("seating")["assignments"] == {}, "every seat is freed"
    assert size(bench, "seating", "auto") < MAX_AUTO_BYTES + 1024
    records = [each for each in bench.reviews("S3") if each["_subject"]]
    assert counted(bench, "S3") == 400 - len(records)
    bench.check()


def test_what_is_counted_is_not_listed_when_the_wedding_opens_again() -> None:
    """Answers to an event are late when the day until which they are welcome is put forward."""
    start = {"wedding": {"meta": {"": {"rsvpBy": "2030-01-01"}}, "events": {"e_1": {"name": "Party", "rsvp": True}}}}
    bench = Bench(start | {"guests": {"guests": {f"g_{i:03}": {"firstName": str(i)} for i in range(150)}}})
    boss = bench.join("boss", "couple", 100)
    for i in range(150):
        guest = bench.join(f"u_{i}", "guest", 200 + i)
        guest.set(*GUESTS, f"g_{i:03}", "rsvp:e_1", "yes")
        bench.sync(guest)
    boss.set("wedding", "meta", "", "rsvpBy", "2020-01-01")
    bench.sync(boss)
    bench.settle()
    assert counted(bench, "G4") == 150 - len([each for each in bench.reviews("G4") if each["_subject"]]) > 0
    bench.check_restart()
    guest.set(*GUESTS, "g_149", "rsvp:e_1", "no")
    bench.sync(guest)
    bench.settle()
    assert any("answered no" in each["_summary"] for each in bench.reviews("G4")), "it is new"


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> int:
    """Bounds that are soon reached."""
    for name, bound in (("MAX_REVIEW_BYTES", 16_384), ("KEPT_BYTES", 14_336), ("MAX_AUTO_BYTES", 8_192)):
        monkeypatch.setattr(review_limits, name, bound)
    return 16_384


def clash(bench: Bench, boss: Replica, hand: Replica, number: int) -> None:
    """Both write the meal of one guest, neither having seen the other's."""
    bench.part(boss)
    hand.set(*GUESTS, f"g_{number:03}a", "meal", "fish")
    boss.set(*GUESTS, f"g_{number:03}a", "meal", "beef")
    bench.sync(hand)
    bench.sync(boss)


def test_closed_records_are_removed_when_there_are_too_many(small: int) -> None:
    bench = Bench({"guests": {"guests": {k: v for k, v in twins(60).items() if k.endswith("a")}}})
    boss, hand = bench.join("boss", "couple", 100), bench.join("hand", "planner", 200)
    for number in range(60):
        clash(bench, boss, hand, number)
        bench.wait(UNDO_SECONDS / 4)
        assert size(bench, "guests") < small + 2048
    records = {subject["record"] for each in bench.reviews("X1") for subject in each["_subject"]}
    assert "g_059a" in records, "the newest ones are there"
    assert "g_000a" not in records
    bench.check()
    bench.check_restart()


def test_what_a_rule_did_within_a_day_is_not_removed_for_more_of_it(small: int) -> None:
    bench = Bench({"guests": {"guests": {k: v for k, v in twins(60).items() if k.endswith("a")}}})
    boss, hand = bench.join("boss", "couple", 100), bench.join("hand", "planner", 200)
    for number in range(40):
        clash(bench, boss, hand, number)
    records = {subject["record"] for each in bench.reviews("X1") for subject in each["_subject"]}
    assert "g_000a" in records
    assert "g_039a" not in records
    assert counted(bench, "X1") == 40 - len(records)
    assert all(bench.value(*GUESTS, f"g_{number:03}a", "meal") == "beef" for number in range(40))
    bench.wait(UNDO_SECONDS + 1)
    clash(bench, boss, hand, 50)
    records = {subject["record"] for each in bench.reviews("X1") for subject in each["_subject"]}
    assert "g_050a" in records
    assert "g_000a" not in records


def test_a_document_that_has_too_many_records_loses_them_on_opening() -> None:
    bench = Bench({"guests": {"guests": twins(300)}})
    rows = bench.rows("guests")
    pattern = next(row for row in rows["review"].values() if row["_subject"])
    records = {
        f"c_{i:05}": {**pattern, "_fingerprint": "", "_state": "resolved" if i % 2 else "open", "choice": 0}
        for i in range(2000)
    }
    bench = Bench({"guests": {"guests": twins(300), "review": records}})
    assert size(bench, "guests") < MAX_REVIEW_BYTES
    assert size(bench, "guests", "open") < MAX_OPEN_BYTES + MAX_RECORD_BYTES
    bench.check()


def test_one_record_is_of_limited_size_whatever_it_is_about() -> None:
    items = {
        f"i_{i:03}": {"title": f"Item {i}", "start": 10 * i, "duration": 10, "place": "p_oak", "person:bride": True,
                      "rigidity": "flex"}
        for i in range(250)
    }  # fmt: skip
    bench = Bench({"timeline": {"items": items}, "wedding": {"meta": {"": {"cascade": "flex"}}}})
    boss = bench.join("boss", "couple", 100)
    boss.set("timeline", "items", "i_000", "duration", 15)
    bench.sync(boss)
    bench.settle()
    (record,) = bench.reviews("T2")
    assert len(json.dumps(record)) < MAX_RECORD_BYTES
    assert record["_options"][-1]["text"] == "Leave it as it is."

"""A slip is taken back within a day: what the server did about it goes with it, also after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from documents.invariants.catalogue import SETTLE_SECONDS
from documents.invariants.unseated import SLIP_SECONDS
from tests.judge.bench import Bench

SEATS = ("seating", "assignments")
ROWS: dict[str, Any] = {
    "guests": {"guests": {f"g_{each}": {"firstName": each.upper()} for each in "abcd"}},
    "seating": {
        "tables": {"t_1": {"label": "1", "capacity": 4}},
        "assignments": {f"g_{each}": {"table": "t_1", "seat": number} for number, each in enumerate("abcd")},
    },
}
DELETED = {"at": "2026-05-01T10:00:00Z", "by": "boss"}


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("seconds", [SETTLE_SECONDS, 5, SLIP_SECONDS - 60])
def test_a_table_is_deleted_and_restored(restart: bool, seconds: float) -> None:
    bench = Bench(ROWS)
    boss = bench.join("boss", "couple", 100)
    boss.set("seating", "tables", "t_1", "deleted", DELETED)
    bench.sync(boss)
    bench.settle()
    assert bench.rows("seating")["assignments"] == {}
    if restart:
        bench.reopen()
    bench.wait(seconds)
    boss.delete("seating", "tables", "t_1", "deleted")
    bench.sync(boss)
    bench.settle()
    assert bench.rows("seating")["assignments"] == ROWS["seating"]["assignments"]
    assert [record["_state"] for record in bench.reviews("S3")] == ["auto"] * 4
    assert bench.findings() == []
    bench.check()
    bench.check_restart()


def test_a_day_later_the_seats_are_gone() -> None:
    bench = Bench(ROWS)
    boss = bench.join("boss", "couple", 100)
    boss.set("seating", "tables", "t_1", "deleted", DELETED)
    bench.sync(boss)
    bench.settle()
    bench.wait(SLIP_SECONDS + 1)
    boss.delete("seating", "tables", "t_1", "deleted")
    bench.sync(boss)
    bench.settle()
    assert bench.rows("seating")["assignments"] == {}
    assert bench.findings() == []


def test_the_table_is_restored_with_one_choice() -> None:
    bench = Bench(ROWS)
    boss = bench.join("boss", "couple", 100)
    boss.set("seating", "tables", "t_1", "deleted", DELETED)
    bench.sync(boss)
    bench.settle()
    record = next(each for each in bench.reviews("S3") if "A is gone" in each["_summary"])
    boss.set("seating", "review", record["id"], "choice", record["_options"][0]["id"])
    bench.sync(boss)
    bench.settle()
    assert bench.rows("seating")["assignments"] == ROWS["seating"]["assignments"]
    bench.check()


def test_a_seat_that_is_taken_by_now_is_told_and_offered() -> None:
    bench = Bench(ROWS)
    boss, guest = bench.join("boss", "couple", 100), bench.join("gina", "guest", 200)
    guest.set("guests", "guests", "g_a", "rsvp:e_reception", "no")
    bench.sync(guest)
    bench.settle()
    boss.set(*SEATS, "g_b", None, {"table": "t_1", "seat": 0})
    bench.sync(boss)
    guest.set("guests", "guests", "g_a", "rsvp:e_reception", "yes")
    bench.sync(guest)
    bench.settle()
    (record,) = bench.reviews("S4")
    assert (record["_state"], record["_summary"]) == ("open", "A had seat 1 at table 1, which is taken by now.")
    bench.reopen()
    assert bench.reviews("S4")[0]["_state"] == "open"
    boss.set("seating", "review", record["id"], "choice", record["_options"][0]["id"])
    bench.sync(boss)
    assert bench.value(*SEATS, "g_a") == {"table": "t_1", "seat": None}
    bench.check()

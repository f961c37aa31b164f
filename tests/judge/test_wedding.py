"""What is taken down of accepted changes: writers, events, rows for the mirror; texts once in a while."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crdt_server.judge.ledger import Ledger, Writers, instant
from crdt_server.judge.text_edits import MOST_WRITERS, TEXT_SECONDS
from crdt_server.records import ClientOwner, CommandAnswer
from documents.events import fold
from documents.invariants import NOBODY, UNKNOWN, Field, Wedding, Writer
from tests.judge.bench import Bench, Replica
from tests.support.effort import examples

GUESTS = ("guests", "guests")
ROW = ("guests", "guests", "g_1")
ADA = Writer("ada", "couple", 100, 7, "2026-05-01T12:00:00.000Z")

WRITERS = st.builds(
    Writer,
    st.text(max_size=4),
    st.sampled_from(("couple", "guest")),
    st.integers(0, 100),
    st.integers(0, 2**53),
    st.text(max_size=4),
    st.sampled_from((UNKNOWN, None, 0, "x", True, {"a": [1, None]})),
)


@given(st.dictionaries(st.none() | st.text(min_size=1, max_size=4), WRITERS, min_size=1))
@settings(max_examples=examples(100))
def test_writers_are_packed_and_unpacked(of_row: dict[str | None, Writer]) -> None:
    writers = Writers()
    for key, writer in of_row.items():
        writers.put(ROW, key, writer)
    others = Writers()
    others.unpack(ROW, writers.pack(ROW))
    assert others.pack(ROW) == writers.pack(ROW), "before it is unpacked"
    assert {key: others.get(Field(*ROW, key)) for key in of_row} == of_row
    assert others.pack(ROW) == writers.pack(ROW), "and after"
    assert {field[:3] for field in others} == {ROW}


def test_nobody_wrote_what_is_not_known() -> None:
    writers = Writers()
    assert writers.get(Field(*ROW, "meal")) is NOBODY
    assert writers.pack(ROW) == "{}"
    writers.put(ROW, "meal", ADA)
    assert writers.get(Field(*ROW, "side")) is NOBODY
    assert writers.get((*ROW, "meal")) == ADA


def test_pending_records_are_taken_once() -> None:
    writers = Writers()
    ledger = Ledger(Wedding({}, writers), writers)  # type: ignore[arg-type]
    assert ledger.take("guests", {"guests": {}}, "now") is None
    pending = ledger.pending("guests")
    pending.rows |= {("guests", "g_2"), ("guests", "g_1")}
    pending.owners.append((7, "ada"))
    pending.answers.append(("key", "digest", "{}"))
    writers.put(ROW, "meal", ADA)
    at = "2026-05-01T12:00:00.000Z"
    taken = ledger.take("guests", {"guests": {"g_1": {"meal": "fish"}}}, at)
    assert taken is not None
    assert [(*row[:2], row.fields) for row in taken.rows] == [
        ("guests", "g_1", '{"meal":"fish"}'),
        ("guests", "g_2", None),
    ]
    assert json.loads(taken.rows[0].writers) == {"meal": ["ada", "couple", 100, 7, "2026-05-01T12:00:00.000Z"]}
    assert (taken.events, taken.owners) == ([], [ClientOwner(7, "ada")])
    assert taken.answers == [CommandAnswer("key", "digest", "{}", datetime.fromisoformat(at))]
    assert ledger.take("guests", {"guests": {}}, "now") is None


def test_instants() -> None:
    assert instant(0) == "1970-01-01T00:00:00.000Z"
    assert instant(1_777_636_800.25) == "2026-05-01T12:00:00.250Z"


# -- texts


@pytest.fixture
def bench() -> Bench:
    bench = Bench({})
    ada = bench.join("ada", "couple", 100)
    ada.add(*GUESTS, "g_1", {"firstName": "Ann"})
    bench.sync(ada)
    bench.join("ben", "planner", 200)
    bench.events.clear()
    return bench


def type_in(bench: Bench, replica: Replica, text: str) -> None:
    replica.text(*GUESTS, "g_1", "note").insert(0, text)
    bench.sync(replica)


def edits(bench: Bench) -> list[tuple[str, Any, Any]]:
    return [
        (event["actor"]["user"], event["before"]["note"], event["after"]["note"])
        for event in bench.events
        if event["type"] == "doc.text_edited"
    ]


def test_many_edits_of_a_text_are_one_event(bench: Bench) -> None:
    ada = bench.replicas[0]
    for letter in "gniS":
        type_in(bench, ada, letter)
        bench.wait(TEXT_SECONDS / 5)
        bench.check()
    assert edits(bench) == []
    assert bench.state.next_due() == pytest.approx(TEXT_SECONDS / 5, abs=0.001)
    bench.wait(TEXT_SECONDS / 5)
    assert edits(bench) == [("ada", "", "Sing")]
    assert bench.state.next_due() is None
    type_in(bench, ada, "To ")
    bench.settle()
    assert edits(bench) == [("ada", "", "Sing"), ("ada", "Sing", "To Sing")]


def test_edits_of_several_hands_are_one_event_that_names_them_all(bench: Bench) -> None:
    ada, ben = bench.replicas
    type_in(bench, ada, "one")
    type_in(bench, ben, "two ")
    assert edits(bench) == []
    type_in(bench, ada, "three ")
    bench.settle()
    assert edits(bench) == [("ada", "", "three two one")]
    (event,) = bench.events
    assert event["others"] == [{"user": "ben", "role": "planner"}]
    type_in(bench, ben, "four ")
    bench.settle()
    assert edits(bench)[1:] == [("ben", "three two one", "four three two one")]
    assert "others" not in bench.events[-1]


def test_one_event_names_a_bounded_number_of_people(bench: Bench) -> None:
    crowd = [bench.join(f"u_{n}", "family", 1000 + n) for n in range(MOST_WRITERS + 1)]
    bench.events.clear()
    for replica in crowd:
        type_in(bench, replica, "x")
    assert [len(event["others"]) for event in bench.events] == [MOST_WRITERS - 1]
    bench.settle()
    assert [event["actor"]["user"] for event in bench.events] == ["u_0", crowd[-1].actor.user]
    bench.check()


def test_the_event_of_a_long_text_has_its_differences_only(bench: Bench) -> None:
    ada, ben = bench.replicas
    type_in(bench, ada, "x" * 19_000)
    bench.settle()
    history = list(bench.events)
    bench.events.clear()
    for _ in range(10):
        type_in(bench, ada, "a")
        note = ben.text(*GUESTS, "g_1", "note")
        note.insert(len(str(note)), "b")
        bench.sync(ben)
    bench.settle()
    (event,) = bench.events
    assert (event["before"], event["after"], event["fields"]) == (None, None, ["note"])
    assert event["edits"] == [
        {"index": 0, "removed": "", "inserted": "a" * 10},
        {"index": 19_010, "removed": "", "inserted": "b" * 10},
    ]
    assert len(json.dumps(event)) < 600
    assert fold([*history, event])["guests"]["guests"]["g_1"]["note"] == "a" * 10 + "x" * 19_000 + "b" * 10


def test_what_has_changed_nothing_in_the_end_is_no_event(bench: Bench) -> None:
    ada = bench.replicas[0]
    type_in(bench, ada, "Sings")
    note = ada.text(*GUESTS, "g_1", "note")
    del note[0:5]
    bench.sync(ada)
    bench.settle()
    assert edits(bench) == []
    bench.check()


def test_what_was_not_told_is_told_after_a_restart(bench: Bench) -> None:
    type_in(bench, bench.replicas[0], "Sings")
    bench.reopen()
    assert edits(bench) == []
    assert bench.state.next_due() == 0
    bench.settle()
    assert edits(bench) == [("ada", "", "Sings")]
    bench.reopen()
    bench.settle()
    assert len(edits(bench)) == 1
    bench.check()


def test_after_a_restart_all_writers_are_named_still(bench: Bench) -> None:
    ada, ben = bench.replicas
    type_in(bench, ada, "Sings")
    type_in(bench, ben, "Well. ")
    bench.reopen()
    bench.settle()
    assert edits(bench) == [("ada", "", "Well. Sings")]
    assert bench.events[-1]["others"] == [{"user": "ben", "role": "planner"}]


def test_a_document_that_is_closed_tells_when_it_is_open_again(bench: Bench) -> None:
    type_in(bench, bench.replicas[0], "Sings")
    bench.close("guests")
    assert bench.state.next_due() is None
    bench.now += 1000
    bench.state.set_time(bench.now)
    bench.state.run_scheduled()
    bench.state.build_doc(bench.documents["guests"])
    bench.wait(0)
    assert edits(bench) == [("ada", "", "Sings")]


# -- clocks


def test_a_clock_that_is_set_back_makes_nothing_wait_longer(bench: Bench) -> None:
    ada = bench.replicas[0]
    type_in(bench, ada, "Sings")
    ada.set("seating", "assignments", "g_a", None, {"table": "t_gone", "seat": 1})
    bench.sync(ada)
    due = bench.state.next_due()
    bench.wait(-3600)
    assert due == pytest.approx(bench.state.next_due())
    bench.settle()
    assert edits(bench) == [("ada", "", "Sings")]
    assert {record["_kind"] for record in bench.reviews()} >= {"S3"}
    bench.check()


def test_a_later_write_is_the_later_one_whatever_the_clock_of_its_host_says(bench: Bench) -> None:
    ada, ben = bench.replicas
    field = Field(*GUESTS, "g_1", "phone")
    ada.set(*field, "+44 7700 900001")
    bench.sync(ada)
    before = bench.state.wedding.writers.get(field)
    bench.now -= 3600
    bench.reopen()
    ben.set(*field, "+44 7700 900002")
    bench.sync(ben)
    after = bench.state.wedding.writers.get(field)
    assert (after.user, after.seq > before.seq, after.at < before.at) == ("ben", True, True)


# -- rows, events, imports


def test_events_and_mirror_follow_every_batch(bench: Bench) -> None:
    bench = Bench({})
    ada = bench.join("ada", "couple", 100)
    for step in (
        lambda: ada.add(*GUESTS, "g_1", {"firstName": "Ann", "household": "h_gone"}),
        lambda: ada.set(*GUESTS, "g_1", "rsvp:e_reception", "no"),
        lambda: ada.text(*GUESTS, "g_1", "note").insert(0, "Sings."),
        lambda: ada.set("seating", "assignments", "g_1", None, {"table": "t_gone", "seat": 1}),
        lambda: ada.doc("wedding").get("board", type=type(ada.text(*GUESTS, "g_1", "note"))).insert(0, "Ideas"),
        lambda: ada.set("budget", "meta", "", "limit", 100),
        lambda: ada.add("budget", "items", "b_1", {"name": "Band", "estimated": 500}),
        lambda: ada.delete("budget", "meta", "", "limit"),
        lambda: ada.set("budget", "contributions", "n_1", None, {"contributor": "Mei", "amount": 5}),
        lambda: ada.delete("budget", "contributions", "n_1"),
        lambda: ada.set(*GUESTS, "g_1", "meal", 5),
        lambda: ada.set("budget", "payments", "p_1", None, 5),
    ):
        step()
        bench.sync(ada)
        bench.check()
        bench.settle()
    bench.check()
    bench.check_history()
    assert {record["_kind"] for record in bench.reviews()} >= {"B1", "G5", "S3"}


def test_rows_the_store_does_not_have_are_an_import() -> None:
    bench = Bench({"guests": {"guests": {"g_1": {"firstName": "Ann"}}}})
    assert [(event["type"], event["actor"]["user"], event["cause"]) for event in bench.events] == [
        ("guest.added", "server", "import")
    ]
    bench.check()
    bench.check_history()
    bench.reopen()
    assert len(bench.events) == 1


def test_rows_of_the_store_that_the_document_has_not_are_taken_back() -> None:
    bench = Bench({"guests": {"guests": {"g_1": {"firstName": "Ann"}}}})
    bench.mirror["guests", "guests", "g_2"] = ('{"firstName":"Ghost"}', "{}")
    bench.reopen()
    assert bench.events[-1]["type"] == "guest.removed"
    bench.check()


def test_the_writer_of_a_field_survives_a_restart(bench: Bench) -> None:
    ada, ben = bench.replicas
    ada.set(*GUESTS, "g_1", "meal", "fish")
    bench.sync(ada)
    ben.set(*GUESTS, "g_1", "meal", "fish")
    bench.sync(ben)
    writer = bench.state.wedding.writers.get(Field(*ROW, "meal"))
    assert (writer.user, writer.role, writer.rank, writer.before) == ("ben", "planner", 80, "fish")
    bench.reopen()
    again = bench.state.wedding.writers.get(Field(*ROW, "meal"))
    assert again == writer
    bench.wait(1)
    ada.set(*GUESTS, "g_1", "meal", "beef")
    bench.sync(ada)
    assert bench.state.wedding.writers.get(Field(*ROW, "meal")).seq > writer.seq


def test_what_a_table_was_when_it_was_locked_is_not_forgotten_when_another_is() -> None:
    tables = {"t_1": {"capacity": 4}, "t_2": {"capacity": 4}}
    bench = Bench({"seating": {"tables": tables}, "guests": {"guests": {"g_1": {"firstName": "Ann"}}}})
    boss, hand = bench.join("boss", "couple", 100), bench.join("hand", "planner", 200)
    stamp = {"at": "2026-05-01T10:00:00Z", "by": "boss"}
    boss.set("wedding", "meta", "", "strategy:S7", "manual_review")
    boss.set("seating", "assignments", "g_1", None, {"table": "t_1", "seat": 1})
    boss.set("seating", "tables", "t_1", "locked", stamp)
    bench.sync(boss)
    bench.sync(hand)
    hand.set("seating", "assignments", "g_1", None, {"table": "t_2", "seat": 1})
    bench.sync(hand)
    assert [record["_state"] for record in bench.reviews("S7")] == ["open"]
    boss.set("seating", "tables", "t_2", "locked", stamp)
    bench.sync(boss)
    bench.settle()
    assert [record["_state"] for record in bench.reviews("S7")] == ["open"]
    bench.reopen()
    bench.settle()
    assert [record["_state"] for record in bench.reviews("S7")] == ["open"], "not after a restart either"
    boss.delete("seating", "tables", "t_1", "locked")
    boss.delete("seating", "tables", "t_2", "locked")
    bench.sync(boss)
    assert [record["_outcome"] for record in bench.reviews("S7")] == ["moot"]


def test_fixed_items_stay_where_they_were_when_the_wedding_went_live() -> None:
    bench = Bench({"timeline": {"items": {"i_1": {"start": 900, "duration": 30, "rigidity": "fixed"}}}})
    boss = bench.join("boss", "couple", 100)
    boss.set("wedding", "meta", "", "phase", "live")
    bench.sync(boss)
    boss.set("timeline", "items", "i_1", "start", 930)
    bench.sync(boss)
    assert [record["_state"] for record in bench.reviews("T5")] == ["open"]
    boss.set("wedding", "meta", "", "strategy:S1", "manual_review")
    bench.sync(boss)
    assert [record["_state"] for record in bench.reviews("T5")] == ["open"]
    bench.reopen()
    assert [record["_state"] for record in bench.reviews("T5")] == ["open"]
    boss.set("timeline", "items", "i_1", "start", 900)
    bench.sync(boss)
    assert [record["_outcome"] for record in bench.reviews("T5")] == ["moot"]

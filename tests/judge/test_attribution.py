"""The record of a conflict says what each party wrote, and what was there before; to nobody what they may not know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from documents.invariants import Field, Finding, Party, Subject, Wedding, Writer, attributed, review_row
from documents.invariants.review import MAX_RECORD_BYTES, in_language
from documents.sentences import Sentence
from documents.shared import review
from tests.documents.invariants.planning import NOW
from tests.judge.bench import Bench

ROWS: dict[str, Any] = {
    "wedding": {"meta": {"": {"date": "2026-06-20", "currency": "GBP"}}},
    "timeline": {"items": {"i_1": {"title": "Toast", "start": 900, "duration": 40}}},
    "budget": {"items": {"b_1": {"name": "Album", "quoted": 125_000}}},
    "guests": {"guests": {f"g_{each}": {"firstName": each.upper(), "meal": "soup"} for each in "ab"}},
    "care": {"care": {"g_a": {}}},
    "seating": {
        "tables": {"t_1": {"label": "1", "capacity": 4, "order": "a0"}, "t_2": {"label": "2", "capacity": 4}},
        "assignments": {"g_a": {"table": "t_2", "seat": 0}},
    },
}
MEAL = ("guests", "guests", "g_a", "meal")
SEAT = {"table": "t_1", "seat": 1}

CASES: list[tuple[str, tuple[Any, ...], tuple[Any, ...], dict[str, tuple[Any, str, str]]]] = [
    ("X1", (*MEAL, "fish"), (*MEAL, "beef"), {
        "hand": ("soup", "A, “meal”: fish; before that soup.", "A, „Essen“: Fisch; davor soup."),
        "boss": ("soup", "A, “meal”: beef; before that soup.", "A, „Essen“: Rind; davor soup."),
    }),
    ("X1", ("timeline", "items", "i_1", "start", 930), ("timeline", "items", "i_1", "start", 960), {
        "hand": (900, "Toast, “start”: 15:30; before that 15:00.", "Toast, „Beginn“: 15:30; davor 15:00."),
        "boss": (900, "Toast, “start”: 16:00; before that 15:00.", "Toast, „Beginn“: 16:00; davor 15:00."),
    }),
    ("X1", ("budget", "items", "b_1", "actual", 130_000), ("budget", "items", "b_1", "actual", 120_050), {
        "hand": (None, "Album, “actual amount”: £1,300.00; before that nothing.",
                 "Album, „tatsächlicher Betrag“: 1.300,00 £; davor nichts."),
        "boss": (None, "Album, “actual amount”: £1,200.50; before that nothing.",
                 "Album, „tatsächlicher Betrag“: 1.200,50 £; davor nichts."),
    }),
    ("S1", ("seating", "assignments", "g_a", None, SEAT), ("seating", "assignments", "g_b", None, SEAT), {
        "hand": ({"table": "t_2", "seat": 0}, "A, “seat”: table 1, seat 2; before that table 2, seat 1.",
                 "A, „Platz“: Tisch 1, Platz 2; davor Tisch 2, Platz 1."),
        "boss": (None, "B, “seat”: table 1, seat 2; before that nothing.",
                 "B, „Platz“: Tisch 1, Platz 2; davor nichts."),
    }),
    ("X2", (*MEAL, "fish"), (*MEAL[:3], "deleted", {"at": NOW, "by": "boss"}), {
        "hand": ("soup", "A, “meal”: fish; before that soup.", "A, „Essen“: Fisch; davor soup."),
        "boss": (None, "A, “deleted”: yes; before that nothing.", "A, „gelöscht“: ja; davor nichts."),
    }),
]  # fmt: skip


def apart(bench: Bench, *writes: tuple[str, str, tuple[Any, ...]]) -> None:
    """Each writes without knowing of the others, and they come back in this order. A write: user, role, and field with
    value."""
    people = [bench.join(user, role, 100 + number) for number, (user, role, _) in enumerate(writes)]
    bench.part(*people)
    for person, (_, _, write) in zip(people, writes, strict=True):
        person.set(*write)
    for person in people:
        bench.sync(person)
    bench.settle()
    bench.check()


@pytest.mark.parametrize(("invariant", "one", "other", "expected"), CASES)
def test_what_each_wrote_over_what(
    invariant: str, one: tuple[Any, ...], other: tuple[Any, ...], expected: dict[str, tuple[Any, str, str]]
) -> None:
    bench = Bench(ROWS)
    apart(bench, ("hand", "planner", one), ("boss", "couple", other))
    (record,) = bench.reviews(invariant)
    german = in_language(record, "de", {})
    found = {
        party["user"]: (party["before"], party["text"], translated["text"])
        for party, translated in zip(record["_parties"], german["_parties"], strict=True)
    }
    assert found == expected
    for party in record["_parties"]:
        subject = record["_subject"][party["subject"]]
        written = one if party["user"] == "hand" else other
        assert (subject["document"], subject["root"], subject["record"], subject.get("key")) == written[:4]


def test_of_three_who_write_apart_none_is_what_was_before() -> None:
    bench = Bench(ROWS)
    writes = {"hand": ("planner", "fish"), "boss": ("couple", "beef"), "aunt": ("family", "cake")}
    apart(bench, *((user, role, (*MEAL, meal)) for user, (role, meal) in writes.items()))
    (record,) = bench.reviews("X1")
    found = {(each["value"], each["before"]) for each in record["_parties"]}
    assert found == {("beef", "soup"), ("cake", "soup")}


def test_a_record_has_nothing_of_before_from_other_documents() -> None:
    """Who reads `care` reads a part of `guests`, and no history of it."""
    bench = Bench(ROWS)
    hand = bench.join("hand", "planner", 100)
    hand.set("care", "care", "g_a", "diet:vegan", True)
    hand.set(*MEAL, "beef")
    bench.sync(hand)
    bench.settle()
    (record,) = bench.reviews("C1")
    assert record["document"] == "care"
    parties = {record["_subject"][each["subject"]]["document"]: each for each in record["_parties"]}
    assert parties["care"]["text"] == "A, “diet (vegan)”: yes; before that nothing."
    assert parties["guests"].keys() == {"user", "role", "at", "subject", "value"}
    assert "soup" not in json.dumps(record)


def finding(field: Field, value: Any, *, before: Any, parties: int = 1) -> Finding:
    writer = Writer("hand", "planner", 80, 1, NOW, before)
    fields = [field._replace(record=f"{field.record}{number}") for number in range(parties)]
    written = tuple(Party(each, value, writer) for each in fields)
    return Finding(Subject("S1", ("x",)), "error", Sentence("leave"), "manual_review", written)


def test_of_messages_nothing_is_kept_that_a_redaction_would_have_to_find() -> None:
    message = Field("thread.t_1", "messages", "m")
    found = attributed(Wedding({}), finding(message, {"body": "new"}, before={"body": "secret"}), "thread.t_1")
    assert "secret" not in json.dumps(review_row(found, NOW))


@pytest.mark.parametrize("before", ["y" * 200, "y" * 5000, {"unreadable": object()}])
def test_a_record_does_not_grow_with_what_is_said(before: Any) -> None:
    field = Field("timeline", "items", "i_", "title")
    said = attributed(Wedding({}), finding(field, "x" * 200, before=before, parties=20), "timeline")
    row = review_row(said, NOW)
    assert not list(review().check_row("c_0123456789", row))
    assert len(row["_parties"]) == 20
    assert len(json.dumps(row)) < MAX_RECORD_BYTES / 2

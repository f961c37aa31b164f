"""Sentences for people: every rule, in every language, without ids, code and values as programs write them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from string import Formatter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from documents.fields import Enum, FieldType, ListOf
from documents.invariants import INVARIANTS, Field, Finding, Writer, Written, clashes, edit_of_deleted, lost_write
from documents.invariants.bookings import Booking
from documents.invariants.review import in_language, review_row
from documents.invariants.wording import label_of, shown
from documents.registry import KINDS
from documents.sentences import (
    CATALOGUE,
    LANGUAGES,
    Sentence,
    as_json,
    money,
    of_json,
    sentence,
    time,
    to_text,
    user,
    word,
)
from tests.documents.invariants.planning import NOW, Planning

COUPLE, PLANNER = Writer("u_couple01", "couple", 100, 5, NOW), Writer("u_planner1", "planner", 80, 4, NOW)
SERVER = Writer("server", "server", 0, 6, NOW)
START = Field("timeline", "items", "i_start0001", "start")
SEAT = Field("seating", "assignments", "g_seated001")
CODE = re.compile(r"[{}\[\]\"'`]|\b(None|True|False|dict|server|null|undefined)\b|\b[a-z]{1,3}_[a-z0-9]+|\w+_\w+|_|GBP")


def timeline(planning: Planning, *names: str, **keys: Any) -> None:
    for nth, name in enumerate(names):
        planning.add("maria", "timeline", "items", name, title=name[2:].title(), start=900 + nth, duration=60, **keys)


def guests(planning: Planning, *names: str, **keys: Any) -> None:
    for name in names:
        planning.add("maria", "guests", "guests", name, firstName=name[2:].title(), household=f"h_{name}", **keys)
        planning.add("maria", "guests", "households", f"h_{name}", name="Tan")


def tables(planning: Planning, *seats: dict[str, Any], capacity: int = 8) -> None:
    for nth in (1, 2):
        planning.add("maria", "seating", "tables", f"t_{nth}", label=str(nth), capacity=capacity)
    names = [f"g_{name}" for name in ("ann", "bob", "cy")[: len(seats)]]
    guests(planning, *names)
    for name, seat in zip(names, seats, strict=True):
        planning.write("maria", "seating", "assignments", name, None, seat)


def item(planning: Planning, **keys: Any) -> None:
    planning.add("maria", "budget", "items", "b_cake", name="Cake", category="c_food", **keys)


def pay(planning: Planning, who: str, payment: str, amount: int) -> None:
    value = {"item": "b_cake", "amount": amount, "on": "2026-03-01", "kind": "deposit"}
    planning.write(who, "budget", "payments", payment, None, value)


def meta(planning: Planning, document: str, **keys: Any) -> None:
    for key, value in keys.items():
        planning.write("chloe", document, "meta", "", key, value)


def t3(planning: Planning) -> None:
    timeline(planning, "i_one", "i_two", place="p_hall")
    planning.write("maria", "wedding", "places", "p_oak", "capacity", 1)
    guests(planning, "g_ann", "g_bob", **{"rsvp__e_ceremony": "yes"})


def t4(planning: Planning) -> None:
    timeline(planning, "i_one", "i_two")
    planning.write("maria", "timeline", "items", "i_two", "after:i_one", 10)


def t5(planning: Planning) -> None:
    timeline(planning, "i_one", minDuration=10, rigidity="fixed")
    meta(planning, "wedding", hardEnd=930, phase="live")
    planning.context(planned={"i_one": 840})


def b2(planning: Planning) -> None:
    planning.add("maria", "budget", "categories", "c_food", name="Food", allocated=500)
    planning.add("maria", "budget", "categories", "c_else", allocated=500)
    meta(planning, "budget", limit=900)
    item(planning, quoted=800)
    planning.write("aroha", "budget", "items", "b_cake", "quoted", 850)


def b3(planning: Planning) -> None:
    item(planning, actual=1000)
    pay(planning, "maria", "pay_one", 1500)


def b4(planning: Planning) -> None:
    item(planning, actual=125_000)
    pay(planning, "maria", "pay_one", 125_000)
    pay(planning, "aroha", "pay_two", 125_000)


def b5(planning: Planning) -> None:
    meta(planning, "budget", mustApproveOver=1000)
    item(planning, quoted=900)
    planning.write("maria", "budget", "items", "b_cake", "quoted", 2000)


def g3(planning: Planning) -> None:
    guests(planning, "g_ann", "g_bob")
    planning.write("maria", "guests", "guests", "g_bob", "plusOneOf", "g_ann")


def g4(planning: Planning) -> None:
    guests(planning, "g_ann")
    meta(planning, "wedding", rsvpBy="2026-04-01")
    planning.write("gina", "guests", "guests", "g_ann", "rsvp:e_reception", "maybe")


def g5(planning: Planning) -> None:
    guests(planning, "g_ann", "g_bob")
    planning.write("maria", "guests", "guests", "g_ann", "plusOneOf", "g_bob")
    planning.write("maria", "guests", "guests", "g_bob", "deleted", {"at": NOW, "by": "maria"})
    planning.write("maria", "guests", "households", "h_g_ann", "deleted", {"at": NOW, "by": "maria"})


def s3(planning: Planning) -> None:
    tables(planning, {"table": "t_1", "seat": 9}, {"table": "t_2", "seat": 1})
    planning.write("maria", "seating", "tables", "t_2", "deleted", {"at": NOW, "by": "maria"})


def s4(planning: Planning) -> None:
    tables(planning, {"table": "t_1", "seat": 1}, {"table": "t_2", "seat": 1})
    planning.write("maria", "guests", "guests", "g_ann", "rsvp:e_reception", "no")
    planning.write("maria", "guests", "guests", "g_bob", "deleted", {"at": NOW, "by": "maria"})


def s5(planning: Planning) -> None:
    tables(planning, {"table": "t_1", "seat": 1}, {"table": "t_1", "seat": 2})
    planning.add("maria", "seating", "rules", "r_one", kind="apart", hard=True, guest__g_ann=True, guest__g_bob=True)


def s6(planning: Planning) -> None:
    tables(planning, {"table": "t_1", "seat": 1}, {"table": "t_2", "seat": 2})
    planning.add("maria", "seating", "rules", "r_one", kind="together", guest__g_ann=True, guest__g_bob=True)


def s7(planning: Planning) -> None:
    tables(planning, {"table": "t_1", "seat": 1})
    planning.locked("seating", "t_1", "chloe")
    planning.write("maria", "seating", "assignments", "g_ann", None, {"table": "t_2", "seat": 1})


def c1(planning: Planning) -> None:
    guests(planning, "g_ann", meal="beef")
    planning.add("maria", "care", "care", "g_ann", allergy__tree_nuts="severe", diet__vegan=True)


def w1(planning: Planning) -> None:
    planning.write("maria", "wedding", "meta", "", "timeZone", "Europe/Paris")
    for name in ("chloe", "aroha"):
        planning.write("maria", "wedding", "members", name, "role", "guest")


def w3(planning: Planning) -> None:
    planning.add("maria", "wedding", "vendors", "v_two", category="photographer", stage="booked")


def m1(planning: Planning) -> None:
    for who, text in (("gina", "Hello"), ("leo", "Bye")):
        value = {"from": "gina", "at": NOW, "kind": "text", "body": text}
        planning.write(who, "thread.th_one", "messages", "m_one", None, value)


BROKEN: dict[str, Callable[[Planning], None]] = {
    "T1": lambda it: (timeline(it, "i_one", place="p_oak", vendor__v_lens=True),
                      timeline(it, "i_two", place="p_hall", vendor__v_lens=True))[0],
    "T2": lambda it: timeline(it, "i_one", "i_two", "i_three", person__best_man=True),
    "T3": t3,
    "T4": t4,
    "T5": t5,
    "T6": lambda it: timeline(it, "i_one", vendor__v_gone=True, place="p_gone"),
    "B1": lambda it: (meta(it, "budget", limit=1000), item(it, quoted=125_000))[0],
    "B2": b2, "B3": b3, "B4": b4, "B5": b5,
    "G1": lambda it: guests(it, "g_ann", "g_bob", email="a@b.example"),
    "G2": lambda it: (it.write("maria", "wedding", "events", "e_reception", "capacity", 1),
                      guests(it, "g_ann", "g_bob", rsvp__e_reception="yes"))[1],
    "G3": g3, "G4": g4, "G5": g5,
    "S1": lambda it: tables(it, {"table": "t_1", "seat": 4}, {"table": "t_1", "seat": 4}),
    "S2": lambda it: tables(it, *[{"table": "t_1", "seat": None}] * 3, capacity=2),
    "S3": s3, "S4": s4, "S5": s5, "S6": s6, "S7": s7, "C1": c1, "W1": w1, "W3": w3, "M1": m1,
}  # fmt: skip


def found(rule: str) -> Iterator[Finding]:
    """What a rule finds, with names of records and people, and without."""
    if rule == "X1":
        wedding = Planning().wedding
        for field, one, other in (
            (START, 930, None),
            (SEAT, {"table": "t_gone0001", "seat": 2}, {"table": "t_gone0001", "seat": None}),
            (Field("guests", "guests", "g_seated001", "rsvp:e_reception"), "yes", "no"),
            (Field("guests", "guests", "g_seated001", "x:acme.data"), {"id": 4711}, [None, True]),
            (Field("budget", "items", "b_item00001", "quoted"), 125_000, 130_000),
        ):
            for first, second in ((COUPLE, PLANNER), (SERVER, PLANNER), (COUPLE, SERVER)):
                finding = lost_write("manual_review", field, Written(one, first), Written(other, second), wedding)
                assert finding is not None
                yield finding
        return
    if rule == "X2":
        for deleter in (COUPLE, SERVER):
            yield edit_of_deleted("manual_review", START, Written({}, deleter), Written(930, PLANNER))
        return
    if rule == "W2":
        one = Booking("o_lens00001", "w_one", "v_lens00001", 29_000_000, 29_000_100, "booked", 1, vouched=True)
        other = one._replace(wedding="w_two", vendor="v_lens00002", seq=2)
        for vouched in (True, False):
            pair = [each._replace(vouched=vouched) for each in (one, other)]
            yield from (finding for each in clashes(pair).values() for finding in each)
        return
    for is_named in (True, False):
        planning = Planning()
        BROKEN[rule](planning)
        yield from (each for each in planning.index.all() if each.invariant == rule and is_named)
        if not is_named:
            _take_names(planning.documents)
            yield from (each for each in Planning(planning.documents).index.all() if each.invariant == rule)


def _take_names(documents: Any) -> None:
    for roots in documents.values():
        for row in (row for rows in roots.values() for row in rows.values() if isinstance(row, dict)):
            for key in ("title", "name", "label", "firstName", "lastName"):
                row.pop(key, None)


@pytest.mark.parametrize("rule", sorted(INVARIANTS))
def test_sentences_of_a_rule(rule: str) -> None:
    findings = list(found(rule))
    assert findings
    for finding in findings:
        row = json.loads(json.dumps(review_row(finding, NOW)))
        assert all(party["user"] != "server" for party in row["_parties"])
        assert len(row["_options"]) == len(finding.options)
        for language in sorted(LANGUAGES):
            shown = in_language(row, language, {})
            texts = [shown["_summary"], *(option["text"] for option in shown["_options"])]
            for text in texts:
                assert CODE.search(text) is None, text
                assert "…" not in text
                assert text[0].upper() == text[0], text
                assert text.endswith("."), text
        assert in_language(row, "en", {}) == row
        assert in_language(row, "de", {})["_summary"] != row["_summary"]


def test_names_come_from_members_else_from_presence_else_the_role_is_named() -> None:
    wedding = Planning().wedding
    chloe = Writer("chloe", "couple", 100, 1, NOW)
    finding = lost_write("manual_review", START, Written(930, chloe), Written(945, PLANNER), wedding)
    assert finding is not None
    assert finding.summary == (
        "Chloe and a planner changed “start” of an item without a title without knowing of each other."
    )
    assert [option.text for option in finding.options] == [
        "Keep what Chloe wrote: 15:30.", "Keep what a planner wrote: 15:45."
    ]  # fmt: skip
    shown = in_language(review_row(finding, NOW), "de", {"u_planner1": "Maria", "chloe": "X"})
    assert shown["_options"][1]["text"] == "Behalten, was Maria eingetragen hat: 15:45."


@pytest.mark.parametrize(
    ("field", "value", "english", "german"),
    [
        (START, -360, "18:00 -1", "18:00 -1"),
        (START._replace(key="duration"), 90, "1 h 30", "1 h 30"),
        (START._replace(key="keyMoment"), False, "no", "nein"),
        (START._replace(key="place"), "p_oak", "Old oak", "Old oak"),
        (START._replace(key="place"), "p_gone", "a place without a name", "ein Ort ohne Namen"),
        (START._replace(key="order"), "a0", "another place", "ein anderer Ort"),
        (START._replace(key="actualEnd"), "2026-06-20T14:05:00Z", "20 June 2026, 15:05 (UTC+01:00)",
         "20. Juni 2026, 15:05 Uhr (UTC+01:00)"),
        (SEAT, {"table": "t_4", "seat": 2}, "table 4, seat 3", "Tisch 4, Platz 3"),
        (SEAT, None, "nothing", "nichts"),
        (Field("budget", "meta", "", "limit"), 125_000, "£1,250.00", "1.250,00 £"),
        (Field("wedding", "meta", "", "date"), "2026-06-20", "20 June 2026", "20. Juni 2026"),
        (Field("wedding", "tasks", "k_1", "assignee"), "chloe", "Chloe", "Chloe"),
        (Field("wedding", "tasks", "k_1", "done"), {"at": NOW, "by": "maria"}, "yes", "ja"),
        (Field("wedding", "tasks", "k_1", "item"), "i_secret", "an item of the timeline", "ein Punkt des Ablaufs"),
        (Field("wedding", "vendors", "v_1", "bookedWindow"), {"start": 840, "end": 1500}, "14:00 to 01:00 +1",
         "14:00 bis 01:00 +1"),
        (Field("guests", "guests", "g_1", "rsvp:e_reception"), "maybe", "maybe", "vielleicht"),
        (Field("guests", "guests", "g_1", "party"), "best_man", "best man", "best man"),
        (Field("guests", "guests", "g_1", "x:acme.data"), [1], "data of a program", "Daten eines Programms"),
        (Field("guests", "households", "h_1", "address"), {"line1": "1 Lake Road", "country": "NZ"},
         "1 Lake Road, NZ", "1 Lake Road, NZ"),
    ],
)  # fmt: skip
def test_values_are_shown_as_people_write_them(field: Field, value: Any, english: str, german: str) -> None:
    planning = Planning()
    planning.add("maria", "seating", "tables", "t_4", label="4")
    planning.add("maria", "timeline", "items", "i_secret", title="For the team alone")
    said = sentence("X1.keep_by_rule", value=shown(planning.wedding, field, value))
    assert to_text(said) == f"Keep what the rule wrote: {english}."
    assert to_text(said, "de") == f"Behalten, was die Regel eingetragen hat: {german}."


def test_labels_of_families_say_what_they_are_about() -> None:
    planning = Planning()
    label = label_of(planning.wedding, Field("guests", "guests", "g_1", "rsvp:e_reception"))
    assert to_text(sentence("W1.only", field=label)) == "Only the couple sets “answer (Reception)”."


def test_the_languages_have_the_same_texts_with_the_same_values() -> None:
    assert set(CATALOGUE) == LANGUAGES
    for one, other in pairwise(CATALOGUE.values()):
        assert list(one) == list(other)
        for id in one:
            names = [{name for _, name, _, _ in Formatter().parse(texts[id]) if name} for texts in (one, other)]
            assert names[0] == names[1], id


def words_of(type_: FieldType) -> Iterator[str]:
    if isinstance(type_, Enum):
        yield from type_.values
    elif isinstance(type_, ListOf):
        yield from words_of(type_.inner)


def test_every_key_and_every_word_of_the_kinds_has_a_text() -> None:
    missing = set()
    for kind in KINDS:
        for root in (root for root in kind.roots.values() if root.name != "review"):
            missing |= {f"unnamed.{root.name}"} if root.name != "meta" and not root.server else set()
            missing |= {f"field.{root.name}"} if root.type is not None and not root.server else set()
            for name, key in ({**root.keys, **root.families}).items():
                if not key.server and not root.server:
                    missing |= {f"field.{name}", *(f"word.{each}" for each in words_of(key.type))}
    assert sorted(missing - set(CATALOGUE["en"])) == []


def test_a_word_that_no_language_has_is_read_as_people_write_it() -> None:
    assert [word(code, "de") for code in ("tree_nuts", "bestMan", "nut-free", "vegan")] == [
        "tree nuts", "best Man", "nut free", "vegan"
    ]  # fmt: skip


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["money", "currency", "time", "day", "moment", "zone", "span", "user", "name", "word", "all",
                         "more", "joint", "say", "values", "field", "of", "unnamed", "length"]),
        inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@example({"say": None, "values": None}, "B.back", "de")
@given(VALUES, st.sampled_from(sorted(CATALOGUE["en"])), st.sampled_from(sorted(LANGUAGES)))
def test_whatever_a_sentence_holds_gives_a_text(value: Any, id: str, language: str) -> None:
    said = of_json({"id": id, "values": dict.fromkeys(("who", "item", "count", "guest", "value", "record"), value)})
    assert said is not None
    assert isinstance(to_text(said, language), str)
    assert of_json(value) is None or isinstance(of_json(value), Sentence)


def test_braces_that_people_type_stay_what_they_are() -> None:
    said = sentence("T5.begin", item="{time} {0.__class__}", time=time(930))
    assert to_text(said) == "{time} {0.__class__} begins at 15:30."
    assert of_json(json.loads(json.dumps(as_json(said)))) == said
    assert to_text(Sentence("no.such.sentence")) == "…"
    assert len(to_text(sentence("T5.skip", item="x" * 900))) == 500
    assert to_text(sentence("B.limit", amount=money(5, "GBP"))) == "Set the limit to £0.05."
    assert to_text(sentence("M1", who=user("u_x", "", ""))) == "Somebody changed a message."

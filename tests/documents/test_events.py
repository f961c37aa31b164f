"""What changes of documents mean: the type of each, and that nothing changes without an event that tells all of it."""

from __future__ import annotations

import copy
import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from documents import KINDS, WHOLE, Root, Shape, kind_of
from documents.changes import Changes, RowsByRoot, compare
from documents.events import TYPES, Actor, DocumentEvent, events_of, fold, priority_of
from documents.events.rules import RULES, On, Rule
from documents.fields import Enum
from documents.readers import canonical_json
from documents.rows import read
from tests.support.effort import examples

MARIA = Actor("u_maria", "coordinator")
AT = "2026-06-20T02:14:05.120Z"
STAMP = {"at": AT, "by": "u_maria"}
ROOTS = {(kind.name, root.name): root for kind in KINDS for root in kind.roots.values()}


class Document:
    """A document whose every change is taken for events."""

    def __init__(self, name: str) -> None:
        kind = kind_of(name)
        assert kind is not None
        self.name, self.kind, self.doc = name, kind, Doc[Any]()
        self.rows = read(kind, self.doc)

    def root(self, name: str) -> Map[Any]:
        return self.doc.get(name, type=Map)

    def add(self, root: str, record: str, keys: dict[str, Any], **more: Any) -> list[DocumentEvent]:
        self.root(root)[record] = Map(keys)
        return self.take(**more)

    def edit(self, root: str, record: str, keys: dict[str, Any], **more: Any) -> list[DocumentEvent]:
        """Set keys of a record in one transaction; None deletes a key."""
        with self.doc.transaction():
            for key, value in keys.items():
                if value is None:
                    del self.root(root)[record][key]
                else:
                    self.root(root)[record][key] = value
        return self.take(**more)

    def put(self, root: str, record: str, value: Any) -> list[DocumentEvent]:
        """Set a row that is one value, or a key of a root that is one record; None deletes it."""
        if value is None:
            del self.root(root)[record]
        else:
            self.root(root)[record] = value
        return self.take()

    def take(self, **more: Any) -> list[DocumentEvent]:
        before, self.rows = self.rows, read(self.kind, self.doc)
        changes = Changes([], [], [])
        for name, root in self.kind.roots.items():
            for record in sorted(before[name].keys() | self.rows[name].keys()):
                compare(root, record, before[name].get(record), self.rows[name].get(record), changes)
        return events_of(self.kind, self.name, changes, MARIA, AT, **more)


def told(events: Iterable[DocumentEvent]) -> list[tuple[str, tuple[str, ...], Any, Any]]:
    return [(event.type, event.fields, event.before, event.after) for event in events]


def test_a_record_is_added_changed_and_removed() -> None:
    guests = Document("guests")
    keys = {"firstName": "Ann", "rsvp:e_1": "pending", "note": Text("")}
    assert told(guests.add("guests", "g_1", keys)) == [
        (
            "guest.added",
            ("firstName", "note", "rsvp:e_1"),
            None,
            {"firstName": "Ann", "note": "", "rsvp:e_1": "pending"},
        )
    ]
    assert told(guests.edit("guests", "g_1", {"firstName": None, "lastName": "Lee", "rsvp:e_1": "yes"})) == [
        ("guest.rsvp", ("rsvp:e_1",), {"rsvp:e_1": "pending"}, {"rsvp:e_1": "yes"}),
        ("guest.changed", ("firstName", "lastName"), {"firstName": "Ann"}, {"lastName": "Lee"}),
    ]
    guests.root("guests")["g_1"]["note"].insert(0, "Sings")
    assert told(guests.take()) == [("doc.text_edited", ("note",), {"note": ""}, {"note": "Sings"})]
    del guests.root("guests")["g_1"]
    everything = {"lastName": "Lee", "note": "Sings", "rsvp:e_1": "yes"}
    assert told(guests.take()) == [("guest.removed", ("lastName", "note", "rsvp:e_1"), everything, None)]


def test_a_record_is_deleted_softly_and_restored() -> None:
    guests = Document("guests")
    guests.add("guests", "g_1", {"firstName": "Ann"})
    assert told(guests.edit("guests", "g_1", {"deleted": STAMP, "meal": "fish"})) == [
        ("guest.removed", ("deleted",), {}, {"deleted": STAMP}),
        ("guest.changed", ("meal",), {}, {"meal": "fish"}),
    ]
    assert told(guests.edit("guests", "g_1", {"deleted": None})) == [
        ("guest.restored", ("deleted",), {"deleted": STAMP}, {})
    ]


def test_records_without_keys_come_and_go() -> None:
    seating = Document("seating.e_1")
    assert told(seating.add("tables", "t_1", {})) == [("seating.table", (), None, {})]
    del seating.root("tables")["t_1"]
    assert told(seating.take()) == [("seating.table", (), {}, None)]


def test_rows_of_one_value_and_texts() -> None:
    seating, here, there = Document("seating"), {"table": "t_1", "seat": 4}, {"table": "t_2", "seat": None}
    assert told(seating.put("assignments", "g_1", here)) == [("seating.assigned", (), None, here)]
    assert told(seating.put("assignments", "g_1", there)) == [("seating.assigned", (), here, there)]
    assert told(seating.put("assignments", "g_1", None)) == [("seating.unassigned", (), there, None)]

    wedding = Document("wedding")
    wedding.doc.get("board", type=Text).insert(0, "Ideas")
    (event,) = wedding.take()
    assert told([event]) == [("doc.text_edited", (), None, "Ideas")]
    assert (event.root, event.record, event.priority) == ("board", WHOLE, 4)


def test_a_root_that_is_one_record_has_only_keys() -> None:
    budget = Document("budget")
    with budget.doc.transaction():
        budget.root("meta")["limit"] = 100
        budget.root("meta")["mustApproveOver"] = 10
    assert told(budget.take()) == [
        ("budget.limit", ("limit",), None, {"limit": 100}),
        ("budget.changed", ("mustApproveOver",), None, {"mustApproveOver": 10}),
    ]
    assert told(budget.put("meta", "limit", 200)) == [("budget.limit", ("limit",), {"limit": 100}, {"limit": 200})]


MEANINGS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, tuple[str, ...]]]] = [
    ("timeline.items", {}, {"start": 1, "title": "x"}, {"timeline.item.moved": ("start",),
                                                        "timeline.item.changed": ("title",)}),
    ("timeline.items", {"duration": 9}, {"duration": None, "order": "a1", "place": "p_1"},
     {"timeline.item.moved": ("duration", "order", "place")}),
    ("timeline.items", {}, {"status": "done", "actualEnd": AT}, {"timeline.status": ("actualEnd", "status")}),
    ("timeline.items", {}, {"vendor:v_1": True, "vendorNote:v_1": "n", "_unstaffed": True},
     {"timeline.item.changed": ("_unstaffed", "vendor:v_1", "vendorNote:v_1")}),
    ("timeline.emergencies", {}, {"acknowledgedBy:u_dj": AT}, {"emergency.acked": ("acknowledgedBy:u_dj",)}),
    ("timeline.emergencies", {}, {"closed": STAMP}, {"emergency.closed": ("closed",)}),
    ("timeline.emergencies", {"closed": STAMP}, {"closed": None}, {"emergency.reopened": ("closed",)}),
    ("timeline.emergencies", {}, {"severity": "critical"}, {"emergency.changed": ("severity",)}),
    ("wedding.vendors", {"stage": "quoted"}, {"stage": "booked"}, {"vendor.booked": ("stage",)}),
    ("wedding.vendors", {"stage": "booked"}, {"stage": "cancelled", "dayStatus": "no_show"},
     {"vendor.cancelled": ("stage",), "vendor.day_status": ("dayStatus",)}),
    ("wedding.vendors", {"stage": "booked"}, {"stage": None}, {"vendor.changed": ("stage",)}),
    ("wedding.tasks", {}, {"done": STAMP}, {"task.done": ("done",)}),
    ("wedding.tasks", {"done": STAMP}, {"done": None, "due": "2026-01-01"}, {"task.reopened": ("done",),
                                                                          "task.changed": ("due",)}),
    ("wedding.members", {"role": "vendor"}, {"role": "venue"}, {"member.role": ("role",)}),
    ("guests.guests", {}, {"checkedIn": STAMP}, {"guest.checked_in": ("checkedIn",)}),
    ("guests.guests", {"checkedIn": STAMP}, {"checkedIn": None}, {"guest.check_in_undone": ("checkedIn",)}),
    ("guests.guests", {"rsvp:e_1": "yes"}, {"rsvp:e_1": None, "rsvp:e_2": "no"},
     {"guest.rsvp": ("rsvp:e_1", "rsvp:e_2")}),
    ("guests.guests", {}, {"x:acme.rsvp": 1}, {"guest.changed": ("x:acme.rsvp",)}),
    ("care.care", {}, {"allergy:nut": "severe"}, {"care.changed": ("allergy:nut",)}),
    ("care.care", {}, {"acknowledgedBy:u_1": AT}, {"care.acknowledged": ("acknowledgedBy:u_1",)}),
    ("budget.items", {"quoted": 1}, {"quoted": 2}, {"budget.item.changed": ("quoted",)}),
    ("budget.approvals", {}, {"approvedBy:u_1": AT, "_state": "approved"},
     {"approval.decided": ("_state", "approvedBy:u_1")}),
    ("budget.approvals", {"_state": "approved"}, {"_state": "pending"}, {"approval.changed": ("_state",)}),
    ("budget.review", {"_state": "open"}, {"choice": 1, "say": "ok"}, {"conflict.choice": ("choice", "say")}),
    ("budget.review", {"_state": "open"}, {"_state": "resolved", "_outcome": "moot", "_closedAt": AT, "choice": 1},
     {"conflict.resolved": ("_closedAt", "_outcome", "_state"), "conflict.choice": ("choice",)}),
    ("budget.review", {"_state": "open"}, {"_state": "expired"}, {"conflict.resolved": ("_state",)}),
    ("budget.review", {"_state": "auto", "_by": "u_1"}, {"_state": "open", "_by": None},
     {"conflict.reopened": ("_by", "_state")}),
    ("budget.review", {"_state": "open"}, {"_summary": "x", "_by": "u_1"}, {"conflict.changed": ("_by", "_summary")}),
]  # fmt: skip


@pytest.mark.parametrize(("place", "keys", "edits", "expected"), MEANINGS)
def test_what_a_change_means(
    place: str, keys: dict[str, Any], edits: dict[str, Any], expected: dict[str, tuple[str, ...]]
) -> None:
    name, _, root = place.partition(".")
    document = Document(name)
    document.add(root, "r_1", keys)
    assert {event.type: event.fields for event in document.edit(root, "r_1", edits)} == expected


@pytest.mark.parametrize(
    ("state", "type"), [("open", "opened"), ("auto", "auto"), ("resolved", "resolved"), ("expired", "resolved")]
)
def test_a_conflict_appears_in_one_of_its_states(state: str, type: str) -> None:
    (event,) = Document("care").add("review", "c_1", {"_kind": "C1", "_state": state})
    assert event.type == f"conflict.{type}"


def test_a_conflict_about_the_limit_of_the_budget_is_told_twice_and_folded_once() -> None:
    budget = Document("budget")
    events = budget.add("review", "c_1", {"_kind": "B1", "_state": "open", "_severity": "error"})
    assert [(event.type, event.priority) for event in events] == [("conflict.opened", 2), ("budget.over_limit", 2)]
    assert told(events)[1] == ("budget.over_limit", (), None, None)
    assert fold(events)["budget"]["review"] == budget.rows["review"]
    assert fold(events[1:]) == {}


@pytest.mark.parametrize(("severity", "priority"), [("critical", 1), ("error", 2), ("warning", 3), ("info", 3)])
def test_how_bad_a_conflict_is_decides_how_urgent_it_is(severity: str, priority: int) -> None:
    (event,) = Document("care").add("review", "c_1", {"_state": "open", "_severity": severity})
    assert event.priority == priority


def test_the_day_itself_makes_times_and_vendors_urgent() -> None:
    timeline, wedding, guests = Document("timeline"), Document("wedding"), Document("guests")
    for live, priority in ((False, 2), (True, 1)):
        record = f"r_{live}"
        (added,) = timeline.add("items", record, {"start": 1, "note": Text("")}, live=live)
        (status,) = timeline.edit("items", record, {"status": "live"}, live=live)
        wedding.add("vendors", record, {}, live=live)
        (arrived,) = wedding.edit("vendors", record, {"dayStatus": "on_site"}, live=live)
        assert {added.priority, status.priority, arrived.priority} == {priority}
        assert guests.add("guests", record, {}, live=live)[0].priority == 3
        timeline.root("items")[record]["note"].insert(0, "x")
        assert timeline.take(live=live)[0].priority == 4
        assert timeline.add("emergencies", record, {}, live=live)[0].priority == 0


def test_every_type_has_a_priority_and_others_have_none() -> None:
    assert {priority_of(type) for type in TYPES} == {0, 2, 3, 4}
    with pytest.raises(KeyError):
        priority_of("nothing.at_all")


def test_the_example_of_the_page_is_an_event() -> None:
    page = (Path(__file__).parents[2] / "documents" / "README.md").read_text()
    (example,) = re.findall(r"^```json\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    timeline = Document("timeline")
    timeline.add("items", "i_5mnp2qr8st", {"start": 950, "duration": 40, "title": "Family portraits"})
    edit = {"start": 960, "duration": 25}
    (event,) = timeline.edit("items", "i_5mnp2qr8st", edit, cause="c_93hx0m2rvd")
    assert event.as_json() == json.loads(example)
    assert "cause" not in event._replace(cause=None).as_json()


def test_events_stay_as_they_are_while_they_are_folded() -> None:
    seating = Document("seating")
    history = [*seating.add("tables", "t_1", {}), *seating.edit("tables", "t_1", {"label": "5", "capacity": 8})]
    history += seating.edit("tables", "t_1", {"label": None})
    before = copy.deepcopy(told(history))
    assert fold(event.as_json() for event in history) == {"seating": {"tables": {"t_1": {"capacity": 8}}}}
    assert told(history) == before


def test_who_reads_events_needs_no_pycrdt() -> None:
    code = "import sys, documents.events; sys.exit('pycrdt' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=True)


# The rules against the declarations of the documents.


def test_every_root_has_rules() -> None:
    assert RULES.keys() == ROOTS.keys()


@pytest.mark.parametrize("place", RULES, ids=".".join)
def test_nothing_falls_through_the_rules(place: tuple[str, str]) -> None:
    rules, shape = RULES[place], ROOTS[place].shape
    assert rules[-1] == Rule(rules[-1].type)
    whole = {rule.on for rule in rules if not rule.keys and rule.on in (On.ADDED, On.REMOVED)}
    assert whole == ({On.ADDED, On.REMOVED} if shape in (Shape.RECORDS, Shape.VALUES) else set())


@pytest.mark.parametrize("place", RULES, ids=".".join)
def test_rules_name_keys_and_values_that_exist(place: tuple[str, str]) -> None:
    root = ROOTS[place]
    declared = {**root.keys, **{f"{name}:": key for name, key in root.families.items()}}
    for rule in RULES[place]:
        assert declared.keys() >= {*rule.keys, *rule.along}
        for key in rule.keys if rule.values else ():
            type = declared[key].type
            assert isinstance(type, Enum)
            assert set(type.values) >= set(rule.values)


# Any edits of any document.

VALUES = ["open", "auto", "resolved", "booked", "é", 0, 1, 1.5, True, False, STAMP, [1, None], {"seat": None}]
edit = st.tuples(
    st.integers(0, 7),
    st.sampled_from(["r_1", "r_2"]),
    st.sampled_from(["set", "set", "set", "unset", "new", "drop"]),
    st.integers(0, 40),
    st.sampled_from(VALUES),
)
transactions = st.lists(st.lists(edit, min_size=1, max_size=5), min_size=5, max_size=15)


def perform(doc: Doc[Any], root: Root, record: str, action: str, key: int, value: Any) -> None:
    if root.shape is Shape.TEXT:
        text = doc.get(root.name, type=Text)
        text.clear() if action == "drop" else text.insert(0, "né")
        return
    shared = doc.get(root.name, type=Map)
    if root.shape is Shape.RECORD:
        edit_record(root, shared, action, key, value)
    elif action == "drop":
        shared.pop(record, None)
    elif root.shape is Shape.VALUES:
        shared[record] = value
    elif action == "new" or record not in shared:
        shared[record] = Map({"_state": "open", "_kind": "B1"} if key % 2 else {})
    else:
        edit_record(root, shared[record], action, key, value)


def edit_record(root: Root, record: Map[Any], action: str, key: int, value: Any) -> None:
    names = [*root.keys, *(f"{family}:a" for family in root.families), "x:acme.a"]
    name = names[key % len(names)]
    if action in ("unset", "drop"):
        record.pop(name, None)
    elif name not in root.text_keys:
        record[name] = value
    elif name in record:
        record[name].insert(0, "ü")
    else:
        record[name] = Text("n")


def folded(history: Iterable[DocumentEvent], name: str) -> str:
    """The rows as JSON, folded from events that have been JSON themselves."""
    return canonical_json(fold(json.loads(json.dumps([event.as_json() for event in history]))).get(name, {}))


def inverse(events: list[DocumentEvent]) -> list[DocumentEvent]:
    return [event._replace(before=event.after, after=event.before) for event in reversed(events)]


@pytest.mark.parametrize("name", ["wedding", "timeline", "budget", "guests", "care", "seating", "thread.1"])
@settings(max_examples=examples(20))
@given(steps=transactions)
def test_events_tell_all_that_changed_and_what_was_before(name: str, steps: list[list[tuple[Any, ...]]]) -> None:
    document = Document(name)
    roots = list(document.kind.roots.values())
    history: list[DocumentEvent] = []
    before: RowsByRoot = {}
    for step in steps:
        with document.doc.transaction():
            for root, *arguments in step:
                perform(document.doc, roots[root % len(roots)], *arguments)
        events = document.take()
        assert len({(event.root, event.record, event.type) for event in events}) == len(events)
        assert {event.type for event in events} <= TYPES
        assert folded([*history, *events, *inverse(events)], name) == canonical_json(before)
        history += events
        before = json.loads(canonical_json(document.rows))
        assert folded(history, name) == canonical_json(before)

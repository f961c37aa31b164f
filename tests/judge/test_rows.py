"""Rows from structs are the rows a full reading gives, whatever was written, and their changes say all of it."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Array, Doc, Map, Text, XmlFragment

from documents import WHOLE, Kind, kind_of
from documents.fields import MAX_NOTE, Unreadable
from documents.readers import canonical_json
from documents.rows import Change, Changes, RowsByRoot, read
from tests.judge.indexed import IndexedRows
from tests.support.effort import examples


def of(name: str) -> Kind:
    kind = kind_of(name)
    assert kind is not None
    return kind


GUESTS = of("guests")


def fold(rows: RowsByRoot, changes: Changes) -> None:
    """What a mirror does that sees nothing but the changes."""
    for root, record in changes.added:
        assert record not in rows[root]
        rows[root][record] = {}
    for root, record, key, before, after in changes.fields:
        if key is None:
            rows[root][record] = {} if after is None else after
        elif after is None:
            assert rows[root][record].pop(key) == before
        else:
            assert rows[root][record].get(key) == before
            rows[root][record][key] = after
    for root, record in changes.removed:
        del rows[root][record]


class Mirror:
    """Rows with every check there is after every step."""

    def __init__(self, kind: Kind, doc: Doc[Any]) -> None:
        self.kind, self.doc = kind, doc
        self.rows = IndexedRows(kind, doc)
        self.folded = copy.deepcopy(self.rows.roots)

    def take(self) -> Changes:
        changes = self.rows.take()
        fold(self.folded, changes)
        whole = canonical_json(read(self.kind, self.doc))
        assert canonical_json(self.rows.roots) == whole
        assert canonical_json(self.folded) == whole
        assert self.rows.take() == Changes([], [], [])
        return changes


@pytest.fixture
def doc() -> Doc[Any]:
    return Doc(client_id=1)


def guests(doc: Doc[Any]) -> Map[Any]:
    return doc.get("guests", type=Map)


def test_a_record_is_added_changed_and_removed(doc: Doc[Any]) -> None:
    mirror = Mirror(GUESTS, doc)
    guests(doc)["g_1"] = Map({"firstName": "Ann", "plusOnesAllowed": 2, "note": Text("Hé")})
    assert mirror.take() == Changes(
        fields=[
            Change("guests", "g_1", "firstName", None, "Ann"),
            Change("guests", "g_1", "note", None, "Hé"),
            Change("guests", "g_1", "plusOnesAllowed", None, 2),
        ],
        added=[("guests", "g_1")],
        removed=[],
    )
    assert type(mirror.rows.roots["guests"]["g_1"]["plusOnesAllowed"]) is int

    with doc.transaction():
        guests(doc)["g_1"]["firstName"] = "Anne"
        guests(doc)["g_1"]["note"].insert(0, "¡")
        del guests(doc)["g_1"]["plusOnesAllowed"]
    assert mirror.take().fields == [
        Change("guests", "g_1", "firstName", "Ann", "Anne"),
        Change("guests", "g_1", "note", "Hé", "¡Hé"),
        Change("guests", "g_1", "plusOnesAllowed", 2, None),
    ]

    del guests(doc)["g_1"]
    changes = mirror.take()
    assert changes.removed == [("guests", "g_1")]
    assert changes.fields == [
        Change("guests", "g_1", "firstName", "Anne", None),
        Change("guests", "g_1", "note", "¡Hé", None),
    ]


def test_what_changed_and_changed_back_is_no_change(doc: Doc[Any]) -> None:
    guests(doc)["g_1"] = Map({"firstName": "Ann"})
    mirror = Mirror(GUESTS, doc)
    guests(doc)["g_1"]["firstName"] = "Bea"
    guests(doc)["g_1"]["firstName"] = "Ann"
    guests(doc)["g_2"] = Map({"firstName": "Cleo"})
    del guests(doc)["g_2"]
    assert mirror.take() == Changes([], [], [])


def test_true_is_not_one(doc: Doc[Any]) -> None:
    guests(doc)["g_1"] = Map({"tag:a": True, "x:a.b": {"n": 1}})
    mirror = Mirror(GUESTS, doc)
    guests(doc)["g_1"]["tag:a"] = 1
    guests(doc)["g_1"]["x:a.b"] = {"n": True}
    assert [change.key for change in mirror.take().fields] == ["tag:a", "x:a.b"]


def test_values_texts_and_single_records(doc: Doc[Any]) -> None:
    seating = Mirror(of("seating"), doc)
    doc.get("assignments", type=Map)["g_1"] = {"table": "t_1", "seat": None}
    doc.get("meta", type=Map)["_version"] = 1
    assert seating.take() == Changes(
        fields=[
            Change("meta", WHOLE, "_version", None, 1),
            Change("assignments", "g_1", None, None, {"table": "t_1", "seat": None}),
        ],
        added=[("meta", WHOLE), ("assignments", "g_1")],
        removed=[],
    )
    del doc.get("meta", type=Map)["_version"]
    assert seating.take().removed == [("meta", WHOLE)]

    wedding = Mirror(of("wedding"), Doc())
    wedding.doc.get("board", type=Text).insert(0, "Ideas")
    assert wedding.take().fields == [Change("board", WHOLE, None, None, "Ideas")]
    wedding.doc.get("board", type=Text).clear()
    assert wedding.take().removed == [("board", WHOLE)]


@pytest.mark.parametrize("value", [Map({"k": 1}), Array([1]), Text("x"), XmlFragment(), None, b"x", float("nan")])
def test_what_cannot_be_a_value_is_unreadable(doc: Doc[Any], value: Any) -> None:
    guests(doc)["g_1"] = Map({"firstName": "Ann"})
    mirror = Mirror(GUESTS, doc)
    guests(doc)["g_1"]["firstName"] = value
    (change,) = mirror.take().fields
    assert change.before == "Ann"
    assert isinstance(change.after, Unreadable)
    (violation,) = GUESTS.violations(mirror.rows.roots)
    assert violation[:3] == ("guests", "g_1", "firstName")


def test_a_string_is_no_text_and_a_text_no_string(doc: Doc[Any]) -> None:
    guests(doc)["g_1"] = Map({"note": "a string", "firstName": Text("a text")})
    assert read(GUESTS, doc)["guests"]["g_1"] == {"note": Unreadable("string"), "firstName": Unreadable("text")}


def test_a_record_becomes_something_else_and_a_record_again(doc: Doc[Any]) -> None:
    guests(doc)["g_1"] = Map({"firstName": "Ann"})
    mirror = Mirror(GUESTS, doc)
    guests(doc)["g_1"] = {"firstName": "Ann"}
    assert mirror.take().fields == [
        Change("guests", "g_1", "firstName", "Ann", None),
        Change("guests", "g_1", None, None, Unreadable("plain value")),
    ]
    guests(doc)["g_1"] = Map({"firstName": "Bea"})
    assert mirror.take() == Changes(
        fields=[
            Change("guests", "g_1", None, Unreadable("plain value"), None),
            Change("guests", "g_1", "firstName", None, "Bea"),
        ],
        added=[],
        removed=[],
    )


def test_long_texts_are_cut_where_it_is_plain_that_they_are_too_long(doc: Doc[Any]) -> None:
    guests(doc)["g_1"] = Map({"note": Text("é" * (MAX_NOTE * 3))})
    rows = read(GUESTS, doc)
    assert len(rows["guests"]["g_1"]["note"]) == MAX_NOTE + 1
    assert [violation.reason.code for violation in GUESTS.violations(rows)] == ["length"]


def test_hostile_shapes_are_neither_followed_nor_fatal(doc: Doc[Any], run_node: Callable[..., str]) -> None:
    mirror = Mirror(GUESTS, doc)
    for update in run_node(Path(__file__).with_name("hostile.mjs")).split():
        doc.apply_update(base64.b64decode(update))
        mirror.take()
        list(GUESTS.violations(mirror.rows.roots))
    rows = mirror.rows.roots["guests"]
    assert rows["g_1"] == {"firstName": "back", "lastName": "again"}
    assert (rows["g_2"], rows["g_3"]) == (Unreadable("xmlelement"), Unreadable("text"))
    assert rows["__proto__"] == {"toString": 1}


def test_hostile_documents_can_be_read_as_a_whole(run_node: Callable[..., str]) -> None:
    updates = [base64.b64decode(line) for line in run_node(Path(__file__).with_name("hostile.mjs")).split()]
    for already_there in range(0, len(updates), 25):
        doc: Doc[Any] = Doc()
        for update in updates[:already_there]:
            doc.apply_update(update)
        mirror = Mirror(GUESTS, doc)
        for update in updates[already_there:]:
            doc.apply_update(update)
        mirror.take()


# Any edits of several replicas, merged in any order.

IDS, KEYS = ("g_1", "g_2", "g_3"), ("firstName", "note", "rsvp:e_1", "other")
REPLICAS = 4

scalars = st.sampled_from(
    ["Ann", "é", 1, 1.5, True, False, None, float("nan"), {"a": 1}, {"a": True}, [1, [None]], b"x"]
)
shared = st.sampled_from(
    [
        lambda: Text("téxt"),
        lambda: Map({"k": 1}),
        lambda: Array([1]),
        lambda: Map({"note": Text("n"), "firstName": "F"}),
    ]
)
replica = st.integers(0, REPLICAS - 1)
step = st.one_of(
    st.tuples(st.just("record"), replica, st.sampled_from(["guests", "households"]), st.sampled_from(IDS)),
    st.tuples(st.just("set"), replica, st.sampled_from(IDS), st.sampled_from(KEYS), scalars),
    st.tuples(st.just("share"), replica, st.sampled_from(IDS), st.sampled_from(KEYS), shared),
    st.tuples(st.just("replace"), replica, st.sampled_from(IDS), st.one_of(scalars, shared)),
    st.tuples(st.just("drop"), replica, st.sampled_from(IDS), st.sampled_from([*KEYS, None])),
    st.tuples(st.just("type"), replica, st.sampled_from(IDS), st.sampled_from(KEYS), st.integers(0, 3)),
    st.tuples(st.just("meta"), replica, scalars),
    st.tuples(st.just("sync"), replica, replica),
    st.tuples(st.just("take")),
)


def perform(docs: list[Doc[Any]], name: str, *arguments: Any) -> None:
    doc = docs[arguments[0]]
    root = guests(doc)
    match name, *arguments[1:]:
        case "record", root_name, record_id:
            doc.get(root_name, type=Map)[record_id] = Map({"firstName": "New", "note": Text("n")})
        case "set", record_id, key, value:
            if isinstance(record := root.get(record_id), Map):
                record[key] = value
        case "share", record_id, key, make:
            if isinstance(record := root.get(record_id), Map):
                record[key] = make()
        case "replace", record_id, value:
            root[record_id] = value() if callable(value) else value
        case "drop", record_id, None:
            root.pop(record_id, None)
        case "drop", record_id, key:
            if isinstance(record := root.get(record_id), Map):
                record.pop(key, None)
        case "type", record_id, key, at:
            record = root.get(record_id)
            inner = record.get(key) if isinstance(record, Map) else None
            if isinstance(inner, Text):
                inner.insert(0, "é" * at)
            elif isinstance(inner, Map):
                inner["k"] = at
        case "meta", value:
            doc.get("meta", type=Map)["x:a.b"] = value
        case "sync", other:
            docs[other].apply_update(doc.get_update(docs[other].get_state()))


@settings(max_examples=examples(150))
@given(st.lists(step, min_size=20, max_size=80))
def test_rows_from_structs_are_the_rows_of_the_document(steps: list[tuple[Any, ...]]) -> None:
    docs: list[Doc[Any]] = [Doc(client_id=client) for client in (50, 10, 90, 30)]
    mirror = Mirror(GUESTS, docs[0])
    for name, *arguments in steps:
        if name == "take":
            mirror.take()
        else:
            perform(docs, name, *arguments)
    for doc in docs[1:]:
        docs[0].apply_update(doc.get_update(docs[0].get_state()))
    mirror.take()
    assert canonical_json(IndexedRows(GUESTS, docs[0]).roots) == canonical_json(mirror.rows.roots)

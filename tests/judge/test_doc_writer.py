"""What the server writes into a Doc: texts by the smallest change, records only where they are."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text, XmlFragment

from crdt_server.judge.doc_writer import carry_out, changes_since, replace_text, without_content
from crdt_server.protocol.update import decode_structs, with_deletes
from documents.invariants import Op
from documents.registry import kind_of
from documents.rows import read
from tests.support.effort import examples

LETTERS = st.text("ab é\u0301\u200f حداد 🎻👩\u200d👩\u200d👧🇬🇧田", max_size=12)
GUESTS = kind_of("guests")
assert GUESTS is not None


def text_of(content: str) -> tuple[Doc[Any], Text]:
    doc: Doc[Any] = Doc()
    doc["t"] = text = Text(content)
    return doc, text


def changed(doc: Doc[Any], text: Text, new: str) -> tuple[int, int]:
    """How many bytes of UTF-8 were deleted and inserted."""
    deltas: list[Any] = []

    def note(event: Any) -> None:
        deltas.extend(event.delta)

    subscription = text.observe(note)
    replace_text(text, new)
    text.unobserve(subscription)
    gone = sum(each.get("delete", 0) for each in deltas)
    return gone, sum(len(each.get("insert", "").encode()) for each in deltas)


@given(LETTERS, LETTERS, LETTERS, LETTERS)
@settings(max_examples=examples(300))
def test_a_text_becomes_another_by_what_differs_alone(head: str, old: str, new: str, tail: str) -> None:
    doc, text = text_of(head + old + tail)
    gone, come = changed(doc, text, head + new + tail)
    assert str(text) == head + new + tail
    assert gone <= len(old.encode())
    assert come <= len(new.encode())


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.sampled_from(["a", "bc", "🎻"])), max_size=8),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20), st.sampled_from(["d", "🎻e"])), min_size=1, max_size=4),
    st.booleans(),
)
@settings(max_examples=examples(300))
def test_what_is_inserted_and_deleted_is_the_difference_that_a_doc_gives(
    before: list[tuple[int, int, str]], coming: list[tuple[int, int, str]], nested: bool
) -> None:
    clients: list[Doc[Any]] = [Doc(client_id=client) for client in (1, 200, 3_000_000_000)]
    if nested:
        clients[0].get("records", type=Map)["r"] = Map({"note": Text()})

    def meet() -> None:
        for one in clients:
            for other in clients:
                other.apply_update(one.get_update(other.get_state()))

    def insert(client: int, at: int, letters: str) -> None:
        doc = clients[client]
        text = doc.get("records", type=Map)["r"]["note"] if nested else doc.get("t", type=Text)
        text.insert(len(str(text)[:at].encode()), letters)

    meet()
    for edit in before:
        insert(*edit)
    meet()
    server: Doc[Any] = Doc()
    server.apply_update(clients[0].get_update())
    state, stored = server.get_state(), server.get_update()
    for edit in coming:
        insert(*edit)
    meet()
    server.apply_update(clients[0].get_update(state))
    structs = decode_structs(with_deletes(server.get_update(state), ())).structs
    mine = without_content(structs)
    server.apply_update(mine)
    spans = [(each.client, each.clock, each.clock + each.length) for each in structs]
    theirs = changes_since(server, state, spans)
    assert sorted(decode_structs(mine).ranges) == sorted(decode_structs(theirs).ranges)
    assert sorted(decode_structs(mine).deletes) == sorted(decode_structs(theirs).deletes)
    copies: list[Doc[Any]] = [Doc(), Doc()]
    for copy, update in zip(copies, (mine, theirs), strict=True):
        copy.apply_update(stored)
        copy.apply_update(update)
        assert copy.get_update() == server.get_update()
        copy.apply_update(clients[1].get_update())  # of those who have it all
        assert copy.get_update() == server.get_update()


@given(LETTERS, LETTERS)
@settings(max_examples=examples(100))
def test_what_somebody_types_meanwhile_stays(old: str, new: str) -> None:
    doc, text = text_of(old)
    other: Doc[Any] = Doc()
    other.apply_update(doc.get_update())
    typed = other.get("t", type=Text)
    typed.insert(len(str(typed).encode()), "<typed>")
    replace_text(text, new)
    doc.apply_update(other.get_update(doc.get_state()))
    other.apply_update(doc.get_update(other.get_state()))
    assert str(text) == str(typed)
    assert sorted(str(text)) == sorted(new + "<typed>")


def test_the_same_again_is_no_change() -> None:
    doc, text = text_of("Chloé 🎻")
    state = doc.get_state()
    replace_text(text, "Chloé 🎻")
    assert doc.get_state() == state


def operations(*ops: Op) -> dict[str, Any]:
    doc: Doc[Any] = Doc()
    doc.get("guests", type=Map)["g_1"] = Map({"meal": "soup", "note": Text("Sings.")})
    assert GUESTS is not None
    carry_out(GUESTS, doc, ops)
    return read(GUESTS, doc)


def test_operations() -> None:
    rows = operations(
        Op("set", "guests", "guests", "g_1", "meal", "fish"),
        Op("set", "guests", "guests", "g_1", "note", "Sings well."),
        Op("insert", "guests", "guests", "g_2", None, {"firstName": "Bob", "note": "New."}),
        Op("insert", "guests", "guests", "g_1", None, {"firstName": "is there"}),
        Op("set", "guests", "guests", "g_3", "meal", "lost"),
        Op("delete", "guests", "guests", "g_3", "meal"),
        Op("delete", "guests", "guests", "g_3"),
        Op("set", "guests", "meta", "", "_version", 3),
    )
    assert rows["guests"] == {
        "g_1": {"meal": "fish", "note": "Sings well."},
        "g_2": {"firstName": "Bob", "note": "New."},
    }
    assert rows["meta"] == {"": {"_version": 3}}


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (Op("delete", "guests", "meta", ""), {}),
        (Op("set", "guests", "meta", "", None, {"_version": 4}), {"": {"_version": 4}}),
        (Op("insert", "guests", "meta", "", None, {"_version": 4}), {"": {"_version": 3}}),
    ],
)
def test_a_root_that_is_one_record_is_written_as_a_row(op: Op, expected: dict[str, Any]) -> None:
    rows = operations(Op("set", "guests", "meta", "", "_version", 3), op)
    assert rows["meta"] == expected
    assert operations(Op("insert", "guests", "meta", "", None, {"_version": 5}))["meta"] == {"": {"_version": 5}}


def test_a_text_that_is_missing_or_something_else_is_made() -> None:
    rows = operations(
        Op("set", "guests", "guests", "g_1", None, {"meal": "beef", "note": "Again."}),
        Op("delete", "guests", "guests", "g_1", "note"),
        Op("set", "guests", "guests", "g_1", "note", "Made."),
    )
    assert rows["guests"] == {"g_1": {"meal": "beef", "note": "Made."}}


def test_types_of_xml_are_deleted_unread() -> None:
    """pycrdt raises where it has to make values of them: a field or record of a Yjs 14 client ended the host."""
    doc: Doc[Any] = Doc()
    guests = doc.get("guests", type=Map)
    guests["g_1"] = Map({"meal": "soup"})
    guests["g_1"]["note"] = XmlFragment()
    guests["g_2"] = XmlFragment()
    assert GUESTS is not None
    carry_out(GUESTS, doc, [Op("delete", "guests", "guests", "g_1", "note"), Op("delete", "guests", "guests", "g_2")])
    assert read(GUESTS, doc)["guests"] == {"g_1": {"meal": "soup"}}

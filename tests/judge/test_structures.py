"""What the index refuses: items where none belong, and client ids of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pycrdt import Array, Doc, Map, Text, XmlFragment, merge_updates

from crdt_server.judge.shared_types import MOST_UNSEEING
from crdt_server.protocol.lib0 import write_var_uint
from documents.invariants.model import SERVER
from tests.judge.indexed import (
    BEFORE,
    DOC,
    EMBED,
    FOLLOWS,
    FORMAT,
    ITEM,
    KEYED,
    SERVER_CLIENT,
    TEXT,
    TYPE,
    Server,
    alone,
    count,
    guests_of,
    last,
    root,
    struct,
    update,
)

CHILD = b"\0\5\0"
"""Parent: the record g1 of the fixture. Its name is (5, 1), its note (5, 2), the note's text (5, 3)."""
NOTE = b"\0\5\2"
STRUCTURES: dict[str, tuple[bytes, str | None]] = {
    "another root": (struct(root("evil"), ITEM | KEYED, count("x"), key="k"), None),
    "a subdocument in another root": (struct(root("evil"), DOC | KEYED, b"\1d\x76\0", key="k"), "a subdocument"),
    "a list in a root map": (struct(root("guests"), ITEM, count("x")), "list items in the map guests"),
    "a list in a root of values": (struct(root("seats"), ITEM, count("x")), "list items in the map seats"),
    "a list in a single record": (struct(root("meta"), ITEM, count("x")), "list items in the map meta"),
    "text in a root map": (struct(root("guests"), TEXT, b"\1x"), "list items in the map guests"),
    "a list in a record": (struct(CHILD, ITEM, count("x")), "list items in the map guests"),
    "a key in a root text": (
        struct(root("remarks"), ITEM | KEYED, count("x"), key="k"),
        "an item with a key in the text remarks",
    ),
    "a key in a text": (struct(NOTE, ITEM | KEYED, count("x"), key="k"), "an item with a key in the text guests"),
    "plain values in a text": (struct(NOTE, ITEM, count("x")), "list items in the text guests"),
    "an embed in a text": (struct(NOTE, EMBED, b"\4true"), "an embed in the text guests"),
    "a type in a text": (struct(NOTE, TYPE, b"\1"), "an embed in the text guests"),
    "an embed after a character": (struct(b"\5\3", EMBED | FOLLOWS, b"\4true"), "an embed in the text guests"),
    "an embed before a character": (struct(b"\5\3", EMBED | BEFORE, b"\4true"), "an embed in the text guests"),
    "a right origin": (
        struct(b"\5\1", ITEM | BEFORE | KEYED, count("x")),
        "a map entry with a right origin in guests",
    ),
    "both origins": (
        struct(b"\5\1\5\1", ITEM | FOLLOWS | BEFORE | KEYED, count("x")),
        "a map entry with a right origin in guests",
    ),
    "characters under a key": (
        struct(CHILD, TEXT | KEYED, b"\1x", key="name"),
        "a map entry that holds no value in guests",
    ),
    "a format under a key": (
        struct(CHILD, FORMAT | KEYED, b"\1b\4true", key="name"),
        "a map entry that holds no value in guests",
    ),
    "a subdocument under a key": (struct(CHILD, DOC | KEYED, b"\1d\x76\0", key="name"), "a subdocument"),
    "text": (struct(NOTE, TEXT, b"\1x"), None),
    "a format": (struct(NOTE, FORMAT, b"\1b\4true"), None),
    "null": (struct(CHILD, ITEM | KEYED, b"\1\x7e", key="name"), None),
    "bytes": (struct(CHILD, 0x03 | KEYED, b"\1x", key="name"), None),
    "a map for a value": (struct(CHILD, TYPE | KEYED, b"\1", key="name"), None),
    "a list for a value": (struct(CHILD, TYPE | KEYED, b"\0", key="name"), None),
    "a value for a text": (struct(CHILD, ITEM | KEYED, count("x"), key="note"), None),
    "a value for a record": (struct(root("guests"), ITEM | KEYED, count("x"), key="g2"), None),
    "a list for a record": (struct(root("guests"), TYPE | KEYED, b"\0", key="g2"), None),
    "what was collected": (b"\0\3", None),
    "an item whose parent is no type": (struct(b"\0\5\1", TEXT, b"\1x"), None),
}


@pytest.mark.parametrize(("structure", "reason"), STRUCTURES.values(), ids=STRUCTURES)
def test_structures(server: Server, structure: bytes, reason: str | None) -> None:
    assert server.violation(update(structure)) == reason
    assert server.known == {5: 4}
    assert server.items.newest("guests", "g2", None) is None
    assert server.items.newest("guests", "g1", "name") == (5, 1)
    if reason is None:
        server.integrate(update(structure))
    else:  # even then what comes from the store is taken
        server.load(update(structure))


NEW_RECORD = struct(root("guests"), TYPE | KEYED, b"\1", key="g2")
NEW_LIST = struct(root("guests"), TYPE | KEYED, b"\0", key="g2")
NEW_TEXT = struct(b"\0\7\0", TYPE | KEYED, b"\2", key="note")
NEW_STRAY = struct(b"\0\7\0", TYPE | KEYED, b"\1", key="name")
DEEPER = struct(b"\0\7\1", TYPE | KEYED, b"\1", key="deeper")


@pytest.mark.parametrize(
    ("structures", "reason"),
    [
        ((NEW_RECORD, NEW_TEXT, struct(b"\0\7\1", TEXT, b"\1x")), None),
        ((NEW_RECORD, NEW_TEXT, struct(b"\0\7\1", EMBED, b"\2{}")), "an embed in the text guests"),
        ((NEW_RECORD, struct(b"\0\7\0", ITEM, count("x"))), "list items in the map guests"),
        ((NEW_RECORD, NEW_STRAY, struct(b"\0\7\1", ITEM, count("x"))), "list items in the map guests"),
        ((NEW_RECORD, NEW_STRAY, struct(b"\0\7\1", ITEM | KEYED, count("x"), key="a")), None),
        ((NEW_RECORD, NEW_STRAY, DEEPER, struct(b"\0\7\2", ITEM, count("x"))), None),
        ((NEW_LIST, struct(b"\0\7\0", ITEM, count("x")), struct(b"\7\1", ITEM | FOLLOWS, count("y"))), None),
        ((NEW_LIST, struct(b"\0\7\0", DOC, b"\1d\x76\0")), "a subdocument"),
    ],
)
def test_structures_of_what_is_new_itself(server: Server, structures: tuple[bytes, ...], reason: str | None) -> None:
    data = update(*structures)
    assert server.violation(data) == reason
    assert server.items.newest("guests", "g2", None) is None
    if reason is None:
        assert server.integrate(data)[0].id == (7, 0)
        assert server.items.newest("guests", "g2", None) == (7, 0)


def test_what_a_careless_program_writes_with_pycrdt() -> None:
    def reason(write: Callable[[Doc[Any]], object]) -> str | None:
        doc = alone(7)
        write(doc)
        return Server().violation(doc.get_update())

    assert reason(lambda doc: doc.get("guests", type=Array).append("x")) == "list items in the map guests"
    assert reason(lambda doc: doc.get("guests", type=XmlFragment).children.append("x")) is not None
    assert reason(lambda doc: doc.get("other", type=Text).insert(0, "x")) is None, "it is undone"
    assert reason(lambda doc: doc.get("remarks", type=Text).insert_embed(0, Map({"a": 1}))) is not None
    assert reason(lambda doc: doc.get("guests", type=Map).update({"g1": Doc()})) == "a subdocument"
    assert reason(lambda doc: doc.get("guests", type=Map).update({"g1": Array([Map({"a": Text("b")})])})) is None


# Client ids


def test_the_first_who_brings_structs_of_a_client_id_owns_it(server: Server, origin: Doc[Any]) -> None:
    doc = alone(10, origin)
    data = last(doc, lambda: guests_of(doc)["g1"].update({"name": "Bea"}))
    assert server.items.owners == {5: "eve"}
    server.integrate(data, "bob")
    assert server.items.owners == {5: "eve", 10: "bob"}
    more = last(doc, lambda: guests_of(doc)["g1"].update({"name": "Cleo"}))
    assert server.violation(more, "mal") == "client id 10 belongs to somebody else"
    assert server.violation(data, "mal") is None  # nothing new in it
    assert server.violation(merge_updates(data, more), "mal") == "client id 10 belongs to somebody else"
    assert server.violation(more, "bob") is None


def test_the_client_id_of_the_server_is_its_own(server: Server) -> None:
    data = update(NEW_RECORD, client=SERVER_CLIENT)
    assert server.violation(data, "bob") == "the server's client id"
    assert server.integrate(data, SERVER)[0].wins


def test_owners_from_the_store_count(server: Server) -> None:
    server.items.owners[7] = "bob"
    assert server.violation(update(NEW_RECORD), "mal") == "client id 7 belongs to somebody else"
    assert server.violation(update(NEW_RECORD), "bob") is None


def test_entries_of_one_key_by_those_who_saw_none_are_bounded(server: Server) -> None:
    def blind(client: int, count: int) -> bytes:
        return b"\1" + bytes((*write_var_uint(count), client, 0)) + b"\x28\1\5seats\1s\1\x7e" * count + b"\0"

    assert server.violation(blind(20, MOST_UNSEEING)) is None
    assert server.violation(blind(20, MOST_UNSEEING + 1)) is not None
    server.integrate(blind(20, MOST_UNSEEING - 1))
    server.integrate(blind(21, 1))
    assert server.violation(blind(22, 1)) == f"a key of seats written {MOST_UNSEEING} times without its values"
    seeing = b"\1\1\x16\0\x88\x15\0\1\x7e\0"
    assert server.violation(seeing) is None

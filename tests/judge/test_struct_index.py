"""The index of items against real Yjs and pycrdt: the newest of every key, what was seen, what it takes."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text

from crdt_server.judge.struct_index import StructIndex
from crdt_server.judge.writes import GONE, NESTED, Write, standing
from crdt_server.protocol.structs import Id
from crdt_server.protocol.update import decode_structs, decode_update
from documents.changes import RowsByRoot
from documents.fields import Unreadable
from documents.kind import WHOLE
from tests.judge.indexed import (
    BEFORE,
    FOLLOWS,
    ITEM,
    KEYED,
    TEXT,
    Server,
    alive,
    alone,
    count,
    guests_of,
    identified,
    last,
    root,
    section,
    struct,
    update,
)
from tests.support.effort import examples, repeated

ITEMS_MJS = Path(__file__).with_name("struct_index.mjs")

Field = tuple[str, str, str | None]
SHARED_TYPE = "shared type"


# Against Yjs


class Row(NamedTuple):
    """One key as Yjs has it."""

    id: Id
    alive: bool
    value: Any = None


def fields(state: dict[str, list[Any]]) -> dict[Field, Row]:
    found = {}
    for name, (client, clock, *rest) in state.items():
        root, record_id, field = name.split("|")
        whole = root == "seats" or (root == "guests" and not field)
        found[root, record_id, None if whole else field] = Row((client, clock), *rest)
    return found


def value_of(write: Write) -> Any:
    return SHARED_TYPE if write.value is NESTED else json_of(write.value)


def json_of(value: Any) -> Any:
    return list(value) if type(value) is bytes else value


def compare(items: StructIndex, now: dict[Field, Row]) -> None:
    for field, row in now.items():
        assert items.newest(*field) == row.id, field
        assert alive(items, row.id) == row.alive, field


@pytest.mark.parametrize("first_seed", [1, 21, *repeated(41, 61, 81)])
def test_the_newest_of_every_key_is_that_of_yjs(first_seed: int, run_node: Callable[..., str]) -> None:
    for offset, line in enumerate(run_node(ITEMS_MJS, str(first_seed), "20").splitlines()):
        play = json.loads(line)
        server, before = Server(), dict[Field, Row]()
        for number, delivery in enumerate(play["deliveries"]):
            try:
                writes = server.integrate(bytes.fromhex(delivery["update"]))
                now = fields(delivery["state"])
                compare(server.items, now)
                check_writes(writes, before, now)
            except AssertionError as error:
                error.add_note(f"seed {first_seed + offset}, delivery {number}: {delivery['update']}")
                raise
            before = now
        loaded = Server()
        rows = loaded.load(bytes.fromhex(play["full"]))
        compare(loaded.items, before)
        check_rows(rows, before)
        assert not loaded.items.owners


def check_rows(rows: RowsByRoot, now: dict[Field, Row]) -> None:
    found: dict[Field, Any] = {("seats", record, None): row for record, row in rows["seats"].items()}
    for record, row in rows["guests"].items():
        found["guests", record, None] = SHARED_TYPE if type(row) is dict else row
    for name in ("guests", "meta"):
        for record, row in rows[name].items():
            found |= {(name, record, key): value for key, value in row.items()} if type(row) is dict else {}
    assert found.keys() == {field for field, row in now.items() if row.alive}
    for field, value in found.items():
        expected = now[field].value
        if type(value) is Unreadable:
            assert {"null": expected is None, "bytes": type(expected) is list}.get(value.shape, expected == SHARED_TYPE)
        else:
            assert value == ("some text" if field[2] == "note" and expected == SHARED_TYPE else expected)


def check_writes(writes: list[Write], before: dict[Field, Row], now: dict[Field, Row]) -> None:
    winners, brought = {}, {write[:3] for write in writes if write.root == "guests" and write.key is None}
    for write in writes:
        field = (write.root, write.record, write.key)
        if write.orphan or field not in now:
            continue
        assert write.wins == (now[field].id == write.id)
        if (write.root, write.record, None) not in brought:
            assert write.over == (before[field].id if field in before else None)
        if write.wins:
            winners[field] = value_of(write)
    arrived = {f: row for f, row in now.items() if f not in before or before[f].id != row.id}
    emptied = {field for field, value in winners.items() if value is GONE}
    assert emptied <= {field for field, row in arrived.items() if not row.alive}
    held = {field: value for field, value in winners.items() if field not in emptied}
    assert held == {field: row.value for field, row in arrived.items() if row.alive}


# Against pycrdt


OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from((0, 1, 2)),
        st.sampled_from(("set", "set", "set", "delete", "create", "remove", "send", "receive")),
        st.sampled_from(("g1", "g2")),
        st.sampled_from(("name", "phone")),
    ),
    max_size=60,
)


@settings(max_examples=examples(60))
@given(st.permutations((7, 8, 4123456789)), OPERATIONS)
def test_the_newest_writes_are_the_values_that_pycrdt_shows(
    clients: list[int], operations: list[tuple[int, str, str, str]]
) -> None:
    server, central = Server(), Doc[Any]()
    shown: dict[Id, Any] = {}
    people = [Doc[Any](client_id=client) for client in clients]

    def send(doc: Doc[Any]) -> None:
        data = doc.get_update(central.get_state())
        shown.update({write.id: write.value for write in server.integrate(data)})
        central.apply_update(data)

    for number, (who, what, record_id, name) in enumerate(operations):
        doc = people[who]
        if what == "send":
            send(doc)
        elif what == "receive":
            doc.apply_update(central.get_update(doc.get_state()))
        else:
            edit(doc.get("guests", type=Map), what, record_id, name, number)
    for doc in people:
        send(doc)

    guests: Map[Any] = central.get("guests", type=Map)
    expected = {}
    for record_id in guests.keys():  # noqa: SIM118 - a Map iterates otherwise
        expected["guests", record_id, None] = NESTED
        expected |= {("guests", record_id, name): value for name, value in guests[record_id].items()}
    newest = {
        ("guests", record_id, name): server.items.newest("guests", record_id, name)
        for record_id in ("g1", "g2")
        for name in (None, "name", "phone")
    }
    current = {field: shown[id] for field, id in newest.items() if id is not None and alive(server.items, id)}
    assert current == expected


def edit(guests: Map[Any], what: str, record_id: str, name: str, value: int) -> None:
    if what == "create":
        guests[record_id] = Map({"name": float(value)})
    elif what == "remove":
        guests.pop(record_id, None)
    elif record_id in guests and what == "set":
        guests[record_id][name] = float(value)
    elif record_id in guests:
        guests[record_id].pop(name, None)


# Seen, wins, orphan


@pytest.mark.parametrize(("mine", "theirs", "wins"), [(10, 20, False), (20, 10, True)])
def test_a_concurrent_write_was_not_seen_and_the_higher_client_id_wins(
    server: Server, origin: Doc[Any], mine: int, theirs: int, wins: bool
) -> None:
    one, other = alone(theirs, origin), alone(mine, origin)
    (first,) = server.integrate(last(one, lambda: guests_of(one)["g1"].update({"name": "Bea"})), "bob")
    assert first == Write("guests", "g1", "name", "Bea", (theirs, 0), True, True, False, (5, 1))
    (second,) = server.integrate(last(other, lambda: guests_of(other)["g1"].update({"name": "Cleo"})))
    assert second == Write("guests", "g1", "name", "Cleo", (mine, 0), False, wins, False, (theirs, 0))


def test_what_follows_on_an_unseen_write_of_the_same_update_was_not_seen_either(
    server: Server, origin: Doc[Any]
) -> None:
    one, other = alone(10, origin), alone(20, origin)
    server.integrate(last(one, lambda: guests_of(one)["g1"].update({"name": "Bea"})), "bob")
    state = other.get_state()
    for name in ("Cleo", "Dora", "Edda"):
        guests_of(other)["g1"]["name"] = name
    (write,) = server.integrate(other.get_update(state))
    assert write == Write("guests", "g1", "name", "Edda", (20, 2), False, True, False, (10, 0))
    guests_of(other)["g1"]["name"] = "Fay"
    (write,) = server.integrate(other.get_update(state))
    assert write == Write("guests", "g1", "name", "Fay", (20, 3), True, True, False, (20, 2))


def test_a_write_over_a_deletion_was_seen(server: Server, origin: Doc[Any]) -> None:
    server.integrate(last(origin, lambda: guests_of(origin)["g1"].pop("name")), "eve")
    assert server.items.newest("guests", "g1", "name") == (5, 1)
    assert not alive(server.items, (5, 1))
    (write,) = server.integrate(last(origin, lambda: guests_of(origin)["g1"].update({"name": "Bea"})), "eve")
    assert write[5:] == (True, True, False, (5, 1))


def test_what_is_written_and_deleted_in_one_update_is_no_write(server: Server, origin: Doc[Any]) -> None:
    doc = alone(10, origin)

    def on_and_off() -> None:
        guests_of(doc)["g1"]["name"] = "Bea"
        del guests_of(doc)["g1"]["name"]

    assert server.integrate(last(doc, on_and_off)) == []
    assert server.items.newest("guests", "g1", "name") == (10, 0)


@pytest.mark.parametrize("collects", [True, False])
@pytest.mark.parametrize(("mine", "theirs"), [(10, 20), (20, 10)])
def test_what_is_written_and_deleted_unseen_empties_the_key_where_it_is_the_newest(
    server: Server, origin: Doc[Any], mine: int, theirs: int, collects: bool
) -> None:
    one, other = alone(theirs, origin), alone(mine, origin, collects=collects)
    server.integrate(last(one, lambda: guests_of(one)["g1"].update({"name": "Bea"})), "bob")
    state = other.get_state()
    for name in ("Cleo", "Dora"):
        guests_of(other)["g1"]["name"] = name
    del guests_of(other)["g1"]["name"]
    writes = server.integrate(other.get_update(state))
    emptied = Write("guests", "g1", "name", GONE, (mine, 1), False, True, False, (theirs, 0))
    assert writes == ([emptied] if mine > theirs else [])
    assert standing(writes) == {}


@pytest.mark.parametrize("again", [False, True])
def test_a_write_into_a_deleted_or_replaced_record_is_an_orphan(server: Server, origin: Doc[Any], again: bool) -> None:
    doc = alone(10, origin)
    if again:
        server.integrate(last(origin, lambda: guests_of(origin).update({"g1": Map({"name": "Zoe"})})), "eve")
    else:
        server.integrate(last(origin, lambda: guests_of(origin).pop("g1")), "eve")
    (write,) = server.integrate(last(doc, lambda: guests_of(doc)["g1"].update({"name": "Bea"})))
    assert write == Write("guests", "g1", "name", "Bea", (10, 0), True, True, True, (5, 1))
    assert not alive(server.items, (10, 0))
    assert server.items.newest("guests", "g1", "name") == ((5, 5) if again else (10, 0))


def test_what_has_a_collected_parent_or_neighbour_is_nowhere(server: Server, origin: Doc[Any]) -> None:
    late = alone(10, origin)
    typing = last(late, lambda: guests_of(late)["g1"]["note"].insert(1, "y"))
    naming = last(late, lambda: guests_of(late)["g1"].update({"name": "Bea"}))
    del guests_of(origin)["g1"]
    collected = Server()
    collected.load(origin.get_update())
    assert collected.integrate(typing) == []
    assert collected.integrate(naming) == []
    assert not alive(collected.items, (10, 0))
    assert collected.items.newest("guests", "g1", None) == (5, 0)


def test_roots_of_every_shape() -> None:
    doc, server = alone(7), Server()
    doc.get("seats", type=Map)["s1"] = [1]
    doc.get("meta", type=Map)["name"] = "Us"
    doc.get("remarks", type=Text).insert(0, "hello")
    assert [write[:4] for write in server.integrate(doc.get_update())] == [
        ("seats", "s1", None, [1.0]),
        ("meta", WHOLE, "name", "Us"),
    ]
    assert server.items.newest("meta", WHOLE, "name") == (7, 1)
    assert server.items.newest("remarks", WHOLE, None) is None
    assert server.items.newest("seats", "s2", None) is None
    assert server.items.newest("cats", "s1", None) is None
    assert alive(server.items, (7, 4))
    assert not alive(server.items, (7, 7))
    assert not alive(server.items, (8, 0))


# Parts and orders


def test_of_a_struct_that_is_known_in_part_the_rest_is_taken(server: Server) -> None:
    parts = [
        update(struct(root("seats"), ITEM | KEYED, count("a", "b", "c"), key="s1")),
        update(struct(root("seats"), ITEM | KEYED, count("a", "b", "c", "d", "e"), key="s1")),
    ]
    (write,) = server.integrate(parts[0])
    assert (write.value, write.id, write.over) == ("c", (7, 2), None)
    (write,) = server.integrate(parts[1])
    assert write == Write("seats", "s1", None, "e", (7, 4), True, True, False, (7, 2))
    assert server.integrate(parts[1]) == []
    assert server.items.newest("seats", "s1", None) == (7, 4)


def test_an_entry_may_follow_on_the_middle_of_several(server: Server) -> None:
    several = update(struct(root("seats"), ITEM | KEYED, count("a", "b", "c"), key="s1"))
    low = update(struct(identified(7, 1), ITEM | FOLLOWS | KEYED, count("x")), client=6)
    high = update(struct(identified(7, 1), ITEM | FOLLOWS | KEYED, count("y")), client=8)
    oracle = Doc[Any]()
    for data, seen, wins, over, shown in (
        (several, True, True, None, "c"),
        (low, False, False, (7, 2), "c"),
        (high, False, True, (7, 2), "y"),
    ):
        (write,) = server.integrate(data)
        assert (write.seen, write.wins, write.over) == (seen, wins, over)
        oracle.apply_update(data)
        assert oracle.get("seats", type=Map)["s1"] == shown


def test_what_stands_behind_something_collected_is_nowhere(server: Server) -> None:
    server.integrate(update(b"\0\1", client=8))
    after = update(struct(identified(8, 0), TEXT | FOLLOWS, b"\1x"), client=9)
    before = update(struct(identified(5, 3), TEXT | BEFORE, b"\1x"), client=10)
    for data in (after, before):
        assert server.integrate(data) == []
    assert [alive(server.items, (client, 0)) for client in (9, 10)] == [False, True]


@pytest.mark.parametrize(
    ("left", "right", "kind"),
    [
        pytest.param((8, 0), (5, 3), TEXT, id="something collected and a text"),
        pytest.param((5, 3), (8, 0), TEXT, id="a text and something collected"),
        pytest.param((5, 1), (8, 0), ITEM, id="an entry and something collected"),
        pytest.param((5, 1), (5, 3), TEXT, id="an entry and a text"),
    ],
)
def test_what_stands_between_two_places_is_refused(server: Server, left: Id, right: Id, kind: int) -> None:
    """yrs puts it where one of its neighbours is, past all rules for that place; Yjs puts it nowhere."""
    server.integrate(update(b"\0\1", client=8))
    content = b"\1x" if kind == TEXT else count("x")
    data = update(struct(identified(*left) + identified(*right), kind | FOLLOWS | BEFORE, content))
    assert server.violation(data) == "a struct between two places"


def test_sections_may_refer_to_later_ones(server: Server, origin: Doc[Any]) -> None:
    """Yjs writes higher client ids first: here each of two refers to what the other has written."""
    low, high = alone(10, origin), alone(20, origin)
    for round_ in range(3):
        for doc, other in ((low, high), (high, low)):
            guests_of(doc)["g1"]["name"] = f"{round_}"
            guests_of(doc)[f"{doc.client_id}{round_}"] = Map({"name": "new"})
            other.apply_update(doc.get_update(other.get_state()))
    data = low.get_update(origin.get_state())
    assert decode_update(data, max_bytes=len(data)).requires.keys() >= {10, 20}
    writes = server.integrate(data)
    assert [write.seen for write in writes] == [True] * len(writes)
    assert server.items.newest("guests", "g1", "name") == (20, 6)
    assert {write.record for write in writes if write.key is None} == {"100", "101", "102", "200", "201", "202"}


def test_structs_that_wait_for_one_another_are_refused(server: Server) -> None:
    one = section(8, struct(identified(7, 0), ITEM | FOLLOWS | KEYED, count("x")))
    other = section(7, struct(identified(8, 0), ITEM | FOLLOWS | KEYED, count("x")))
    assert server.violation(b"\2" + one + other + b"\0") == "structs that wait for one another"


def test_collected_entries_of_a_client_that_keeps_or_collects(server: Server) -> None:
    """Overwritten entries come as one run, with or without their values; the newest is known all the same."""
    doc = alone(10)
    seats: Map[Any] = doc.get("seats", type=Map)
    for number in range(4):
        seats["s1"] = number
    data = doc.get_update()
    lengths = [struct.length for struct in decode_structs(data).structs]
    assert lengths == [3, 1]
    (write,) = server.integrate(data)
    assert (write.value, write.id, write.seen, write.over) == (3.0, (10, 3), True, None)


# Size


def held_bytes(updates: Iterable[bytes]) -> int:
    ready = [decode_structs(data) for data in updates]
    server = Server()
    tracemalloc.start()
    for decoded in ready:
        server.items.integrate(server.items.locate(decoded, server.known), decoded.deletes, "ann")
        for client, _, following in decoded.ranges:
            server.known[client] = following
    gc.collect()  # the interpreter keeps tuples that were let go
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return held


def one_by_one(first: bytes, info: int, content: bytes, number: int) -> list[bytes]:
    """Updates of one item each, every one following on the item before."""
    follows = [struct(identified(7, clock), info | FOLLOWS, content) for clock in range(number - 1)]
    return [update(first), *(update(each, clock=clock) for clock, each in enumerate(follows, 1))]


def test_text_typed_by_characters_takes_next_to_nothing() -> None:
    letters = one_by_one(struct(root("remarks"), TEXT, b"\1x"), TEXT, b"\1x", 12_000)
    assert held_bytes(letters) < 100_000


def test_an_item_takes_about_150_bytes() -> None:
    doc = alone(3123456789)
    with doc.transaction():
        for number in range(300):
            guests_of(doc)[f"g_{number}"] = Map({f"key{n}": f"value {n}" for n in range(12)})
    data = doc.get_update()
    assert held_bytes([data]) / len(decode_structs(data).structs) < 200


def test_an_overwritten_entry_takes_less() -> None:
    writes = one_by_one(struct(root("meta"), ITEM | KEYED, count("x"), key="name"), ITEM | KEYED, count("x"), 5000)
    assert held_bytes(writes) / len(writes) < 60

"""Which updates are soon applied, by the places of their structs."""

from __future__ import annotations

from typing import Any

from pycrdt import Doc, Map, Text

from crdt_server.judge.document import Document
from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.integration_cost import has_few_structs, passes_few
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.pipe import DRY_RUN_BYTES, Status
from crdt_server.protocol.lib0 import write_var_bytes, write_var_string, write_var_uint
from crdt_server.protocol.update import EMPTY_UPDATE, decode_structs, with_deletes
from documents.events import Actor
from documents.registry import kind_of
from tests.judge.indexed import Server

STORED = 100_000


def guests(client: int, count: int, root: str = "guests") -> bytes:
    doc: Doc[Any] = Doc(client_id=client)
    records = doc.get(root, type=Map)
    for number in range(count):
        records[f"g_{client}_{number}"] = Map({"name": "Ada", "note": "by train"})
    return doc.get_update()


def overwritten(client: int, count: int) -> bytes:
    """One value many times."""
    doc: Doc[Any] = Doc(client_id=client)
    seats = doc.get("seats", type=Map)
    for number in range(count):
        seats["s_0"] = number
    return doc.get_update()


def concurrent(client: int, count: int, keys: int = 1) -> bytes:
    """Values of some keys by clients that have seen nothing, each of its own."""
    whole: Doc[Any] = Doc()
    for number in range(count):
        doc: Doc[Any] = Doc(client_id=client + number)
        doc.get("seats", type=Map)[f"s_{number % keys}"] = number
        whole.apply_update(doc.get_update())
    return whole.get_update()


def cut_apart(values: int, count: int) -> bytes:
    """One entry of many values, and others of its key that each follow another of them."""
    client = 5
    first = b"\x28\1" + write_var_string("seats") + write_var_string("s_0") + write_var_uint(values) + b"\x7e" * values
    others = (b"\x88\5" + write_var_uint(n * values // count) + b"\1\x7e" for n in range(count))
    return b"\1" + write_var_uint(count + 1) + bytes((client, 0)) + first + b"".join(others) + b"\0"


def typed(client: int, count: int) -> bytes:
    doc: Doc[Any] = Doc(client_id=client)
    text = doc.get("remarks", type=Text)
    for _ in range(count):
        text.insert(0, "x")
    return doc.get_update()


def pairs(client: int, count: int) -> bytes:
    """Two values of each key in one struct, as a client writes what it has overwritten."""
    entries = (b"\x28\x01" + write_var_string("seats") + write_var_string(f"s_{n}") + b"\x02xx" for n in range(count))
    return b"".join((b"\x01", write_var_uint(count), write_var_uint(client), b"\x00", *entries, b"\x00"))


def behind(client: int, other: int, clocks: range) -> bytes:
    """A value behind each of these ids of another client."""
    entries = (b"\x88" + write_var_uint(other) + write_var_uint(clock) + b"\x01x" for clock in clocks)
    return b"".join((b"\x01", write_var_uint(len(clocks)), write_var_uint(client), b"\x00", *entries, b"\x00"))


def are_few(server: Server, update: bytes, stored: int = STORED) -> bool:
    steps = server.items.check(decode_structs(update), "ann", server.known)
    assert not isinstance(steps, str)
    return passes_few(steps, stored)


def test_the_fields_of_new_records_pass_nothing() -> None:
    server, update = Server(), guests(5, 300)
    assert not has_few_structs(update, STORED)
    assert are_few(server, update)


def test_values_of_one_key_pass_those_that_their_writer_has_not_seen() -> None:
    server = Server()
    server.integrate(overwritten(5, 2000))
    assert are_few(server, concurrent(1000, 100))
    assert not are_few(server, concurrent(1000, 150))
    assert are_few(server, concurrent(1000, 150, keys=50))


def test_values_of_one_key_pass_one_another() -> None:
    server = Server()
    assert are_few(server, concurrent(1000, 400))
    assert not are_few(server, concurrent(1000, 1200, keys=3))


def test_a_struct_that_is_cut_in_two_has_those_behind_it_moved() -> None:
    server = Server()
    server.integrate(pairs(5, 2000))
    assert are_few(server, behind(6, 5, range(1, 4000, 2))), "behind the newest ones nothing is cut"
    assert are_few(server, behind(6, 5, range(0, 200, 2)))
    assert not are_few(server, behind(6, 5, range(0, 400, 2)))


def test_structs_that_come_together_are_moved_too() -> None:
    both: Doc[Any] = Doc()
    for update in (pairs(5, 10_000), behind(6, 5, range(0, 10_000, 2))):
        both.apply_update(update)
    assert not are_few(Server(), both.get_update(), stored=0)


def test_values_that_follow_one_another_cut_nothing() -> None:
    server = Server()
    assert are_few(server, overwritten(5, 450))


def test_values_that_others_cut_apart_are_counted_one_by_one() -> None:
    assert are_few(Server(), cut_apart(200, 400), stored=0)
    assert not are_few(Server(), cut_apart(12_000, 400), stored=0), "at 400,000 values it takes 0.2 s to apply"


def test_letters_may_pass_all_that_is_stored() -> None:
    server = Server()
    assert are_few(server, typed(5, 1))
    assert are_few(server, typed(5, 2))
    assert not are_few(server, typed(5, 3))


def at_the_front(client: int, count: int) -> bytes:
    """Letters that pass those of all lower client ids, and none of their own."""
    return b"\1" + write_var_uint(count) + bytes((client, 0)) + b"\x04\1\4text\1x" * count + b"\0"


def test_a_few_bytes_that_may_pass_many_structs_are_tried_in_a_copy() -> None:
    document = Document(1 << 20, copies=ForkPool(0))
    document.load([at_the_front(2, 100_000)])
    document.build()
    assert document.apply([(at_the_front(3, 1), None)], lambda _: None) == []
    few_bytes = at_the_front(4, 100)
    assert len(few_bytes) < DRY_RUN_BYTES, "and it takes 0.6 s to apply"
    assert document.apply([(few_bytes, None)], lambda _: None) == [(0, Status.LATER)]


def test_a_few_bytes_that_cut_a_long_text_often_are_tried_in_a_copy() -> None:
    document = Document(8 << 20, copies=ForkPool(0))
    document.load([b"\1\1\2\0\4\1\4text" + write_var_bytes(b"x" * (4 << 20)) + b"\0"])
    document.build()
    words = with_deletes(EMPTY_UPDATE, [(2, 3 * n, 3 * n + 1) for n in range(10)])
    assert document.apply([(words, None)], lambda _: None) == []
    letters = with_deletes(EMPTY_UPDATE, [(2, 3 * n, 3 * n + 1) for n in range(100, 300)])
    assert len(letters) < DRY_RUN_BYTES, "and it takes 0.1 s to apply"
    assert document.apply([(letters, None)], lambda _: None) == [(0, Status.LATER)]


def judged(document: Document, update: bytes) -> Status:
    assert isinstance(document, SchemaDocument)
    signed = [(Actor("u_ada", "planner"), None)]
    [judgement] = document.judge([(update, None)], signed, lambda _: None, at="2026-06-20T13:30:00Z")
    return judgement.status


def test_what_is_soon_applied_is_tried_in_no_copy() -> None:
    kind = kind_of("guests")
    assert kind is not None
    document = SchemaDocument(kind, "guests", {}, ForkPool(0))  # there is no place for a copy
    document.load([guests(5, 1000)])
    while not document.build():
        pass
    document.is_open = True
    assert judged(document, guests(6, 300)) is Status.OK
    assert len(document.rows.roots["guests"]) == 1300
    stray = guests(7, 300, root="remarks")
    assert judged(document, stray) is Status.LATER, "nobody knows what lies in a root that the kind has not"
    assert judged(document, stray) is Status.LATER


def test_a_long_text_that_comes_with_many_cuts_is_tried_in_a_copy() -> None:
    text = b"\4\1\4text" + write_var_bytes(b"x" * (4 << 20))
    cuts = b"".join(b"\x84\2" + write_var_uint(3 * n) + b"\1y" for n in range(200))
    document = Document(8 << 20, copies=ForkPool(0))
    update = b"\1" + write_var_uint(201) + b"\2\0" + text + cuts + b"\0"
    assert document.apply([(update, None)], lambda _: None) == [(0, Status.LATER)]
    assert document.apply([(b"\1\1\2\0" + text + b"\0", None)], lambda _: None) == []

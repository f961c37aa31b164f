"""Documents that are written anew without what is deleted: what is left, and what still merges with it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from crdt_server.errors import ProtocolError
from crdt_server.judge.document import Document
from crdt_server.judge.merging import collected
from crdt_server.pipe import PIECE_BYTES, Status
from tests.support.wire import KILLER_GROUND, Replica, Typist

MOST_BYTES = 1 << 20


def opened(updates: Sequence[bytes]) -> Document:
    document = Document(MOST_BYTES)
    document.load(updates)
    document.build()
    return document


def text_of(updates: Sequence[bytes]) -> str:
    doc = Doc[Any]()
    for update in updates:
        doc.apply_update(update)
    return str(doc.get("text", type=Text))


def test_deleted_text_is_gone_and_every_older_copy_merges() -> None:
    """Two copies that edit offline, each at some moment before: whatever they send is taken, and all agree."""
    steps = random.Random(7)
    writer, updates = Replica(11), list[bytes]()
    copies = [Replica(client) for client in range(20, 30)]
    for n in range(100):
        updates.append(writer.type(f"<{n:03}>" * 20))
        if n % 3:
            updates.append(writer.erase(steps.randrange(len(writer.text) - 80), 80))
        if n % 10 == 5:
            copies[n // 10].doc.apply_update(writer.doc.get_update())
    stored = updates
    pieces = collected(stored, len(stored))
    assert sum(map(len, pieces)) < sum(map(len, stored))
    assert text_of(pieces) == text_of(stored) == str(writer.text)
    document, before = opened(pieces), opened(stored)
    assert document.clocks == before.clocks
    assert document.coverage.deleted.spans() == before.coverage.deleted.spans()
    for copy in copies:
        sent = copy.type("late", 0)
        for each in (document, before):
            assert each.apply([(sent, None)], lambda _: None) == []
            assert each.doc is not None
            each.doc.apply_update(copy.doc.get_update())
    assert document.doc is not None
    assert before.doc is not None
    assert str(document.doc.get("text", type=Text)) == str(before.doc.get("text", type=Text))


def test_an_edit_of_a_removed_record_is_taken() -> None:
    doc, other = Doc[Any](client_id=11), Doc[Any](client_id=12)
    records = doc.get("records", type=Map)
    records["r_1"] = Map({"name": "x" * 500, "note": Text("y" * 500)})
    records["r_2"] = Map({"name": "stays"})
    first = doc.get_update()
    other.apply_update(first)
    before = doc.get_state()
    del records["r_1"]
    stored = [first, doc.get_update(before)]
    pieces = collected(stored, 2)
    assert sum(map(len, pieces)) < 200
    before = other.get_state()
    other.get("records", type=Map)["r_1"]["name"] = "late"
    document = opened(pieces)
    assert document.apply([(other.get_update(before), None), (other.get_update(), None)], lambda _: None) == [
        (1, Status.KNOWN)
    ]
    assert document.doc is not None
    assert document.doc.get("records", type=Map).to_py() == {"r_2": {"name": "stays"}}


def test_pieces_are_small_and_as_many_as_there_is_place_for() -> None:
    typist = Typist(11)
    stored = [typist.many_items(3_000) for _ in range(6)]
    assert max(map(len, collected(stored, 1_000))) <= 2 * PIECE_BYTES
    for most in (1, 2, 6):
        pieces = collected(stored, most)
        assert len(pieces) <= most
        assert opened(pieces).clocks == {11: 18_000}


def test_what_a_doc_reads_as_something_else_is_left() -> None:
    """Two contents under one id; half of a surrogate pair, where the whole of it is stored; and what waits for more."""
    writer = Replica(11)
    first, second = writer.type("a\U0001f600b"), writer.type("c")
    for stored in ([*KILLER_GROUND], [second]):
        with pytest.raises(ProtocolError):
            collected(stored, 2)
    assert text_of(collected([first, second], 2)) == "a\U0001f600bc"

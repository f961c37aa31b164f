"""Updates whose ids are taken: the same content, however it is cut, or another, which must never be receipted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Doc, Map, Text, merge_updates

from crdt_server.judge import client_owners, known_contents
from crdt_server.judge.document import Document
from crdt_server.judge.known_contents import Known, compare_known
from crdt_server.pipe import Status
from crdt_server.protocol.update import decode_structs, decode_update

CLIENT = 77


def typed(text: str, client: int = CLIENT) -> list[bytes]:
    """The updates of somebody who types a text, letter by letter."""
    doc: Doc[Any] = Doc(client_id=client)
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    root = doc.get("text", type=Text)
    for letter in text:
        root.insert(len(str(root).encode()), letter)
    return updates


def compared(update: bytes, pieces: Sequence[bytes]) -> Known:
    clocks: dict[int, int] = {}
    for piece in pieces:
        for client, _, following in decode_update(piece, max_bytes=len(piece)).ranges:
            clocks[client] = max(clocks.get(client, 0), following)
    return compare_known(update, decode_structs(update).structs, clocks, pieces[::-1]).known


@given(text=st.text(alphabet="abé😀", min_size=1, max_size=20), cut=st.integers(0, 20), data=st.data())
def test_however_it_is_cut_it_is_the_same(text: str, cut: int, data: st.DataObject) -> None:
    updates = typed(text)
    stored = [merge_updates(*part) for part in (updates[:cut], updates[cut:]) if part]
    first = data.draw(st.integers(0, len(updates) - 1))
    last = data.draw(st.integers(first, len(updates) - 1))
    assert compared(merge_updates(*updates[first : last + 1]), stored) is Known.SAME


@pytest.mark.parametrize("mine", ["x", "bbb", "abX", "ab😀X", "aé"])
def test_other_content_is_found(mine: str) -> None:
    stored = typed("ab😀cdef")
    update = merge_updates(*typed(mine))
    assert compared(update, stored) is Known.OTHER
    assert compared(update, [merge_updates(*stored)]) is Known.OTHER


def test_deleted_content_compares_with_anything() -> None:
    doc: Doc[Any] = Doc(client_id=CLIENT)
    text = doc.get("text", type=Text)
    text.insert(0, "secret")
    original = doc.get_update()
    del text[0:6]
    assert compared(original, [doc.get_update()]) is Known.SAME
    assert compared(doc.get_update(), [original]) is Known.SAME


def test_values_are_compared_whatever_the_order_of_their_keys() -> None:
    def written(value: Any) -> bytes:
        doc: Doc[Any] = Doc(client_id=CLIENT)
        doc.get("map", type=Map)["a"] = value
        return doc.get_update()

    stored = [written({"x": 1, "y": [1.5, None, {"z": True}]})]
    assert compared(written({"y": [1.5, None, {"z": True}], "x": 1}), stored) is Known.SAME
    assert compared(written({"y": [1.5, None, {"z": False}], "x": 1}), stored) is Known.OTHER
    assert compared(written("text"), stored) is Known.OTHER


def test_what_lies_far_back_is_not_searched_for(monkeypatch: pytest.MonkeyPatch) -> None:
    updates = typed("x" * 40)
    monkeypatch.setattr(known_contents, "SEARCHED_BYTES", 100)
    assert compared(updates[-1], updates) is Known.SAME
    assert compared(updates[0], updates) is Known.UNDECIDED
    assert compared(merge_updates(*updates), updates) is Known.SAME  # all of it is as long as what it is compared with
    monkeypatch.undo()
    monkeypatch.setattr(known_contents, "DECODED_BYTES", 500)
    assert compared(updates[0], [merge_updates(*updates)]) is Known.SAME
    large = typed("x")
    doc: Doc[Any] = Doc(client_id=CLIENT)
    doc.apply_update(large[0])
    doc.get("text", type=Text).insert(1, "y" * 1000)
    assert compared(large[0], [doc.get_update()]) is Known.UNDECIDED


class TestDocument:
    """A document without a schema, and who may write under which client id."""

    def apply(self, document: Document, user: str, *updates: bytes) -> list[Status]:
        found = dict(document.apply([(each, None) for each in updates], lambda _: None, users=[user] * len(updates)))
        return [found.get(n, Status.OK) for n in range(len(updates))]

    def test_whoever_writes_under_the_client_id_of_another_is_refused(self) -> None:
        document = Document(1 << 20)
        one, two, three = typed("abc")
        assert self.apply(document, "ada", one, two) == [Status.OK, Status.OK]
        assert self.apply(document, "eve", three) == [Status.CLIENT_ID_TAKEN]
        assert self.apply(document, "ada", three) == [Status.OK]
        assert document.owners.take() == [(CLIENT, "ada")]
        assert document.owners.take() == []

    def test_whoever_comes_second_is_never_receipted(self) -> None:
        """Issue 12, line 12: the bytes of the victim were echoed, and stored nowhere."""
        document = Document(1 << 20)
        assert self.apply(document, "eve", *typed("zzz")) == [Status.OK] * 3
        one, two, three, four = typed("abcd")
        assert self.apply(document, "ada", one) == [Status.CLIENT_ID_TAKEN]
        assert self.apply(document, "ada", merge_updates(one, two, three, four)) == [Status.CLIENT_ID_TAKEN]
        assert self.apply(document, "eve", merge_updates(one, two, three, four)) == [Status.CLIENT_ID_TAKEN]

    def test_known_content_is_known_whoever_brings_it(self) -> None:
        document = Document(1 << 20)
        updates = typed("abc")
        self.apply(document, "ada", *updates)
        assert self.apply(document, "ben", updates[1], merge_updates(*updates)) == [Status.KNOWN, Status.KNOWN]

    def test_the_owners_of_a_document_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(client_owners, "MOST_OWNERS", 3)
        monkeypatch.setattr(client_owners, "CLAIMED_CLIENTS", 2)
        document = Document(1 << 20)
        many = merge_updates(*(typed("a", client)[0] for client in range(100, 105)))
        assert self.apply(document, "eve", many) == [Status.OK]
        assert len(document.owners.take()) == 2
        for client in (200, 201):
            assert self.apply(document, "ada", typed("a", client)[0]) == [Status.OK]
        assert document.owners.take() == [(200, "ada")]

    def test_in_one_batch_only_so_many_are_compared(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(known_contents, "BATCH_BYTES", 1_000)
        document = Document(1 << 20)
        updates = typed("abc")
        self.apply(document, "ada", *updates)
        statuses = self.apply(document, "ada", *updates, *typed("d", CLIENT + 1))
        later = statuses.index(Status.LATER)
        assert statuses == [Status.KNOWN] * later + [Status.LATER] * (3 - later) + [Status.OK]
        assert 0 < later < 3
        document.compared_bytes = 0
        assert self.apply(document, "ada", *updates[later:])[0] is Status.KNOWN

    def test_stored_owners_count(self) -> None:
        document = Document(1 << 20, owners={CLIENT: "ada"})
        assert self.apply(document, "eve", typed("a")[0]) == [Status.CLIENT_ID_TAKEN]
        assert self.apply(document, "ada", typed("a")[0]) == [Status.OK]
        assert document.owners.take() == []

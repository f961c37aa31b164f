"""The values of texts that follow from updates are those of the Doc, and somebody who types has no text read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Map, Text, UndoManager

from crdt_server.judge import followed_texts, schema_document
from crdt_server.judge.doc_writer import changes_since
from crdt_server.judge.row_values import TextReader
from crdt_server.judge.shared_types import SharedType
from crdt_server.pipe import Status
from crdt_server.protocol.lib0 import write_var_string
from crdt_server.protocol.update import encode_delete_set
from documents import kind_of, rows
from documents.events import Actor
from documents.fields import MAX_NOTE
from tests.judge import indexed
from tests.judge.bench import Bench, Replica
from tests.judge.indexed import BEFORE, FOLLOWS, TEXT, identified, struct
from tests.support.effort import examples

NOTE = ("guests", "guests", "g_a", "note")


class Hand:
    """Somebody who edits the note of a guest. What they do is sent when it is done, or later."""

    def __init__(self, bench: Bench, user: str, client: int, role: str = "couple") -> None:
        self.bench = bench
        self.replica = Replica(user, role, client)
        self.unsent: list[bytes] = []
        self._seen = 0
        self._own = True
        self.pull()
        self.replica.doc("guests").observe(lambda event: self.unsent.append(event.update) if self._own else None)
        self.text = self.replica.text(*NOTE)
        self.undo = UndoManager(scopes=[self.text], capture_timeout_millis=0)
        self.at = 0

    def pull(self) -> None:
        """Receive what the server has sent since."""
        self._own = False
        updates = self.bench.updates["guests"]
        for update in updates[self._seen :]:
            self.replica.doc("guests").apply_update(update)
        self._seen, self._own = len(updates), True

    def push(self) -> None:
        """Send what was done, edit by edit."""
        updates, self.unsent = self.unsent, []
        for update in updates:
            faults, _ = self.bench.try_to_receive(self.replica.actor, "guests", [update])
            assert all(status is Status.KNOWN for _, status in faults), faults
            server = self.bench.documents["guests"].doc
            assert server is not None
            text: Text = server.get("guests", type=Map)["g_a"]["note"]
            assert self.bench.value(*NOTE) == str(text)[: rows.SHOWN]

    def type(self, inserted: str) -> None:
        """Insert at the cursor."""
        value = str(self.text)
        self.at = min(self.at, len(value))
        self.text.insert(len(value[: self.at].encode()), inserted)
        self.at += len(inserted)

    def erase(self, count: int) -> None:
        """Delete characters before the cursor."""
        value = str(self.text)
        end = min(self.at, len(value))
        self.at = max(0, end - count)
        if self.at < end:
            del self.text[len(value[: self.at].encode()) : len(value[:end].encode())]

    def format(self, count: int) -> None:
        """Format characters before the cursor."""
        value = str(self.text)
        end = min(self.at, len(value))
        if end:
            self.text.format(len(value[: max(0, end - count)].encode()), len(value[:end].encode()), {"bold": True})


def party(note: str = "") -> Bench:
    return Bench({"guests": {"guests": {"g_a": {"firstName": "Ann", "note": note}}}}, names=("guests",))


@contextmanager
def limited(characters: int) -> Iterator[None]:
    """Notes hold no more than that."""
    kind = kind_of("guests")
    assert kind is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind.roots["guests"].keys["note"].type, "max_length", characters)
        for module in (rows, followed_texts):
            patch.setattr(module, "SHOWN", characters + 1)
        yield


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many texts the server has read since the last call."""
    count = 0
    read = TextReader.read

    def counted(self: TextReader, text: SharedType) -> str:
        nonlocal count
        count += 1
        return read(self, text)

    def since() -> int:
        nonlocal count
        found, count = count, 0
        return found

    monkeypatch.setattr(TextReader, "read", counted)
    return since


def test_somebody_who_types_has_the_text_read_once(readings: Callable[[], int]) -> None:
    ada = Hand(party("The harp plays."), "ada", 100)
    ada.at = 4
    readings()
    for word in ("big ", "é", " jazz "):
        for letter in word:
            ada.type(letter)
            ada.push()
    ada.erase(3)
    ada.erase(1)
    ada.type("y. The")
    ada.push()
    assert ada.bench.value(*NOTE) == "The big é jy. Theharp plays."
    assert readings() == 1
    ada.type("🎻a🎷🎻")
    ada.push()
    ada.erase(1)
    ada.push()
    ada.erase(2)
    ada.type("🎷")
    ada.push()
    assert ada.bench.value(*NOTE) == "The big é jy. The🎻🎷harp plays."
    assert readings() == 0, "characters of two UTF-16 units"
    ada.at = 0
    ada.type("!")
    ada.push()
    assert readings() == 1, "at another place"


def test_two_who_type_in_turns_have_the_text_read_once_each(readings: Callable[[], int]) -> None:
    bench = party("One. Two.")
    ada, ben = Hand(bench, "ada", 100), Hand(bench, "ben", 200)
    ada.at, ben.at = 4, 9
    readings()
    for letter in "abcdefg":
        for hand in (ada, ben):
            hand.type(letter)
            hand.push()
    assert bench.value(*NOTE) == "One.abcdefg Two.abcdefg"
    assert readings() == 2


def test_what_is_written_twice_at_one_place_is_in_the_order_of_yjs() -> None:
    bench = party("aa")
    ada, ben = Hand(bench, "ada", 100), Hand(bench, "ben", 200)
    for hand in (ada, ben):
        hand.at = 1
        for letter in "aba":
            hand.type(letter)
    for _ in range(3):
        ada.unsent, rest = ada.unsent[1:], ada.unsent[:1]
        bench.try_to_receive(ada.replica.actor, "guests", rest)
        ben.unsent, rest = ben.unsent[1:], ben.unsent[:1]
        bench.try_to_receive(ben.replica.actor, "guests", rest)
    ada.pull()
    assert bench.value(*NOTE) == str(ada.text)


def test_what_others_write_into_a_word_stays_when_that_is_deleted() -> None:
    bench = party("?")
    ada, ben = Hand(bench, "ada", 100), Hand(bench, "ben", 200)
    for letter in "abc":
        ada.type(letter)
        ada.push()
    ben.pull()
    ben.at = 1
    ben.type("x")
    ben.push()
    ada.erase(3)
    ada.push()
    assert bench.value(*NOTE) == "x?"


def test_what_is_written_before_a_letter_of_its_own_word_is_read() -> None:
    """Behind the end of a word by its origin, and before an earlier letter: yrs divides the word there."""
    bench = party()
    ada = Hand(bench, "ada", 100)
    for letter in "abc":
        ada.type(letter)
        ada.push()
    back = b"\x01\x01\xc8\x01\x00\xc4" + identified(100, 2) + identified(100, 1) + write_var_string("x") + b"\x00"
    bench.try_to_receive(Actor("ben", "planner"), "guests", [back])
    server = bench.documents["guests"].doc
    assert server is not None
    assert bench.value(*NOTE) == str(server.get("guests", type=Map)["g_a"]["note"])


# Of "🎻", whose two units have these clocks of client 100. Each update is of client 200.
FIRST, SECOND = identified(100, 1), identified(100, 2)
CUTS = {
    "written inside": indexed.update(struct(FIRST + SECOND, TEXT | FOLLOWS | BEFORE, b"\1x"), client=200),
    "written behind the first": indexed.update(struct(FIRST, TEXT | FOLLOWS, b"\1x"), client=200),
    "written before the second": indexed.update(struct(SECOND, TEXT | BEFORE, b"\1x"), client=200),
    "the first deleted": b"\0" + encode_delete_set([(100, 0, 2)]),
    "the second deleted": b"\0" + encode_delete_set([(100, 2, 4)]),
    "its own, in two steps": indexed.update(
        struct(identified(100, 0), TEXT | FOLLOWS, write_var_string("🎻🎻")),
        struct(identified(200, 2), TEXT | FOLLOWS, b"\1x"),
        client=200,
    ),
    "its own, deleted at once": b"".join(
        (
            indexed.update(struct(identified(100, 0), TEXT | FOLLOWS, write_var_string("🎻🎻")), client=200)[:-1],
            encode_delete_set([(200, 1, 3)]),
        )
    ),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_an_edit_inside_of_a_character_is_refused(cut: bytes) -> None:
    bench = party()
    ada = Hand(bench, "ada", 100)
    ada.type("a🎻b")
    ada.push()
    mallory = Actor("mallory", "planner")
    faults, (notice,) = bench.try_to_receive(mallory, "guests", [cut])
    assert faults == [(0, Status.VIOLATION)]
    assert notice["why"] == "an edit inside of a character: drop this copy and load the document again"
    bench.reopen()
    assert bench.try_to_receive(mallory, "guests", [cut])[0] == [(0, Status.VIOLATION)], "after a restart"
    whole = b"\0" + encode_delete_set([(100, 1, 3)])
    assert bench.try_to_receive(mallory, "guests", [whole]) == ([], [])
    assert bench.value(*NOTE) == "ab"
    bench.check()


@pytest.mark.parametrize("before", ["written behind the first", "the second deleted"])
def test_a_character_that_was_cut_before_that_was_refused_is_two(before: str) -> None:
    bench = party()
    ada = Hand(bench, "ada", 100)
    ada.type("a🎻b")
    ada.push()
    bench.updates["guests"].append(CUTS[before])
    bench.reopen()
    between = indexed.update(struct(FIRST + SECOND, TEXT | FOLLOWS | BEFORE, b"\1y"), client=300)
    assert bench.try_to_receive(Actor("ben", "planner"), "guests", [between]) == ([], [])


def test_typing_into_a_full_note_is_undone_without_a_reading(
    readings: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    differences: list[bytes] = []

    def difference(*arguments: Any) -> bytes:
        differences.append(changes_since(*arguments))
        return differences[-1]

    monkeypatch.setattr(schema_document, "changes_since", difference)
    ada = Hand(party("x" * (MAX_NOTE - 2)), "ada", 100)
    readings()
    for letter in "abcdef":
        ada.type(letter)
        ada.push()
    assert ada.bench.value(*NOTE) == "ab" + "x" * (MAX_NOTE - 2)
    assert readings() <= 2
    assert not differences, "that are taken from all structs of the document"
    ada.pull()
    ada.at = MAX_NOTE
    ada.erase(5)
    ada.push()
    assert len(ada.bench.value(*NOTE)) == MAX_NOTE - 5


hand = st.integers(0, 2)
deed = st.one_of(
    st.tuples(st.just("type"), hand, st.sampled_from(["a", "b", "ab", "ba", "🎻", "é🎻", "a🎻a", "\0"])),
    st.tuples(st.just("type"), hand, st.sampled_from("ab")),
    st.tuples(st.just("erase"), hand, st.integers(1, 4)),
    st.tuples(st.just("move"), hand, st.integers(0, 12)),
    st.tuples(st.just("format"), hand, st.integers(1, 4)),
    st.tuples(st.just("undo"), hand, st.just(0)),
    st.tuples(st.just("pull"), hand, st.just(0)),
    st.tuples(st.just("push"), hand, st.just(0)),
)


@settings(max_examples=examples(3_000, 60))
@given(st.lists(deed, min_size=4, max_size=60), st.sampled_from(["", "aab", "🎻a"]), st.integers(4, 40), st.booleans())
def test_the_values_are_those_of_the_doc(
    deeds: list[tuple[str, int, Any]], note: str, most: int, at_once: bool
) -> None:
    with limited(most):
        bench = party(note)
        hands = [Hand(bench, f"user{n}", 100 + n, role) for n, role in enumerate(("couple", "planner", "family"))]
        for what, who, argument in deeds:
            hand = hands[who]
            if what == "move":
                hand.at = argument
            elif what == "undo":
                hand.undo.undo()
            elif what in ("pull", "push"):
                getattr(hand, what)()
            else:
                getattr(hand, what)(argument)
            if at_once:
                hand.push()
        for hand in hands:
            hand.push()
        for hand in hands:
            hand.pull()
            assert str(hand.text)[: rows.SHOWN] == bench.value(*NOTE)
        bench.check()

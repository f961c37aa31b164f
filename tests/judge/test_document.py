"""A document inside a host. Everything here is honest or merely unlucky; what may kill runs in `test_lane`."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycrdt import Doc, Text

from crdt_server.errors import ProtocolError
from crdt_server.judge import diffs, pieces
from crdt_server.judge.clock_ranges import ClockRanges
from crdt_server.judge.document import Document, cpu_limit_seconds
from crdt_server.judge.merging import merge
from crdt_server.pipe import Status
from crdt_server.progress_mark import ProgressMark
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE, decode_state_vector
from tests.support.effort import examples
from tests.support.slices import shortest
from tests.support.wire import Replica, Typist, state_vector

MOST_BYTES = 1 << 20
# Item (1, 0) stands behind (2, 0), which stands behind (1, 0): decodable, complete, and pending for ever.
CIRCLE = bytes.fromhex("020102008401000162010100840200016100")


def apply(document: Document, *updates: bytes) -> list[Status]:
    """The status of each update, once the dry runs have ended."""
    found = dict.fromkeys(range(len(updates)), Status.LATER)
    while waiting := [i for i, status in found.items() if status is Status.LATER]:
        faults = dict(document.apply([(updates[i], None) for i in waiting], lambda _: None))
        found |= {i: faults.get(n, Status.OK) for n, i in enumerate(waiting)}
    return list(found.values())


def held(document: Document) -> str:
    """What a newcomer reads."""
    return read(document.diff(EMPTY_STATE_VECTOR))


def read(updates: list[bytes]) -> str:
    reader = Replica(9)
    for update in updates:
        reader.receive(update)
    assert not reader.pending
    return str(reader)


@pytest.fixture
def document() -> Document:
    return Document(MOST_BYTES)


def test_an_empty_document_has_an_empty_difference(document: Document) -> None:
    document.load([])
    assert document.diff(EMPTY_STATE_VECTOR) == [EMPTY_UPDATE]
    assert document.diff(b"\x01\x05\x03") == [EMPTY_UPDATE]
    assert not document.is_built


def test_edits_are_merged_into_one_update_of_the_clients_own_bytes(document: Document) -> None:
    writer = Replica(1)
    edits = [writer.type(c) for c in "wedding"]
    assert document.apply([(edit, None) for edit in edits], lambda _: None) == []
    assert document.take_outgoing() == merge(edits)
    assert held(document) == "wedding"
    assert document.clocks == {1: 7}
    assert document.is_built


def test_a_single_edit_is_passed_on_to_the_byte(document: Document) -> None:
    edit = Replica(1).type("x")
    assert apply(document, edit) == [Status.OK]
    assert document.take_outgoing() == [edit]
    assert document.take_outgoing() == []


def test_what_was_accepted_over_several_calls_goes_out_as_one(document: Document) -> None:
    writer = Replica(1)
    edits = [writer.type(c) for c in "abc"]
    for edit in edits:
        apply(document, edit, edit)
    assert document.take_outgoing() == merge(edits)
    assert held(document) == "abc"


def test_a_circle_is_refused_before_the_doc_sees_it(document: Document) -> None:
    edit = Replica(7).type("good")
    apply(document, edit)
    doc = document.doc
    assert apply(document, CIRCLE) == [Status.VIOLATION]
    assert document.doc is doc  # building it again would keep everybody waiting for as long as the document is large
    assert document.take_outgoing() == [edit]


@given(st.integers(min_value=0))
def test_what_waits_for_one_another_is_what_a_doc_never_integrates(seed: int) -> None:
    update, clocks = intertwined(Random(seed))
    document, doc = Document(MOST_BYTES), Doc[Any]()
    (status,) = apply(document, update)
    doc.apply_update(update)
    assert (status is Status.OK) == (decode_state_vector(doc.get_state()) == clocks)
    assert document.clocks == (clocks if status is Status.OK else {})


def intertwined(random: Random) -> tuple[bytes, dict[int, int]]:
    """Letters of several clients in one text, each behind any other of them, and the next clocks of all."""
    clocks = {client: random.randint(1, 4) for client in random.sample(range(1, 9), random.randint(2, 4))}
    everything = [(client, clock) for client, next_ in clocks.items() for clock in range(next_)]
    body = [bytes((len(clocks),))]
    for client, next_ in clocks.items():
        body.append(bytes((next_, client, 0)))
        for clock in range(next_):
            if random.random() < 0.5:
                body.append(b"\x04\x01\x01t\x01a")  # first in the text "t"
            else:
                others = [id for id in everything if id < (client, clock) or id[0] != client]
                body.append(b"\x84" + bytes(random.choice(others)) + b"\x01a")
    return b"".join(body) + b"\x00", clocks


def test_a_gap_is_never_integrated(document: Document) -> None:
    writer = Replica(1)
    first, second, third = (writer.type(c) for c in "abc")
    assert apply(document, first, third) == [Status.OK, Status.GAP]
    assert held(document) == "a"
    assert document.clocks == {1: 1}
    assert apply(document, second, third) == [Status.OK, Status.OK]
    assert held(document) == "abc"


def test_a_reference_to_somebody_unknown_is_a_gap(document: Document) -> None:
    one, two = Replica(1), Replica(2)
    ground = one.type("ab")
    two.receive(ground)
    reply = two.type("X", at=1)
    assert apply(document, reply) == [Status.GAP]
    assert apply(document, ground, reply) == [Status.OK, Status.OK]
    assert held(document) == "aXb"


def test_a_deletion_of_something_unknown_is_a_gap(document: Document) -> None:
    one = Replica(1)
    ground, deletion = one.type("abc"), one.erase(0, 2)
    assert apply(document, deletion) == [Status.GAP]
    assert apply(document, ground, deletion) == [Status.OK, Status.OK]
    assert held(document) == "c"


def test_what_is_known_is_recognised(document: Document) -> None:
    one = Replica(1)
    edits = [one.type("abc"), one.erase(1, 2), one.type("d")]
    assert apply(document, *edits) == [Status.OK] * 3
    assert apply(document, *edits, one.all()) == [Status.KNOWN] * 4
    assert apply(document, EMPTY_UPDATE) == [Status.KNOWN]


def test_a_new_deletion_of_known_items_is_news(document: Document) -> None:
    one = Replica(1)
    assert apply(document, one.type("abcd"), one.erase(1, 2), one.erase(1, 2)) == [Status.OK] * 3
    assert held(document) == "ad"


def test_a_whole_state_brings_what_is_new_in_it(document: Document) -> None:
    one = Replica(1)
    apply(document, one.type("abc"))
    one.type("d")
    assert apply(document, one.all()) == [Status.OK]
    assert held(document) == "abcd"


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x01", b"\x00\x00\x00", b"\xff" * 20, bytes.fromhex("80808040")])
def test_what_does_not_decode_is_malformed(document: Document, data: bytes) -> None:
    assert apply(document, data) == [Status.MALFORMED]
    assert not len(document.pieces)


def test_a_circle_of_references_is_refused_and_the_rest_stays(document: Document) -> None:
    writer = Replica(7)
    before, after = writer.type("good"), writer.type(" news")
    assert apply(document, before, CIRCLE, after) == [Status.OK, Status.VIOLATION, Status.OK]
    assert held(document) == "good news"
    assert document.clocks == {7: 9}
    assert document.doc is not None
    assert str(document.doc.get("text", type=Text)) == "good news"
    assert apply(document, writer.type("!")) == [Status.OK]


def test_new_items_of_two_clients_that_refer_to_each_other_are_fine(document: Document) -> None:
    one, two = Replica(1), Replica(2)
    two.receive(one.type("ab"))
    one.receive(two.type("X", at=1))
    two.receive(one.type("Y", at=2))
    assert apply(document, two.all()) == [Status.OK]
    assert held(document) == str(two)


def test_a_document_has_a_largest_size() -> None:
    document = Document(100)
    writer = Replica(1)
    first, second = writer.type("x" * 60), writer.type("y" * 60)
    assert apply(document, first) == [Status.OK]
    assert apply(document, second) == [Status.TOO_LARGE]
    assert held(document) == "x" * 60
    assert apply(document, Replica(2).type("small")) == [Status.OK]


def test_a_batch_counts_against_the_largest_size() -> None:
    document = Document(100)
    writer = Replica(1)
    edits = [writer.type("x" * 20) for _ in range(10)]
    statuses = apply(document, *edits)
    assert statuses[0] is Status.OK
    assert Status.TOO_LARGE in statuses
    assert document.pieces.size <= 100


def test_the_risky_steps_are_marked() -> None:
    one = Replica(1)
    stored, first, second = one.type("a"), one.type("b"), one.type("c")
    document = Document(MOST_BYTES)
    document.load([stored])
    marks: list[int] = []
    document.apply([(stored, None), (first, None), (second, None)], marks.append)
    assert marks == [0, ProgressMark.LOADING, 1, 2, ProgressMark.MERGING]  # 0: it is compared with what is stored


class TestStored:
    def test_what_was_stored_is_taken_as_it_is(self, document: Document) -> None:
        one = Replica(1)
        document.load([one.type("a"), one.type("b")])
        document.load([one.type("c")])
        assert held(document) == "abc"
        assert document.clocks == {1: 3}
        assert not document.is_built
        assert apply(document, one.type("d")) == [Status.OK]
        assert document.is_built

    def test_a_hole_is_an_error(self, document: Document) -> None:
        one = Replica(1)
        first, _, third = one.type("a"), one.type("b"), one.type("c")
        with pytest.raises(ProtocolError):
            document.load([first, third])

    def test_damage_is_an_error(self, document: Document) -> None:
        with pytest.raises(ProtocolError):
            document.load([b"\x01\x02"])

    def test_warming_goes_in_slices(self) -> None:
        document = Document(MOST_BYTES)
        writer = Replica(1)
        for _ in range(5):
            document.load([writer.type("x" * 1000)])
        steps = 0
        while not document.is_built:
            seen = document._built
            document.build(shortest())
            assert document._built == seen + 1
            steps += 1
        assert steps == 5
        document.doc = None
        assert apply(document, writer.type("!")) == [Status.OK]


class TestDifferences:
    def test_they_are_shared_until_the_next_edit(self, document: Document) -> None:
        one = Replica(1)
        apply(document, one.type("abc"))
        known = bytes.fromhex("010101")
        first = document.diff(known)
        assert document.diff(known) is first
        apply(document, one.type("d"))
        assert read([one.all()]) == "abcd"
        assert document.diff(known) is not first

    def test_few_are_kept(self, document: Document) -> None:
        apply(document, Replica(1).type("abc"))
        for n in range(50):
            document.diff(state_vector({n + 5: 1}))
        assert len(document.diffs._found) <= diffs.DIFFS_KEPT

    def test_long_ones_come_in_parts(self) -> None:
        document = Document(16 << 20)
        writers = [Replica(n + 1) for n in range(40)]
        for writer in writers:
            apply(document, writer.type("x" * 50_000))
        parts = document.diff(EMPTY_STATE_VECTOR)
        assert len(parts) > 1
        assert max(map(len, parts)) <= diffs.JOINED_BYTES + 60_000
        assert len(read(parts)) == 40 * 50_000

    def test_long_ones_take_several_batches(self) -> None:
        document = Document(16 << 20)
        apply(document, Replica(99).type("a"))
        writers = [Replica(n + 1) for n in range(10)]
        for writer in writers:
            apply(document, writer.type("x" * 50_000))
        lacking = state_vector({99: 1})
        assert document.diff(lacking, 1) is None
        assert document.diff(lacking, 1) is None  # asked again by somebody else in the same batch
        apply(document, writers[0].type("y"))
        batch = 2
        while (parts := document.diff(lacking, batch)) is None:
            batch += 1
        assert 4 < batch < 8
        assert sorted(read(parts)) == ["x"] * 500_000 + ["y"]

    def test_an_edit_meanwhile_does_not_part_those_who_lack_the_same(self) -> None:
        """Else each of a hundred sockets that come back to a busy room has the document read once more."""
        document = Document(16 << 20)
        apply(document, Replica(99).type("a"))
        writers = [Replica(n + 1) for n in range(5)]
        for writer in writers:
            apply(document, writer.type("x" * 50_000))
        lacking = state_vector({99: 1})
        batch = 1
        while (parts := document.diff(lacking, batch)) is None:
            apply(document, writers[0].type("y"))
            batch += 1
        assert document.diff(lacking, batch) is parts
        apply(document, writers[0].type("z"))
        assert document.diff(lacking, batch + 1) is None

    def test_few_of_them_at_a_time_and_none_for_ever(self) -> None:
        document = Document(16 << 20)
        apply(document, Replica(99).type("a" * 10))
        for n in range(5):
            apply(document, Replica(n + 1).type("x" * 50_000))
        vectors = [state_vector({99: n + 1}) for n in range(diffs.MOST_SEARCHES + 1)]
        assert [document.diff(vector, 1) for vector in vectors] == [None] * len(vectors)
        assert len(document.diffs._searches) == diffs.MOST_SEARCHES
        for batch in range(2, 20):  # the others have gone away
            assert document.diff(vectors[-1], batch) is None
        answers = [document.diff(vectors[-1], diffs.STALE_BATCHES + 2 + step) for step in range(9)]
        assert any(answers)
        assert len(document.diffs._searches) == 0

    def test_who_knows_nobody_here_gets_everything_at_once(self, document: Document) -> None:
        apply(document, Replica(1).type("abc"))
        assert document.diff(state_vector({7: 5, 1: 0}), 1) == document.diff(EMPTY_STATE_VECTOR, 1)
        assert list(document.diffs._found) == [EMPTY_STATE_VECTOR]

    @pytest.mark.parametrize("state_vector", [b"", b"\x01", bytes.fromhex("8080808002"), b"\x00\x00"])
    def test_a_malformed_state_vector_is_an_error(self, document: Document, state_vector: bytes) -> None:
        with pytest.raises(ProtocolError):
            document.diff(state_vector)


def test_pieces_stay_few(document: Document) -> None:
    writer = Replica(1)
    for _ in range(2000):
        apply(document, writer.type("x"))
    assert len(document.pieces) < 4 * pieces.LOOSE_PIECES
    assert held(document) == "x" * 2000
    assert document.pieces.size == sum(map(len, document.pieces))
    assert document.is_built


def test_clients_that_went_separate_ways_meet(document: Document) -> None:
    """Whole states of offline clients overlap what is stored: merged runs then have Skips inside."""
    one, two = Replica(1), Replica(2)
    apply(document, one.type("base "))
    two.receive(one.all())
    offline = two.type("two ")
    apply(document, one.type("one "))
    assert apply(document, two.all(), one.type("more ")) == [Status.OK, Status.OK]
    assert apply(document, offline) == [Status.KNOWN]
    one.receive(offline)
    assert held(document) == str(one)
    again = Document(MOST_BYTES)
    again.load(list(document.pieces))
    assert held(again) == str(one)


EDIT = st.tuples(st.integers(0, 2), st.sampled_from(["type", "type", "erase", "sync"]), st.integers(0, 1 << 30))


@settings(max_examples=examples(40))
@given(edits=st.lists(EDIT, max_size=60), batch=st.integers(1, 7), seed=st.integers(0, 1 << 30))
def test_any_history_is_held_exactly(edits: list[tuple[int, str, int]], batch: int, seed: int) -> None:
    """Real updates in causal order, in batches, duplicated at times: every client with any state vector is served."""
    random = Random(seed)
    document = Document(MOST_BYTES)
    rows: list[bytes] = []
    replicas = [Replica(n + 1) for n in range(3)]
    past = [EMPTY_UPDATE]
    waiting: list[bytes] = []
    sent: list[bytes] = []

    def flush() -> None:
        if not waiting:
            return
        duplicates = random.sample(sent, min(len(sent), random.randrange(3)))
        assert set(apply(document, *duplicates, *waiting)) <= {Status.OK, Status.KNOWN}
        rows.extend(document.take_outgoing())
        sent.extend(waiting)
        waiting.clear()

    for who, what, number in edits:
        replica = replicas[who]
        content = str(replica)
        length = len(content)
        if what == "sync":
            flush()
            for part in document.diff(replica.state_vector):
                replica.receive(part)
        elif what == "type":
            at = len(content[: number % (length + 1)].encode())
            waiting.append(replica.type(random.choice(["a", "bc", "Zoë", "1234567", "💍"]), at))
        elif length:
            start = number % length
            before, gone = content[:start], content[start : start + 1 + number % 3]
            waiting.append(replica.erase(len(before.encode()), len((before + gone).encode())))
        past.append(replica.all())
        if len(waiting) >= batch:
            flush()
    flush()
    for replica in replicas:
        for part in document.diff(replica.state_vector):
            replica.receive(part)
        assert not replica.pending
    assert len({str(replica) for replica in replicas}) == 1
    assert held(document) == str(replicas[0])
    for state in past[:: max(1, len(past) // 8)]:
        reader = Replica(9)
        reader.receive(state)
        for part in document.diff(reader.state_vector):
            reader.receive(part)
        assert str(reader) == str(replicas[0])
    reloaded = Document(MOST_BYTES)
    reloaded.load(rows)
    assert reloaded.clocks == document.clocks == decode_state_vector(replicas[0].state_vector)
    assert held(reloaded) == str(replicas[0])


RANGE = st.tuples(st.integers(1, 2), st.integers(0, 30), st.integers(1, 8))


@given(ranges=st.lists(RANGE, max_size=30), asked=RANGE)
def test_clock_ranges_are_a_set(ranges: list[tuple[int, int, int]], asked: tuple[int, int, int]) -> None:
    covered = ClockRanges()
    model: set[tuple[int, int]] = set()
    for client, first, length in ranges:
        covered.add(client, first, first + length)
        model |= {(client, clock) for clock in range(first, first + length)}
    client, first, length = asked
    expected = all((client, clock) in model for clock in range(first, first + length))
    assert covered.covers(client, first, first + length) == expected


@settings(max_examples=examples(15))
@given(count=st.integers(0, 200))
def test_a_tree_of_merges_loses_nothing(count: int) -> None:
    writer = Replica(1)
    assert read(merge([writer.type("x") for _ in range(count)])) == "x" * count


def test_two_hundred_shuffles_end_equal() -> None:
    """Unlucky delivery: gaps are refused and sent again, duplicates recognised, the end is the same."""
    for seed in range(200):
        random = Random(seed)
        one, two = Replica(1), Replica(2)
        updates = [one.type("base ")]
        two.receive(updates[0])
        for _ in range(6):
            who = random.choice((one, two))
            length = len(str(who))
            update = (
                who.erase(0, 1) if random.random() < 0.3 and length else who.type("ab", random.randrange(length + 1))
            )
            updates.append(update)
            if random.random() < 0.5:
                (two if who is one else one).receive(who.all())
        two.receive(one.all())
        one.receive(two.all())
        queue = updates + random.sample(updates, 3)
        random.shuffle(queue)
        document = Document(MOST_BYTES)
        for _ in range(len(queue)):
            statuses = apply(document, *queue)
            queue = [update for update, status in zip(queue, statuses, strict=True) if status is Status.GAP]
        assert not queue, f"seed {seed}"
        assert held(document) == str(one) == str(two), f"seed {seed}"


def test_the_cpu_limit_allows_to_delete_all_there_is() -> None:
    """Seven bytes a letter: 7 MB of them take 0.12 s, and the update that deletes them has a few bytes."""
    document = Document(64 << 20)
    small = cpu_limit_seconds(document, 20)
    document.pieces.load([Typist(5).many_items(100_000)])
    assert cpu_limit_seconds(document, 20) - small >= 100_000 * 0.12e-6


def test_a_state_vector_longer_than_any_of_the_document_is_not_read() -> None:
    document = Document(64 << 20)
    document.load([Replica(5).type("hello")])
    assert document.diff(state_vector({5: 5})) == [EMPTY_UPDATE]
    for long in (state_vector({5: 5} | dict.fromkeys(range(6, 20_000), 1)), bytes(1 << 20)):
        assert document.diffs.has_no_overlap(long)
        assert document.diff(long) == document.diff(EMPTY_STATE_VECTOR)

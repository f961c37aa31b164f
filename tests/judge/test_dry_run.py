"""Updates that are tried in a copy of the host first: real forks of this process."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from crdt_server.judge.document import Document, has_few_structs
from crdt_server.judge.dry_run import TRIES, DryRun, ForkPool
from crdt_server.judge.process import DocumentHost
from crdt_server.pipe import NO_OVERLAP, Job, ProgressMark, RequestKind, Status, answers_in
from tests.support.wire import Replica, Typist, state_vector

SECONDS = 10.0
MOST_BYTES = 1 << 20
ITEMS = 3000


@pytest.fixture
def copies() -> Iterator[ForkPool]:
    copies = ForkPool(2)
    yield copies
    for pid in list(copies._ends):
        copies.stop(pid)
    gone(copies)


def all_children() -> list[int]:
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]


OTHERS: set[int] = set()


@pytest.fixture(autouse=True)
def others() -> None:
    """Children of other tests, such as a server they share, are none of ours."""
    OTHERS.clear()
    OTHERS.update(all_children())


def children() -> list[int]:
    return [pid for pid in all_children() if pid not in OTHERS]


def gone(copies: ForkPool) -> bool:
    """Whether no copy is left, once those that were stopped have died."""
    while copies._stopped and (copies.full or copies._stopped):
        copies.wait(SECONDS)
    return not copies._ends


def burn() -> None:
    while True:
        pass


def verdict(rehearsal: DryRun, copies: ForkPool, work: Callable[[bytes], object]) -> bool:
    """What a rehearsal comes to."""
    while True:
        if rehearsal.busy:
            copies.wait(SECONDS)
        elif (result := rehearsal.ask(b"update", work, 0.05)) is not None:
            return result


def fail(_: bytes) -> None:
    raise ValueError


def crash(_: bytes) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(("work", "survived"), [(len, True), (fail, False), (crash, False), (lambda _: burn(), False)])
def test_what_a_copy_does_not_survive_is_refused(
    copies: ForkPool, work: Callable[[bytes], object], survived: bool
) -> None:
    assert verdict(DryRun(copies), copies, work) is survived
    assert not copies._ends
    assert not children()


def test_somebody_who_kills_the_copies_says_nothing_about_the_update(copies: ForkPool) -> None:
    rehearsal = DryRun(copies)
    assert verdict(rehearsal, copies, lambda _: os.kill(os.getpid(), signal.SIGKILL))
    assert rehearsal._tries == TRIES


def test_nobody_waits_for_a_copy(copies: ForkPool) -> None:
    rehearsal = DryRun(copies)
    before = time.monotonic()
    assert rehearsal.ask(b"update", lambda _: burn(), 60) is None
    assert rehearsal.busy
    assert time.monotonic() - before < 1
    rehearsal.stop()
    assert gone(copies)
    assert not children()


def test_there_are_few_copies_at_a_time(copies: ForkPool) -> None:
    rehearsals = [DryRun(copies) for _ in range(3)]
    for rehearsal in rehearsals:
        if not rehearsal.busy:
            rehearsal.ask(b"update", lambda _: burn(), 60)
    assert len(children()) == 2
    assert all(rehearsal.busy for rehearsal in rehearsals)
    rehearsals[0].stop()
    rehearsals[1].stop()
    assert gone(copies)
    assert not rehearsals[2].busy


def test_a_copy_has_nothing_of_the_host_open(copies: ForkPool) -> None:
    reading, writing = os.pipe()
    pid = copies.start(burn, 60)
    os.close(writing)
    assert os.read(reading, 1) == b""  # the end of the pipe, though the copy is alive
    os.close(reading)
    copies.stop(pid)


def test_the_verdict_of_one_update_is_not_that_of_another(copies: ForkPool) -> None:
    rehearsal = DryRun(copies)
    assert rehearsal.ask(b"one", fail, 1) is None
    while rehearsal.busy:
        copies.wait(SECONDS)
    assert rehearsal.ask(b"two", len, 1) is None
    while rehearsal.busy:
        copies.wait(SECONDS)
    assert rehearsal.ask(b"two", len, 1) is True


# -- a document, and a host


def judged(document: Document, copies: ForkPool, update: bytes) -> Status:
    """The verdict on an update, once it is rehearsed."""
    while (status := dict(document.apply([(update, None)], lambda _: None)).get(0, Status.OK)) is Status.LATER:
        copies.wait(SECONDS)
    return status


def test_small_edits_go_on_while_a_large_one_is_tried(copies: ForkPool) -> None:
    document = Document(MOST_BYTES, copies=copies)
    large, small = Typist(5).many_items(500), Replica(1).type("x")
    assert document.apply([(large, None), (small, None)], lambda _: None) == [(0, Status.LATER)]
    assert document.take_outgoing() == [small]
    assert judged(document, copies, large) is Status.OK
    assert document.clocks == {1: 1, 5: 500}


def test_what_builds_on_an_update_that_is_being_tried_comes_again_with_it(copies: ForkPool) -> None:
    """The copy may end between the two: then the second may neither leave a hole nor take the first one's verdict."""
    document = Document(MOST_BYTES, copies=copies)
    typist = Typist(5)
    large, small, other = typist.many_items(500), typist.text(b"x"), Typist(6).many_items(500)
    later = [(0, Status.LATER), (1, Status.LATER), (2, Status.LATER)]
    assert document.apply([(large, None), (small, None), (other, None)], lambda _: None) == later
    copies.wait(SECONDS)
    assert document.apply([(small, None), (other, None)], lambda _: None, waiting=True) == later[:2]
    assert judged(document, copies, large) is Status.OK
    assert document.apply([(small, None)], lambda _: None) == []
    document.close()


def test_pasted_text_needs_no_rehearsal(copies: ForkPool) -> None:
    document = Document(MOST_BYTES, copies=copies)
    assert document.apply([(Typist(5).text(b"x" * 100_000), None)], lambda _: None) == []
    assert document.apply([(Typist(6).many_deletions(1000), None)], lambda _: None) == [(0, Status.LATER)]
    assert not has_few_structs(b"\x01")
    assert not has_few_structs(b"\xff" * 2000)
    document.close()


def test_what_takes_too_long_is_deadly_for_the_copy_alone(copies: ForkPool) -> None:
    """Two clients that each put letters before their own: every letter of the second passes all of the first's."""
    document = Document(MOST_BYTES, copies=copies)
    assert judged(document, copies, Typist(2).many_items(ITEMS)) is Status.OK
    assert judged(document, copies, Typist(3).many_items(ITEMS)) is Status.DEADLY
    assert document.clocks == {2: ITEMS}


def test_a_host_forgets_a_document_and_its_copy() -> None:
    fd = os.memfd_create("mark")
    os.ftruncate(fd, ProgressMark.SIZE)
    host = DocumentHost(ProgressMark(fd), MOST_BYTES)
    os.close(fd)
    host.handle([0.0, [[1, [Typist(2).many_items(ITEMS)], True, False, [], None]], []])
    op = [RequestKind.UPDATE, Typist(3).many_items(ITEMS), None, None, None]
    ((_, merged, faults, *_),), *_ = host.handle([0.0, [[1, None, True, False, [op], None]], []])
    assert (merged, faults) == ([], [(0, Status.LATER)])
    assert children()
    host.handle([0.0, [], [[Job.FORGET, [1]]]])
    assert gone(host._copies)
    assert not children()


def test_the_same_answer_crosses_the_pipe_once(copies: ForkPool) -> None:
    fd = os.memfd_create("mark")
    os.ftruncate(fd, ProgressMark.SIZE)
    host = DocumentHost(ProgressMark(fd), MOST_BYTES)
    os.close(fd)
    known, unknown = state_vector({2: 1}), state_vector({9: 1})
    questions = [[RequestKind.DIFF, asked, None, None, None] for asked in (b"\0", known, b"\0", unknown, known)]
    stored = Typist(2).text(b"letters")
    ((_, _, _, answers, *_),), *_ = host.handle([0.0, [[1, [stored], True, False, questions, None]], []])
    assert answers == [(0, [stored]), (1, answers[1][1]), (2, 0), (3, NO_OVERLAP), (4, 1)]
    assert answers_in(answers) == {0: [stored], 1: answers[1][1], 2: [stored], 3: NO_OVERLAP, 4: answers[1][1]}


def test_an_answer_that_is_none_is_not_taken() -> None:
    for pairs in ([(0, 0)], [(0, 1), (1, [b"x"])], [(0, -2)]):
        with pytest.raises(KeyError):
            answers_in(pairs)

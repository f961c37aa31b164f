"""Updates that are tried in a copy of the host first: real forks of this process."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator

import pytest

from crdt_server.hosts.batch import resolve
from crdt_server.judge.document import Document
from crdt_server.judge.dry_run import (
    COPIES,
    DESCRIPTORS,
    MOST_DEFERRED,
    TRIES,
    TURN_UPDATES,
    DryRun,
    ForkPool,
    Trial,
)
from crdt_server.judge.integration_cost import has_few_structs
from crdt_server.judge.process import DocumentHost
from crdt_server.pipe import (
    Batch,
    Diff,
    Fault,
    ForgetRooms,
    HostRequest,
    IndexedResponse,
    LoadStep,
    NoOverlap,
    RequestKind,
    RoomRequests,
    RoomResult,
    SameAs,
    Status,
)
from crdt_server.progress_mark import ProgressMark
from crdt_server.protocol.update import EMPTY_UPDATE, decode_update, with_deletes
from tests.support.wire import Replica, Typist, state_vector

SECONDS = 10.0
MOST_BYTES = 1 << 20
ITEMS = 3000
MODULE = DryRun.__module__


@pytest.fixture
def copies() -> Iterator[ForkPool]:
    copies = ForkPool(2)
    yield copies
    for copy in copies._copies:
        copy.stop()
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
    while any(copy.is_stopped for copy in copies._copies):
        copies.wait(SECONDS)
    copies._poll()
    return not copies._copies


UPDATE = decode_update(Typist(5).many_items(3), max_bytes=MOST_BYTES)


def run(dry_run: DryRun, data: bytes, work: Callable[[bytes], object], cpu_seconds: float = 60) -> bool | None:
    """Try an update whose bytes say nothing, in a document that stays empty."""
    return dry_run.run(data, UPDATE.data, work, cpu_seconds)


def survive(_: bytes) -> None:
    pass


def burn(_: bytes) -> None:
    while True:
        pass


def verdict(dry_run: DryRun, copies: ForkPool, work: Callable[[bytes], object]) -> bool:
    """The verdict of a dry run."""
    while True:
        if dry_run.busy(b"update"):
            copies.wait(SECONDS)
        elif (result := run(dry_run, b"update", work, 0.05)) is not None:
            return result


def fail(_: bytes) -> None:
    raise ValueError


def crash(_: bytes) -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


@pytest.mark.parametrize(("work", "survived"), [(survive, True), (fail, False), (crash, False), (burn, False)])
def test_what_a_copy_does_not_survive_is_refused(
    copies: ForkPool, work: Callable[[bytes], object], survived: bool
) -> None:
    dry_run = DryRun(copies)
    assert verdict(dry_run, copies, work) is survived
    assert bool(children()) is survived
    dry_run.stop()
    assert gone(copies)
    assert not children()


def test_somebody_who_kills_the_copies_says_nothing_about_the_update(copies: ForkPool) -> None:
    reading, writing = os.pipe2(os.O_NONBLOCK)
    killed = os.dup2(writing, DESCRIPTORS + 1)  # the copies keep what lies beyond

    def be_killed(_: bytes) -> None:
        os.write(killed, b"x")
        os.kill(os.getpid(), signal.SIGKILL)

    assert verdict(DryRun(copies), copies, be_killed)
    assert os.read(reading, 100) == b"x" * TRIES
    for descriptor in (reading, writing, killed):
        os.close(descriptor)


def test_nobody_waits_for_a_copy(copies: ForkPool) -> None:
    dry_run = DryRun(copies)
    assert run(dry_run, b"update", burn) is None
    assert dry_run.busy(b"update")
    assert children(), "it burns CPU time until it is stopped"
    dry_run.stop()
    assert gone(copies)
    assert not children()


def test_nobody_waits_for_the_last_steps_of_a_copy_that_has_little_of_the_cpu(copies: ForkPool) -> None:
    def close_and_stop(_: bytes) -> None:
        os.closerange(3, DESCRIPTORS)
        os.kill(os.getpid(), signal.SIGSTOP)

    dry_run = DryRun(copies)
    assert run(dry_run, b"update", close_and_stop) is None
    [copy] = copies._copies
    select.select([copy], [], [])  # the copy's end of the socket is closed
    assert dry_run.busy(b"update")
    assert not select.select([copy], [], [], 0)[0], "whoever waits for it does not spin"
    [pid] = children()
    os.kill(pid, signal.SIGKILL)
    while copies._copies:
        copies.wait(SECONDS)
    assert not dry_run.busy(b"update"), "it was killed from outside: it is tried again"


def test_there_are_few_copies_at_a_time(copies: ForkPool) -> None:
    dry_runs = [DryRun(copies) for _ in range(3)]
    for dry_run in dry_runs:
        if not dry_run.busy(b"update"):
            run(dry_run, b"update", burn)
    assert len(children()) == 2
    assert all(dry_run.busy(b"update") for dry_run in dry_runs)
    dry_runs[0].stop()
    dry_runs[1].stop()
    assert gone(copies)
    assert not dry_runs[2].busy(b"update")


def test_a_copy_has_nothing_of_the_host_open(copies: ForkPool) -> None:
    reading, writing = os.pipe()
    copies.start(burn, b"update", 60)
    os.close(writing)
    assert os.read(reading, 1) == b""  # the end of the pipe, though the copy is alive
    os.close(reading)


def finished(dry_run: DryRun, copies: ForkPool, update: bytes) -> None:
    """Wait until the copy that tries an update has ended."""
    while not dry_run.decided(update):
        copies.wait(SECONDS)


def test_the_verdict_of_one_update_is_not_that_of_another(copies: ForkPool) -> None:
    dry_run = DryRun(copies)
    assert run(dry_run, b"one", fail) is None
    finished(dry_run, copies, b"one")
    assert dry_run.busy(b"two")  # else the two would displace each other for ever
    assert run(dry_run, b"one", fail) is False
    assert not dry_run.busy(b"two")
    assert run(dry_run, b"two", survive) is None
    finished(dry_run, copies, b"two")
    assert run(dry_run, b"two", survive) is True


def test_an_update_that_does_not_come_again_gives_way(copies: ForkPool) -> None:
    dry_run = DryRun(copies)
    assert run(dry_run, b"one", survive) is None
    finished(dry_run, copies, b"one")
    assert sum(dry_run.busy(b"two") for _ in range(MOST_DEFERRED + 1)) == MOST_DEFERRED
    assert not dry_run.busy(b"two")
    assert run(dry_run, b"one", survive) is None
    finished(dry_run, copies, b"one")
    dry_run.settled(b"one")
    assert not dry_run.busy(b"two")


def test_a_copy_that_tries_nothing_makes_room(copies: ForkPool, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, third = (DryRun(copies) for _ in range(3))
    assert run(first, b"update", survive) is None
    finished(first, copies, b"update")
    assert run(second, b"update", burn) is None
    monkeypatch.setattr(f"{MODULE}.TURN_SECONDS", SECONDS)
    assert third.busy(b"update"), "more may come for the first one"
    monkeypatch.setattr(f"{MODULE}.TURN_SECONDS", 0)
    while third.busy(b"update"):
        copies.wait(SECONDS)
    assert run(third, b"update", survive) is None
    finished(third, copies, b"update")
    assert run(first, b"update", survive) is True, "its verdict stands"


def test_one_copy_at_a_time_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{MODULE}.TURN_SECONDS", 0)
    pool = ForkPool(3)
    for _ in range(3):
        assert verdict(DryRun(pool), pool, survive)
    waiting = DryRun(pool)
    assert waiting.busy(b"update")
    waiting.busy(b"update")
    assert sum(not copy.is_stopped for copy in pool._copies) == 2
    for copy in pool._copies:
        copy.stop()
    assert gone(pool)


def test_a_copy_that_has_tried_many_makes_room(copies: ForkPool) -> None:
    """The document whose copy it is always has the next update at once."""
    copies._most = 1
    document, other = DryRun(copies), DryRun(copies)
    assert run(document, b"0", survive) is None
    tried = 0
    while other.busy(b"update"):
        for _ in range(2):  # the verdict, and the next one
            if not document.busy(b"%d" % tried) and run(document, b"%d" % tried, survive):
                document.changed(UPDATE.data)
                tried += 1
        copies.wait(SECONDS)
        assert tried <= TURN_UPDATES
    assert tried == TURN_UPDATES


def test_copies_that_have_ended_give_no_place(copies: ForkPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{MODULE}.IDLE_SECONDS", 0.01)
    documents = [DryRun(copies) for _ in range(6)]
    for document in documents:
        assert verdict(document, copies, survive)
    while not gone(copies):
        copies.nap(0.001)
    for document in documents:
        if not document.busy(b"update"):
            run(document, b"update", burn)
    assert len(children()) == len(copies._copies) == 2


def test_a_copy_ends_when_nothing_comes(copies: ForkPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{MODULE}.IDLE_SECONDS", 0.01)
    tried = DryRun(copies)
    assert verdict(tried, copies, survive)
    while not gone(copies):
        copies.nap(0.001)
    assert verdict(tried, copies, survive), "the next one is a new one"


# -- a document, and a host


def judged(document: Document, copies: ForkPool, update: bytes) -> Status:
    """The verdict on an update, once it is rehearsed."""
    while (status := dict(document.apply([(update, None)], lambda _: None)).get(0, Status.OK)) is Status.LATER:
        copies.wait(SECONDS)
    return status


def test_a_copy_tries_one_update_after_the_other(copies: ForkPool) -> None:
    document = Document(MOST_BYTES, copies=copies)
    typist = Typist(5)
    assert judged(document, copies, typist.many_items(600)) is Status.OK
    (first,) = copies._copies
    assert judged(document, copies, typist.many_items(600)) is Status.OK
    assert copies._copies == [first]
    assert judged(document, copies, Replica(1).type("x")) is Status.OK
    assert judged(document, copies, typist.many_items(600)) is Status.OK
    assert first not in copies._copies or first.is_stopped, "it did not have the edit of somebody else"
    assert judged(document, copies, Typist(6).many_items(ITEMS)) is Status.DEADLY
    assert document.clocks == {1: 1, 5: 1800}
    assert judged(document, copies, typist.many_items(600)) is Status.OK
    document.close()


def test_an_update_that_is_refused_after_it_was_tried_is_in_no_later_copy(copies: ForkPool) -> None:
    document, typist = Document(MOST_BYTES, copies=copies), Typist(5)
    tried = Typist(5, "other").many_items(600)
    assert document.apply([(tried, None)], lambda _: None) == [(0, Status.LATER)]
    copies.wait(SECONDS)
    (first,) = copies._copies
    document.over_quota = True
    assert document.apply([(tried, None)], lambda _: None) == [(0, Status.OVER_QUOTA)]
    document.over_quota = False
    for _ in range(10):  # the same ids, with other content
        assert judged(document, copies, typist.many_items(60)) is Status.OK
    assert judged(document, copies, Typist(6).many_items(600)) is Status.OK
    assert first not in copies._copies or first.is_stopped
    document.close()


def test_a_copy_tries_nothing_more_once_others_have_deleted(copies: ForkPool) -> None:
    """Deletions cut one text into many structs, which every letter before it has to pass."""
    document = Document(MOST_BYTES, copies=copies)
    assert judged(document, copies, Typist(2).text(b"x" * 2 * ITEMS)) is Status.OK
    assert judged(document, copies, Typist(7, "other").many_items(600)) is Status.OK
    (first,) = copies._copies
    for start in range(0, 2 * ITEMS, 200):
        deletes = [(2, clock, clock + 1) for clock in range(start, start + 200, 2)]
        assert judged(document, copies, with_deletes(EMPTY_UPDATE, deletes)) is Status.OK
    assert first.trial is Trial.SURVIVED
    assert judged(document, copies, Typist(3).many_items(ITEMS)) is Status.DEADLY
    document.close()


def test_small_edits_go_on_while_a_large_one_is_tried(copies: ForkPool) -> None:
    document = Document(MOST_BYTES, copies=copies)
    large, small = Typist(5).many_items(600), Replica(1).type("x")
    assert document.apply([(large, None), (small, None)], lambda _: None) == [(0, Status.LATER)]
    assert document.take_outgoing() == [small]
    assert judged(document, copies, large) is Status.OK
    assert document.clocks == {1: 1, 5: 600}


def test_what_builds_on_an_update_that_is_being_tried_comes_again_with_it(copies: ForkPool) -> None:
    """The copy may end between the two: then the second may neither leave a hole nor take the first one's verdict."""
    document = Document(MOST_BYTES, copies=copies)
    typist = Typist(5)
    large, small, other = typist.many_items(600), typist.text(b"x"), Typist(6).many_items(600)
    later = [(0, Status.LATER), (1, Status.LATER), (2, Status.LATER)]
    assert document.apply([(large, None), (small, None), (other, None)], lambda _: None) == later
    copies.wait(SECONDS)
    assert document.apply([(small, None), (other, None)], lambda _: None, waiting=True) == later[:2]
    assert judged(document, copies, large) is Status.OK
    assert document.apply([(small, None)], lambda _: None) == []
    document.close()


def test_updates_of_several_senders_do_not_displace_each_other(copies: ForkPool) -> None:
    """The order of senders changes from batch to batch."""
    document = Document(MOST_BYTES, copies=copies)
    waiting = [Typist(client).many_deletions(300) for client in range(5, 9)]
    batches = 0
    while waiting:
        batches += 1
        assert batches <= 20
        later = document.apply([(each, None) for each in waiting], lambda _: None)
        waiting = [waiting[index] for index, status in reversed(later) if status is Status.LATER]
        copies.wait(SECONDS)
    assert document.clocks == dict.fromkeys(range(5, 9), 600)


def test_pasted_text_needs_no_dry_run(copies: ForkPool) -> None:
    document = Document(MOST_BYTES, copies=copies)
    assert document.apply([(Typist(5).text(b"x" * 100_000), None)], lambda _: None) == []
    assert document.apply([(Typist(6).many_deletions(1000), None)], lambda _: None) == [(0, Status.LATER)]
    ordinary = Typist(5).many_items(200)
    assert has_few_structs(ordinary, 1000)
    assert not has_few_structs(ordinary, 2000)
    assert not has_few_structs(b"\x01", 0)
    assert not has_few_structs(b"\xff" * 2000, 0)
    document.close()


def test_an_update_of_which_a_part_is_known(copies: ForkPool) -> None:
    """What is tried is the rest of it, what comes again is the whole: they are one update."""
    document = Document(MOST_BYTES, copies=copies)
    replica = Replica(5)
    first = replica.type("a")
    for number in range(600):
        replica.type(f"{number} ", at=0)
    assert document.apply([(first, None)], lambda _: None) == []
    whole, other = replica.doc.get_update(), Typist(6).many_deletions(300)
    for _ in range(4):
        document.apply([(whole, None), (other, None)], lambda _: None)
        copies.wait(SECONDS)
    assert document.clocks[6] == 600
    assert document.clocks[5] == len(replica.text)
    document.close()


def test_deletions_that_are_known_need_no_dry_run(copies: ForkPool) -> None:
    """Yjs sends all there ever were with what a client has written while it was away."""
    document = Document(MOST_BYTES, copies=copies)
    stored = Typist(5).many_deletions(1000)
    document.load([stored])
    away = Replica(6)
    away.receive(stored)
    before = away.state_vector
    away.type("hello " * 300)
    update = away.doc.get_update(before)
    assert len(decode_update(update, max_bytes=len(update)).deletes) == 1000
    assert document.apply([(update, None)], lambda _: None) == []
    document.close()


def test_what_takes_too_long_is_deadly_for_the_copy_alone(copies: ForkPool) -> None:
    """Two clients that each put letters before their own: every letter of the second passes all of the first's."""
    document = Document(MOST_BYTES, copies=copies)
    assert judged(document, copies, Typist(2).many_items(ITEMS)) is Status.OK
    assert judged(document, copies, Typist(3).many_items(ITEMS)) is Status.DEADLY
    assert document.clocks == {2: ITEMS}


def new_host() -> DocumentHost:
    fd = os.memfd_create("mark")
    os.ftruncate(fd, ProgressMark.SIZE)
    host = DocumentHost(ProgressMark(fd), MOST_BYTES)
    os.close(fd)
    return host


def test_a_host_forgets_a_document_and_its_copy() -> None:
    host = new_host()
    host.handle(Batch(0.0, [RoomRequests(1, [], LoadStep([Typist(2).many_items(ITEMS)]))]))
    request = HostRequest(RequestKind.UPDATE, Typist(3).many_items(ITEMS))
    (result,) = host.handle(Batch(0.0, [RoomRequests(1, [request])])).results
    assert isinstance(result, RoomResult)
    assert (result.updates, result.faults) == ([], [Fault(0, Status.LATER)])
    assert children()
    host.handle(Batch(0.0, [], [ForgetRooms([1])]))
    assert gone(host.held.copies)
    assert not children()


def test_senders_that_have_left_keep_nobody_from_dry_runs() -> None:
    host = new_host()
    rooms = range(COPIES + 1)
    host.handle(Batch(0.0, [RoomRequests(room, [], LoadStep([Typist(2).text(b"x")])) for room in rooms]))
    request = HostRequest(RequestKind.UPDATE, Typist(3).many_items(600))

    def is_put_off(room: int) -> bool:
        (result,) = host.handle(Batch(0.0, [RoomRequests(room, [request])])).results
        assert isinstance(result, RoomResult)
        return bool(result.faults)

    assert all(map(is_put_off, rooms))
    while is_put_off(COPIES):
        host.held.copies.wait(SECONDS)
    host.handle(Batch(0.0, [], [ForgetRooms(list(rooms))]))
    assert gone(host.held.copies)


def test_the_same_answer_crosses_the_pipe_once(copies: ForkPool) -> None:
    host = new_host()
    known, unknown = state_vector({2: 1}), state_vector({9: 1})
    questions = [HostRequest(RequestKind.DIFF, asked) for asked in (b"\0", known, b"\0", unknown, known)]
    stored = Typist(2).text(b"letters")
    (result,) = host.handle(Batch(0.0, [RoomRequests(1, questions, LoadStep([stored]))])).results
    assert isinstance(result, RoomResult)
    rest = result.responses[1].response
    assert isinstance(rest, Diff)
    expected = [Diff([stored]), rest, SameAs(0), NoOverlap(), SameAs(1)]
    assert result.responses == [IndexedResponse(*each) for each in enumerate(expected)]
    assert resolve(result.responses) == {0: Diff([stored]), 1: rest, 2: Diff([stored]), 3: NoOverlap(), 4: rest}


def test_a_response_like_one_that_is_none_is_not_taken() -> None:
    for responses in ([SameAs(0)], [SameAs(1), Diff([b"x"])], [SameAs(-2)]):
        with pytest.raises(KeyError):
            resolve([IndexedResponse(*each) for each in enumerate(responses)])

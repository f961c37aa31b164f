"""Host processes from birth to death."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import weakref
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.access.identity import Identity
from crdt_server.hosts import supervisor as supervisor_module
from crdt_server.hosts.jobs import JobFailed, JobWorker
from crdt_server.hosts.supervisor import (
    SPARES,
    WATCHDOG_TICKS,
    Child,
    HostDied,
    HostFactory,
    HostProcess,
    Supervisor,
    spawn_interpreter,
)
from crdt_server.pipe import (
    LENGTH,
    MAX_FRAME_BYTES,
    Batch,
    BatchResponse,
    Bytes,
    Checked,
    CheckedPiece,
    CheckUpdate,
    CommandRefused,
    Diff,
    Fault,
    ForgetRooms,
    HostRequest,
    IndexedResponse,
    LoadStep,
    MergeUpdates,
    ReadRows,
    RequestKind,
    RoomRequests,
    RoomResult,
    SameAs,
    Status,
    decode_batch,
    decode_response,
    encode,
    frame,
)
from crdt_server.progress_mark import ProgressMark
from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from tests.support.wire import KILLER, KILLER_GROUND, Replica

MEMORY_BYTES = 1 << 30
DOCUMENT_BYTES = 64 << 20
SECONDS = 60.0
NOTHING = Batch(0.0)


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    factory = HostFactory(memory_bytes=MEMORY_BYTES, max_document_bytes=DOCUMENT_BYTES)
    supervisor = Supervisor("test", factory, timeout_seconds=SECONDS)
    yield supervisor
    await supervisor.stop()
    await factory.stop()


@pytest.fixture
async def process() -> AsyncIterator[HostProcess]:
    host = await HostProcess.start(MEMORY_BYTES, DOCUMENT_BYTES)
    yield host
    await host.stop()


def entry(room: int, *updates: bytes, load: list[bytes] | None = None) -> RoomRequests:
    requests = [HostRequest(RequestKind.UPDATE, update) for update in updates]
    return RoomRequests(room, requests, None if load is None else LoadStep(load))


def room_result(
    room: int,
    size: int,
    *,
    updates: Sequence[bytes] = (),
    faults: Sequence[Fault] = (),
    responses: Sequence[IndexedResponse] = (),
) -> RoomResult:
    return RoomResult(room, size, True, list(updates), list(faults), list(responses), None, [], 0.0, [])


async def run_alone(supervisor: Supervisor, requests: RoomRequests) -> RoomResult:
    """The result of a batch of one room."""
    (result,) = (await supervisor.run([requests])).results
    assert isinstance(result, RoomResult)
    return result


async def test_documents_live_from_batch_to_batch(supervisor: Supervisor) -> None:
    writer = Replica(1)
    first, second = writer.type("a"), writer.type("b")
    response = await supervisor.run([entry(7, first, load=[])])
    response.results[0].cpu_seconds = 0.0  # type: ignore[union-attr]
    assert response == BatchResponse([room_result(7, len(first), updates=[first])], [], [], [])
    assert (await run_alone(supervisor, entry(7, second))).updates == [second]


async def test_only_an_idle_host_is_replaced(supervisor: Supervisor) -> None:
    assert not supervisor.is_idle
    batch = asyncio.create_task(supervisor.run([entry(2, Replica(2).type("b"), load=[])]))
    await asyncio.sleep(0)
    first = supervisor.pid
    await supervisor.renew()
    assert (supervisor.pid, supervisor.is_idle) == (first, False)
    await batch
    assert supervisor.is_idle
    await supervisor.renew()
    assert supervisor.pid is None
    assert await run_alone(supervisor, entry(1, Replica(3).type("c"), load=[]))
    assert (supervisor.pid != first, supervisor.restarts) == (True, 0)


async def test_the_niceness_of_a_host_is_counted_from_that_of_the_server() -> None:
    async def niceness_of_host() -> int:
        factory = HostFactory(memory_bytes=MEMORY_BYTES, max_document_bytes=DOCUMENT_BYTES)
        supervisor = Supervisor("test", factory, timeout_seconds=SECONDS, niceness=2)
        await supervisor.start()
        assert supervisor.pid is not None
        try:
            return os.getpriority(os.PRIO_PROCESS, supervisor.pid)
        finally:
            await supervisor.stop()
            await factory.stop()

    def served_with_nice() -> tuple[int, int]:
        own = os.getpriority(os.PRIO_PROCESS, 0) + 3
        os.setpriority(os.PRIO_PROCESS, 0, own)  # on Linux, of this thread alone
        return own, asyncio.run(niceness_of_host())

    with ThreadPoolExecutor(1) as alone:
        own, of_host = await asyncio.get_running_loop().run_in_executor(alone, served_with_nice)
    assert of_host == own + 2


async def test_a_host_has_nothing_of_ours(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRDT_SERVER_SECRET", "key")
    await supervisor.run(())  # it has started, and opens no file any more
    assert b"SECRET" not in Path(f"/proc/{supervisor.pid}/environ").read_bytes()
    kinds = [os.readlink(f"/proc/{supervisor.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{supervisor.pid}/fd")]
    assert sum(kind.startswith("socket:") for kind in kinds) == 1
    assert not [kind for kind in kinds if kind.endswith(".db")]


async def test_spare_hosts_do_not_start_beside_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    started: asyncio.Queue[Child] = asyncio.Queue()

    def spawn(arguments: Sequence[int], descriptors: Sequence[int]) -> Child:
        started.put_nowait(child := spawn_interpreter(arguments, descriptors))
        return child

    monkeypatch.setattr(supervisor_module, "SPARES_AFTER_SECONDS", 0.1)
    monkeypatch.setattr(supervisor_module, "SPARES_APART_SECONDS", 0.1)
    factory = HostFactory(memory_bytes=MEMORY_BYTES, max_document_bytes=DOCUMENT_BYTES, spawn=spawn)
    first = await factory.take()
    assert started.qsize() == 1
    for _ in range(1 + SPARES):
        await asyncio.wait_for(started.get(), SECONDS)
        assert started.empty()  # nor beside one another
    await first.stop()
    await factory.stop()


async def test_its_own_death_names_the_suspect(supervisor: Supervisor) -> None:
    harmless = Replica(1).type("x")
    with pytest.raises(HostDied) as death:
        await supervisor.run([entry(1, harmless, load=[]), entry(2, harmless, KILLER, harmless, load=[*KILLER_GROUND])])
    assert death.value.own_fault
    assert death.value.mark == (1, 1)
    assert supervisor.restarts == 1
    assert (await run_alone(supervisor, entry(1, harmless, load=[]))).updates == [harmless]


async def test_the_time_of_an_update_does_not_pay_for_merging_it(supervisor: Supervisor) -> None:
    """A long honest history beside somebody's small edit: comparing what was merged takes longer than applying it."""
    history = long_history(150_000)
    (checked,) = (await supervisor.run((), [CheckUpdate(history)])).jobs
    assert isinstance(checked, Checked)
    pieces = [(piece.update or history, piece.summary) for piece in checked.pieces]
    requests = [HostRequest(RequestKind.UPDATE, *piece) for piece in ((Replica(5).type("hi"), None), *pieces)]
    load: LoadStep | None = LoadStep([])
    while requests:  # each large one is tried in a copy first
        result = await run_alone(supervisor, RoomRequests(1, requests, load))
        assert {fault.status for fault in result.faults} <= {Status.LATER}
        assert len(result.updates) <= 1
        requests, load = [requests[fault.index] for fault in result.faults], None
    assert supervisor.restarts == 0


def long_history(count: int) -> bytes:
    """A text typed from its end to its beginning, one item per character, behind an emoji."""
    out = [write_var_uint(1), write_var_uint(count), b"\x01\x00\x04\x01\x04text" + write_var_string("💍")]
    for item in range(1, count):
        right = 0 if item == 1 else item
        out.append(b"\x44\x01" + write_var_uint(right) + b"\x01x")
    return b"".join(out) + b"\x00"


async def test_killed_from_outside_is_no_fault(supervisor: Supervisor) -> None:
    await supervisor.start()
    assert supervisor.pid is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    with pytest.raises(HostDied) as death:
        await supervisor.run([entry(1, load=[])])
    assert not death.value.own_fault


async def test_the_watchdog(process: HostProcess) -> None:
    await process.run(NOTHING, SECONDS)
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(HostDied) as death:
        await process.run(NOTHING, 0.1)
    assert death.value.own_fault
    assert death.value.cause == "watchdog"


async def test_time_in_which_this_process_stood_still_is_not_charged_to_a_host(
    process: HostProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    await process.run(NOTHING, SECONDS)
    os.kill(process.pid, signal.SIGSTOP)
    asking = asyncio.create_task(process.run(NOTHING, SECONDS))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + 1000 * SECONDS)
    await asyncio.to_thread(os.kill, process.pid, signal.SIGCONT)
    assert await asking


async def test_the_start_of_the_interpreter_is_not_charged_to_a_host(process: HostProcess) -> None:
    await process.run(NOTHING, SECONDS)
    os.kill(process.pid, signal.SIGSTOP)
    asking = asyncio.create_task(process.run(NOTHING, SECONDS))
    await asyncio.sleep(0)
    process._mark.set(*ProgressMark.STARTING)
    for _ in range(2 * WATCHDOG_TICKS):
        process._tick(SECONDS)
    assert not asking.done()
    process._mark.set(*ProgressMark.IDLE)
    for _ in range(WATCHDOG_TICKS):
        process._tick(SECONDS)
    with pytest.raises(HostDied, match="watchdog"):
        await asking


def too_deep() -> bytes:
    """A response with a problem in which arrays lie in arrays, deeper than any decoder follows."""
    refused = CommandRefused([{"key": None}])
    response = BatchResponse([room_result(1, 0, responses=[IndexedResponse(0, refused)])], [], [], [])
    before, after = encode(response).split(b"\xa3key\xc0")
    body = before + b"\xa3key" + b"\x91" * 5000 + b"\xc0" + after
    return LENGTH.pack(len(body)) + body


@pytest.mark.parametrize(
    "answer",
    [LENGTH.pack(MAX_FRAME_BYTES + 1), LENGTH.pack(1) + b"\xc1", LENGTH.pack(3) + b"\x92\x01\xd9", too_deep()],
    ids=["too large", "no msgpack", "no response", "too deep"],
)
async def test_an_answer_that_is_none_ends_the_host(process: HostProcess, answer: bytes) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    asking = asyncio.create_task(process.run(NOTHING, SECONDS))
    await asyncio.sleep(0)
    for byte in answer:
        process.data_received(bytes((byte,)))
    with pytest.raises(HostDied) as death:
        await asking
    assert death.value.own_fault


async def test_too_much_memory_is_its_own_fault() -> None:
    host = await HostProcess.start(400 << 20, DOCUMENT_BYTES)
    with pytest.raises(HostDied) as death:
        await host.run(Batch(0.0, [], [CheckUpdate(b"\x00" * (450 << 20))]), SECONDS)
    assert death.value.own_fault
    await host.stop()


async def test_a_stopped_supervisor_has_no_process_left(supervisor: Supervisor) -> None:
    await supervisor.start()
    pid = supervisor.pid
    assert pid is not None
    await supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_host_that_does_not_end_is_killed(process: HostProcess) -> None:
    os.kill(process.pid, signal.SIGSTOP)
    await process.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


class TestJobWorker:
    @pytest.fixture
    async def worker(self, supervisor: Supervisor) -> AsyncIterator[JobWorker]:
        worker = JobWorker(supervisor)
        task = asyncio.create_task(worker.run())
        yield worker
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def test_work_that_failed_is_not_kept(self, worker: JobWorker) -> None:
        """A failure, its traceback and the megabytes that failed would hold one another until a full collection."""
        gc.collect()
        gc.disable()
        try:
            kept: weakref.ref[JobFailed] | None = None
            try:
                await worker.check(b"\xff" * 100_000)
            except JobFailed as failure:
                kept = weakref.ref(failure)
            await asyncio.sleep(0)  # the worker has turned to the next
            assert kept is not None
            assert kept() is None
        finally:
            gc.enable()

    async def test_work_is_done_in_order(self, worker: JobWorker) -> None:
        writer = Replica(1)
        updates = [writer.type("x") for _ in range(20)]
        merged, ((piece, summary),) = await asyncio.gather(worker.merge(updates), worker.check(updates[0]))
        assert piece == updates[0]
        assert summary
        reader = Replica(2)
        reader.receive(merged)
        assert str(reader) == "x" * 20

    async def test_what_is_malformed_is_refused(self, worker: JobWorker) -> None:
        with pytest.raises(JobFailed):
            await worker.check(b"\x01")
        assert await worker.check(KILLER)

    async def test_a_dead_host_is_replaced_and_the_work_done(self, worker: JobWorker, supervisor: Supervisor) -> None:
        await supervisor.start()
        for _ in range(3):
            assert supervisor.pid is not None
            os.kill(supervisor.pid, signal.SIGKILL)
            assert await worker.merge([KILLER]) == KILLER

    async def test_nobody_waiting_any_more_stops_nothing(self, worker: JobWorker, supervisor: Supervisor) -> None:
        await supervisor.start()
        assert supervisor.pid is not None
        os.kill(supervisor.pid, signal.SIGSTOP)
        waiting = asyncio.create_task(worker.merge([*KILLER_GROUND]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        os.kill(supervisor.pid, signal.SIGKILL)
        assert await worker.merge([KILLER]) == KILLER


def body_of(sent: bytes) -> bytes:
    assert LENGTH.unpack_from(sent)[0] == len(sent) - LENGTH.size
    return sent[LENGTH.size :]


@pytest.mark.parametrize(
    "batch",
    [
        NOTHING,
        Batch(1.5, [RoomRequests(1), entry(2, b"x", b"\x00" * 1000, load=[b"one", b"two"])]),
        Batch(2.0, [], [MergeUpdates([b"x"]), ForgetRooms([1, 2**31]), ReadRows("guests", [])]),
        Batch(0.0, [RoomRequests(1, [HostRequest(RequestKind.DIFF, b"\x00", None, Identity("é", "couple"), b"\x01")])]),
    ],
)
def test_frames_carry_batches(batch: Batch) -> None:
    assert decode_batch(body_of(frame(batch))) == batch


@pytest.mark.parametrize(
    "response",
    [
        BatchResponse([], [], [], []),
        BatchResponse([room_result(1, 2, updates=[b"\x00" * 1000], faults=[Fault(0, Status.GAP)])], [], [], []),
        BatchResponse(
            [room_result(1, 2, responses=[IndexedResponse(0, Bytes(b"")), IndexedResponse(1, SameAs(0))])], [], [], []
        ),
        BatchResponse([], [Checked([])], [room_result(1, 2, responses=[IndexedResponse(3, Diff([b"x", b""]))])], []),
        BatchResponse([], [Checked([CheckedPiece(None, b"s"), CheckedPiece(b"u", b"")])], [], []),
    ],
)
def test_frames_carry_responses(response: BatchResponse) -> None:
    assert decode_response(body_of(frame(response))) == response


@given(st.binary(max_size=300), st.floats(allow_nan=False))
def test_a_check_arrives_as_it_was_sent(update: bytes, now: float) -> None:
    batch = Batch(now, [], [CheckUpdate(update)])
    assert decode_batch(body_of(frame(batch))) == batch


def test_marks_are_shared() -> None:
    fd = os.memfd_create("mark")
    os.ftruncate(fd, ProgressMark.SIZE)
    one, two = ProgressMark(fd), ProgressMark(fd)
    os.close(fd)
    assert two.get() == ProgressMark.IDLE
    one.set(3, ProgressMark.LOADING)
    assert two.get() == (3, ProgressMark.LOADING)
    one.close()
    two.close()

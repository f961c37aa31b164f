"""Host processes from birth to death."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import weakref
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.hosts.jobs import JobFailed, JobWorker
from crdt_server.hosts.supervisor import WATCHDOG_TICKS, HostDied, HostFactory, HostProcess, Supervisor
from crdt_server.pipe import LENGTH, MAX_FRAME_BYTES, Job, ProgressMark, RequestKind, Status, pack, pack_request, unpack
from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from tests.support.wire import KILLER, KILLER_GROUND, Replica

MEMORY_BYTES = 1 << 30
DOCUMENT_BYTES = 64 << 20
SECONDS = 10.0
NOTHING: list[object] = [0.0, [], []]  # a batch without entries and jobs


@pytest.fixture
async def supervisor() -> AsyncIterator[Supervisor]:
    factory = HostFactory(memory_bytes=MEMORY_BYTES, max_document_bytes=DOCUMENT_BYTES)
    place = Supervisor("test", factory, timeout_seconds=SECONDS)
    yield place
    await place.stop()
    await factory.stop()


@pytest.fixture
async def process() -> AsyncIterator[HostProcess]:
    host = await HostProcess.start(MEMORY_BYTES, DOCUMENT_BYTES)
    yield host
    await host.stop()


def entry(room: int, *updates: bytes, load: list[bytes] | None = None) -> list[object]:
    return [room, load, True, False, [[RequestKind.UPDATE, update, None, None, None] for update in updates], None]


async def test_documents_live_from_batch_to_batch(supervisor: Supervisor) -> None:
    writer = Replica(1)
    first, second = writer.type("a"), writer.type("b")
    assert await supervisor.run([entry(7, first, load=[])]) == [
        [[7, [first], [], [], len(first), True, None, []]],
        [],
        [],
        [],
    ]
    ((_, merged, *_),), *_ = await supervisor.run([entry(7, second)])
    assert merged == [second]


async def test_a_host_has_nothing_of_ours(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRDT_SERVER_SECRET", "key")
    await supervisor.run(())  # it has started, and opens no file any more
    assert b"SECRET" not in Path(f"/proc/{supervisor.pid}/environ").read_bytes()
    kinds = [os.readlink(f"/proc/{supervisor.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{supervisor.pid}/fd")]
    assert sum(kind.startswith("socket:") for kind in kinds) == 1
    assert not [kind for kind in kinds if kind.endswith(".db")]


async def test_its_own_death_names_the_suspect(supervisor: Supervisor) -> None:
    harmless = Replica(1).type("x")
    with pytest.raises(HostDied) as death:
        await supervisor.run([entry(1, harmless, load=[]), entry(2, harmless, KILLER, harmless, load=[*KILLER_GROUND])])
    assert death.value.own_fault
    assert death.value.mark == (1, 1)
    assert supervisor.restarts == 1
    ((_, merged, *_),), *_ = await supervisor.run([entry(1, harmless, load=[])])
    assert merged == [harmless]


async def test_the_time_of_an_update_does_not_pay_for_merging_it(supervisor: Supervisor) -> None:
    """A long honest history beside somebody's small edit: comparing what was merged takes longer than applying it."""
    history = long_history(150_000)
    _, ((pieces,),), *_ = await supervisor.run((), [[Job.CHECK, history]])
    ops = [[RequestKind.UPDATE, *piece, None, None] for piece in ((Replica(5).type("hi"), None), *pieces)]
    load: list[bytes] | None = []
    while ops:  # each large one is rehearsed first
        ((_, merged, faults, *_),), *_ = await supervisor.run([[1, load, True, False, ops, None]])
        assert {status for _, status in faults} <= {Status.LATER}
        assert len(merged) <= 1
        ops, load = [ops[i] for i, _ in faults], None
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


@pytest.mark.parametrize(
    "answer", [LENGTH.pack(MAX_FRAME_BYTES + 1), LENGTH.pack(1) + b"\xc1", LENGTH.pack(3) + b"\x92\x01\xd9"]
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
        await host.run([0.0, [], [[Job.CHECK, b"\x00" * (450 << 20)]]], SECONDS)
    assert death.value.own_fault
    await host.stop()


async def test_a_stopped_place_has_no_process_left(supervisor: Supervisor) -> None:
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


class TestWorkshop:
    @pytest.fixture
    async def workshop(self, supervisor: Supervisor) -> AsyncIterator[JobWorker]:
        shop = JobWorker(supervisor)
        task = asyncio.create_task(shop.run())
        yield shop
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def test_work_that_failed_is_not_kept(self, workshop: JobWorker) -> None:
        """A failure, its traceback and the megabytes that failed would hold one another until a full collection."""
        gc.collect()
        gc.disable()
        try:
            kept: weakref.ref[JobFailed] | None = None
            try:
                await workshop.check(b"\xff" * 100_000)
            except JobFailed as failure:
                kept = weakref.ref(failure)
            await asyncio.sleep(0)  # the worker has turned to the next
            assert kept is not None
            assert kept() is None
        finally:
            gc.enable()

    async def test_work_is_done_in_order(self, workshop: JobWorker) -> None:
        writer = Replica(1)
        updates = [writer.type("x") for _ in range(20)]
        merged, ((piece, summary),) = await asyncio.gather(workshop.merge(updates), workshop.check(updates[0]))
        assert piece == updates[0]
        assert summary
        reader = Replica(2)
        reader.receive(merged)
        assert str(reader) == "x" * 20

    async def test_what_is_malformed_is_said(self, workshop: JobWorker) -> None:
        with pytest.raises(JobFailed):
            await workshop.check(b"\x01")
        assert await workshop.check(KILLER)

    async def test_a_dead_host_is_replaced_and_the_work_done(self, workshop: JobWorker, supervisor: Supervisor) -> None:
        await supervisor.start()
        for _ in range(3):
            assert supervisor.pid is not None
            os.kill(supervisor.pid, signal.SIGKILL)
            assert await workshop.merge([KILLER]) == KILLER

    async def test_nobody_waiting_any_more_stops_nothing(self, workshop: JobWorker, supervisor: Supervisor) -> None:
        await supervisor.start()
        assert supervisor.pid is not None
        os.kill(supervisor.pid, signal.SIGSTOP)
        waiting = asyncio.create_task(workshop.merge([KILLER_GROUND]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        os.kill(supervisor.pid, signal.SIGKILL)
        assert await workshop.merge([KILLER]) == KILLER


@pytest.mark.parametrize("value", [None, [1, b"x", "é"], [[], [[0, b"\x00" * 1000]]], {1: 2}])
def test_frames_carry_values(value: object) -> None:
    frame = pack(value)
    assert LENGTH.unpack_from(frame)[0] == len(frame) - LENGTH.size
    assert unpack(frame[LENGTH.size :]) == value


@given(st.binary(max_size=300), st.floats(allow_nan=False))
def test_a_check_in_parts_is_the_frame_it_would_be_in_one(update: bytes, now: float) -> None:
    frame = b"".join(pack_request(now, [], [[Job.CHECK, update]]))
    assert LENGTH.unpack_from(frame)[0] == len(frame) - LENGTH.size
    assert unpack(frame[LENGTH.size :]) == [now, [], [[Job.CHECK, update]]]


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

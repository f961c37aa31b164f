"""Threads that run the jobs of an event loop."""

import asyncio
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from storage import StorageError
from storage.threads import WorkerThreads


@pytest.fixture
def workers() -> Iterator[WorkerThreads]:
    made = WorkerThreads(1, "test")
    yield made
    made.refuse()
    made.join()


async def test_jobs_run_in_order_on_the_thread(workers: WorkerThreads) -> None:
    ran: list[int] = []
    await asyncio.gather(*(workers.run_to_end(partial(ran.append, n)) for n in range(50)))
    assert ran == list(range(50))
    assert await workers.run(threading.get_ident) != threading.get_ident()


async def test_urgent_jobs_go_first_and_leave_turns_to_the_others(workers: WorkerThreads) -> None:
    """An append of edits waited for all small writes that came before."""
    ran: list[str] = []
    entered, proceed = threading.Event(), threading.Event()

    def block() -> None:
        entered.set()
        proceed.wait()

    blocked = asyncio.create_task(workers.run_to_end(block))
    await asyncio.to_thread(entered.wait)
    others = [asyncio.create_task(workers.run_to_end(partial(ran.append, f"other {n}"))) for n in range(4)]
    await asyncio.sleep(0)
    urgent = [asyncio.create_task(workers.run_to_end(partial(ran.append, f"urgent {n}"), urgent=True)) for n in (0, 1)]
    await asyncio.sleep(0)
    proceed.set()
    await asyncio.gather(blocked, *others, *urgent)
    assert ran == ["urgent 0", "other 0", "urgent 1", "other 1", "other 2", "other 3"]


async def test_errors_come_back(workers: WorkerThreads) -> None:
    for run in (workers.run, workers.run_to_end):
        with pytest.raises(ZeroDivisionError):
            await run(lambda: 1 // 0)


async def test_a_cancelled_caller_waits_for_the_end_or_does_not(workers: WorkerThreads) -> None:
    entered, proceed, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def job() -> None:
        loop.call_soon_threadsafe(entered.set)
        proceed.wait()
        ended.set()

    patient, hasty = asyncio.create_task(workers.run_to_end(job)), asyncio.create_task(workers.run(job))
    await entered.wait()
    for caller in (patient, hasty):
        caller.cancel()
    await asyncio.wait([hasty])
    assert hasty.cancelled()
    assert not patient.done()
    proceed.set()
    await asyncio.wait([patient])
    assert patient.cancelled()
    assert ended.is_set()


async def test_a_caller_cancelled_before_it_waits(workers: WorkerThreads) -> None:
    ran = threading.Event()
    caller = asyncio.create_task(workers.run_to_end(ran.set))
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert not ran.is_set()


async def test_what_was_given_before_the_end_is_done() -> None:
    workers = WorkerThreads(2, "test")
    results = [asyncio.create_task(workers.run(lambda n=n: n)) for n in range(20)]  # type: ignore[misc]
    await asyncio.sleep(0)
    workers.refuse()
    with pytest.raises(StorageError, match="closed"):
        await workers.run(lambda: None)
    await asyncio.to_thread(workers.join)
    assert [await result for result in results] == list(range(20))


def test_a_loop_that_is_gone_does_no_harm() -> None:
    workers = WorkerThreads(1, "test")
    proceed = threading.Event()

    async def leave_behind() -> None:
        running = asyncio.create_task(workers.run(proceed.wait))
        await asyncio.sleep(0)
        running.cancel()

    asyncio.run(leave_behind())
    proceed.set()
    assert asyncio.run(workers.run(lambda: 7)) == 7
    workers.refuse()
    workers.join()

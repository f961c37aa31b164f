"""Hosts without documents: long work that belongs to no batch (checking large updates, merging for compaction).

Addresses and their senders take turns. One of the two hosts takes any job, the other one small checks only: those wait
for no large job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from crdt_server.hosts.fair_queue import FairQueue, RequestSender
from crdt_server.hosts.supervisor import HostDied, Supervisor
from crdt_server.pipe import Checked, CheckUpdate, Job, JobRefused, JobResult, Merged, MergeUpdates

OUTSIDE_KILLS = 5
SMALL_CHECK_BYTES = 256 * 1024  # at most 0.2 s

SERVER = RequestSender("", "")


class JobFailed(Exception):
    """The work could not be done; the message is the reason."""


class JobsFull(JobFailed):
    """Too many bytes wait: the work was not begun, and may be requested again later."""


class JobDied(JobFailed):
    """The host has died of the work, or could not do it in time: on a busy machine that proves nothing against it."""


@dataclass(slots=True)
class _Task:
    job: Job
    done: asyncio.Future[JobResult]


class JobWorker:
    """Checks before merges: a session waits for a check. ``quick`` is the host for small checks.

    ``most_bytes`` of updates may wait for their check, ``most_per_sender`` of those of one sender; 0: no limit.
    """

    def __init__(
        self, supervisor: Supervisor, quick: Supervisor | None = None, *, most_bytes: int = 0, most_per_sender: int = 0
    ) -> None:
        self.supervisor = supervisor
        self.quick = quick
        self._checks = FairQueue[_Task](most_bytes, most_per_sender)
        self._merges = FairQueue[_Task]()
        self._wake, self._wake_quick = asyncio.Event(), asyncio.Event()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of updates that wait for their check."""
        return self._checks.waiting_bytes

    async def check(self, update: bytes, sender: RequestSender = SERVER) -> list[tuple[bytes, bytes]]:
        """A well-formed update in pieces of bounded size, to be applied in order, each with its summary, which only a
        host reads. Raises JobFailed, JobDied, and JobsFull where too much of this sender waits."""
        result = await self._do(self._checks, CheckUpdate(update), sender, len(update))
        if type(result) is not Checked or not result.pieces:
            raise JobFailed("broken response")
        return [(update if piece.update is None else piece.update, piece.summary) for piece in result.pieces]

    async def merge(self, updates: list[bytes], sender: RequestSender = SERVER) -> bytes:
        """One update with the content of all, proved complete. Raises JobFailed."""
        return (await self._merge(MergeUpdates(updates), sender, 1))[0]

    async def collect(self, updates: list[bytes], most: int, sender: RequestSender = SERVER) -> list[bytes]:
        """``most`` updates at most, to be applied in order, with the content of all but what is deleted, proved
        complete. Raises JobFailed."""
        return await self._merge(MergeUpdates(updates, most), sender, most)

    async def _merge(self, job: MergeUpdates, sender: RequestSender, most: int) -> list[bytes]:
        result = await self._do(self._merges, job, sender, sum(map(len, job.updates)))
        if type(result) is not Merged or not 0 < len(result.updates) <= most:
            raise JobFailed("broken response")
        return result.updates

    async def _do(self, queue: FairQueue[_Task], job: Job, sender: RequestSender, size_bytes: int) -> JobResult:
        task = _Task(job, asyncio.get_running_loop().create_future())
        _drop(queue.put(sender, size_bytes, task))
        self._wake.set()
        self._wake_quick.set()
        try:
            result = await task.done
        finally:
            # The traceback of a failure holds this frame, and the task holds the failure: megabytes, until the next
            # full collection.
            del task, job
        if type(result) is JobRefused:
            raise JobFailed(result.message)
        return result

    async def run(self) -> None:
        """The workers, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._work())
            if self.quick is not None:
                tasks.create_task(self._work_on_small(self.quick))

    @property
    def supervisors(self) -> list[Supervisor]:
        """Of the hosts."""
        return [self.supervisor] if self.quick is None else [self.supervisor, self.quick]

    async def stop(self) -> None:
        """End the hosts."""
        for each in self.supervisors:
            await each.stop()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            task = self._checks.take() or self._merges.take()
            if task is None:
                self._wake.clear()
            else:
                await _perform(self.supervisor, task)
            del task  # perhaps megabytes

    async def _work_on_small(self, supervisor: Supervisor) -> None:
        while True:
            await self._wake_quick.wait()
            task = self._checks.take(SMALL_CHECK_BYTES)
            if task is None:
                self._wake_quick.clear()
            else:
                await _perform(supervisor, task)
            del task


def _drop(tasks: Iterable[_Task]) -> None:
    for task in tasks:
        if not task.done.done():
            task.done.set_exception(JobsFull("too many large updates wait"))


async def _perform(supervisor: Supervisor, task: _Task) -> None:
    kills = 0
    while not task.done.done():
        try:
            response = await supervisor.run((), [task.job])
        except HostDied as death:
            kills += 1
            if not task.done.done() and (death.own_fault or kills > OUTSIDE_KILLS):
                task.done.set_exception(JobDied(f"the work killed its host: {death.cause}"))
            continue
        if task.done.done():
            return  # its caller has gone
        if len(response.jobs) == 1:
            task.done.set_result(response.jobs[0])
        else:
            task.done.set_exception(JobFailed("broken response"))

"""A host without documents: long work that belongs to no batch (checking large updates, merging for compaction)."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from crdt_server.hosts.supervisor import HostDied, Supervisor
from crdt_server.pipe import Checked, CheckUpdate, Job, JobRefused, JobResult, Merged, MergeUpdates

OUTSIDE_KILLS = 5


class JobFailed(Exception):
    """The work could not be done; the message is the reason."""


@dataclass(slots=True)
class _Task:
    job: Job
    done: asyncio.Future[JobResult]


class JobWorker:
    """Jobs one after the other, checks before merges: a session waits for a check."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._checks: deque[_Task] = deque()
        self._merges: deque[_Task] = deque()
        self._wake = asyncio.Event()

    async def check(self, update: bytes) -> list[tuple[bytes, bytes]]:
        """A well-formed update in pieces of bounded size, to be applied in order, each with its summary, which only a
        host reads. Raises JobFailed."""
        result = await self._do(self._checks, CheckUpdate(update))
        if type(result) is not Checked or not result.pieces:
            raise JobFailed("broken response")
        return [(update if piece.update is None else piece.update, piece.summary) for piece in result.pieces]

    async def merge(self, updates: list[bytes]) -> bytes:
        """One update with the content of all, proved complete. Raises JobFailed."""
        result = await self._do(self._merges, MergeUpdates(updates))
        if type(result) is not Merged:
            raise JobFailed("broken response")
        return result.update

    async def _do(self, queue: deque[_Task], job: Job) -> JobResult:
        task = _Task(job, asyncio.get_running_loop().create_future())
        queue.append(task)
        self._wake.set()
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
        """The worker, until cancelled."""
        while True:
            await self._wake.wait()
            queue = self._checks or self._merges
            if not queue:
                self._wake.clear()
                continue
            await self._perform(queue.popleft())

    async def _perform(self, task: _Task) -> None:
        kills = 0
        while not task.done.done():
            try:
                response = await self.supervisor.run((), [task.job])
            except HostDied as death:
                kills += 1
                if not task.done.done() and (death.own_fault or kills > OUTSIDE_KILLS):
                    task.done.set_exception(JobFailed(f"the work killed its host: {death.cause}"))
                continue
            if task.done.done():
                return  # its caller has gone
            if len(response.jobs) == 1:
                task.done.set_result(response.jobs[0])
            else:
                task.done.set_exception(JobFailed("broken response"))

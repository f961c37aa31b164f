"""A host without documents: long work that belongs to no batch (checking large updates, merging for compaction)."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any

from crdt_server.hosts.supervisor import HostDied, Supervisor
from crdt_server.pipe import Job

OUTSIDE_KILLS = 5


class JobFailed(Exception):
    """The work could not be done; the message says why."""


@dataclass(slots=True)
class _Task:
    kind: Job
    payload: Any
    done: asyncio.Future[Any]


class JobWorker:
    """Jobs one after the other, checks before merges: somebody waits for a check."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._checks: deque[_Task] = deque()
        self._merges: deque[_Task] = deque()
        self._wake = asyncio.Event()

    async def check(self, update: bytes) -> list[tuple[bytes, bytes]]:
        """A well-formed update in pieces of bounded size, to be applied in order, each with its summary (opaque; a host
        understands it). Raises JobFailed."""
        pieces = await self._do(self._checks, Job.CHECK, update)
        return [(update if piece is None else piece, summary) for piece, summary in pieces]

    async def merge(self, updates: list[bytes]) -> bytes:
        """One update with the content of all, proved complete. Raises JobFailed."""
        merged: bytes = await self._do(self._merges, Job.MERGE, updates)
        return merged

    async def _do(self, queue: deque[_Task], kind: Job, payload: Any) -> Any:
        task = _Task(kind, payload, asyncio.get_running_loop().create_future())
        queue.append(task)
        self._wake.set()
        try:
            return await task.done
        finally:
            # The traceback of a failure holds this frame, and the task holds the failure: megabytes, until the next
            # full collection.
            del task, payload

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
                _, ((result, *message),), *_ = await self.supervisor.run((), [[task.kind, task.payload]])
            except HostDied as death:
                kills += 1
                if task.done.done():
                    return  # nobody waits any more
                if death.own_fault or kills > OUTSIDE_KILLS:
                    task.done.set_exception(JobFailed(f"the work killed its host: {death.cause}"))
                continue
            except (TypeError, ValueError):
                task.done.set_exception(JobFailed("broken answer"))
                continue
            if task.done.done():
                return  # nobody waits any more
            if result is None:
                task.done.set_exception(JobFailed(str(message[0]) if message else "no result"))
            else:
                task.done.set_result(result)

"""Threads that run jobs of an event loop, and hand each result back with one call to the loop.

`concurrent.futures` would cost a second future and its locks for each job.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from storage.callers import current_caller
from storage.errors import StorageError
from storage.turns import CallerQueue

T = TypeVar("T")


class _Job(Generic[T]):
    """A function to be run, and the future of the event loop that gets its result."""

    __slots__ = ("_ended", "_function", "_loop", "_result", "future", "waiter")

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self._loop.create_future()
        self.waiter: asyncio.Future[None] | None = None
        self._ended = False

    def run(self) -> None:
        """Called on the thread."""
        settle: Callable[[Any], None] = self.future.set_result
        outcome: T | BaseException
        try:
            outcome = self._function()
        except BaseException as error:  # noqa: BLE001 - the edge of the thread: the caller gets it
            settle, outcome = self.future.set_exception, error
        with suppress(RuntimeError):  # the loop is closed: there is no caller any more
            self._loop.call_soon_threadsafe(self._end, settle, outcome)

    def _end(self, settle: Callable[[Any], None], outcome: object) -> None:
        self._ended = True
        if not self.future.done():
            settle(outcome)
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def until_ended(self) -> None:
        """Returns when the function has returned, cancelled or not."""
        if not self._ended:
            self.waiter = self._loop.create_future()
            await self.waiter


class WorkerThreads:
    """`count` threads. Urgent jobs go first, but behind each of them one of the others: neither waits for many of the
    other kind. Of the others, callers take turns."""

    def __init__(self, count: int, name: str) -> None:
        self._lock = Lock()
        self._jobs: CallerQueue[_Job[Any]] = CallerQueue()
        self._urgent: deque[_Job[Any]] = deque()
        self._tokens: SimpleQueue[bool] = SimpleQueue()  # one for each job; False: end
        self._closed = False
        self._threads = [Thread(target=self._work, name=f"{name}-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    async def run(self, function: Callable[[], T]) -> T:
        """The result of the function. A cancelled caller does not wait for it."""
        return await self._submit(function).future

    async def run_to_end(self, function: Callable[[], T], *, urgent: bool = False) -> T:
        """The result of the function. A cancelled caller waits until it has returned."""
        job = self._submit(function, urgent=urgent)
        try:
            return await job.future
        except asyncio.CancelledError:
            await job.until_ended()
            raise

    def _submit(self, function: Callable[[], T], *, urgent: bool = False) -> _Job[T]:
        if self._closed:
            raise StorageError("the store is closed")
        job = _Job(function)
        with self._lock:
            if urgent:
                self._urgent.append(job)
            else:
                self._jobs.put(current_caller(), job)
        self._tokens.put(True)
        return job

    def _work(self) -> None:
        was_urgent = False
        while self._tokens.get():
            job, was_urgent = self._next(was_urgent)
            job.run()
            del job  # and its result with it, which may be large

    def _next(self, was_urgent: bool) -> tuple[_Job[Any], bool]:
        """The next job behind one that was urgent or not, and whether it is. There is one for each token."""
        with self._lock:
            if self._urgent and not (was_urgent and self._jobs):
                return self._urgent.popleft(), True
            return self._jobs.pop(), False

    def refuse(self) -> None:
        """Take no more jobs."""
        self._closed = True

    def join(self) -> None:
        """Block until all jobs have run and the threads have ended. Call `refuse` before."""
        for _ in self._threads:
            self._tokens.put(False)
        for thread in self._threads:
            thread.join()

"""Where the SQL runs: an executor runs a function over a `Connection` in one transaction, and appends.

- `ThreadExecutor` (sqlite://), in `sqlite_executors`: one writer thread and a few reader threads with connections of
  their own. A call costs one thread hop, and checksums and row building happen off the event loop.
- `AsyncExecutor` (sqlite+aiosqlite://), in `sqlite_executors`: every statement is several round trips to the driver,
  and each waits for its turn of the loop. Measured, one row per append: 1.6 ms against 0.5 ms at rest, 7.6 ms against
  1.2 ms beside a busy loop. That is why sqlite:// does not use it.
- `PostgresExecutor` (postgresql://), in `postgres_executor`.

Callers take turns, see `callers`: no read or write waits for many of one person, but for its own.

All keep two promises: reads never wait for the writer nor it for them, and when a write has returned or raised,
cancellation included, its transaction is over.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from storage.appends import AppendRequest
from storage.errors import StorageError

T = TypeVar("T")
Work = Callable[[Connection], T]

READERS = 4
"""Reads at a time; more wait their turn."""


class SqlExecutor(Protocol):
    """Runs work on the database. Raises only StorageError and its kinds, besides what the work itself raises."""

    async def read(self, work: Work[T], cpu_seconds: float | None = None) -> T:
        """Run in a read transaction. Raises ReadTooLong where it takes more CPU time than this; on PostgreSQL, where a
        statement takes `postgres_executor.TIME_FACTOR` times as long."""

    async def append(self, request: AppendRequest) -> dict[str, int]:
        """Store all of it or nothing, one request at a time, in the order of the calls; on SQLite before all writes
        that wait but one. Returns for each wedding with events the number of its first one."""

    async def write(self, work: Work[T]) -> T:
        """Run in a write transaction; on PostgreSQL beside others."""

    async def write_at_once(self, statement: Work[T]) -> T:
        """Like `write`, for a single statement: on PostgreSQL it goes to the server and back once."""

    async def maintain(self, work: Work[T]) -> T:
        """Like `write`, however long it takes."""

    async def close(self) -> None:
        """Finish what is running, then let go of the database."""


class RunningCalls:
    """The calls of an asynchronous executor, each a task of its own: the cancellation of a caller does not end it."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    def start(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a call. Raises StorageError once `close` was called."""
        if self._closed:
            call.close()
            raise StorageError("the store is closed")
        task = asyncio.create_task(call)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        """Refuse further calls, and wait for the end of those that run."""
        self._closed = True
        if self._running:
            await asyncio.wait(set(self._running))


async def settled(running: asyncio.Future[T]) -> T:
    """The result of `running`; when the caller is cancelled, waits for its end before letting the cancellation out."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if not running.done():
            await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # retrieved, so that the loop does not report it as forgotten
        raise

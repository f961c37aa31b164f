"""Where the SQL runs: a lane takes a plain function over a `Connection` and runs it in one transaction.

- `ThreadLane` (sqlite://): one writer thread and a few reader threads with connections of their own. A call costs one
  thread hop, and checksums and row building happen off the event loop.
- `AsyncLane` (sqlite+aiosqlite://): `AsyncConnection.run_sync`; every statement is several round trips to the driver,
  and each waits for its turn of the loop. Measured, one row per append: 1.6 ms against 0.5 ms at rest, 7.6 ms against
  1.2 ms beside a busy loop. That is why it is not what sqlite:// uses.
- `PostgresLane` (postgresql://), in `postgres_lane`.

All keep two promises: reads never wait for the writer nor it for them, and when a write has returned or raised,
cancellation included, its transaction is over.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.errors import SequenceConflict, StorageError, StorageUnavailable

T = TypeVar("T")
Work = Callable[[Connection], T]

READERS = 4
"""Reads at a time; more wait their turn."""

BUSY_TIMEOUT_MS = 5_000
"""How long a statement waits for a lock held by another process."""

WAL_TRIES = 20
"""How often a new file is asked to keep a write-ahead log while others begin it too."""

WRITER_CACHE_KIB = 8_192
READER_CACHE_KIB = 2_048  # of each: what is loaded once is in a host then
"""Page cache of each connection."""

CHECKPOINT_PAGES = 4_000
"""Pages in the write-ahead log after which a commit moves them into the database file.

A commit of 500 updates with their facts touches more than the 1,000 of SQLite's default: with that, each commit moved
its own pages, and the 90th percentile was 150 ms instead of 110.
"""

WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""Size to which the write-ahead log is cut back after a checkpoint."""


class Lane(Protocol):
    """Runs work on the database. Raises only StorageError and its kinds, besides what the work itself raises."""

    async def read(self, work: Work[T]) -> T:
        """Run in a read transaction."""

    async def append(self, work: Work[T]) -> T:
        """Run in a write transaction, one at a time, in the order of the calls; commit, or roll back if it raises.

        On PostgreSQL `work` is one statement.
        """

    async def write(self, work: Work[T]) -> T:
        """Run in a write transaction; on PostgreSQL beside others."""

    async def write_at_once(self, statement: Work[T]) -> T:
        """Like `write`, for a single statement: on PostgreSQL it goes to the server and back once."""

    async def maintain(self, work: Work[T]) -> T:
        """Like `write`, however long it takes."""

    async def close(self) -> None:
        """Finish what is running, then let go of the database."""


class ThreadLane:
    """SQLite through the standard driver, on threads of our own."""

    def __init__(self, url: URL, synchronous: str) -> None:
        self._writer = create_engine(url, pool_size=1, max_overflow=0)
        self._reader = create_engine(url, pool_size=READERS, max_overflow=0)
        configure(self._writer, synchronous, begin="BEGIN IMMEDIATE")
        configure(self._reader, synchronous, begin="BEGIN", query_only=True)
        self._held: Connection | None = None  # used on the writer's thread only
        self._writer_thread = ThreadPoolExecutor(1, thread_name_prefix="storage-writer")
        self._reader_threads = ThreadPoolExecutor(READERS, thread_name_prefix="storage-reader")

    async def read(self, work: Work[T]) -> T:
        return await self._submit(self._reader_threads, lambda: _in_transaction(self._reader, work))

    async def write(self, work: Work[T]) -> T:
        return await settled(self._submit(self._writer_thread, lambda: self._write(work)))

    append = write_at_once = maintain = write

    def _write(self, work: Work[T]) -> T:
        # The connection stays out of its pool while nothing goes wrong: checking it out costs 80 of 220 microseconds.
        try:
            connection = self._held or self._writer.connect()
            self._held = None
            try:
                with connection.begin():
                    result = work(connection)
            except BaseException:
                connection.close()
                raise
        except SQLAlchemyError as error:
            raise translated(error) from error
        self._held = connection
        return result

    def _submit(self, threads: ThreadPoolExecutor, call: Callable[[], T]) -> asyncio.Future[T]:
        try:
            return asyncio.get_running_loop().run_in_executor(threads, call)
        except RuntimeError as error:
            raise StorageError("the store is closed") from error

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._reader_threads.shutdown(wait=True)
        self._writer_thread.shutdown(wait=True)
        if self._held is not None:
            self._held.close()
        self._reader.dispose()
        # The last connection to go moves the write-ahead log into the database file; a reader could not.
        self._writer.dispose()


class AsyncLane:
    """SQLite through an asynchronous driver; two pools, so that a long read never holds the writer's connection."""

    def __init__(self, url: URL, synchronous: str) -> None:
        self._writer = create_async_engine(url, pool_size=1, max_overflow=0)
        self._reader = create_async_engine(url, pool_size=READERS, max_overflow=0)
        configure(self._writer.sync_engine, synchronous, begin="BEGIN IMMEDIATE")
        configure(self._reader.sync_engine, synchronous, begin="BEGIN", query_only=True)
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def read(self, work: Work[T]) -> T:
        return await self._start(self._reader, work)

    async def write(self, work: Work[T]) -> T:
        return await settled(self._start(self._writer, work))

    append = write_at_once = maintain = write

    def _start(self, engine: AsyncEngine, work: Work[T]) -> asyncio.Task[T]:
        if self._closed:
            raise StorageError("the store is closed")
        task = asyncio.create_task(_in_async_transaction(engine, work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def close(self) -> None:
        self._closed = True
        if self._running:
            await asyncio.wait(set(self._running))
        await self._reader.dispose()
        await self._writer.dispose()


async def settled(running: asyncio.Future[T]) -> T:
    """The result of `running`; when the caller is cancelled, waits for its end before letting the cancellation out."""
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if not running.done():
            await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # looked at, so that the loop does not report it as forgotten
        raise


def _in_transaction(engine: Engine, work: Work[T]) -> T:
    try:
        with engine.begin() as connection:
            return work(connection)
    except SQLAlchemyError as error:
        raise translated(error) from error


async def _in_async_transaction(engine: AsyncEngine, work: Work[T]) -> T:
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    except SQLAlchemyError as error:
        raise translated(error) from error


def translated(error: SQLAlchemyError) -> StorageError:
    """The error of ours that says what a driver's error means to a caller."""
    if isinstance(error, IntegrityError):
        return SequenceConflict(f"another writer was faster: {error.orig}")
    if isinstance(error, InterfaceError):
        return StorageError(f"the database refused the values: {error.orig}")
    if isinstance(error, DBAPIError):
        return StorageUnavailable(f"the database cannot be used now: {error.orig}")
    return StorageUnavailable(f"the database cannot be used now: {error}")


def configure(engine: Engine, synchronous: str, *, begin: str, query_only: bool = False) -> None:
    """Set up every new SQLite connection of `engine`, and begin its transactions with `begin`.

    A writer begins IMMEDIATE: a lock taken later, after reading, can fail without waiting for `busy_timeout`.
    """
    pragmas = [
        f"synchronous = {synchronous}",
        "foreign_keys = ON",
        f"cache_size = -{READER_CACHE_KIB if query_only else WRITER_CACHE_KIB}",
        f"journal_size_limit = {WAL_LIMIT_BYTES}",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        f"query_only = {'ON' if query_only else 'OFF'}",
    ]

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, _record: object) -> None:
        # The driver would begin transactions by itself, later and weaker than ours.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        _write_ahead(cursor)
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _write_ahead(cursor: Any) -> None:
    """Keep a write-ahead log from now on. Where others begin the same new file this fails without waiting for
    `busy_timeout`, which a transaction does: behind one of those it is tried again."""
    for left in reversed(range(WAL_TRIES)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not left:
                raise
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("ROLLBACK")

"""SQLite: in threads of our own through the standard driver, or through the asynchronous one."""

import asyncio
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from storage.appends import AppendRequest
from storage.callers import current_caller
from storage.checkpoints import Checkpointer
from storage.errors import ReadTooLong, SequenceConflict, StorageError, StorageUnavailable, ValuesRefused
from storage.executors import READERS, RunningCalls, Work, settled
from storage.sqlite_append import SqliteAppender
from storage.threads import WorkerThreads
from storage.turns import Turns

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
"""How long a statement waits for a lock held by another process."""

WAL_TRIES = 20
"""How often a new file is switched to a write-ahead log while other processes begin it too."""

STEPS_PER_LOOK = 200
"""Steps of SQLite's machine after which a read with a limit of CPU time looks at the clock. In the index of words a
page is three steps: a look follows within 10 ms. With more looks a read would wait for the interpreter more often."""

WRITER_CACHE_KIB = 8_192
READER_CACHE_KIB = 2_048  # of each: what is loaded once is in a host then
"""Page cache of each connection."""

PREPARED_STATEMENTS = 256
"""Kept by the writer's connection: the append has one for each table and number of rows."""

CHECKPOINT_PAGES = 4_000
"""Pages in the write-ahead log after which a commit moves them into the database file.

A commit of 500 updates with their derived records touches more than the 1,000 of SQLite's default: with that, each
commit moved its own pages, and the 90th percentile was 150 ms instead of 110. Most have been moved before, see
`checkpoints`.
"""

WAL_LIMIT_BYTES = 64 * 1024 * 1024
"""Size to which the write-ahead log is cut back after a checkpoint."""


class ThreadExecutor:
    """SQLite through the standard driver, on threads of our own."""

    def __init__(self, url: URL, synchronous: str) -> None:
        options = {"cached_statements": PREPARED_STATEMENTS}
        self._writer = create_engine(url, pool_size=1, max_overflow=0, connect_args=options)
        self._reader = create_engine(url, pool_size=READERS, max_overflow=0)
        configure(self._writer, synchronous, begin="BEGIN IMMEDIATE")
        configure(self._reader, synchronous, begin="BEGIN", query_only=True)
        beside = create_engine(url, pool_size=1, max_overflow=0)
        configure(beside, synchronous, begin="BEGIN")
        self._checkpointer = Checkpointer(beside)
        # These three are used on the writer's thread only.
        self._held: Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._appender = SqliteAppender()
        self._writer_thread = WorkerThreads(1, "storage-writer")
        self._reader_threads = WorkerThreads(READERS, "storage-reader")

    @property
    def cached_ids(self) -> int:
        """How many row ids of documents appends have in memory."""
        return len(self._appender.ids)

    async def read(self, work: Work[T], cpu_seconds: float | None = None) -> T:
        return await self._reader_threads.run(lambda: _in_transaction(self._reader, work, cpu_seconds))

    async def append(self, request: AppendRequest) -> dict[str, int]:
        return await self._writer_thread.run_to_end(lambda: self._append(request), urgent=True)

    async def write(self, work: Work[T]) -> T:
        return await self._writer_thread.run_to_end(lambda: self._write(work))

    write_at_once = maintain = write

    def _append(self, request: AppendRequest) -> dict[str, int]:
        try:
            cursor = self._cursor or self._open_cursor()
            appended = self._appender.append(cursor, request)
            self._checkpointer.count(cursor.connection)
            return appended
        except BaseException as error:
            self._let_go()
            if isinstance(error, (sqlite3.Error, SQLAlchemyError)):
                raise translated(error) from error
            raise

    def _write(self, work: Work[T]) -> T:
        try:
            connection = self._connection()
            with connection.begin():
                result = work(connection)
            self._checkpointer.count(self._driver())
            return result
        except BaseException as error:
            self._let_go()
            if isinstance(error, SQLAlchemyError):
                raise translated(error) from error
            raise

    def _connection(self) -> Connection:
        # Out of its pool while nothing goes wrong: checking it out costs 80 microseconds.
        if self._held is None:
            self._held = self._writer.connect()
        return self._held

    def _open_cursor(self) -> sqlite3.Cursor:
        self._cursor = self._driver().cursor()
        return self._cursor

    def _driver(self) -> sqlite3.Connection:
        driver = self._connection().connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver

    def _let_go(self) -> None:
        """Give the connection back to its pool, which rolls back."""
        held, self._held, self._cursor = self._held, None, None
        if held is not None:
            held.close()

    async def close(self) -> None:
        self._reader_threads.refuse()
        self._writer_thread.refuse()
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._reader_threads.join()
        self._writer_thread.join()
        self._checkpointer.close()
        self._let_go()
        self._reader.dispose()
        # The last connection to go moves the write-ahead log into the database file; a reader could not.
        self._writer.dispose()


class AsyncExecutor:
    """SQLite through an asynchronous driver; two pools, so that a long read never holds the writer's connection."""

    def __init__(self, url: URL, synchronous: str) -> None:
        self._writer = create_async_engine(url, pool_size=1, max_overflow=0)
        self._reader = create_async_engine(url, pool_size=READERS, max_overflow=0)
        configure(self._writer.sync_engine, synchronous, begin="BEGIN IMMEDIATE")
        configure(self._reader.sync_engine, synchronous, begin="BEGIN", query_only=True)
        self._appender = SqliteAppender()
        self._calls = RunningCalls()
        self._writes, self._reads = Turns(1), Turns(READERS)

    @property
    def cached_ids(self) -> int:
        """How many row ids of documents appends have in memory."""
        return len(self._appender.ids)

    async def read(self, work: Work[T], cpu_seconds: float | None = None) -> T:
        return await self._calls.start(self._read(current_caller(), work, cpu_seconds))

    async def append(self, request: AppendRequest) -> dict[str, int]:
        return await settled(self._calls.start(self._append(request)))

    async def write(self, work: Work[T]) -> T:
        return await settled(self._calls.start(self._write(current_caller(), work)))

    write_at_once = maintain = write

    async def _read(self, caller: str, work: Work[T], cpu_seconds: float | None) -> T:
        async with self._reads.turn(caller):
            return await _in_async_transaction(self._reader, work, cpu_seconds)

    async def _write(self, caller: str, work: Work[T]) -> T:
        async with self._writes.turn(caller):
            return await _in_async_transaction(self._writer, work)

    async def _append(self, request: AppendRequest) -> dict[str, int]:
        try:
            # Back in its pool it is rolled back, where the append has not committed.
            async with self._writer.connect() as connection:
                return await connection.run_sync(lambda sync: self._appender.append(sync.connection.cursor(), request))
        except (sqlite3.Error, SQLAlchemyError) as error:
            raise translated(error) from error

    async def close(self) -> None:
        await self._calls.close()
        await self._reader.dispose()
        await self._writer.dispose()


def _in_transaction(engine: Engine, work: Work[T], cpu_seconds: float | None) -> T:
    try:
        with engine.begin() as connection:
            if cpu_seconds is None:
                return work(connection)
            driver: Any = connection.connection.driver_connection
            driver.set_progress_handler(_spent_after(cpu_seconds), STEPS_PER_LOOK)
            try:
                return work(connection)
            finally:
                driver.set_progress_handler(None, 0)
    except SQLAlchemyError as error:
        raise translated(error) from error


async def _in_async_transaction(engine: AsyncEngine, work: Work[T], cpu_seconds: float | None = None) -> T:
    try:
        async with engine.begin() as connection:
            if cpu_seconds is None:
                return await connection.run_sync(work)
            driver: Any = (await connection.get_raw_connection()).driver_connection
            await driver.set_progress_handler(_spent_after(cpu_seconds), STEPS_PER_LOOK)
            try:
                return await connection.run_sync(work)
            finally:
                await driver.set_progress_handler(None, 0)
    except SQLAlchemyError as error:
        raise translated(error) from error


def _spent_after(cpu_seconds: float) -> Callable[[], bool]:
    """Tells whether a thread has spent so much CPU time since the first call, which is on that thread."""
    end: float | None = None

    def spent() -> bool:
        nonlocal end
        if end is None:
            end = time.thread_time() + cpu_seconds
        return time.thread_time() >= end

    return spent


def translated(error: sqlite3.Error | SQLAlchemyError) -> StorageError:
    """The StorageError for an error of the driver or of SQLAlchemy."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.IntegrityError):
        return SequenceConflict(f"another writer was faster: {cause}")
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT:
        return ReadTooLong("the read took as much CPU time as it may")
    if isinstance(cause, sqlite3.InterfaceError):
        return ValuesRefused(f"the database refused the values: {cause}")
    return StorageUnavailable(f"the database cannot be used now: {cause}")


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

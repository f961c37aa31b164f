"""PostgreSQL through asyncpg: where the SQL runs, and how long it may take.

- Reads and appends begin no transaction: one statement is one by itself, and goes to the server and back once.
- Appends run one at a time in the order of the calls; what else is written runs beside them, so that a heartbeat does
  not wait for an append that waits for a lock.
- A node has at most 14 connections.
- Every call ends. The server cancels a statement that takes too long; a server that does not answer is abandoned, and
  what it did with the call is unknown then.
- A connection that was lost while unused is replaced before anything is sent. Nothing is ever sent twice.
"""

import asyncio
import select
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.appends import AppendRequest
from storage.callers import current_caller
from storage.errors import ReadTooLong, SequenceConflict, StorageError, StorageUnavailable, ValuesRefused
from storage.executors import READERS, RunningCalls, Work, settled
from storage.postgres_append import PostgresAppend
from storage.turns import Turns

T = TypeVar("T")

WRITERS = 4
"""Writes at a time besides the append."""

TIME_FACTOR = 4
"""Time that a statement with a limit may take, as a multiple of the CPU time that it may take: the server has other
work, and reports no CPU time."""

CANCELLED = "57014"
"""The SQLSTATE of a statement that took too long."""

GRACE_SECONDS = 2.0
"""How long after its time the server may still report that it has cancelled a statement."""

INTEGRITY_CLASS, DATA_CLASS = "23", "22"
"""The classes of SQLSTATE of violated constraints, and of values that cannot be stored."""

SYNCHRONOUS_COMMIT = {"OFF": "off", "NORMAL": "off", "FULL": "on", "EXTRA": "on"}

QUERY = {"sslmode": "ssl", "ssl": "ssl", "application_name": "application_name"}
"""The parameters that an address may have, each with its name at the driver."""


class Timeouts(NamedTuple):
    """How long PostgreSQL may take to accept a connection, and to carry out one call."""

    connect_seconds: float = 5.0
    call_seconds: float = 10.0


class PostgresExecutor:
    """Runs work on PostgreSQL. Raises only StorageError and its kinds, besides what the work itself raises."""

    def __init__(self, url: URL, synchronous: str, timeouts: Timeouts) -> None:
        if find_spec("asyncpg") is None:
            raise StorageError("PostgreSQL needs a driver: pip install 'crdt-server[postgres]'")
        from asyncpg import InterfaceError, PostgresError  # an extra

        self._driver_errors = (PostgresError, InterfaceError)
        self._timeouts = timeouts
        self._url = url
        self._settings = _settings(url, synchronous)
        limited = {"statement_timeout": f"{timeouts.call_seconds * 1000:.0f}"}
        self._appender = self._engine(1, "AUTOCOMMIT", limited)
        self._writer = self._engine(WRITERS, "READ COMMITTED", limited)
        self._single = self._engine(WRITERS, "AUTOCOMMIT", limited)
        self._reader = self._engine(READERS, "AUTOCOMMIT", limited | {"default_transaction_read_only": "on"})
        self._maintainer = self._engine(1, "READ COMMITTED", {})
        self._held: tuple[AsyncConnection, Any] | None = None  # and the driver's own
        self._turn = asyncio.Lock()
        # Of the connections of the pools of the same names.
        self._writers, self._singles = Turns(WRITERS, timeouts.call_seconds), Turns(WRITERS, timeouts.call_seconds)
        self._readers = Turns(READERS, timeouts.call_seconds)
        self._calls = RunningCalls()

    def _engine(self, size: int, isolation: Any, settings: dict[str, str]) -> AsyncEngine:
        options, server = self._settings
        engine = create_async_engine(
            self._url.set(drivername="postgresql+asyncpg", query={}),
            isolation_level=isolation,
            pool_size=size,
            max_overflow=0,
            pool_timeout=self._timeouts.call_seconds,
            connect_args={
                **options,
                "timeout": self._timeouts.connect_seconds,
                # For the queries of SQLAlchemy on a new connection; all else is cut before.
                "command_timeout": self._timeouts.call_seconds + 2 * GRACE_SECONDS if settings else None,
                "server_settings": server | settings,
            },
        )
        event.listen(engine.sync_engine, "checkout", _require_alive)
        return engine

    async def read(self, work: Work[T], cpu_seconds: float | None = None) -> T:
        if cpu_seconds is None:
            return await self._calls.start(self._in_turn(self._readers, current_caller(), self._reader, work))
        # In a transaction, with which the limit ends.
        engine = self._reader.execution_options(isolation_level="READ COMMITTED")
        limited = partial(_within, cpu_seconds * TIME_FACTOR, work)
        return await self._calls.start(self._in_turn(self._readers, current_caller(), engine, limited))

    async def append(self, request: AppendRequest) -> dict[str, int]:
        return await settled(self._calls.start(self._append_in_turn(PostgresAppend(request))))

    async def write(self, work: Work[T]) -> T:
        return await settled(self._calls.start(self._in_turn(self._writers, current_caller(), self._writer, work)))

    async def write_at_once(self, statement: Work[T]) -> T:
        return await settled(self._calls.start(self._in_turn(self._singles, current_caller(), self._single, statement)))

    async def maintain(self, work: Work[T]) -> T:
        return await settled(self._calls.start(self._run(self._maintainer, work, limited=False)))

    async def _append_in_turn(self, append: PostgresAppend) -> dict[str, int]:
        try:
            async with asyncio.timeout(self._timeouts.call_seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise StorageUnavailable("the appends before this one take too long") from error
        try:
            with _translating():
                return await self._append(append)
        finally:
            self._turn.release()

    async def _append(self, append: PostgresAppend) -> dict[str, int]:
        # Out of its pool while nothing goes wrong: taking it out costs 0.25 of 0.75 ms of our time.
        connection, driver = held = await self._take_held()
        cut = self._cut_later(driver)
        try:
            first_events = await append.run(driver)
        except BaseException as error:
            await connection.close()
            if isinstance(error, self._driver_errors):
                raise append.refusal(*_state_of(error)) or _storage_error(error) from error
            raise
        finally:
            cut.cancel()
        self._held = held
        return first_events

    async def _take_held(self) -> tuple[AsyncConnection, Any]:
        held, self._held = self._held, None
        if held is not None:
            if _is_alive(held[1]):
                return held
            await held[0].close()
        connection = await self._appender.connect()
        return connection, await _driver(connection)

    async def _in_turn(self, turns: Turns, caller: str, engine: AsyncEngine, work: Work[T]) -> T:
        async with turns.turn(caller):
            return await self._run(engine, work)

    async def _run(self, engine: AsyncEngine, work: Work[T], *, limited: bool = True) -> T:
        with _translating():
            async with engine.connect() as connection:
                cut = self._cut_later(await _driver(connection)) if limited else None
                try:
                    async with connection.begin():
                        return await connection.run_sync(work)
                finally:
                    if cut is not None:
                        cut.cancel()

    def _cut_later(self, driver: Any) -> asyncio.TimerHandle:
        # Cut, not closed: the call that waits for an answer fails at once, and nothing waits for a goodbye.
        return asyncio.get_running_loop().call_later(self._timeouts.call_seconds + GRACE_SECONDS, driver.terminate)

    async def close(self) -> None:
        await self._calls.close()
        if self._held is not None:
            await self._held[0].close()
        engines = (self._appender, self._writer, self._single, self._reader, self._maintainer)
        await asyncio.gather(*(self._dispose(engine) for engine in engines))

    async def _dispose(self, engine: AsyncEngine) -> None:
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await engine.dispose()
        except TimeoutError:
            return


def _settings(url: URL, synchronous: str) -> tuple[dict[str, Any], dict[str, str]]:
    """The options of the driver, and of the server, for every connection."""
    unknown = set(url.query) - set(QUERY)
    if unknown:
        raise StorageError(f"a PostgreSQL address may have {', '.join(QUERY)}, not {', '.join(sorted(unknown))}")
    options: dict[str, Any] = {QUERY[name]: value for name, value in url.query.items()}
    server = {
        "application_name": options.pop("application_name", "crdt-server"),
        "synchronous_commit": SYNCHRONOUS_COMMIT[synchronous],
        # A node that was stopped in the middle of a transaction holds locks.
        "idle_in_transaction_session_timeout": "10s",
        # A node whose machine is gone holds them too, until the server has noticed.
        "tcp_keepalives_idle": "5",
        "tcp_keepalives_interval": "2",
        "tcp_keepalives_count": "3",
        # Compiling takes longer than what is compiled here.
        "jit": "off",
    }
    return options, server


def _within(seconds: float, work: Work[T], connection: Connection) -> T:
    """Run work in a transaction, in which each statement may take so long."""
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = {max(1, round(seconds * 1000))}")
    try:
        return work(connection)
    except DBAPIError as error:
        if error.orig is not None and _state_of(error.orig)[0] == CANCELLED:
            raise ReadTooLong("the read took as much time as it may") from error
        raise


async def _driver(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


def _require_alive(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that has ended."""
    if not _is_alive(connection.driver_connection):
        raise DisconnectionError("the server has ended the connection")


def _is_alive(driver: Any) -> bool:
    """Whether a connection that is not in use has not ended. Reads the state of its socket: the loop may be late."""
    if driver.is_closed():
        return False
    # Between two calls a server sends nothing but that the connection ends.
    poll = select.poll()
    poll.register(driver._transport.get_extra_info("socket").fileno(), select.POLLIN)
    return not poll.poll(0)


@contextmanager
def _translating() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise translated(error) from error
    except (OSError, TimeoutError) as error:
        raise StorageUnavailable(f"the database cannot be reached: {error!s:.300} ({type(error).__name__})") from error


def translated(error: SQLAlchemyError) -> StorageError:
    """The StorageError for an error of SQLAlchemy."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return StorageUnavailable(f"the database cannot be used now: {error}")
    return _storage_error(error.orig)


def _storage_error(error: BaseException) -> StorageError:
    """The StorageError for an error of the driver, or for SQLAlchemy's copy of it."""
    state, _ = _state_of(error)
    if state is not None and state.startswith(INTEGRITY_CLASS):
        return SequenceConflict(f"another writer was faster: {error}")
    # The driver's own refusals have no state.
    if isinstance(error, ValueError) or isinstance(error.__cause__, ValueError) or (state or "").startswith(DATA_CLASS):
        return ValuesRefused(f"the database refused the values: {error}")
    return StorageUnavailable(f"the database cannot be used now: {error}")


def _state_of(error: BaseException) -> tuple[str | None, str | None]:
    """The state that the server gave the error, and its detail."""
    return getattr(error, "sqlstate", None), getattr(error, "detail", None)

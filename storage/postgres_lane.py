"""PostgreSQL through asyncpg: where the SQL runs, and how long it may take.

- Reads and appends begin no transaction: one statement is one by itself, and goes to the server and back once.
- Appends run one at a time in the order of the calls; what else is written runs beside them, so that a heartbeat does
  not wait for an append that waits for a lock.
- A node has at most 14 connections.
- Every call ends. The server cancels a statement that takes too long; a server that does not answer is left, and what
  it did with the call is not known then.
- A connection that was lost while nobody used it is replaced before anything is sent. Nothing is ever sent twice.
"""

import asyncio
import select
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import URL, event
from sqlalchemy.exc import DBAPIError, DisconnectionError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from storage.errors import SequenceConflict, StorageError, StorageUnavailable
from storage.lanes import READERS, Work, settled

T = TypeVar("T")

WRITERS = 4
"""Writes at a time besides the append."""

GRACE_SECONDS = 2.0
"""How long after its time the server may still say that it has cancelled a statement."""

SYNCHRONOUS_COMMIT = {"OFF": "off", "NORMAL": "off", "FULL": "on", "EXTRA": "on"}

QUERY = {"sslmode": "ssl", "ssl": "ssl", "application_name": "application_name"}
"""What may stand in an address behind the question mark."""


class Timeouts(NamedTuple):
    """How long PostgreSQL may take to accept a connection, and to do what one call asks for."""

    connect_seconds: float = 5.0
    call_seconds: float = 10.0


class PostgresLane:
    """Runs work on PostgreSQL. Raises only StorageError and its kinds, besides what the work itself raises."""

    def __init__(self, url: URL, synchronous: str, timeouts: Timeouts) -> None:
        if find_spec("asyncpg") is None:
            raise StorageError("PostgreSQL needs a driver: pip install 'crdt-server[postgres]'")
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
        self._running: set[asyncio.Task[Any]] = set()
        self._closed = False

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
                # For what SQLAlchemy asks a new server; all else is cut before.
                "command_timeout": self._timeouts.call_seconds + 2 * GRACE_SECONDS if settings else None,
                "server_settings": server | settings,
            },
        )
        event.listen(engine.sync_engine, "checkout", _require_alive)
        return engine

    async def read(self, work: Work[T]) -> T:
        return await self._start(self._run(self._reader, work))

    async def append(self, work: Work[T]) -> T:
        return await settled(self._start(self._run_in_turn(work)))

    async def write(self, work: Work[T]) -> T:
        return await settled(self._start(self._run(self._writer, work)))

    async def write_at_once(self, statement: Work[T]) -> T:
        return await settled(self._start(self._run(self._single, statement)))

    async def maintain(self, work: Work[T]) -> T:
        return await settled(self._start(self._run(self._maintainer, work, limited=False)))

    def _start(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        if self._closed:
            call.close()
            raise StorageError("the store is closed")
        task = asyncio.create_task(call)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _run_in_turn(self, work: Work[T]) -> T:
        try:
            async with asyncio.timeout(self._timeouts.call_seconds):
                await self._turn.acquire()
        except TimeoutError as error:
            raise StorageUnavailable("the appends before this one take too long") from error
        try:
            with _translating():
                return await self._run_held(work)
        finally:
            self._turn.release()

    async def _run_held(self, work: Work[T]) -> T:
        # Out of its pool while nothing goes wrong: taking it out costs 0.25 of 0.75 ms of our time.
        connection, driver = held = await self._take_held()
        cut = self._cut_later(driver)
        try:
            result = await connection.run_sync(work)
        except BaseException:
            await connection.close()
            raise
        finally:
            cut.cancel()
        self._held = held
        return result

    async def _take_held(self) -> tuple[AsyncConnection, Any]:
        held, self._held = self._held, None
        if held is not None:
            if _is_alive(held[1]):
                return held
            await held[0].close()
        connection = await self._appender.connect()
        return connection, await _driver(connection)

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
        # Cut, not closed: who waits for an answer hears of it at once, and nobody waits for a goodbye.
        return asyncio.get_running_loop().call_later(self._timeouts.call_seconds + GRACE_SECONDS, driver.terminate)

    async def close(self) -> None:
        self._closed = True
        if self._running:
            await asyncio.wait(set(self._running))
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
    """What the driver is told, and what the server is told, of every connection."""
    unknown = set(url.query) - set(QUERY)
    if unknown:
        raise StorageError(f"a PostgreSQL address may say {', '.join(QUERY)}, not {', '.join(sorted(unknown))}")
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


async def _driver(connection: AsyncConnection) -> Any:
    return (await connection.get_raw_connection()).driver_connection


def _require_alive(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool replace a connection that has ended."""
    if not _is_alive(connection.driver_connection):
        raise DisconnectionError("the server has ended the connection")


def _is_alive(driver: Any) -> bool:
    """Whether a connection that nobody uses has not ended. Looks at the socket: the loop may not know it yet."""
    if driver.is_closed():
        return False
    # Between two calls a server says nothing but that the connection ends.
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
    """The error of ours that says what a driver's error means to a caller."""
    if not isinstance(error, DBAPIError):
        return StorageUnavailable(f"the database cannot be used now: {error}")
    if isinstance(error, IntegrityError):
        return SequenceConflict(f"another writer was faster: {error.orig}")
    if _is_about_values(error):
        return StorageError(f"the database refused the values: {error.orig}")
    return StorageUnavailable(f"the database cannot be used now: {error.orig}")


def _is_about_values(error: DBAPIError) -> bool:
    # The driver's own refusals have no state; those of the server are class 22.
    return isinstance(_root(error), ValueError) or (getattr(error.orig, "sqlstate", None) or "").startswith("22")


def _root(error: DBAPIError) -> BaseException | None:
    return error.orig.__cause__ if error.orig is not None else None

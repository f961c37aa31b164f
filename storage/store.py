"""The store: one object, opened once per process, through which everything durable goes."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from pathlib import Path

from sqlalchemy import URL, Connection, make_url, update
from sqlalchemy.exc import ArgumentError

from storage import facts as fact_rows
from storage import quarantine, schema, updates
from storage.errors import SchemaOutdated, SequenceConflict, StorageError
from storage.facts import Answer, BookingImage, Facts, RowImage, StoredBooking, StoredEvent
from storage.lanes import AsyncLane, Lane, ThreadLane
from storage.quarantine import QuarantinedUpdate
from storage.tables import probe
from storage.updates import Append, DocumentKey, IdCache, StoredDocument

SYNCHRONOUS = frozenset({"OFF", "NORMAL", "FULL", "EXTRA"})
ID_CACHE_LIMIT = 20_000
KEYS_PER_PAGE = 1_000
MOST_OVERLAPPING = 1_000
"""Bookings of others that one wedding is told of."""

_LANES: dict[str, Callable[[URL, str], Lane]] = {
    "sqlite": ThreadLane,
    "sqlite+pysqlite": ThreadLane,
    "sqlite+aiosqlite": AsyncLane,
}


class Storage:
    """Documents as bytes under sequence numbers, and what follows from them. Made by `open_storage`.

    Use from one event loop. Every method raises StorageUnavailable when the database cannot be used; nothing of a
    failed call is stored, and the next call starts afresh.
    """

    def __init__(self, lane: Lane, path: Path) -> None:
        self._lane = lane
        self._path = path
        self._ids = IdCache(ID_CACHE_LIMIT)

    async def append(self, batch: Sequence[Append], facts: Sequence[Facts] = ()) -> dict[str, int]:
        """Store updates of any number of documents, and what follows from them, in one transaction: all or nothing.

        Durable on return. Returns for each wedding with events the number of its first one; they count up from there
        in the order of `facts`. The newest image of a row or booking replaces the older one; a client id keeps its
        first user.

        Raises SequenceConflict where an update is not the next one of its document, AnswerTaken where a command was
        answered before. A cancelled append ends its transaction first, and may have stored all: load to know.
        """
        if not batch and not facts:
            return {}
        known = self._ids.known(item.key for item in batch)
        try:
            ids, first_events = await self._lane.write(
                lambda connection: (updates.append(connection, batch, known), fact_rows.add(connection, facts))
            )
        except SequenceConflict:
            self._ids.forget(known)
            raise
        self._ids.remember(ids)
        return first_events

    async def load(self, key: DocumentKey) -> StoredDocument:
        """Read a document whole and verify it; raises CorruptDocument. Of an unknown one: no updates."""
        return await self._lane.read(lambda connection: updates.load(connection, key))

    async def replace(self, key: DocumentKey, first_seq: int, last_seq: int, update: bytes) -> None:
        """Compaction: put one row in the place of those that cover exactly first_seq..last_seq, else SequenceConflict.

        The caller vouches that `update` holds what the replaced rows held. Appends wait meanwhile: 0.3 s for
        100,000 rows, so compact early.
        """
        await self._lane.write(lambda connection: updates.replace(connection, key, first_seq, last_seq, update))

    async def keys(self, wedding: str | None = None) -> AsyncIterator[DocumentKey]:
        """All documents, or those of one wedding, in order; read in pages, no transaction is held in between."""
        after: DocumentKey | None = None
        while page := await self._keys_behind(wedding, after):
            for key in page:
                yield key
            after = page[-1]

    async def _keys_behind(self, wedding: str | None, after: DocumentKey | None) -> list[DocumentKey]:
        return await self._lane.read(lambda connection: updates.list_keys(connection, wedding, after, KEYS_PER_PAGE))

    async def weddings(self) -> AsyncIterator[str]:
        """All weddings that have documents, in order; read in pages, no transaction is held in between."""
        after = ""
        while page := await self._weddings_behind(after):
            for wedding in page:
                yield wedding
            after = page[-1]

    async def _weddings_behind(self, after: str) -> list[str]:
        return await self._lane.read(lambda connection: updates.list_weddings(connection, after, KEYS_PER_PAGE))

    async def wedding_rows(self, wedding: str) -> list[tuple[str, RowImage]]:
        """The rows of all documents of a wedding with the document's name, removed ones included; ordered."""
        return await self._lane.read(lambda connection: fact_rows.wedding_rows(connection, wedding))

    async def document_rows(self, key: DocumentKey) -> list[RowImage]:
        """The rows of a document, removed ones included; ordered by root and record."""
        return await self._lane.read(lambda connection: fact_rows.document_rows(connection, key))

    async def owners(self, key: DocumentKey) -> dict[int, str]:
        """Who wrote under each client id of a document."""
        return await self._lane.read(lambda connection: fact_rows.owners(connection, key))

    async def bookings(self, wedding: str) -> list[BookingImage]:
        """The bookings of a wedding; ordered by vendor."""
        return await self._lane.read(lambda connection: fact_rows.wedding_bookings(connection, wedding))

    async def overlapping(self, wedding: str) -> list[StoredBooking]:
        """Bookings of other weddings that overlap a booking of this one with the same organization; at most 1,000.

        Two that meet, one beginning in the minute until which the other lasts, do not overlap.
        """
        return await self._lane.read(lambda connection: fact_rows.overlapping(connection, wedding, MOST_OVERLAPPING))

    async def booked(self, organization: str, spans: Sequence[tuple[int, int]]) -> list[str]:
        """The weddings with a booking of an organization that overlaps one of the spans (`start`, `until`); ordered."""
        return await self._lane.read(lambda connection: fact_rows.booked(connection, organization, spans))

    async def events(self, wedding: str, *, after: int = 0, limit: int = 500) -> list[StoredEvent]:
        """The next `limit` events of a wedding behind the number `after`."""
        return await self._lane.read(lambda connection: fact_rows.list_events(connection, wedding, after, limit))

    async def event_head(self, wedding: str) -> int:
        """The number of the newest event of a wedding, 0 when there is none."""
        return await self._lane.read(lambda connection: fact_rows.event_head(connection, wedding))

    async def answer(self, wedding: str, key: str) -> Answer | None:
        """What the command of this key was answered, None where it was not."""
        return await self._lane.read(lambda connection: fact_rows.find_answer(connection, wedding, key))

    async def forget_answers(self, before: datetime) -> int:
        """Remove the answers given before that moment, which carries its time zone; how many there were."""
        return await self._lane.write(lambda connection: fact_rows.forget_answers(connection, before))

    async def quarantine(self, item: QuarantinedUpdate) -> None:
        """Keep a refused update for study; of each wedding the newest 100 are kept."""
        await self._lane.write(lambda connection: quarantine.add(connection, item))

    async def quarantined(self, wedding: str | None = None) -> list[QuarantinedUpdate]:
        """Kept updates, oldest first."""
        return await self._lane.read(lambda connection: quarantine.list_all(connection, wedding))

    async def probe_write(self) -> None:
        """Write something, durably, and change nobody's document: answers whether the database takes writes."""
        await self._lane.write(lambda connection: connection.execute(update(probe).values(writes=probe.c.writes + 1)))

    async def size_bytes(self) -> int:
        """Bytes the database takes on disk, its write-ahead log included."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def vacuum(self) -> None:
        """Give free pages back to the file system. Rewrites the whole file, and appends wait: not for busy hours."""
        await self._lane.write(_vacuum)

    async def close(self) -> None:
        """Finish what is running and close; later calls raise StorageError."""
        await self._lane.close()


def _vacuum(connection: Connection) -> None:
    # VACUUM refuses to run inside a transaction.
    for statement in ("COMMIT", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"):
        connection.exec_driver_sql(statement)


async def open_storage(url: str, *, synchronous: str = "FULL", migrate: bool = False) -> Storage:
    """Open the database at `url`: `sqlite:///wedding.db`, or `sqlite+aiosqlite:///wedding.db`.

    `synchronous` is SQLite's setting: with less than FULL a power cut may take back what was acknowledged.
    Raises SchemaOutdated where the schema is not this program's, unless `migrate` is given.
    """
    if synchronous.upper() not in SYNCHRONOUS:
        raise StorageError(f"synchronous is one of {', '.join(sorted(SYNCHRONOUS))}, not {synchronous!r}")
    parsed = _parse(url)
    path = _path(parsed)
    if not migrate:
        _require(path)
    lane = _LANES[parsed.drivername](parsed, synchronous.upper())
    try:
        if migrate:
            await lane.write(schema.upgrade)
        await lane.read(schema.check)
    except BaseException:
        await lane.close()
        raise
    return Storage(lane, path)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError("the database address is not a URL like sqlite:///wedding.db") from error
    if parsed.drivername not in _LANES:
        raise StorageError(f"no storage for {parsed.drivername!r}, only for {', '.join(_LANES)}")
    if parsed.database in (None, "", ":memory:"):
        raise StorageError("the database needs a file: sqlite:///wedding.db")
    return parsed


def _path(url: URL) -> Path:
    # SQLite's own address form, file:PATH?mode=ro, comes with uri=true.
    return Path((url.database or "").removeprefix("file:").partition("?")[0])


def _require(path: Path) -> None:
    # Opening would create an empty file.
    if not path.exists():
        raise SchemaOutdated(f"there is no database at {path}: run crdt-server migrate")


async def migrate(url: str) -> None:
    """Create the database or bring its schema to the newest; does nothing where it is."""
    storage = await open_storage(url, migrate=True)
    await storage.close()

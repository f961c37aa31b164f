"""The store: one object, opened once per process, for everything durable."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from storage import owners, schema, updates
from storage.access_parts import AuditStore, GrantStore, MemberStore
from storage.appends import Append, AppendRequest
from storage.attachments import AttachmentStore
from storage.conversation_parts import ConversationStore, MessageStore
from storage.derived import DerivedRecords
from storage.errors import SchemaOutdated, StorageError
from storage.executors import SqlExecutor
from storage.messaging_parts import InboxStore, RoutingStore
from storage.outbox_store import OutboxStore
from storage.postgres_executor import PostgresExecutor, Timeouts
from storage.preference_store import PreferenceStore
from storage.search import SearchStore
from storage.sqlite_executors import AsyncExecutor, ThreadExecutor
from storage.store_parts import DerivedStore, LastSeenStore, OperatorStore, OwnerStore, RetentionStore
from storage.updates import DocumentKey, StoredDocument, StoredUpdate
from storage.webhooks import WebhookStore

SYNCHRONOUS = frozenset({"OFF", "NORMAL", "FULL", "EXTRA"})
KEYS_PER_PAGE = 1_000

_EXECUTORS: dict[str, Callable[[URL, str, Timeouts], SqlExecutor]] = {
    "sqlite": lambda url, synchronous, _: ThreadExecutor(url, synchronous),
    "sqlite+pysqlite": lambda url, synchronous, _: ThreadExecutor(url, synchronous),
    "sqlite+aiosqlite": lambda url, synchronous, _: AsyncExecutor(url, synchronous),
    "postgresql": PostgresExecutor,
    "postgresql+asyncpg": PostgresExecutor,
}


class Storage(
    DerivedStore,
    OwnerStore,
    RetentionStore,
    LastSeenStore,
    OperatorStore,
    MemberStore,
    GrantStore,
    AuditStore,
    RoutingStore,
    InboxStore,
    OutboxStore,
    WebhookStore,
    AttachmentStore,
    SearchStore,
    PreferenceStore,
    ConversationStore,
    MessageStore,
):
    """Documents as bytes under sequence numbers, and records derived from them. Made by `open_storage`.

    Use from one event loop. Every method raises StorageUnavailable when the database cannot be used; nothing of a
    failed call is stored, and the next call starts afresh.
    """

    async def append(
        self,
        batch: Sequence[Append],
        derived: Sequence[DerivedRecords] = (),
        fences: Mapping[str, int] | None = None,
        node: str = "",
    ) -> dict[str, int]:
        """Store updates of any number of documents, and the records derived from them, in one transaction: all or
        nothing.

        Durable on return. Returns for each wedding with events the number of its first one; they count up from there
        in the order of `derived`. The newest values of a row or booking replace the older ones; a client id keeps its
        first user.

        Raises SequenceConflict where an update is not the next one of its document, AnswerTaken where a command was
        answered before, and, with `fences` by wedding, NotOwner where the `node` does not own a wedding under its
        fence. A cancelled append ends its transaction first, and may have stored all: loading shows whether.
        """
        if not batch and not derived:
            return {}
        return await self._executor.append(AppendRequest(batch, derived, fences, node))

    async def confirm(self, weddings: Collection[str], fences: Mapping[str, int] | None = None, node: str = "") -> None:
        """Raise NotOwner where, with `fences` by wedding, the `node` does not own one of these under its fence."""
        if fences is not None:
            await self._executor.read(lambda connection: owners.require(connection, sorted(weddings), fences, node))

    async def load(self, key: DocumentKey) -> StoredDocument:
        """Read a document whole and verify it; raises CorruptDocument. Of an unknown one: no updates."""
        return await self._executor.read(lambda connection: updates.load(connection, key))

    async def updates_after(self, key: DocumentKey, seq: int) -> list[StoredUpdate]:
        """Read and verify the rows that cover the numbers behind `seq`; raises CorruptDocument.

        The first begins at `seq` + 1, or before where compaction has made one of several. There is no gap.
        """
        return await self._executor.read(lambda connection: updates.load_after(connection, key, seq))

    async def replace(self, key: DocumentKey, first_seq: int, last_seq: int, *rows: bytes) -> None:
        """Compaction: put rows in the place of those that cover exactly first_seq..last_seq, else SequenceConflict.

        They share the numbers evenly, and are no more than those. The caller vouches that they hold what the replaced
        rows held. On SQLite appends wait meanwhile: 0.3 s for
        100,000 rows, so compact early.
        """
        await self._executor.write(lambda connection: updates.replace(connection, key, first_seq, last_seq, rows))

    async def keys(self, wedding: str | None = None, after: DocumentKey | None = None) -> AsyncIterator[DocumentKey]:
        """All documents, or those of one wedding, in order, behind `after`; read in pages, no transaction is held in
        between."""
        while page := await self._keys_behind(wedding, after):
            for key in page:
                yield key
            after = page[-1]

    async def _keys_behind(self, wedding: str | None, after: DocumentKey | None) -> list[DocumentKey]:
        return await self._executor.read(
            lambda connection: updates.list_keys(connection, wedding, after, KEYS_PER_PAGE)
        )

    async def weddings(self, after: str = "") -> AsyncIterator[str]:
        """All weddings that have documents, in order, behind `after`; read in pages, no transaction is held in
        between."""
        while page := await self._weddings_behind(after):
            for wedding in page:
                yield wedding
            after = page[-1]

    async def _weddings_behind(self, after: str) -> list[str]:
        return await self._executor.read(lambda connection: updates.list_weddings(connection, after, KEYS_PER_PAGE))

    async def close(self) -> None:
        """Finish what is running and close; later calls raise StorageError."""
        await self._executor.close()


async def open_storage(
    url: str, *, synchronous: str = "FULL", migrate: bool = False, timeouts: Timeouts | None = None
) -> Storage:
    """Open the database at `url`: `sqlite:///wedding.db`, `postgresql://user:password@host/wedding`.

    With `synchronous` less than FULL a power cut may take back what was acknowledged; on PostgreSQL, the crash of the
    server too. `timeouts` are for PostgreSQL. Raises SchemaOutdated where the schema is not this program's, unless
    `migrate` is given.
    """
    if synchronous.upper() not in SYNCHRONOUS:
        raise StorageError(f"synchronous is one of {', '.join(sorted(SYNCHRONOUS))}, not {synchronous!r}")
    parsed = _parse(url)
    if not migrate:
        _require(parsed)
    executor = _EXECUTORS[parsed.drivername](parsed, synchronous.upper(), timeouts or Timeouts())
    try:
        await _bring_up_to_date(executor, migrate)
    except BaseException:
        await executor.close()
        raise
    return Storage(executor)


async def _bring_up_to_date(executor: SqlExecutor, migrate: bool) -> None:
    try:
        # First: a schema that is right needs no Alembic, which takes longer to load than the store to open.
        await executor.read(schema.check)
    except SchemaOutdated:
        if not migrate:
            raise
        await executor.maintain(schema.upgrade)
        await executor.read(schema.check)


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageError("the database address is not a URL like sqlite:///wedding.db") from error
    if parsed.drivername not in _EXECUTORS:
        raise StorageError(f"no storage for {parsed.drivername!r}, only for {', '.join(_EXECUTORS)}")
    if parsed.database in (None, "", ":memory:"):
        raise StorageError("the address names no database: sqlite:///wedding.db, postgresql://user@host/wedding")
    return parsed


def _require(url: URL) -> None:
    # Opening would create an empty file. SQLite's own address form, file:PATH?mode=ro, comes with uri=true.
    path = Path((url.database or "").removeprefix("file:").partition("?")[0])
    if url.drivername.startswith("sqlite") and not path.exists():
        raise SchemaOutdated(f"there is no database at {path}: run crdt-server migrate")


async def migrate(url: str) -> None:
    """Create the database or bring its schema to the newest; does nothing where it is."""
    storage = await open_storage(url, migrate=True)
    await storage.close()

"""Documents as rows of updates: append, load, replace, list.

Plain functions over a SQLAlchemy `Connection` that is already inside a transaction; who runs them, and on which
thread, is the business of `lanes`. The rules:
- the rows of a document cover 1..head without gap or overlap;
- a writer reads the head inside the transaction that writes, so a stale one fails instead of interleaving;
- reading creates nothing.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from sqlalchemy import (
    BigInteger,
    Connection,
    Select,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
)

from storage.errors import CorruptDocument, SequenceConflict, StorageError, StorageUnavailable
from storage.statements import chunks, with_rows
from storage.tables import NAME_LENGTH, documents, updates

T = TypeVar("T")

_LIST_SIZE = 500
"""Most values in one IN list: below every backend's limit on parameters."""


class DocumentKey(NamedTuple):
    """The name of a document: unique within its wedding."""

    wedding: str
    document: str

    def __str__(self) -> str:
        return f"{self.wedding}/{self.document}"


@dataclass(frozen=True, slots=True)
class Append:
    """One update to be stored under the next sequence number `seq` of a document (the first is 1)."""

    key: DocumentKey
    seq: int
    update: bytes


class StoredUpdate(NamedTuple):
    """One row: the update that covers the sequence numbers `first_seq`..`last_seq`, both included."""

    # A tuple, because a history of 100,000 rows is built in one go: a frozen dataclass takes three times as long.
    first_seq: int
    last_seq: int
    update: bytes


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """All that is stored of a document, in order and without gaps. Of an unknown document: no updates."""

    key: DocumentKey
    updates: list[StoredUpdate]

    @property
    def head_seq(self) -> int:
        """The newest sequence number, 0 when nothing is stored."""
        return self.updates[-1].last_seq if self.updates else 0

    @property
    def size_bytes(self) -> int:
        """Bytes of all updates together."""
        return sum(len(row.update) for row in self.updates)


class IdCache:
    """Row ids of documents written lately; the least recently used goes when there are more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: OrderedDict[DocumentKey, int] = OrderedDict()

    def known(self, keys: Iterable[DocumentKey]) -> dict[DocumentKey, int]:
        """The ids of those of `keys` that are remembered."""
        found = {key: self._ids[key] for key in keys if key in self._ids}
        for key in found:
            self._ids.move_to_end(key)
        return found

    def remember(self, ids: dict[DocumentKey, int]) -> None:
        """Add ids that are committed: the id of a row rolled back may be given to another document."""
        self._ids.update(ids)
        while len(self._ids) > self._limit:
            self._ids.popitem(last=False)

    def forget(self, keys: Iterable[DocumentKey]) -> None:
        """Ask the database again next time: another process may have removed the document."""
        for key in keys:
            self._ids.pop(key, None)

    def __len__(self) -> int:
        return len(self._ids)


_newest = updates.alias("newest")
_head = (
    # By the primary key: max(last_seq) would read the whole history.
    select(updates.c.last_seq)
    .where(
        updates.c.document_id == bindparam("document", type_=BigInteger),
        updates.c.first_seq
        == select(func.max(_newest.c.first_seq))
        .where(_newest.c.document_id == bindparam("document", type_=BigInteger))
        .scalar_subquery(),
    )
    .scalar_subquery()
)
# The guard is part of the write: a row goes in only behind the head of its document, whatever another process did.
_APPEND = """
INSERT INTO updates (document_id, first_seq, last_seq, "update", checksum)
WITH incoming (document_id, seq, bytes, crc, expected_head) AS (VALUES {rows})
SELECT document_id, seq, seq, bytes, crc FROM incoming
WHERE expected_head = coalesce(
    (
        SELECT last_seq FROM updates AS head
        WHERE head.document_id = incoming.document_id AND head.first_seq = (
            SELECT max(first_seq) FROM updates AS newest WHERE newest.document_id = incoming.document_id
        )
    ),
    0
)
"""
_ids = select(documents.c.wedding, documents.c.name, documents.c.id).where(
    tuple_(documents.c.wedding, documents.c.name).in_(bindparam("keys", expanding=True))
)
_load = (
    select(updates.c.first_seq, updates.c.last_seq, updates.c.update, updates.c.checksum)
    .join(documents, documents.c.id == updates.c.document_id)
    .where(documents.c.wedding == bindparam("wedding"), documents.c.name == bindparam("name"))
    .order_by(updates.c.first_seq)
)
# Found by the key: nothing says where a last_seq lies but the rows around it.
_load_after = _load.where(
    updates.c.last_seq > bindparam("after", type_=BigInteger),
    updates.c.first_seq
    >= func.coalesce(
        select(func.max(_newest.c.first_seq))
        .where(
            _newest.c.document_id == documents.c.id,
            _newest.c.first_seq <= bindparam("after", type_=BigInteger) + 1,
        )
        .correlate(documents)
        .scalar_subquery(),
        0,
    ),
)


def append(
    connection: Connection, batch: Sequence[Append], known_ids: dict[DocumentKey, int]
) -> dict[DocumentKey, int]:
    """Store the batch; return the row ids of its documents.

    Raises SequenceConflict where an update is not the next one of its document.
    """
    ids = dict(known_ids)
    unknown = [key for key in {item.key: None for item in batch} if key not in ids]
    if unknown:
        ids.update(_find_or_create(connection, unknown))
    for part in chunks(batch):
        done = connection.exec_driver_sql(with_rows(_APPEND, len(part), 5), _append_values(part, ids))
        if done.rowcount != len(part):
            raise _conflict(connection, batch, ids)
    return ids


def _append_values(part: Sequence[Append], ids: Mapping[DocumentKey, int]) -> tuple[Any, ...]:
    """Values for `_APPEND`. The statement sees the rows before it: those of one document count on one head.

    Raises SequenceConflict where they do not follow one another.
    """
    found: list[Any] = []
    heads: dict[DocumentKey, tuple[int, int]] = {}  # what the document's first row counts on, and its newest row
    for item in part:
        expected, newest = heads.get(item.key, (item.seq - 1, item.seq - 1))
        if item.seq != newest + 1:
            raise _out_of_order(item, newest)
        heads[item.key] = (expected, item.seq)
        found += (ids[item.key], item.seq, item.update, crc32(item.update), expected)
    return tuple(found)


def expected_heads(batch: Iterable[Append]) -> dict[DocumentKey, int]:
    """The sequence number that each document of the batch has to be at.

    Raises SequenceConflict where updates of one document do not follow one another.
    """
    expected: dict[DocumentKey, int] = {}
    newest: dict[DocumentKey, int] = {}
    for item in batch:
        expected.setdefault(item.key, item.seq - 1)
        before = newest.setdefault(item.key, item.seq - 1)
        if item.seq != before + 1:
            raise _out_of_order(item, before)
        newest[item.key] = item.seq
    return expected


def _out_of_order(item: Append, newest: int) -> SequenceConflict:
    return SequenceConflict(f"document {str(item.key)!r}: {item.seq} does not follow {newest}", document=str(item.key))


def _conflict(connection: Connection, batch: Sequence[Append], ids: dict[DocumentKey, int]) -> SequenceConflict:
    """The error that names the first update that did not go in."""
    heads = {key: connection.execute(select(_head), {"document": id_}).scalar() or 0 for key, id_ in ids.items()}
    item = next((item for item in batch if item.seq != heads[item.key]), batch[0])
    return SequenceConflict(
        f"document {str(item.key)!r} is at sequence number {heads[item.key]}, cannot append {item.seq}",
        document=str(item.key),
    )


def _find_or_create(connection: Connection, keys: list[DocumentKey]) -> dict[DocumentKey, int]:
    found = _find(connection, keys)
    missing = [{"wedding": key.wedding, "name": key.document} for key in keys if key not in found]
    if missing:
        for key in keys:
            check_name(key)
        connection.execute(insert(documents), missing)
        found = _find(connection, keys)
    return found


def _find(connection: Connection, keys: list[DocumentKey]) -> dict[DocumentKey, int]:
    found: dict[DocumentKey, int] = {}
    for part in _parts(keys):
        for wedding, name, document_id in connection.execute(_ids, {"keys": part}):
            found[DocumentKey(wedding, name)] = document_id
    return found


def _parts(values: list[T]) -> Iterator[list[T]]:
    return (values[start : start + _LIST_SIZE] for start in range(0, len(values), _LIST_SIZE))


def check_name(key: DocumentKey) -> None:
    """Raise StorageError for a name that is empty or too long."""
    if not (0 < len(key.wedding) <= NAME_LENGTH and 0 < len(key.document) <= NAME_LENGTH):
        raise StorageError(f"a wedding or document name has 1 to {NAME_LENGTH} characters: {str(key)[:600]!r}")


def load(connection: Connection, key: DocumentKey) -> StoredDocument:
    """Read and verify one document; raises CorruptDocument naming the first sequence number that is wrong."""
    return StoredDocument(key, _verified(key, _driver_rows(connection, _load, key), 1))


def load_after(connection: Connection, key: DocumentKey, seq: int) -> list[StoredUpdate]:
    """Read and verify the rows that cover the sequence numbers behind `seq`; the first may begin before."""
    found = _driver_rows(connection, _load_after, key, after=seq)
    begins_before = found and found[0][0] <= seq
    return _verified(key, found, found[0][0] if begins_before else seq + 1)


def _verified(key: DocumentKey, found: Sequence[tuple[int, int, bytes, int]], expected: int) -> list[StoredUpdate]:
    stored = []
    for first_seq, last_seq, update, checksum in found:
        if first_seq != expected:
            reason = f"rows overlap, the next starts at {first_seq}" if first_seq < expected else "rows are missing"
            raise CorruptDocument(str(key), expected, reason)
        if crc32(update) != checksum:
            raise CorruptDocument(str(key), first_seq, "bytes do not match their checksum")
        stored.append(StoredUpdate(first_seq, last_seq, update))
        expected = last_seq + 1
    return stored


def _driver_rows(
    connection: Connection, query: Select[Any], key: DocumentKey, **values: int
) -> Sequence[tuple[int, int, bytes, int]]:
    result = connection.execute(query, {"wedding": key.wedding, "name": key.document, **values})
    # The driver's own tuples: wrapping 100,000 of them in SQLAlchemy's rows doubles the time.
    try:
        rows: Sequence[tuple[int, int, bytes, int]] = result.cursor.fetchall()
    except connection.dialect.loaded_dbapi.Error as error:
        raise StorageUnavailable(f"document {str(key)!r} cannot be read: {error}") from error
    finally:
        result.close()
    return rows


def replace(connection: Connection, key: DocumentKey, first_seq: int, last_seq: int, update: bytes) -> None:
    """Put one row in the place of all rows of first_seq..last_seq; SequenceConflict if they cover not exactly that."""
    document_id = _find(connection, [key]).get(key)
    inside = (
        updates.c.document_id == document_id,
        updates.c.last_seq >= first_seq,
        updates.c.first_seq <= last_seq,
    )
    # Locked: of two at once the second finds the rows gone. SQLite has one writer anyway.
    covered = connection.execute(
        select(updates.c.first_seq, updates.c.last_seq).where(*inside).order_by(updates.c.first_seq).with_for_update()
    ).all()
    if not _covers(covered, first_seq, last_seq):
        raise SequenceConflict(
            f"rows of document {str(key)!r} do not cover exactly {first_seq}..{last_seq}", document=str(key)
        )
    connection.execute(delete(updates).where(*inside))
    connection.execute(
        insert(updates),
        {
            "document_id": document_id,
            "first_seq": first_seq,
            "last_seq": last_seq,
            "update": update,
            "checksum": crc32(update),
        },
    )


def _covers(rows: Iterable[Sequence[int]], first_seq: int, last_seq: int) -> bool:
    expected = first_seq
    for first, last in rows:
        if first != expected:
            return False
        expected = last + 1
    return expected == last_seq + 1 > first_seq


def list_keys(connection: Connection, wedding: str | None, after: DocumentKey | None, limit: int) -> list[DocumentKey]:
    """The next `limit` documents in order of (wedding, document), beginning behind `after`."""
    query = select(documents.c.wedding, documents.c.name).order_by(documents.c.wedding, documents.c.name).limit(limit)
    if wedding is not None:
        query = query.where(documents.c.wedding == wedding)
    if after is not None:
        query = query.where(tuple_(documents.c.wedding, documents.c.name) > tuple(after))
    return [DocumentKey(*row) for row in connection.execute(query)]


def list_weddings(connection: Connection, after: str, limit: int) -> list[str]:
    """The next `limit` weddings that have documents, in order, beginning behind `after`."""
    query = select(documents.c.wedding).distinct().where(documents.c.wedding > after)
    return list(connection.scalars(query.order_by(documents.c.wedding).limit(limit)))

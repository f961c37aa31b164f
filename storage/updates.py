"""Documents as rows of updates: load, replace, list. Appending them is in `sqlite_append` and `postgres_append`.

Plain functions over a SQLAlchemy `Connection` that is already inside a transaction; `executors` run them. The rules:
- the rows of a document cover 1..head without gap or overlap;
- a writer reads the head inside the transaction that writes, so a stale one fails instead of interleaving;
- reading creates nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from zlib import crc32

from sqlalchemy import BigInteger, Connection, Select, bindparam, delete, func, insert, select, tuple_

from storage.errors import CorruptDocument, SequenceConflict, StorageUnavailable, ValuesRefused
from storage.tables import NAME_LENGTH, documents, updates


class DocumentKey(NamedTuple):
    """The name of a document: unique within its wedding."""

    wedding: str
    document: str

    def __str__(self) -> str:
        return f"{self.wedding}/{self.document}"


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


_newest = updates.alias("newest")
_load = (
    select(updates.c.first_seq, updates.c.last_seq, updates.c.update, updates.c.checksum)
    .join(documents, documents.c.id == updates.c.document_id)
    .where(documents.c.wedding == bindparam("wedding"), documents.c.name == bindparam("name"))
    .order_by(updates.c.first_seq)
)
# Found by the key: a last_seq has no index.
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


def check_name(key: DocumentKey) -> None:
    """Raise ValuesRefused for a name that is empty or too long."""
    if not (0 < len(key.wedding) <= NAME_LENGTH and 0 < len(key.document) <= NAME_LENGTH):
        raise ValuesRefused(f"a wedding or document name has 1 to {NAME_LENGTH} characters: {str(key)[:600]!r}")


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


def replace(connection: Connection, key: DocumentKey, first_seq: int, last_seq: int, rows: Sequence[bytes]) -> None:
    """Put others in the place of all rows of first_seq..last_seq; SequenceConflict if they cover not exactly that."""
    document_id = connection.scalar(
        select(documents.c.id).where(documents.c.wedding == key.wedding, documents.c.name == key.document)
    )
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
    count = last_seq + 1 - first_seq
    firsts = [first_seq + n * count // len(rows) for n in range(len(rows) + 1)]
    connection.execute(
        insert(updates),
        [
            {
                "document_id": document_id,
                "first_seq": first,
                "last_seq": following - 1,
                "update": update,
                "checksum": crc32(update),
            }
            for first, following, update in zip(firsts, firsts[1:], rows, strict=False)
        ],
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

"""Appends on SQLite: the path of every edit. Statements are texts that the driver keeps prepared, run on a cursor of
the driver: around a single insert, SQLAlchemy's execution and transaction take ten times as long as the insert.

The guards are part of the write: an update goes in only behind the head of its document, whatever another process did.
"""

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Protocol
from zlib import crc32

from sqlalchemy.dialects import sqlite

from storage import derived_tables
from storage.appends import Append, AppendRequest, out_of_order
from storage.derived_tables import Arranged, DerivedTable, Row, arrange
from storage.errors import AnswerTaken, NotOwner, SequenceConflict, StorageError
from storage.statements import chunks, insert, with_rows
from storage.tables import answers
from storage.updates import DocumentKey, check_name

ID_CACHE_LIMIT = 20_000

_APPEND = """
INSERT INTO updates (document_id, first_seq, last_seq, "update", checksum)
WITH incoming (document_id, seq, bytes, crc, expected_head) AS (VALUES {rows})
SELECT document_id, seq, seq, bytes, crc FROM incoming
WHERE expected_head = coalesce(
    (
        SELECT last_seq FROM updates AS stored
        WHERE stored.document_id = incoming.document_id ORDER BY first_seq DESC LIMIT 1
    ),
    0
)
"""
_HEAD = "SELECT last_seq FROM updates WHERE document_id = ? ORDER BY first_seq DESC LIMIT 1"
_FIND_DOCUMENTS = """
WITH requested (wedding, name) AS (VALUES {rows})
SELECT wedding, name, id FROM requested CROSS JOIN documents USING (wedding, name)
"""
_ADD_DOCUMENTS = "INSERT INTO documents (wedding, name) VALUES {rows} RETURNING wedding, name, id"
_OWNERS = "SELECT wedding, node, fence FROM owners WHERE wedding IN (SELECT value FROM json_each(?))"
_TAKEN = """
WITH given (wedding, "key") AS (VALUES {rows})
SELECT wedding, "key" FROM given CROSS JOIN answers USING (wedding, "key")
"""
_REMOVE_BOOKINGS = "DELETE FROM bookings WHERE (wedding, vendor) IN (VALUES {rows})"
# One search of the key for each wedding: grouped by wedding, all its events would be read.
_EVENT_HEADS = """
WITH requested (wedding) AS (VALUES {rows})
SELECT wedding, coalesce((SELECT max(seq) FROM events WHERE events.wedding = requested.wedding), 0) FROM requested
"""
_INSERTS = {declared.table.name: insert(declared) for declared in derived_tables.DERIVED_TABLES}
_ANSWERED_AT = derived_tables.ANSWERS.columns.index("at")
_store_moment = answers.c.at.type.dialect_impl(sqlite.dialect()).bind_processor(sqlite.dialect())


class Cursor(Protocol):
    """What is needed of a DB-API cursor."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, statement: str, values: Row = (), /) -> object: ...

    def fetchall(self) -> Sequence[Row]: ...


class IdCache:
    """Row ids of documents written lately; the least recently used goes when there are more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: OrderedDict[DocumentKey, int] = OrderedDict()

    def known(self, keys: Iterable[DocumentKey]) -> dict[DocumentKey, int]:
        """The ids of those of `keys` that are remembered."""
        found = {}
        for key in keys:
            if (id_ := self._ids.get(key)) is not None:
                found[key] = id_
                self._ids.move_to_end(key)
        return found

    def remember(self, ids: Mapping[DocumentKey, int]) -> None:
        """Add ids that are committed: the id of a row rolled back may be given to another document."""
        self._ids.update(ids)
        while len(self._ids) > self._limit:
            self._ids.popitem(last=False)

    def forget(self, keys: Iterable[DocumentKey]) -> None:
        """Read them from the database next time: another process may have removed the document."""
        for key in keys:
            self._ids.pop(key, None)

    def __len__(self) -> int:
        return len(self._ids)


class SqliteAppender:
    """Appends on connections to one database, one after the other."""

    def __init__(self) -> None:
        self.ids = IdCache(ID_CACHE_LIMIT)

    def append(self, cursor: Cursor, request: AppendRequest) -> dict[str, int]:
        """Store all in a transaction of its own; returns for each wedding with events the number of its first one.

        What it raises leaves the transaction open: the caller rolls back. Raises SequenceConflict, AnswerTaken,
        NotOwner, StorageError for values that cannot be stored, and the errors of the driver.
        """
        arranged = arrange(request.derived)
        keys = {each.key: None for each in request.updates}
        cached = self.ids.known(keys)
        unknown = [key for key in keys if key not in cached]
        for key in unknown:
            check_name(key)
        try:
            cursor.execute("BEGIN IMMEDIATE")
            if request.fences is not None:
                _require_fences(cursor, request.weddings, request.fences, request.node)
            found = _find_or_create(cursor, unknown) if unknown else {}
            _append_updates(cursor, request.updates, cached | found if found else cached)
            first_events = _add_derived(cursor, arranged) if arranged is not derived_tables.NOTHING else {}
            cursor.execute("COMMIT")
        except (SequenceConflict, sqlite3.IntegrityError):
            self.ids.forget(keys)
            raise
        except (UnicodeEncodeError, OverflowError) as error:
            raise StorageError(f"the database refused the values: {error}") from error
        if found:
            self.ids.remember(found)
        return first_events


def _require_fences(cursor: Cursor, weddings: Sequence[str], fences: Mapping[str, int], node: str) -> None:
    # Holds until the end of the transaction, as SQLite has one writer.
    cursor.execute(_OWNERS, (json.dumps(weddings),))
    held = {wedding: (owner, fence) for wedding, owner, fence in cursor.fetchall()}
    lost = [wedding for wedding in weddings if held.get(wedding) != (node, fences.get(wedding))]
    if lost:
        raise NotOwner(lost)


def _find_or_create(cursor: Cursor, keys: Sequence[DocumentKey]) -> dict[DocumentKey, int]:
    found = _document_ids(cursor, _FIND_DOCUMENTS, keys)
    missing = [key for key in keys if key not in found]
    return found | _document_ids(cursor, _ADD_DOCUMENTS, missing)


def _document_ids(cursor: Cursor, template: str, keys: Sequence[DocumentKey]) -> dict[DocumentKey, int]:
    return {DocumentKey(wedding, name): id_ for wedding, name, id_ in _run(cursor, template, keys)}


def _append_updates(cursor: Cursor, updates: Sequence[Append], ids: Mapping[DocumentKey, int]) -> None:
    for part in chunks(updates):
        cursor.execute(with_rows(_APPEND, len(part), 5), _update_values(part, ids))
        if cursor.rowcount != len(part):
            raise _conflict(cursor, updates, ids)


def _update_values(part: Sequence[Append], ids: Mapping[DocumentKey, int]) -> tuple[int | bytes, ...]:
    """Values for `_APPEND`. The statement sees the rows before it: those of one document count on one head.

    Raises SequenceConflict where they do not follow one another.
    """
    found: list[int | bytes] = []
    heads: dict[DocumentKey, tuple[int, int]] = {}  # the head a document's first row counts on, and its newest row
    for item in part:
        expected, newest = heads.get(item.key, (item.seq - 1, item.seq - 1))
        if item.seq != newest + 1:
            raise out_of_order(item, newest)
        heads[item.key] = (expected, item.seq)
        found += (ids[item.key], item.seq, item.update, crc32(item.update), expected)
    return tuple(found)


def _conflict(cursor: Cursor, updates: Sequence[Append], ids: Mapping[DocumentKey, int]) -> SequenceConflict:
    """The error that names the first update that did not go in."""
    heads = {}
    for key in {each.key: None for each in updates}:
        cursor.execute(_HEAD, (ids[key],))
        heads[key] = next((head for (head,) in cursor.fetchall()), 0)
    item = next((each for each in updates if each.seq != heads[each.key]), updates[0])
    return SequenceConflict(
        f"document {str(item.key)!r} is at sequence number {heads[item.key]}, cannot append {item.seq}",
        document=str(item.key),
    )


def _add_derived(cursor: Cursor, arranged: Arranged) -> dict[str, int]:
    """Returns for each wedding with events the number of its first one here."""
    _add_answers(cursor, arranged.answers)
    _insert(cursor, derived_tables.ROWS, arranged.rows)
    _run(cursor, _REMOVE_BOOKINGS, arranged.removed_bookings)
    _insert(cursor, derived_tables.BOOKINGS, arranged.bookings)
    _insert(cursor, derived_tables.CLIENT_IDS, arranged.client_ids)
    return _add_events(cursor, arranged)


def _add_answers(cursor: Cursor, rows: Sequence[Row]) -> None:
    for wedding, key in _run(cursor, _TAKEN, [row[:2] for row in rows]):
        raise AnswerTaken(wedding, key)
    assert _store_moment is not None
    at = _ANSWERED_AT
    _insert(cursor, derived_tables.ANSWERS, [(*row[:at], _store_moment(row[at]), *row[at + 1 :]) for row in rows])


def _add_events(cursor: Cursor, arranged: Arranged) -> dict[str, int]:
    weddings = arranged.event_weddings
    stored: dict[str, int] = dict(_run(cursor, _EVENT_HEADS, [(wedding,) for wedding in weddings]))
    heads = [stored[wedding] for wedding in weddings]
    numbered = [(weddings[place], heads[place] + number, *values) for place, number, *values in arranged.events]
    _insert(cursor, derived_tables.EVENTS, sorted(numbered))
    return {wedding: head + 1 for wedding, head in zip(weddings, heads, strict=True)}


def _insert(cursor: Cursor, declared: DerivedTable, rows: Sequence[Row]) -> None:
    _run(cursor, _INSERTS[declared.table.name], rows)


def _run(cursor: Cursor, template: str, rows: Sequence[Row]) -> list[Row]:
    """Run the statement with all the rows; returns those that it returns."""
    found: list[Row] = []
    for part in chunks(rows):
        cursor.execute(with_rows(template, len(part), len(part[0])), tuple(chain.from_iterable(part)))
        found += cursor.fetchall()
    return found

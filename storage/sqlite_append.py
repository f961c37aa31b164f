"""Appends on SQLite: the path of every edit. Statements are texts that the driver keeps prepared, run on a cursor of
the driver: around a single insert, SQLAlchemy's execution and transaction take ten times as long as the insert.

The guards are part of the write: an update goes in only behind the head of its document, whatever another process did.
"""

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from zlib import crc32

from sqlalchemy.dialects import sqlite

from storage.appends import Append, AppendRequest, expected_heads, out_of_order
from storage.audit import NO_ENTRIES, AuditHead, AuditValues, chain
from storage.derived_tables import (
    ANSWERS,
    AUDIT,
    BOOKINGS,
    CLIENT_IDS,
    EVENTS,
    NOTHING,
    ROWS,
    Arranged,
    Row,
    arrange,
)
from storage.errors import AnswerTaken, NotOwner, SequenceConflict, ValuesRefused
from storage.statements import MAX_ROWS, batches, insert, names, with_rows
from storage.tables import answers
from storage.updates import DocumentKey, check_name

ID_CACHE_LIMIT = 20_000

# All of it or nothing, by itself: without a transaction around it too.
_APPEND = """
INSERT INTO updates (document_id, first_seq, last_seq, "update", checksum)
WITH given (document_id, seq, bytes, crc, expected_head) AS (VALUES {rows})
SELECT document_id, seq, seq, bytes, crc FROM given
WHERE document_id IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM given AS each WHERE each.expected_head <> coalesce(
        (
            SELECT last_seq FROM updates AS stored
            WHERE stored.document_id = each.document_id ORDER BY first_seq DESC LIMIT 1
        ),
        0
    )
)
"""
LARGE_BYTES = 64 * 1024
"""Larger updates go in one by one: `_APPEND` copies each several times, which is the most of 15 MB, 0.07 s of 0.12."""
_APPEND_ONE = 'INSERT INTO updates (document_id, first_seq, last_seq, "update", checksum) VALUES (?, ?, ?, ?, ?)'
_HEAD = "SELECT last_seq FROM updates WHERE document_id = ? ORDER BY first_seq DESC LIMIT 1"
_FIND_DOCUMENTS = """
WITH given (place, wedding, name) AS (VALUES {rows})
SELECT json_group_array(json_array(place, id)) FROM given CROSS JOIN documents USING (wedding, name)
"""
_ADD_DOCUMENTS = "INSERT INTO documents (wedding, name) SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL"
_OWNERS = "SELECT wedding, node, fence FROM owners WHERE wedding IN (SELECT value FROM json_each(?))"
_TAKEN = """
WITH given (place, wedding, "key") AS (VALUES {rows})
SELECT json_group_array(json_array(place, 0)) FROM given CROSS JOIN answers USING (wedding, "key")
"""
_REMOVE_BOOKINGS = "DELETE FROM bookings WHERE (wedding, vendor) IN (VALUES {rows})"
# One search of the key for each wedding: grouped by wedding, all its events would be read.
_EVENT_HEADS = """
WITH given (place, wedding) AS (VALUES {rows})
SELECT json_group_array(json_array(
    place, coalesce((SELECT max(seq) FROM events WHERE events.wedding = given.wedding), 0)
)) FROM given WHERE place IS NOT NULL
"""
_INSERT_ROWS, _INSERT_BOOKINGS, _INSERT_CLIENT_IDS = insert(ROWS), insert(BOOKINGS), insert(CLIENT_IDS)
_INSERT_ANSWERS, _INSERT_EVENTS = insert(ANSWERS), insert(EVENTS)
_AUDIT_FIELDS = ("seq", *AUDIT.columns[2:], "previous", "digest")
_AUDIT_HEAD = "SELECT audit_seq, audit_digest FROM rights WHERE wedding = ?"
_ADD_AUDIT = f"INSERT INTO audit (wedding, {names(_AUDIT_FIELDS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608 - ours
_KEEP_AUDIT_HEAD = """
INSERT INTO rights (wedding, version, audit_seq, audit_digest) VALUES (?, 0, ?, ?)
ON CONFLICT (wedding) DO UPDATE SET audit_seq = excluded.audit_seq, audit_digest = excluded.audit_digest
"""
_ANSWERED_AT = ANSWERS.columns.index("at")
_store_moment = answers.c.at.type.dialect_impl(sqlite.dialect()).bind_processor(sqlite.dialect())


class Cursor(Protocol):
    """A cursor of the DB-API, as far as an append uses it."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, statement: str, values: Row = (), /) -> object: ...

    def fetchall(self) -> Sequence[Row]: ...


class IdCache:
    """Row ids of documents written lately; the least recently used goes when there are more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ids: OrderedDict[DocumentKey, int] = OrderedDict()

    def find(self, keys: Iterable[DocumentKey]) -> dict[DocumentKey, int]:
        """The ids of those of `keys` that are cached."""
        found = {}
        for key in keys:
            if (id_ := self._ids.get(key)) is not None:
                found[key] = id_
                self._ids.move_to_end(key)
        return found

    def add(self, ids: Mapping[DocumentKey, int]) -> None:
        """Add ids that are committed: the id of a row rolled back may be given to another document."""
        self._ids.update(ids)
        while len(self._ids) > self._limit:
            self._ids.popitem(last=False)

    def discard(self, keys: Iterable[DocumentKey]) -> None:
        """Have them read from the database next time: another process may have removed the document."""
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

        An error leaves the transaction open: the caller rolls back. Raises SequenceConflict, AnswerTaken,
        NotOwner, ValuesRefused, and the errors of the driver.
        """
        arranged = arrange(request.derived)
        keys = {each.key: None for each in request.updates}
        cached = self.ids.find(keys)
        unknown = [key for key in keys if key not in cached]
        is_large = any(len(each.update) > LARGE_BYTES for each in request.updates)
        is_one = not unknown and not is_large and arranged is NOTHING and request.fences is None
        for key in unknown:
            check_name(key)
        try:
            if is_one and len(request.updates) <= MAX_ROWS:
                _append_updates(cursor, request.updates, cached)
                return {}
            cursor.execute("BEGIN IMMEDIATE")
            if request.fences is not None:
                _require_fences(cursor, request.weddings, request.fences, request.node)
            found = _find_or_create(cursor, unknown) if unknown else {}
            append_updates = _append_one_by_one if is_large else _append_updates
            append_updates(cursor, request.updates, cached | found if found else cached)
            first_events = _add_derived(cursor, arranged)
            cursor.execute("COMMIT")
        except (SequenceConflict, sqlite3.IntegrityError):
            self.ids.discard(keys)
            raise
        except (UnicodeEncodeError, OverflowError) as error:
            raise ValuesRefused(f"the database refused the values: {error}") from error
        if found:
            self.ids.add(found)
        return first_events


def _require_fences(cursor: Cursor, weddings: Sequence[str], fences: Mapping[str, int], node: str) -> None:
    # Holds until the end of the transaction, as SQLite has one writer.
    cursor.execute(_OWNERS, (json.dumps(weddings),))
    held = {wedding: (owner, fence) for wedding, owner, fence in cursor.fetchall()}
    lost = [wedding for wedding in weddings if held.get(wedding) != (node, fences.get(wedding))]
    if lost:
        raise NotOwner(lost)


def _find_or_create(cursor: Cursor, keys: Sequence[DocumentKey]) -> dict[DocumentKey, int]:
    found = _find(cursor, keys)
    missing = [key for key in keys if key not in found]
    if missing:
        _write(cursor, _ADD_DOCUMENTS, missing)
        found |= _find(cursor, missing)
    return found


def _find(cursor: Cursor, keys: Sequence[DocumentKey]) -> dict[DocumentKey, int]:
    return {keys[place]: id_ for place, id_ in _read(cursor, _FIND_DOCUMENTS, keys)}


def _append_updates(cursor: Cursor, updates: Sequence[Append], ids: Mapping[DocumentKey, int]) -> None:
    for begin in range(0, len(updates), MAX_ROWS):
        part = updates[begin : begin + MAX_ROWS]
        _write(cursor, _APPEND, _update_rows(part, ids))
        if cursor.rowcount != len(part):
            raise _conflict(cursor, part, ids)


def _append_one_by_one(cursor: Cursor, updates: Sequence[Append], ids: Mapping[DocumentKey, int]) -> None:
    """As `_append_updates`, in a transaction that has the writer's lock already."""
    rows = _update_rows(updates, ids)
    for key, head in expected_heads(updates).items():
        if _head(cursor, ids[key]) != head:
            raise _conflict(cursor, updates, ids)
    for document_id, seq, update, checksum, _ in rows:
        cursor.execute(_APPEND_ONE, (document_id, seq, seq, update, checksum))


def _head(cursor: Cursor, document_id: int) -> int:
    cursor.execute(_HEAD, (document_id,))
    return next((last_seq for (last_seq,) in cursor.fetchall()), 0)


def _update_rows(part: Sequence[Append], ids: Mapping[DocumentKey, int]) -> list[Row]:
    """Rows for `_APPEND`. The statement sees the rows before it: those of one document count on one head.

    Raises SequenceConflict where they do not follow one another.
    """
    found: list[Row] = []
    heads: dict[DocumentKey, tuple[int, int]] = {}  # the head a document's first row counts on, and its newest row
    for item in part:
        key, seq, update = item.key, item.seq, item.update
        expected, newest = heads.get(key, (seq - 1, seq - 1))
        if seq != newest + 1:
            raise out_of_order(item, newest)
        heads[key] = (expected, seq)
        found.append((ids[key], seq, update, crc32(update), expected))
    return found


def _conflict(cursor: Cursor, part: Sequence[Append], ids: Mapping[DocumentKey, int]) -> SequenceConflict:
    """The error that names the first update that is not the next one of its document. None of the part went in."""
    for key, head in expected_heads(part).items():
        stored = _head(cursor, ids[key])
        if stored != head:
            message = f"document {str(key)!r} is at sequence number {stored}, cannot append {head + 1}"
            return SequenceConflict(message, document=str(key))
    return SequenceConflict("another writer was faster")


def _add_derived(cursor: Cursor, arranged: Arranged) -> dict[str, int]:
    """Returns for each wedding with events the number of its first one here."""
    if arranged.answers:
        _add_answers(cursor, arranged.answers)
    if arranged.removed_bookings:
        _write(cursor, _REMOVE_BOOKINGS, arranged.removed_bookings)
    for template, rows in (
        (_INSERT_ROWS, arranged.rows),
        (_INSERT_BOOKINGS, arranged.bookings),
        (_INSERT_CLIENT_IDS, arranged.client_ids),
    ):
        if rows:
            _write(cursor, template, rows)
    for wedding, entries in arranged.audit:
        _add_audit(cursor, wedding, entries)
    return _add_events(cursor, arranged) if arranged.events else {}


def _add_answers(cursor: Cursor, rows: Sequence[Row]) -> None:
    for place, _ in _read(cursor, _TAKEN, [row[:2] for row in rows]):
        raise AnswerTaken(*rows[place][:2])
    assert _store_moment is not None
    at = _ANSWERED_AT
    _write(cursor, _INSERT_ANSWERS, [(*row[:at], _store_moment(row[at]), *row[at + 1 :]) for row in rows])


def _add_events(cursor: Cursor, arranged: Arranged) -> dict[str, int]:
    weddings = arranged.event_weddings
    heads = dict(_read(cursor, _EVENT_HEADS, [(wedding,) for wedding in weddings]))
    numbered = [(weddings[place], heads[place] + number, *values) for place, number, *values in arranged.events]
    _write(cursor, _INSERT_EVENTS, sorted(numbered))
    return {wedding: heads[place] + 1 for place, wedding in enumerate(weddings)}


def _add_audit(cursor: Cursor, wedding: str, entries: Sequence[AuditValues]) -> None:
    cursor.execute(_AUDIT_HEAD, (wedding,))
    head = next((AuditHead(*row) for row in cursor.fetchall()), NO_ENTRIES)
    for entry in chain(wedding, head, entries):
        cursor.execute(_ADD_AUDIT, (wedding, *entry))
        head = AuditHead(entry.seq, entry.digest)
    cursor.execute(_KEEP_AUDIT_HEAD, (wedding, *head))


def _write(cursor: Cursor, template: str, rows: Sequence[Row]) -> None:
    """Run a statement with all the rows."""
    for count, values in batches(rows):
        cursor.execute(with_rows(template, count, len(rows[0])), values)


def _read(cursor: Cursor, template: str, rows: Sequence[Row]) -> list[tuple[int, int]]:
    """Run a query with all the rows, each with its place among them; returns pairs of places and numbers found."""
    found: list[tuple[int, int]] = []
    for count, values in batches([(place, *row) for place, row in enumerate(rows)]):
        cursor.execute(with_rows(template, count, 1 + len(rows[0])), values)
        ((pairs,),) = cursor.fetchall()
        found += json.loads(pairs)
    return found

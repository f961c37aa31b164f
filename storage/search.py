"""The index of what can be searched for: words of texts, kept in step with the rows they are from.

- Words come in as they are searched for: small letters without accents. Both databases get the same, and cut nothing:
  SQLite through FTS5, PostgreSQL through a `tsvector` that is put together here. The latter counts 256 places of a
  word in a text, and 16,383 words: phrases behind them are not found there.
- Each word is stored with a mark of its wedding before it: a search reads the words of one wedding, however many there
  are, and that of a beginning too.
- The index refers to records. Results are read from the rows in the same query: what was taken back or
  removed is not found from that moment on, wherever the consumer of events is.

Plain functions over a `Connection`, as in `updates`.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Integer,
    Text,
    and_,
    bindparam,
    cast,
    column,
    exists,
    select,
    table,
    text,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.exc import DatabaseError

from storage.derived import StoredEvent
from storage.search_tables import search_texts
from storage.store_parts import StorePart
from storage.tables import rows

MARK_LENGTH: Final = 8
"""Characters of the mark of a wedding. Two may have the same: what is found is of the right wedding in any case."""

RECORDS_AT_ONCE: Final = 100
"""Records that are read and replaced with one statement of each kind."""

PURGE_PAGES: Final = 64
"""Pages of the index of SQLite that are written anew in one transaction."""

_REMOVED: Final = "search_removed"
"""Of the writing connection: whether texts were removed whose words may be in the index. A new one does not know."""


class SearchTerm(NamedTuple):
    """Words that stand one behind the other; the last may be the beginning of one."""

    words: tuple[str, ...]
    is_beginning: bool = False


class SearchText(NamedTuple):
    """A text of a record: the words of a key, or of the record where the key is empty."""

    key: str
    words: Sequence[str]


class SearchRecord(NamedTuple):
    """The name of a record in a wedding."""

    document: str
    root: str
    record: str


class SearchHit(NamedTuple):
    """A text with all terms, and its record as it is now: `fields` is JSON."""

    id: int
    document: str
    root: str
    record: str
    key: str
    fields: str


Concerned = Callable[[StoredEvent], Iterable[SearchRecord]]
"""The records whose texts an event may have changed."""

TextsOf = Callable[[SearchRecord, str], Sequence[SearchText]]
"""The texts of a record, given its fields as JSON."""


class Indexer(NamedTuple):
    """Keeps the index in step. ``withdrawals``: the root in which records of others are withdrawn, by their ids."""

    concerned: Concerned
    texts_of: TextsOf
    withdrawals: str

    def project(self, connection: Connection, wedding: str, events: Sequence[StoredEvent]) -> None:
        """Take over what has changed with these events. Runs in the transaction of the router. It is the rows that are
        read: to project an event again changes nothing."""
        records = dict.fromkeys(record for event in events for record in self.concerned(event))
        self.refresh(connection, wedding, list(records))

    def refresh(self, connection: Connection, wedding: str, records: Iterable[SearchRecord]) -> None:
        """Take over the texts of records as they are now."""
        by_root: dict[tuple[str, str], list[SearchRecord]] = {}
        for record in records:
            by_root.setdefault(record[:2], []).append(record)
        for named in by_root.values():
            for start in range(0, len(named), RECORDS_AT_ONCE):
                part = named[start : start + RECORDS_AT_ONCE]
                fields = _fields(connection, wedding, part, self.withdrawals)
                texts = {
                    each: self.texts_of(each, fields[each.record]) if each.record in fields else () for each in part
                }
                _replace(connection, wedding, texts)


class SearchStore(StorePart):
    """The search index."""

    async def search(
        self,
        wedding: str,
        terms: Sequence[SearchTerm],
        documents: Sequence[str],
        withdrawals: str,
        *,
        cpu_seconds: float | None = None,
        **page: int,
    ) -> list[SearchHit]:
        """Texts in these documents that have all terms, the newest first: up to `limit` with an id below `before`.
        Raises ReadTooLong where that takes more CPU time: beginnings of many words, or phrases of frequent ones."""
        return await self._executor.read(
            lambda connection: find(connection, wedding, terms, documents, withdrawals, **page), cpu_seconds
        )

    async def refresh_search(self, wedding: str, indexer: Indexer, records: Sequence[SearchRecord]) -> None:
        """Take over the texts of records as they are now."""
        await self._executor.write(lambda connection: indexer.refresh(connection, wedding, records))

    async def searched_records(self, wedding: str, after: SearchRecord, limit: int) -> list[SearchRecord]:
        """The next records of a wedding that are in the index, in order."""
        return await self._executor.read(lambda connection: _records(connection, wedding, after, limit))

    async def mend_search(self) -> bool:
        """SQLite: make the index anew from the stored words where it is not that of them. Returns whether it was not.
        Others that write wait meanwhile: a second for about 50 MB of words."""
        return await self._executor.maintain(_mend)

    async def needs_purges(self) -> bool:
        """Whether words of what was removed stay in the index until `purge_search`, though nothing finds them."""
        return await self._executor.read(lambda connection: connection.dialect.name == "sqlite")

    async def purge_search(self) -> None:
        """SQLite: write the index anew without the words of what was removed, if anything was since the last time, or
        if this process is new. In small transactions."""
        goes_on = True
        while goes_on:
            goes_on = await self._executor.write(_purge)


def _mark(wedding: str) -> str:
    return hashlib.sha256(wedding.encode()).hexdigest()[:MARK_LENGTH]


def _withdrawn(record: FromClause, withdrawals: str) -> ColumnElement[bool]:
    """Whether a record, given by the columns of its name, is withdrawn."""
    by = rows.alias()
    same = and_(by.c.wedding == record.c.wedding, by.c.document == record.c.document, by.c.record == record.c.record)
    return exists().where(same, by.c.root == withdrawals, by.c.fields.is_not(None))


# Texts that are made once: a router indexes hundreds of messages a second, and to build and compile these took longer
# than to run them.
_FIELDS = text(
    "SELECT record, fields FROM rows AS r WHERE wedding = :wedding AND document = :document AND root = :root "
    "AND record IN :records AND fields IS NOT NULL "
    "AND NOT EXISTS (SELECT 1 FROM rows AS w WHERE w.wedding = :wedding AND w.document = :document "
    "AND w.root = :withdrawals AND w.record = r.record AND w.fields IS NOT NULL)"
).bindparams(bindparam("records", expanding=True))
_STORED = text(
    "SELECT id, record, CAST(words AS text) FROM search_texts WHERE wedding = :wedding AND document = :document "
    "AND root = :root AND record IN :records"
).bindparams(bindparam("records", expanding=True))
_DELETE = text("DELETE FROM search_texts WHERE id IN :ids").bindparams(bindparam("ids", expanding=True))
_INSERT = {
    "sqlite": text(
        "INSERT INTO search_texts (wedding, document, root, record, key, words) "
        "VALUES (:wedding, :document, :root, :record, :key, :words)"
    ),
    "postgresql": text(
        "INSERT INTO search_texts (wedding, document, root, record, key, words) "
        "VALUES (:wedding, :document, :root, :record, :key, CAST(CAST(:words AS text) AS tsvector))"
    ),
}
_INDEX = text("INSERT INTO search_index (rowid, words) VALUES (:id, :words)")
_UNINDEX = text("INSERT INTO search_index (search_index, rowid, words) VALUES ('delete', :id, :words)")
_PURGE = text("INSERT INTO search_index (search_index, rank) VALUES ('merge', :pages)")
_CHECK = text("INSERT INTO search_index (search_index, rank) VALUES ('integrity-check', 1)")
_REBUILD = text("INSERT INTO search_index (search_index) VALUES ('rebuild')")
_CHANGES = text("SELECT total_changes()")


def _names(wedding: str, records: Iterable[SearchRecord]) -> dict[str, object]:
    """Records of one root, as the statements take them."""
    named = list(records)
    return {**named[0]._asdict(), "wedding": wedding, "records": [each.record for each in named]}


def _fields(connection: Connection, wedding: str, records: Sequence[SearchRecord], withdrawals: str) -> dict[str, str]:
    """The fields of records of one root, without those that are not there, or withdrawn."""
    values = {**_names(wedding, records), "withdrawals": withdrawals}
    return dict(connection.execute(_FIELDS, values).all())


def _replace(connection: Connection, wedding: str, texts: Mapping[SearchRecord, Sequence[SearchText]]) -> None:
    """Put texts in the place of those of records, all of one root."""
    on_sqlite = connection.dialect.name == "sqlite"
    gone = connection.execute(_STORED, _names(wedding, texts)).all()
    if gone and on_sqlite:
        connection.execute(_UNINDEX, [{"id": id_, "words": words} for id_, _, words in gone])
        keep = {each.record for each, found in texts.items() if found}
        removed = any(record not in keep for _, record, _ in gone)
        connection.info[_REMOVED] = removed or connection.info.get(_REMOVED, True)
    if gone:
        connection.execute(_DELETE, {"ids": [each.id for each in gone]})
    mark = _mark(wedding)
    added = [
        {**record._asdict(), "wedding": wedding, "key": each.key, "words": _stored(on_sqlite, mark, each.words)}
        for record, found in texts.items()
        for each in found
        if each.words
    ]
    if on_sqlite:
        ids = [connection.execute(_INSERT["sqlite"], each).lastrowid for each in added]
        added = [{"id": id_, "words": each["words"]} for id_, each in zip(ids, added, strict=True)]
    if added:
        connection.execute(_INDEX if on_sqlite else _INSERT["postgresql"], added)


def _stored(on_sqlite: bool, mark: str, words: Sequence[str]) -> str:
    """Words as the column has them."""
    if on_sqlite:
        return " ".join(mark + word for word in words)
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words, 1):
        places.setdefault(word, []).append(place)
    return " ".join(f"'{mark}{word}':{','.join(map(str, at))}" for word, at in places.items())


def _condition(kind: str, mark: str, terms: Sequence[SearchTerm]) -> str:
    """The terms as FTS5 or PostgreSQL have them. Words are letters and digits: there is nothing in them to escape."""
    if kind == "sqlite":
        parts = [(f'"{" ".join(mark + word for word in term.words)}"', term.is_beginning) for term in terms]
        return " AND ".join(f"{phrase} *" if is_beginning else phrase for phrase, is_beginning in parts)
    parts = [(" <-> ".join(f"'{mark}{word}'" for word in term.words), term.is_beginning) for term in terms]
    return " & ".join(f"({phrase}:*)" if is_beginning else f"({phrase})" for phrase, is_beginning in parts)


def find(
    connection: Connection,
    wedding: str,
    terms: Sequence[SearchTerm],
    documents: Sequence[str],
    withdrawals: str,
    *,
    before: int,
    limit: int,
) -> list[SearchHit]:
    """Texts in these documents that have all terms, the newest first: up to `limit` with an id less than `before`."""
    kind = connection.dialect.name
    condition = _condition(kind, _mark(wedding), terms)
    found: FromClause = search_texts
    source: FromClause
    found_id: ColumnElement[int]
    if kind == "sqlite":
        index = table("search_index", column("rowid", Integer))
        found_id, source = index.c.rowid, index.join(search_texts, search_texts.c.id == index.c.rowid)
        matches: ColumnElement[bool] = text("search_index MATCH :terms").bindparams(terms=condition)  # type: ignore[assignment]
    else:
        # Materialized: the words decide first, whatever the planner thinks of the newest rows.
        given = cast(bindparam("terms", condition, type_=Text), TSQUERY)
        query = select(search_texts).where(search_texts.c.words.op("@@")(given), search_texts.c.wedding == wedding)
        found = query.cte("found").prefix_with("MATERIALIZED")
        found_id, source, matches = found.c.id, found, true()
    names = (found.c.document, found.c.root, found.c.record)
    is_row = and_(
        rows.c.wedding == found.c.wedding,
        *(rows.c[each.name] == each for each in names),
        rows.c.fields.is_not(None),
    )
    shown = select(found_id, *names, found.c.key, rows.c.fields).select_from(source.join(rows, is_row))
    shown = shown.where(matches, found.c.wedding == wedding, found.c.document.in_(documents))
    shown = shown.where(~_withdrawn(found, withdrawals), found_id < before)
    return [SearchHit(*row) for row in connection.execute(shown.order_by(found_id.desc()).limit(limit))]


def _records(connection: Connection, wedding: str, after: SearchRecord, limit: int) -> list[SearchRecord]:
    names = [search_texts.c[name] for name in SearchRecord._fields]
    query = select(*names).distinct().where(search_texts.c.wedding == wedding, tuple_(*names) > tuple_(*after))
    return [SearchRecord(*row) for row in connection.execute(query.order_by(*names).limit(limit))]


def _mend(connection: Connection) -> bool:
    if connection.dialect.name != "sqlite":
        return False
    try:
        connection.execute(_CHECK)
    except DatabaseError:  # "database disk image is malformed": of the index alone
        connection.execute(_REBUILD)
        return True
    return False


def _purge(connection: Connection) -> bool:
    """Purge a part of the index. Returns whether there is more to do."""
    if connection.dialect.name != "sqlite" or not connection.info.get(_REMOVED, True):
        return False
    before = connection.scalars(_CHANGES).one()
    connection.execute(_PURGE, {"pages": -PURGE_PAGES})
    # Documentation of FTS5: fewer than two changes mean that there was nothing to merge.
    connection.info[_REMOVED] = int(connection.scalars(_CHANGES).one()) - int(before) >= 2
    return bool(connection.info[_REMOVED])

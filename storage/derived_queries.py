"""Queries of the derived records. Plain functions over a `Connection` that is already inside a transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Integer,
    Select,
    TextualSelect,
    and_,
    bindparam,
    delete,
    func,
    or_,
    select,
    text,
    tuple_,
)

from storage.derived import StoredAnswer, StoredBooking, StoredEvent, StoredRow, VendorBooking
from storage.tables import answers, bookings, client_ids, documents, events, rows
from storage.updates import DocumentKey

SPANS_AT_ONCE = 128
EVENT_PAGE_CHARACTERS = 1_000_000
EVENTS_MEASURED = 32
"""Events of which the database reads the bodies at a time to find the end of a page, where a driver would read all."""
ROWS_IN_PAGE = 2_000
"""Of a wedding: the loop of the serving process gets its turn after a few milliseconds."""

RowName = tuple[str, str, str]
"""Document, root and record."""


def page_of_wedding(
    connection: Connection, wedding: str, after: RowName, characters: int
) -> tuple[list[tuple[str, StoredRow]], RowName | None]:
    """The next rows of a wedding with the names of their documents, in order of document, root and record, behind those
    names: up to the one that exceeds so many ``characters``. Also the names of the last one; None: there are no more.
    """
    names = (rows.c.document, rows.c.root, rows.c.record)
    query = select(*names, rows.c.fields, rows.c.writers).where(rows.c.wedding == wedding)
    query = query.where(tuple_(*names) > tuple_(*after)).order_by(*names).limit(ROWS_IN_PAGE)
    return _page(connection, query, characters)


def _page(
    connection: Connection, query: Select[Any] | TextualSelect, characters: int
) -> tuple[list[tuple[str, StoredRow]], RowName | None]:
    """What `page_of_wedding` returns, of the rows of a query that has their order and ends behind ROWS_IN_PAGE."""
    page: list[tuple[str, StoredRow]] = []
    if not _reads_row_by_row(connection):  # what does would take twice as long
        query = _no_longer(query, characters)
    with connection.execute(query) as found:
        for document, *image in found:
            row = StoredRow(*image)
            page.append((document, row))
            characters -= len(row.fields or "") + len(row.writers)
            if characters <= 0:
                break
    if characters > 0 and len(page) < ROWS_IN_PAGE:
        return page, None
    document, row = page[-1]
    return page, (document, row.root, row.record)


def _reads_row_by_row(connection: Connection) -> bool:
    """Whether the driver reads a row when it is asked for. Others have all of them in memory before."""
    return connection.dialect.driver == "pysqlite"


def _no_longer(query: Select[Any] | TextualSelect, characters: int) -> Select[Any]:
    """The rows up to the one with which their fields and writers exceed so many characters."""
    page = query.subquery()
    size = func.coalesce(func.length(page.c.fields), 0) + func.length(page.c.writers)
    names = (page.c.document, page.c.root, page.c.record)
    before = func.coalesce(func.sum(size).over(order_by=names, rows=(None, -1)), 0)
    sized = select(page, before.label("before")).subquery()
    columns = [sized.c[column.name] for column in page.columns]
    return select(*columns).where(sized.c.before < characters).order_by(*columns[:3])


# By the names of the documents: else the records of all other roots would be read as well. SQLite takes the tables of a
# CROSS JOIN in this order, and with one bound of the record it finds that in its index: it has nothing to sort.
_OF_ROOT: Final = text(
    "SELECT documents.name AS document, rows.root, rows.record, rows.fields, rows.writers "
    "FROM documents CROSS JOIN rows WHERE documents.wedding = :wedding AND documents.name >= :document "
    "AND rows.wedding = :wedding AND rows.document = documents.name AND rows.root = :root AND rows.fields IS NOT NULL "
    "AND rows.record > CASE documents.name WHEN :document THEN :record ELSE '' END "
    "ORDER BY documents.name, rows.record LIMIT :limit"
).columns(rows.c.document, rows.c.root, rows.c.record, rows.c.fields, rows.c.writers)


def page_of_root(
    connection: Connection, wedding: str, root: str, after: tuple[str, str], characters: int
) -> tuple[list[tuple[str, StoredRow]], RowName | None]:
    """The next records of one root, which are not the root itself, in all documents of a wedding, in order of document
    and record, behind those names, as a page of `page_of_wedding`."""
    values = {"wedding": wedding, "root": root, "document": after[0], "record": after[1], "limit": ROWS_IN_PAGE}
    return _page(connection, _OF_ROOT.bindparams(**values), characters)


def records_of_root(connection: Connection, wedding: str, root: str, record: str) -> list[tuple[str, StoredRow]]:
    """The records of this id and root in all documents of a wedding, in order of document."""
    names = select(documents.c.name).where(documents.c.wedding == wedding)
    query = select(rows.c.document, rows.c.root, rows.c.record, rows.c.fields, rows.c.writers)
    query = query.where(rows.c.wedding == wedding, rows.c.document.in_(names), rows.c.root == root)
    query = query.where(rows.c.record == record, rows.c.fields.is_not(None)).order_by(rows.c.document)
    return [(document, StoredRow(*image)) for document, *image in connection.execute(query)]


def document_rows(connection: Connection, key: DocumentKey) -> list[StoredRow]:
    """All rows of a document, in order of root and record."""
    query = select(rows.c.root, rows.c.record, rows.c.fields, rows.c.writers)
    query = query.where(rows.c.wedding == key.wedding, rows.c.document == key.document)
    return [StoredRow(*row) for row in connection.execute(query.order_by(rows.c.root, rows.c.record))]


def client_users(connection: Connection, key: DocumentKey) -> dict[int, str]:
    """The users of all client ids of a document."""
    query = select(client_ids.c.client, client_ids.c.user)
    query = query.where(client_ids.c.wedding == key.wedding, client_ids.c.document == key.document)
    return dict(connection.execute(query).all())


def wedding_bookings(connection: Connection, wedding: str) -> list[VendorBooking]:
    """The bookings of a wedding, in order of vendor."""
    columns = [bookings.c[name] for name in VendorBooking._fields]
    query = select(*columns).where(bookings.c.wedding == wedding).order_by(bookings.c.vendor)
    return [VendorBooking(*row) for row in connection.execute(query)]


def overlapping(connection: Connection, wedding: str, unit: int, limit: int) -> list[StoredBooking]:
    """Bookings of other weddings that overlap one of this wedding's with the same organization, both in whole units of
    so many minutes; ordered."""
    mine, theirs = bookings.alias("mine"), bookings.alias("theirs")
    columns = [theirs.c[name] for name in StoredBooking._fields]
    query = select(*columns).distinct().select_from(mine).join(theirs, mine.c.organization == theirs.c.organization)
    query = query.where(mine.c.wedding == wedding, theirs.c.wedding != wedding)
    # It is enough to extend one of both to whole units.
    start = mine.c.start - mine.c.start % unit
    until = mine.c.until + (unit - mine.c.until % unit) % unit
    query = query.where(start < theirs.c.until, theirs.c.start < until)
    return [StoredBooking(*row) for row in connection.execute(query.order_by(*columns[:3]).limit(limit))]


def booked(connection: Connection, organization: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The weddings with a booking of an organization that overlaps one of the spans, in order."""
    found: set[str] = set()
    for begin in range(0, len(spans), SPANS_AT_ONCE):
        part = spans[begin : begin + SPANS_AT_ONCE]
        meets = or_(*(and_(bookings.c.start < until, bookings.c.until > start) for start, until in part))
        query = select(bookings.c.wedding).distinct().where(bookings.c.organization == organization, meets)
        found.update(connection.scalars(query))
    return sorted(found)


def _events() -> Select[Any]:
    columns = (events.c.seq, events.c.type, events.c.at, events.c.document, events.c.record, events.c.body)
    query = select(*columns).where(events.c.wedding == bindparam("wedding"), events.c.seq > bindparam("after"))
    return query.order_by(events.c.seq).limit(bindparam("limit", type_=Integer))


def _sized_events() -> Select[Any]:
    page = _events().subquery()
    before = func.sum(func.length(page.c.body)).over(order_by=page.c.seq, rows=(None, -1))
    sized = select(page, func.coalesce(before, 0).label("characters_before")).subquery()
    listed = [sized.c[name] for name in StoredEvent._fields]
    within = select(*listed).where(sized.c.characters_before < bindparam("characters", type_=Integer))
    return within.order_by(sized.c.seq)


# Made once: the router reads a page of each wedding in a batch, and to make it takes thirty times as long as to run it.
_EVENTS: Final = _events()
_SIZED_EVENTS: Final = _sized_events()


def list_events(connection: Connection, wedding: str, after: int, limit: int) -> list[StoredEvent]:
    """The next events of a wedding behind number `after`: at least one if there is one, at most `limit`, and no more
    behind the first `EVENT_PAGE_CHARACTERS` of bodies."""
    values = {"wedding": wedding, "after": after, "limit": limit}
    if not _reads_row_by_row(connection):
        return _list_in_slices(connection, values)
    page: list[StoredEvent] = []
    characters = EVENT_PAGE_CHARACTERS
    with connection.execute(_EVENTS, values) as found:
        for row in found:
            page.append(StoredEvent(*row))
            characters -= len(row.body)
            if characters <= 0:
                break
    return page


def _list_in_slices(connection: Connection, values: dict[str, Any]) -> list[StoredEvent]:
    page: list[StoredEvent] = []
    after, left, characters = values["after"], values["limit"], EVENT_PAGE_CHARACTERS
    while left > 0 and characters > 0:
        count = min(left, EVENTS_MEASURED)
        found = connection.execute(_SIZED_EVENTS, values | {"after": after, "limit": count, "characters": characters})
        part = [StoredEvent(*row) for row in found]
        if page and part and part[0].seq > after + 1:
            break  # the oldest were removed between the slices: the next page begins behind a gap, which is noticed
        page += part
        if len(part) < count:
            break
        after, left, characters = part[-1].seq, left - count, characters - sum(len(each.body) for each in part)
    return page


def event_head(connection: Connection, wedding: str) -> int:
    """The number of the newest event of a wedding, 0 when there is none."""
    newest = select(func.coalesce(func.max(events.c.seq), 0)).where(events.c.wedding == wedding)
    return int(connection.scalars(newest).one())


def find_answer(connection: Connection, wedding: str, key: str) -> StoredAnswer | None:
    """The answer to the command of this key, None where there is none."""
    query = select(answers.c.key, answers.c.digest, answers.c.body, answers.c.at)
    row = connection.execute(query.where(answers.c.wedding == wedding, answers.c.key == key)).first()
    return None if row is None else StoredAnswer(*row)


def delete_answers(connection: Connection, before: datetime) -> int:
    """Delete the answers given before that moment; returns how many there were."""
    return connection.execute(delete(answers).where(answers.c.at < before)).rowcount

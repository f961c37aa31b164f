"""Queries of the derived records. Plain functions over a `Connection` that is already inside a transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Integer, Select, and_, bindparam, delete, func, or_, select, tuple_

from storage.derived import StoredAnswer, StoredBooking, StoredEvent, StoredRow, VendorBooking
from storage.tables import answers, bookings, client_ids, documents, events, rows
from storage.updates import DocumentKey

SPANS_AT_ONCE = 128
EVENT_PAGE_CHARACTERS = 1_000_000
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
    page: list[tuple[str, StoredRow]] = []
    if connection.dialect.name != "sqlite":  # which reads row by row, and would take twice as long
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


def _no_longer(query: Select[Any], characters: int) -> Select[Any]:
    """The rows up to the one with which their fields and writers exceed so many characters."""
    page = query.subquery()
    size = func.coalesce(func.length(page.c.fields), 0) + func.length(page.c.writers)
    names = (page.c.document, page.c.root, page.c.record)
    before = func.coalesce(func.sum(size).over(order_by=names, rows=(None, -1)), 0)
    sized = select(page, before.label("before")).subquery()
    columns = [sized.c[column.name] for column in page.columns]
    return select(*columns).where(sized.c.before < characters).order_by(*columns[:3])


def page_of_root(
    connection: Connection, wedding: str, root: str, after: tuple[str, str], characters: int
) -> list[tuple[str, StoredRow]]:
    """The next records of one root in all documents of a wedding, in order of document and record, behind those names:
    at least one if there is one, and no more behind the first ``characters`` of fields."""
    columns = (rows.c.document, rows.c.root, rows.c.record, rows.c.fields, rows.c.writers)
    # By the names of the documents: else the records of all other roots would be read as well.
    names = select(documents.c.name).where(documents.c.wedding == wedding, documents.c.name >= after[0])
    query = select(*columns).where(rows.c.wedding == wedding, rows.c.document.in_(names), rows.c.root == root)
    query = query.where(rows.c.fields.is_not(None))
    page = query.where(or_(rows.c.document > after[0], rows.c.record > after[1])).subquery()
    order = (page.c.document, page.c.record)
    before = func.sum(func.length(page.c.fields)).over(order_by=order, rows=(None, -1))
    sized = select(page, func.coalesce(before, 0).label("characters_before")).subquery()
    within = select(*(sized.c[column.name] for column in columns)).where(sized.c.characters_before < characters)
    found = connection.execute(within.order_by(sized.c.document, sized.c.record))
    return [(document, StoredRow(*image)) for document, *image in found]


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


def _events_page() -> Select[Any]:
    columns = (events.c.seq, events.c.type, events.c.at, events.c.document, events.c.record, events.c.body)
    query = select(*columns).where(events.c.wedding == bindparam("wedding"), events.c.seq > bindparam("after"))
    page = query.order_by(events.c.seq).limit(bindparam("limit", type_=Integer)).subquery()
    before = func.sum(func.length(page.c.body)).over(order_by=page.c.seq, rows=(None, -1))
    sized = select(page, func.coalesce(before, 0).label("characters_before")).subquery()
    listed = [sized.c[column.name] for column in columns]
    within = select(*listed).where(sized.c.characters_before < EVENT_PAGE_CHARACTERS)
    return within.order_by(sized.c.seq)


# Made once: the router reads a page of each wedding in a batch, and to make it takes thirty times as long as to run it.
_EVENTS_PAGE: Final = _events_page()


def list_events(connection: Connection, wedding: str, after: int, limit: int) -> list[StoredEvent]:
    """The next events of a wedding behind number `after`: at least one if there is one, at most `limit`, and no more
    behind the first `EVENT_PAGE_CHARACTERS` of bodies."""
    values = {"wedding": wedding, "after": after, "limit": limit}
    return [StoredEvent(*row) for row in connection.execute(_EVENTS_PAGE, values)]


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

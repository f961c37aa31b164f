"""What follows from updates: rows, events, owners of client ids, answers to commands, and bookings.

Stored in the transaction of the updates they follow from, so that none is there without the other. JSON is text to
the store. As in `updates`: plain functions over a `Connection` that is already inside a transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, delete, func, or_, select

from storage.errors import AnswerTaken, StorageError
from storage.statements import chunks, with_rows
from storage.tables import MOMENT_LENGTH, NAME_LENGTH, answers, bookings, client_ids, events, rows
from storage.updates import DocumentKey, check_name


class RowImage(NamedTuple):
    """One record of a document as it is now. `fields` and `writers` are JSON; no `fields`: the record is no more."""

    root: str
    record: str
    fields: str | None
    writers: str


class EventImage(NamedTuple):
    """Something that happened, to be stored. `at` is an RFC 3339 moment in UTC, `body` is JSON."""

    type: str
    at: str
    record: str
    body: str


class StoredEvent(NamedTuple):
    """Something that happened. The events of a wedding are numbered 1, 2, 3, … without a hole."""

    seq: int
    type: str
    at: str
    document: str
    record: str
    body: str


class Answer(NamedTuple):
    """What a command was answered, kept for the case that it comes again.

    `key` is the client's, `digest` tells whether it is the same command; `at` carries its time zone.
    """

    key: str
    digest: str
    body: str
    at: datetime


class BookingImage(NamedTuple):
    """A vendor of a wedding who is not free for others, from minute `start` until minute `until` since 1970 in UTC.

    The same business has the same `organization` in all weddings. `stage` says how firm the booking is, none that it is
    no more; `seq` orders the bookings of all weddings.
    """

    vendor: str
    organization: str
    start: int
    until: int
    stage: str | None
    seq: int


class StoredBooking(NamedTuple):
    """A booking of another wedding."""

    organization: str
    wedding: str
    vendor: str
    start: int
    until: int
    stage: str
    seq: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What follows from updates of one document. `owners` are client ids with the user who wrote under them first."""

    key: DocumentKey
    rows: Sequence[RowImage] = ()
    events: Sequence[EventImage] = ()
    owners: Sequence[tuple[int, str]] = ()
    answers: Sequence[Answer] = ()
    bookings: Sequence[BookingImage] = ()


# The guard is part of the write: of two answers under one key only the first goes in, and comes back.
_ADD_ANSWERS = """
INSERT INTO answers (wedding, "key", digest, body, at) VALUES {rows}
ON CONFLICT (wedding, "key") DO NOTHING RETURNING wedding, "key"
"""
_PUT_ROWS = """
INSERT INTO rows (wedding, document, root, record, fields, writers) VALUES {rows}
ON CONFLICT (wedding, document, root, record) DO UPDATE SET fields = excluded.fields, writers = excluded.writers
"""
_ADD_OWNERS = """
INSERT INTO client_ids (wedding, document, client, "user") VALUES {rows}
ON CONFLICT (wedding, document, client) DO NOTHING
"""
_PUT_BOOKINGS = """
INSERT INTO bookings (wedding, vendor, organization, start, until, stage, seq) VALUES {rows}
ON CONFLICT (wedding, vendor) DO UPDATE
SET organization = excluded.organization, start = excluded.start, until = excluded.until, stage = excluded.stage,
    seq = excluded.seq
"""
_REMOVE_BOOKINGS = "DELETE FROM bookings WHERE (wedding, vendor) IN (VALUES {rows})"
_ADD_EVENTS = "INSERT INTO events (wedding, seq, type, at, document, record, body) VALUES {rows}"
# One search of the key for each wedding: grouped by wedding, all its events would be read.
_HEADS = """
WITH asked (wedding) AS (VALUES {rows})
SELECT wedding, coalesce((SELECT max(seq) FROM events WHERE events.wedding = asked.wedding), 0) FROM asked
"""


def add(connection: Connection, facts: Sequence[Facts]) -> dict[str, int]:
    """Store the facts; return for each wedding with events the number of its first one here.

    Rows and events go in sorted by their keys: neighbours one after the other take half the time.

    Raises AnswerTaken, or StorageError for values that cannot be stored.
    """
    check(facts)
    try:
        _add_answers(connection, facts)
        _run(connection, _PUT_ROWS, newest_rows(facts))
        _put_bookings(connection, facts)
        _run(connection, _ADD_OWNERS, [(*item.key, *owner) for item in facts for owner in item.owners])
        return _add_events(connection, facts)
    except (UnicodeEncodeError, OverflowError) as error:
        raise StorageError(f"the database refused the values: {error}") from error


def _add_answers(connection: Connection, facts: Sequence[Facts]) -> None:
    to_database = answers.c.at.type.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    assert to_database is not None
    new = [
        (item.key.wedding, answer.key, answer.digest, answer.body, to_database(answer.at))
        for item in facts
        for answer in item.answers
    ]
    stored = set(_run(connection, _ADD_ANSWERS, new))
    for wedding, key, *_ in new:
        if (wedding, key) not in stored:
            raise AnswerTaken(wedding, key)
        stored.remove((wedding, key))


def newest_rows(facts: Sequence[Facts]) -> list[tuple[Any, ...]]:
    """Values for the table `rows`, sorted. The last image of a row wins; a statement takes a row only once."""
    newest = {(*item.key, row.root, row.record): (row.fields, row.writers) for item in facts for row in item.rows}
    return [(*name, *image) for name, image in sorted(newest.items())]


def newest_bookings(facts: Sequence[Facts]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Names of bookings that are no more, and values for the table `bookings`, sorted. The last image wins."""
    newest = {(item.key.wedding, booking.vendor): booking for item in facts for booking in item.bookings}
    gone = [name for name, booking in newest.items() if booking.stage is None]
    return gone, [(*name, *booking[1:]) for name, booking in sorted(newest.items()) if booking.stage is not None]


def _put_bookings(connection: Connection, facts: Sequence[Facts]) -> None:
    gone, there = newest_bookings(facts)
    _run(connection, _REMOVE_BOOKINGS, gone)
    _run(connection, _PUT_BOOKINGS, there)


def _add_events(connection: Connection, facts: Sequence[Facts]) -> dict[str, int]:
    heads = _heads(connection, {item.key.wedding: None for item in facts if item.events})
    first = {wedding: head + 1 for wedding, head in heads.items()}
    new = []
    for item in facts:
        wedding, document = item.key
        for event in item.events:
            heads[wedding] += 1
            new.append((wedding, heads[wedding], event.type, event.at, document, event.record, event.body))
    _run(connection, _ADD_EVENTS, sorted(new))
    return first


def _heads(connection: Connection, weddings: Iterable[str]) -> dict[str, int]:
    return dict(_run(connection, _HEADS, [(wedding,) for wedding in weddings]))


def _run(connection: Connection, template: str, values: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Run the statement with all the values; what it returns."""
    found: list[tuple[Any, ...]] = []
    for part in chunks(values):
        statement = with_rows(template, len(part), len(part[0]))
        result = connection.exec_driver_sql(statement, tuple(chain.from_iterable(part)))
        if result.returns_rows:
            found += map(tuple, result)
    return found


def check(facts: Sequence[Facts]) -> None:
    """Raise StorageError for a name or a moment that is too long."""
    for key in {item.key for item in facts}:
        check_name(key)
    names = {name for item in facts for row in item.rows for name in (row.root, row.record)}
    names |= {name for item in facts for event in item.events for name in (event.type, event.record)}
    names |= {user for item in facts for _, user in item.owners}
    names |= {name for item in facts for answer in item.answers for name in (answer.key, answer.digest)}
    names |= {name for item in facts for booking in item.bookings for name in (*booking[:2], booking.stage or "")}
    _check_lengths("name", names, NAME_LENGTH)
    _check_lengths("moment", {event.at for item in facts for event in item.events}, MOMENT_LENGTH)


def _check_lengths(what: str, texts: set[str], limit: int) -> None:
    longest = max(texts, key=len, default="")
    if len(longest) > limit:
        raise StorageError(f"a {what} has at most {limit} characters: {longest[:300]!r}")


def wedding_rows(connection: Connection, wedding: str) -> list[tuple[str, RowImage]]:
    """All rows of a wedding with the names of their documents, in order of document, root and record."""
    query = select(rows.c.document, rows.c.root, rows.c.record, rows.c.fields, rows.c.writers)
    query = query.where(rows.c.wedding == wedding).order_by(rows.c.document, rows.c.root, rows.c.record)
    return [(document, RowImage(*image)) for document, *image in connection.execute(query)]


def document_rows(connection: Connection, key: DocumentKey) -> list[RowImage]:
    """All rows of a document, in order of root and record."""
    query = select(rows.c.root, rows.c.record, rows.c.fields, rows.c.writers)
    query = query.where(rows.c.wedding == key.wedding, rows.c.document == key.document)
    return [RowImage(*row) for row in connection.execute(query.order_by(rows.c.root, rows.c.record))]


def owners(connection: Connection, key: DocumentKey) -> dict[int, str]:
    """The users of all client ids of a document."""
    query = select(client_ids.c.client, client_ids.c.user)
    query = query.where(client_ids.c.wedding == key.wedding, client_ids.c.document == key.document)
    return dict(connection.execute(query).all())


def wedding_bookings(connection: Connection, wedding: str) -> list[BookingImage]:
    """The bookings of a wedding, in order of vendor."""
    columns = [bookings.c[name] for name in BookingImage._fields]
    query = select(*columns).where(bookings.c.wedding == wedding).order_by(bookings.c.vendor)
    return [BookingImage(*row) for row in connection.execute(query)]


def overlapping(connection: Connection, wedding: str, limit: int) -> list[StoredBooking]:
    """Bookings of other weddings that overlap one of this wedding's with the same organization; ordered."""
    mine, theirs = bookings.alias("mine"), bookings.alias("theirs")
    columns = [theirs.c[name] for name in StoredBooking._fields]
    query = select(*columns).distinct().select_from(mine).join(theirs, mine.c.organization == theirs.c.organization)
    query = query.where(mine.c.wedding == wedding, theirs.c.wedding != wedding)
    query = query.where(mine.c.start < theirs.c.until, theirs.c.start < mine.c.until)
    return [StoredBooking(*row) for row in connection.execute(query.order_by(*columns[:3]).limit(limit))]


def booked(connection: Connection, organization: str, spans: Sequence[tuple[int, int]]) -> list[str]:
    """The weddings with a booking of an organization that overlaps one of the spans, in order."""
    found: set[str] = set()
    for part in chunks(spans):
        meets = or_(*(and_(bookings.c.start < until, bookings.c.until > start) for start, until in part))
        query = select(bookings.c.wedding).distinct().where(bookings.c.organization == organization, meets)
        found.update(connection.scalars(query))
    return sorted(found)


def list_events(connection: Connection, wedding: str, after: int, limit: int) -> list[StoredEvent]:
    """The next `limit` events of a wedding behind number `after`."""
    columns = (events.c.seq, events.c.type, events.c.at, events.c.document, events.c.record, events.c.body)
    query = select(*columns).where(events.c.wedding == wedding, events.c.seq > after)
    return [StoredEvent(*row) for row in connection.execute(query.order_by(events.c.seq).limit(limit))]


def event_head(connection: Connection, wedding: str) -> int:
    """The number of the newest event of a wedding, 0 when there is none."""
    newest = select(func.coalesce(func.max(events.c.seq), 0)).where(events.c.wedding == wedding)
    return int(connection.scalars(newest).one())


def find_answer(connection: Connection, wedding: str, key: str) -> Answer | None:
    """What the command was answered."""
    query = select(answers.c.key, answers.c.digest, answers.c.body, answers.c.at)
    row = connection.execute(query.where(answers.c.wedding == wedding, answers.c.key == key)).first()
    return None if row is None else Answer(*row)


def forget_answers(connection: Connection, before: datetime) -> int:
    """Remove the answers given before that moment; how many there were."""
    return connection.execute(delete(answers).where(answers.c.at < before)).rowcount

"""The tables of derived records as an append sees them, each declared once: its columns, and what becomes of a record
that is there already. The statements of SQLite and the function of PostgreSQL are made from these declarations.

`arrange` brings the records of a call into the columns of their tables, on both databases.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import String, Table

from storage import tables
from storage.derived import DerivedRecords
from storage.errors import AnswerTaken, StorageError
from storage.updates import check_name

Row = tuple[Any, ...]
"""Values in the order of the columns of a table, as a driver takes them."""


class OnConflict(enum.Enum):
    """What becomes of a record whose primary key is there already."""

    FAIL = "fail"
    KEEP = "keep"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class DerivedTable:
    """A table of derived records. Its primary key comes first in `columns`."""

    table: Table
    context: tuple[str, ...]
    """Columns that say where a record belongs."""
    attributes: tuple[str, ...]
    """Columns that are attributes of a record."""
    on_conflict: OnConflict

    @property
    def columns(self) -> tuple[str, ...]:
        return self.context + self.attributes

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.table.primary_key)


ROWS = DerivedTable(
    tables.rows, ("wedding", "document"), ("root", "record", "fields", "writers"), on_conflict=OnConflict.REPLACE
)
BOOKINGS = DerivedTable(
    tables.bookings,
    ("wedding",),
    ("vendor", "organization", "start", "until", "stage", "seq"),
    on_conflict=OnConflict.REPLACE,
)
CLIENT_IDS = DerivedTable(tables.client_ids, ("wedding", "document"), ("client", "user"), on_conflict=OnConflict.KEEP)
ANSWERS = DerivedTable(tables.answers, ("wedding",), ("key", "digest", "body", "at"), on_conflict=OnConflict.FAIL)
EVENTS = DerivedTable(
    tables.events, ("wedding", "seq", "document"), ("type", "at", "record", "body"), on_conflict=OnConflict.FAIL
)
DERIVED_TABLES = (ROWS, BOOKINGS, CLIENT_IDS, ANSWERS, EVENTS)


@dataclass(frozen=True, slots=True)
class Arranged:
    """The records of a call in the columns of their tables, each primary key once, rows and bookings sorted by it:
    writing neighbours one after the other takes half the time.

    Events have in place of their wedding its index in `event_weddings`, and in place of their number the number behind
    the newest event of that wedding, which only the database knows.
    """

    rows: Sequence[Row] = ()
    bookings: Sequence[Row] = ()
    removed_bookings: Sequence[Row] = ()
    client_ids: Sequence[Row] = ()
    answers: Sequence[Row] = ()
    events: Sequence[Row] = ()
    event_weddings: Sequence[str] = ()


NOTHING = Arranged()


def arrange(derived: Sequence[DerivedRecords]) -> Arranged:
    """Raises StorageError for a text that is too long, AnswerTaken for two answers of one key."""
    if not derived:
        return NOTHING
    for key in {each.key for each in derived}:
        check_name(key)
    bookings = _by_key(BOOKINGS, (((each.key.wedding,), each.bookings) for each in derived))
    removed = [name for name, values in bookings.items() if values[_STAGE] is None]
    for name in removed:
        del bookings[name]
    events, event_weddings = _arrange_events(derived)
    arranged = Arranged(
        rows=sorted(_by_key(ROWS, ((each.key, each.rows) for each in derived)).values()),
        bookings=sorted(bookings.values()),
        removed_bookings=removed,
        client_ids=list(_by_key(CLIENT_IDS, ((each.key, each.owners) for each in derived)).values()),
        answers=list(_by_key(ANSWERS, (((each.key.wedding,), each.answers) for each in derived)).values()),
        events=events,
        event_weddings=event_weddings,
    )
    for table, rows in (
        (ROWS, arranged.rows),
        (BOOKINGS, arranged.bookings),
        (CLIENT_IDS, arranged.client_ids),
        (ANSWERS, arranged.answers),
        (EVENTS, events),
    ):
        if rows:
            _check_lengths(table, rows)
    return arranged


_STAGE = BOOKINGS.columns.index("stage")
_attributes_of: dict[str, Callable[[object], Row]] = {
    each.table.name: attrgetter(*each.attributes) for each in DERIVED_TABLES
}
_limits = {
    each.table.name: [
        (place, name, column.type.length)
        for place, name in enumerate(each.columns)
        if name in each.attributes and isinstance((column := each.table.c[name]).type, String) and column.type.length
    ]
    for each in DERIVED_TABLES
}


def _by_key(table: DerivedTable, items: Iterable[tuple[Row, Iterable[object]]]) -> dict[Row, Row]:
    """The rows of the table by their primary keys, of which a statement takes each once."""
    attributes_of, width = _attributes_of[table.table.name], len(table.key)
    found: dict[Row, Row] = {}
    for context, records in items:
        for record in records:
            values = (*context, *attributes_of(record))
            name = values[:width]
            if table.on_conflict is OnConflict.REPLACE or name not in found:
                found[name] = values
            elif table.on_conflict is OnConflict.FAIL:
                raise AnswerTaken(*name)
    return found


def _arrange_events(derived: Sequence[DerivedRecords]) -> tuple[list[Row], list[str]]:
    attributes_of = _attributes_of[EVENTS.table.name]
    places: dict[str, int] = {}
    counts: list[int] = []
    found: list[Row] = []
    for each in derived:
        if each.events:
            place = places.setdefault(each.key.wedding, len(counts))
            if place == len(counts):
                counts.append(0)
            for event in each.events:
                counts[place] += 1
                found.append((place, counts[place], each.key.document, *attributes_of(event)))
    return found, list(places)


def _check_lengths(table: DerivedTable, rows: Sequence[Row]) -> None:
    columns = list(zip(*rows, strict=True))
    for place, name, limit in _limits[table.table.name]:
        longest = max(columns[place], key=len)
        if len(longest) > limit:
            raise StorageError(f"{table.table.name}.{name} has at most {limit} characters: {longest[:300]!r}")

"""The tables of derived records as an append sees them, each declared once: its columns, and the treatment of a record
whose key is stored already. The statements of SQLite and the function of PostgreSQL are made from these declarations.

`arrange` brings the records of a call into the columns of their tables, on both databases.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import String, Table

from storage import tables
from storage.audit import AuditValues, check_entries
from storage.derived import DerivedRecords
from storage.errors import AnswerTaken, ValuesRefused
from storage.updates import check_name

Row = tuple[Any, ...]
"""Values in the order of the columns of a table, as a driver takes them."""


class OnConflict(enum.Enum):
    """The treatment of a record whose primary key is stored already."""

    FAIL = "fail"
    KEEP = "keep"
    REPLACE = "replace"


class DerivedTable:
    """A table of derived records: columns that say where a record belongs (`context`), columns that are attributes of a
    record, and the
    treatment of one whose key is stored already. Its primary key comes first in `columns`.
    """

    __slots__ = ("attributes_of", "columns", "key", "limits", "on_conflict", "table")

    def __init__(
        self, table: Table, context: tuple[str, ...], attributes: tuple[str, ...], *, on_conflict: OnConflict
    ) -> None:
        self.table = table
        self.columns = context + attributes
        self.on_conflict = on_conflict
        self.key = tuple(column.name for column in table.primary_key)
        self.attributes_of: Callable[[object], Row] = attrgetter(*attributes)
        self.limits = [
            (self.columns.index(name), name, type_.length)
            for name in attributes
            if isinstance(type_ := table.c[name].type, String) and type_.length
        ]
        """Index, name and most characters of the columns that have a limit."""


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
AUDIT = DerivedTable(tables.audit, ("wedding", "seq"), ("at", "actor", "action", "detail"), on_conflict=OnConflict.FAIL)
"""Of an entry of the audit log the database fills in more: its number and the digests."""
DERIVED_TABLES = (ROWS, BOOKINGS, CLIENT_IDS, ANSWERS, EVENTS)


@dataclass(frozen=True, slots=True)
class Arranged:
    """The records of a call in the columns of their tables, each primary key once, rows and bookings sorted by it:
    writing neighbours one after the other takes half the time.

    Events have in place of their wedding its index in `event_weddings`, and in place of their number the number behind
    the newest event of that wedding, which is read from the database.
    """

    rows: Sequence[Row] = ()
    bookings: Sequence[Row] = ()
    removed_bookings: Sequence[Row] = ()
    client_ids: Sequence[Row] = ()
    answers: Sequence[Row] = ()
    events: Sequence[Row] = ()
    event_weddings: Sequence[str] = ()
    audit: Sequence[tuple[str, Sequence[AuditValues]]] = ()
    """The entries of each wedding, in the order of the weddings."""


NOTHING = Arranged()
_STAGE = BOOKINGS.columns.index("stage")


def arrange(derived: Sequence[DerivedRecords]) -> Arranged:
    """Raises ValuesRefused for a text that is too long, AnswerTaken for two answers of one key."""
    if not derived:
        return NOTHING
    rows: dict[Row, Row] = {}
    bookings: dict[Row, Row] = {}
    client_ids: dict[Row, Row] = {}
    answers: dict[Row, Row] = {}
    events: list[Row] = []
    places: dict[str, int] = {}
    counts: list[int] = []
    audit: dict[str, list[AuditValues]] = {}
    for each in derived:
        key, wedding = each.key, each.key.wedding
        check_name(key)
        if each.rows:
            _add(rows, ROWS, key, each.rows)
        if each.events:
            place = places.setdefault(wedding, len(places))
            if place == len(counts):
                counts.append(0)
            events += [
                (place, number, key.document, *EVENTS.attributes_of(event))
                for number, event in enumerate(each.events, counts[place] + 1)
            ]
            counts[place] += len(each.events)
        if each.owners:
            _add(client_ids, CLIENT_IDS, key, each.owners)
        if each.answers:
            _add(answers, ANSWERS, (wedding,), each.answers)
        if each.bookings:
            _add(bookings, BOOKINGS, (wedding,), each.bookings)
        if each.audit:
            check_entries(each.audit)
            audit.setdefault(wedding, []).extend(each.audit)
    removed = [name for name, values in bookings.items() if values[_STAGE] is None]
    for name in removed:
        del bookings[name]
    return Arranged(
        rows=_checked(ROWS, sorted(rows.values())),
        bookings=_checked(BOOKINGS, sorted(bookings.values())),
        removed_bookings=removed,
        client_ids=_checked(CLIENT_IDS, list(client_ids.values())),
        answers=_checked(ANSWERS, list(answers.values())),
        events=_checked(EVENTS, events),
        event_weddings=list(places),
        audit=sorted(audit.items()),
    )


def _add(found: dict[Row, Row], declared: DerivedTable, context: Row, records: Iterable[object]) -> None:
    """Add rows by their primary keys, of which a statement takes each once."""
    width = len(declared.key)
    for record in records:
        values = (*context, *declared.attributes_of(record))
        name = values[:width]
        if declared.on_conflict is OnConflict.REPLACE or name not in found:
            found[name] = values
        elif declared.on_conflict is OnConflict.FAIL:
            raise AnswerTaken(*name)


def _checked(declared: DerivedTable, rows: Sequence[Row]) -> Sequence[Row]:
    """The rows; raises ValuesRefused for a text that is too long."""
    if rows:
        columns = list(zip(*rows, strict=True))
        for place, name, limit in declared.limits:
            if max(map(len, columns[place])) > limit:
                longest = max(columns[place], key=len)
                raise ValuesRefused(f"{declared.table.name}.{name} has at most {limit} characters: {longest[:300]!r}")
    return rows

"""Removal of what has expired: the oldest events of a wedding, and the rows of records that were removed long ago.

In slices, each a short transaction. A node that does not own the wedding any more does no harm: what is deleted here is
deleted by its key, and no append needs it. Of the events the newest stays, since it holds the number of the next.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import Connection, delete, func, select, tuple_

from storage.tables import events, rows
from storage.usage import size

SLICE = 500
"""Events or rows of one slice."""


class RowKey(NamedTuple):
    """The place of a row in a wedding."""

    document: str
    root: str
    record: str


def event_floor(connection: Connection, wedding: str) -> int:
    """The number behind which all events of a wedding are kept: 0 as long as none was removed."""
    oldest = select(func.coalesce(func.min(events.c.seq), 1) - 1).where(events.c.wedding == wedding)
    return int(connection.scalars(oldest).one())


def event_bytes(connection: Connection, wedding: str) -> int:
    """The bytes of all events of a wedding."""
    total = select(func.coalesce(func.sum(size(connection, events.c.body)), 0)).where(events.c.wedding == wedding)
    return int(connection.scalars(total).one())


def expire_events(connection: Connection, wedding: str, before: datetime | None, excess_bytes: int) -> int:
    """Delete one slice of the oldest events: those that happened before a moment, and as many as hold ``excess_bytes``.

    Returns the bytes that were freed; 0: there is nothing to delete any more.
    """
    moment = "" if before is None else before.astimezone(UTC).isoformat().removesuffix("+00:00")
    page = select(events.c.seq, events.c.at, size(connection, events.c.body)).where(events.c.wedding == wedding)
    page = page.order_by(events.c.seq)
    first = connection.execute(page.limit(1)).first()
    if first is None or not (excess_bytes > 0 or first.at < moment):
        return 0  # nearly always
    head = connection.scalar(select(func.max(events.c.seq)).where(events.c.wedding == wedding))
    last = freed = 0
    for seq, at, bytes_ in connection.execute(page.limit(SLICE)).all():
        if seq == head or (at >= moment and freed >= excess_bytes):
            break
        last, freed = seq, freed + bytes_
    if last:
        connection.execute(delete(events).where(events.c.wedding == wedding, events.c.seq <= last))
    return freed


def removed_rows(connection: Connection, wedding: str, after: RowKey | None) -> list[tuple[RowKey, str]]:
    """One slice of the rows of removed records behind a key, in order, each with its writers."""
    columns = (rows.c.document, rows.c.root, rows.c.record)
    query = select(*columns, rows.c.writers).where(rows.c.wedding == wedding, rows.c.fields.is_(None))
    if after is not None:
        query = query.where(tuple_(*columns) > tuple(after))
    return [(RowKey(*row[:3]), row[3]) for row in connection.execute(query.order_by(*columns).limit(SLICE))]


def delete_removed_rows(connection: Connection, wedding: str, keys: Sequence[RowKey]) -> int:
    """Delete these rows; returns how many. A record that was made once more meanwhile has fields, and stays."""
    key = tuple_(rows.c.document, rows.c.root, rows.c.record).in_([tuple(each) for each in keys])
    gone = delete(rows).where(rows.c.wedding == wedding, rows.c.fields.is_(None), key)
    return connection.execute(gone).rowcount

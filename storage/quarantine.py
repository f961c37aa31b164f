"""Updates that were refused because they killed a document host, kept for study. Bounded in number and in bytes, for
each wedding and in all: the oldest go."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, or_, select, true

from storage.tables import REASON_LENGTH, quarantine
from storage.updates import DocumentKey

QUARANTINE_LIMIT = 100
"""Most updates kept per wedding."""

QUARANTINE_BYTES = 16 << 20
"""Most bytes of them, but for the newest."""

QUARANTINE_LIMIT_IN_ALL, QUARANTINE_BYTES_IN_ALL = 10_000, 256 << 20
"""The same for all weddings together."""


@dataclass(frozen=True, slots=True)
class QuarantinedUpdate:
    """A refused update. `at` carries its time zone; `reason` and `sender` are cut to 500 characters."""

    key: DocumentKey
    update: bytes
    reason: str
    sender: str
    at: datetime
    id: int | None = None
    """Set by the store."""


def add(connection: Connection, item: QuarantinedUpdate) -> None:
    connection.execute(
        insert(quarantine),
        {
            "wedding": item.key.wedding,
            "document": item.key.document,
            "update": item.update,
            "reason": item.reason[:REASON_LENGTH],
            "sender": item.sender[:REASON_LENGTH],
            "at": item.at,
        },
    )
    of_wedding = quarantine.c.wedding == item.key.wedding
    _delete_oldest(connection, of_wedding, QUARANTINE_LIMIT, QUARANTINE_BYTES)
    trim(connection)


def trim(connection: Connection) -> int:
    """Delete the oldest updates beyond the bounds in all; returns how many."""
    return _delete_oldest(connection, true(), QUARANTINE_LIMIT_IN_ALL, QUARANTINE_BYTES_IN_ALL)


def _delete_oldest(connection: Connection, among: ColumnElement[bool], limit: int, most_bytes: int) -> int:
    """Keep the newest among some updates: as many as are within both bounds, at least one."""
    size = func.length(quarantine.c.update)
    newer = func.row_number().over(order_by=quarantine.c.id.desc())
    total = func.sum(size).over(order_by=quarantine.c.id.desc())
    counted = select(quarantine.c.id, newer.label("newer"), total.label("total")).where(among).subquery()
    beyond = or_(counted.c.newer > limit, counted.c.total > most_bytes)
    gone = select(counted.c.id).where(counted.c.newer > 1, beyond)
    return connection.execute(delete(quarantine).where(quarantine.c.id.in_(gone))).rowcount


def size_bytes(connection: Connection) -> int:
    """The bytes of all kept updates."""
    return int(connection.scalars(select(func.coalesce(func.sum(func.length(quarantine.c.update)), 0))).one())


def list_all(connection: Connection, wedding: str | None) -> list[QuarantinedUpdate]:
    """Oldest first; of one wedding, or of all."""
    query = select(quarantine).order_by(quarantine.c.id)
    if wedding is not None:
        query = query.where(quarantine.c.wedding == wedding)
    return [
        QuarantinedUpdate(DocumentKey(row.wedding, row.document), row.update, row.reason, row.sender, row.at, row.id)
        for row in connection.execute(query)
    ]

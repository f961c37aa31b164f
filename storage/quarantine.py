"""Updates that were refused because they killed a document host, kept for study. Bounded per wedding: oldest go."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from storage.tables import REASON_LENGTH, quarantine
from storage.updates import DocumentKey

QUARANTINE_LIMIT = 100
"""Most updates kept per wedding."""


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
    newest = (
        select(quarantine.c.id)
        .where(quarantine.c.wedding == item.key.wedding)
        .order_by(quarantine.c.id.desc())
        .limit(QUARANTINE_LIMIT)
    )
    connection.execute(
        delete(quarantine).where(quarantine.c.wedding == item.key.wedding, quarantine.c.id.not_in(newest))
    )


def list_all(connection: Connection, wedding: str | None) -> list[QuarantinedUpdate]:
    """Oldest first; of one wedding, or of all."""
    query = select(quarantine).order_by(quarantine.c.id)
    if wedding is not None:
        query = query.where(quarantine.c.wedding == wedding)
    return [
        QuarantinedUpdate(DocumentKey(row.wedding, row.document), row.update, row.reason, row.sender, row.at, row.id)
        for row in connection.execute(query)
    ]

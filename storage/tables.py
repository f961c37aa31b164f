"""The tables, declared once. Migrations bring a database to exactly this; a test compares the two.

`updates` holds edits and snapshots alike: a row covers the sequence numbers first_seq..last_seq of its document.
An appended update covers one number; compaction replaces neighbouring rows by one that covers them all.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)

SCHEMA_REVISION = "0001"
"""The Alembic revision whose schema equals this file."""

NAME_LENGTH = 255
"""Longest name of a wedding or a document, in characters."""

REASON_LENGTH = 500
"""Longest reason or sender kept with a quarantined update, in characters."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone. SQLite has no time zones, so UTC goes in and UTC comes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


# SQLite numbers rows by itself only where the key is declared exactly INTEGER.
row_id = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

documents = Table(
    "documents",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("wedding", String(NAME_LENGTH), nullable=False),
    Column("name", String(NAME_LENGTH), nullable=False),
    UniqueConstraint("wedding", "name"),
)

updates = Table(
    "updates",
    metadata,
    # The key is the guard: of two writers that count on the same head, one fails.
    Column("document_id", ForeignKey("documents.id"), primary_key=True),
    Column("first_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("update", LargeBinary, nullable=False),
    # CRC-32 of `update`: unsigned, which is more than a 32-bit column of PostgreSQL holds.
    Column("checksum", BigInteger, nullable=False),
    CheckConstraint("first_seq >= 1 AND last_seq >= first_seq", name="range"),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("wedding", String(NAME_LENGTH), nullable=False),
    Column("document", String(NAME_LENGTH), nullable=False),
    Column("update", LargeBinary, nullable=False),
    Column("reason", String(REASON_LENGTH), nullable=False),
    Column("sender", String(REASON_LENGTH), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "wedding", "id"),
)

# One row, counted up by readiness checks: a write that touches nobody's document.
probe = Table(
    "probe",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("writes", BigInteger, nullable=False),
)

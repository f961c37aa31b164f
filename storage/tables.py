"""The tables, declared once. Migrations bring a database to exactly this; a test compares the two.

`updates` holds edits and snapshots alike: a row covers the sequence numbers first_seq..last_seq of its document.
An appended update covers one number; compaction replaces neighbouring rows by one that covers them all.
`rows`, `events`, `client_ids`, `answers` and `bookings` follow from updates and are written with them: what an append
puts into them, and the treatment of a record whose key is stored already, is declared in `derived_tables`.
`nodes` and `owners` hold which process may write which wedding: see `owners`. `last_seen` holds who was there.
`rights` and the tables behind it hold who may read and write what, and what has been done with that: see `members`,
`grants` and `audit`. Codes and tokens are stored as SHA-256.

All tables of SQLite have row ids on purpose: what a batch adds lies in the last pages of a table then. WITHOUT ROWID,
`rows` and `events` cost 33 pages of write-ahead log instead of 16 for a batch of 16 weddings, and 196 instead of 67 for
100 weddings; alone an update costs 5.0 instead of 5.4.
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    Text,
    TypeDecorator,
    UniqueConstraint,
    func,
    text,
)

SCHEMA_REVISION = "0015"
"""The Alembic revision whose schema equals this file."""

NAME_LENGTH = 255
"""Longest name of a wedding, a document or anything in it, in characters."""

MOMENT_LENGTH = 40
"""Longest moment kept as text, in characters."""

REASON_LENGTH = 500
"""Longest reason or sender kept with a quarantined update, and longest reason of a grant, in characters."""

DIGEST_LENGTH = 64
"""A SHA-256 in hexadecimal digits."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone. SQLite has no time zones, so UTC goes in and UTC comes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


# By code points, as SQLite and Python compare: no locale decides about an order.
name = String(NAME_LENGTH).with_variant(String(NAME_LENGTH, collation="C"), "postgresql")

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
    Column("wedding", name, nullable=False),
    Column("name", name, nullable=False),
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
    Column("wedding", name, nullable=False),
    Column("document", name, nullable=False),
    Column("update", LargeBinary, nullable=False),
    Column("reason", String(REASON_LENGTH), nullable=False),
    Column("sender", String(REASON_LENGTH), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "wedding", "id"),
)

# One row, counted up by readiness checks: a write that touches no document.
probe = Table(
    "probe",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("writes", BigInteger, nullable=False),
)

# The records of documents as they are now. A deleted one keeps its writers, and its fields are NULL.
rows = Table(
    "rows",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("document", name, primary_key=True),
    Column("root", name, primary_key=True),
    Column("record", name, primary_key=True),
    Column("fields", Text),
    Column("writers", Text, nullable=False),
)

THREAD = "thread."
"""The beginning of the names of documents with the messages of a thread."""

OF_THREADS = text("document >= 'thread.' AND document < 'thread/'")
"""Events of threads. A query has this condition word for word, or the database does not use their index."""

events = Table(
    "events",
    metadata,
    # The key is the guard: of two writers that take the same number, one fails.
    Column("wedding", name, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("type", name, nullable=False),
    Column("at", String(MOMENT_LENGTH), nullable=False),
    Column("document", name, nullable=False),
    Column("record", name, nullable=False),
    Column("body", Text, nullable=False),
    CheckConstraint("seq >= 1", name="seq"),
    Index("ix_events_threads", "wedding", "document", "record", sqlite_where=OF_THREADS, postgresql_where=OF_THREADS),
)

client_ids = Table(
    "client_ids",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("document", name, primary_key=True),
    Column("client", BigInteger, primary_key=True, autoincrement=False),
    Column("user", name, nullable=False),
    Column("at", UtcDateTime, nullable=False, server_default=func.current_timestamp()),
)

answers = Table(
    "answers",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("key", name, primary_key=True),
    Column("digest", name, nullable=False),
    Column("body", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "at"),
)

# Times are whole minutes since 1970 in UTC.
bookings = Table(
    "bookings",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("vendor", name, primary_key=True),
    Column("organization", name, nullable=False),
    Column("start", BigInteger, nullable=False),
    Column("until", BigInteger, nullable=False),
    Column("stage", name, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Index(None, "organization", "start"),
)

# The processes that live. `until` is in milliseconds since 1970 by the clock of the database.
nodes = Table(
    "nodes",
    metadata,
    Column("node", name, primary_key=True),
    Column("until", BigInteger, nullable=False),
)

# Every change of the owner counts `fence` up. A wedding without an owner has an empty node, or no row.
# On PostgreSQL each append locks the rows of its weddings: what it reads and writes belongs to them.
owners = Table(
    "owners",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("node", name, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Index(None, "node"),
)

# The version of the rights of a wedding, which every change of them counts up, and the newest entry of its audit log.
# A transaction that changes rights or adds an entry locks this row first.
rights = Table(
    "rights",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("audit_seq", BigInteger, nullable=False),
    Column("audit_digest", String(DIGEST_LENGTH), nullable=False),
)


def _person() -> list[Column[str]]:
    """The columns of a person in a role. Of vendor, guest, side and name, those that the role has not are empty."""
    return [Column(each, name, nullable=False) for each in ("role", "vendor", "guest", "side", "name")]


# A member that was removed stays: a token may still name it.
members = Table(
    "members",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("user", name, primary_key=True),
    *_person(),
    Column("added_by", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),
    Index(None, "user", "wedding"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("code", String(DIGEST_LENGTH), primary_key=True),
    Column("wedding", name, nullable=False),
    Column("id", name, nullable=False),
    Column("user", name, nullable=False),
    *_person(),
    Column("invited_by", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("expires", UtcDateTime, nullable=False),
    Index(None, "wedding", "id"),
)

# A device has one refresh token at a time, that of its newest generation.
devices = Table(
    "devices",
    metadata,
    Column("device", name, primary_key=True),
    Column("wedding", name, nullable=False),
    Column("user", name, nullable=False),
    Column("label", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Column("revoked_at", UtcDateTime),
    Index(None, "wedding", "user"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token", String(DIGEST_LENGTH), primary_key=True),
    Column("device", name, nullable=False),
    Column("generation", BigInteger, nullable=False),
    Index(None, "device", "generation"),
)

# Asked for as long as it has no `given_at`. It holds from then on until `until`, or until it was ended.
grants = Table(
    "grants",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("id", name, primary_key=True),
    Column("user", name, nullable=False),
    Column("what", name, nullable=False),
    Column("reason", String(REASON_LENGTH), nullable=False),
    Column("seconds", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("given_by", name, nullable=False),
    Column("given_at", UtcDateTime),
    Column("until", UtcDateTime),
    Column("ended_at", UtcDateTime),
)

policy_overrides = Table(
    "policy_overrides",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("role", name, primary_key=True),
    Column("category", name, primary_key=True),
    Column("rights", name, nullable=False),
    Column("by", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# `digest` is that of the entry and of `previous`, the digest of the entry before it.
audit = Table(
    "audit",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", String(MOMENT_LENGTH), nullable=False),
    Column("actor", name, nullable=False),
    Column("action", name, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(DIGEST_LENGTH), nullable=False),
    Column("digest", String(DIGEST_LENGTH), nullable=False),
    CheckConstraint("seq >= 1", name="seq"),
)

# People as the nodes have them that have their sockets; `documents` is JSON.
last_seen = Table(
    "last_seen",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("user", name, primary_key=True),
    Column("node", name, primary_key=True),
    Column("role", name, nullable=False),
    Column("name", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Column("connected", Boolean, nullable=False),
    Column("documents", Text, nullable=False),
)

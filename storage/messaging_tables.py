"""The tables of conversations and notifications; `tables` has the others, and the types of their columns.

`threads`, `participants` and `read_pointers` are written by requests. `messages` mirrors the documents `thread.*` and
is kept in step by the router, which reads `events` by the cursor in `routed`: what it makes of some events is stored in
one transaction with the cursor behind them, so that each event is routed once. `inbox` is what people see, `outbox`
what has to be sent: see `outbox`.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from storage.tables import DIGEST_LENGTH, MOMENT_LENGTH, REASON_LENGTH, UtcDateTime, metadata, name, row_id

ADDRESS_LENGTH = 2000
"""Longest address, in characters: that of a push service is a URL."""

UNREAD = text("read_at IS NULL")
"""The items of an inbox that an index for unread ones has."""

WAITS = "state = 'waiting'"
"""The messages of the outbox that an index for those that are due has."""

# `context` is JSON: the document, root and record that the conversation is about; empty: none.
threads = Table(
    "threads",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("id", name, primary_key=True),
    Column("title", name, nullable=False),
    Column("type", name, nullable=False),
    Column("status", name, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("context", Text, nullable=False),
    Column("created_by", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    # Of its newest message, else when it was made; the order of lists.
    Column("active_at", UtcDateTime, nullable=False),
    Index(None, "wedding", "active_at", "id"),
)

# A participant that was removed stays, with the moment.
participants = Table(
    "participants",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("thread", name, primary_key=True),
    Column("user", name, primary_key=True),
    Column("added_by", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("muted", Boolean, nullable=False),
    Column("removed_at", UtcDateTime),
    Index(None, "wedding", "user"),
)

# `sequence` is that of the stamp of the newest message that was read.
read_pointers = Table(
    "read_pointers",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("thread", name, primary_key=True),
    Column("user", name, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# The body of a message that was redacted is empty.
messages = Table(
    "messages",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("thread", name, primary_key=True),
    Column("message", name, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("author", name, nullable=False),
    Column("at", String(MOMENT_LENGTH), nullable=False),
    Column("body", Text, nullable=False),
    Column("redacted", Boolean, nullable=False),
    Index(None, "wedding", "thread", "sequence"),
)

# Documents of which stored updates may hold text of messages that were redacted, the newest with this event.
purges = Table(
    "purges",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("document", name, primary_key=True),
    Column("event", BigInteger, nullable=False),
)

# The events of a wedding up to `seq` were routed.
routed = Table(
    "routed",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

# `params` is JSON: what a text about the event is made of. `event` is the newest of `count` events that were merged.
inbox = Table(
    "inbox",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("wedding", name, nullable=False),
    Column("user", name, nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("type", name, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("document", name, nullable=False),
    Column("record", name, nullable=False),
    Column("params", Text, nullable=False),
    Column("count", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("read_at", UtcDateTime),
    UniqueConstraint("wedding", "user", "event", "type"),
    Index(None, "wedding", "user", "id"),
    # Unread items are found and counted beside a million that were read.
    Index("ix_inbox_unread", "wedding", "user", "id", sqlite_where=UNREAD, postgresql_where=UNREAD),
    # Redacted and erased items are found without reading inboxes.
    Index(None, "wedding", "document", "record"),
)

# `key` names the message for ever: (wedding, event, recipient, channel). `user` is the recipient; of a webhook, its id.
# `contact`: the address that it goes to; empty: those of the recipient. `count` events were merged into it. `state` is
# one of those in `outbox`. It is due from `next_at` on; while it is sent it belongs to the holder of `lease`.
outbox = Table(
    "outbox",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("key", String(DIGEST_LENGTH), nullable=False, unique=True),
    Column("wedding", name, nullable=False),
    Column("user", name, nullable=False),
    Column("channel", name, nullable=False),
    Column("contact", String(DIGEST_LENGTH), nullable=False, default=""),
    Column("event", BigInteger, nullable=False),
    Column("type", name, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("document", name, nullable=False),
    Column("record", name, nullable=False),
    Column("params", Text, nullable=False),
    Column("count", Integer, nullable=False, default=1),
    Column("state", name, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),
    Column("lease", name, nullable=False),
    Column("lease_until", UtcDateTime),
    Column("error", String(REASON_LENGTH), nullable=False),
    Column("done_at", UtcDateTime),
    # Of `params`: what waits, and what is over, is summed in an index.
    Column("characters", Integer, Computed("length(params)")),
    Index(None, "state", "channel", "priority", "id"),
    # The next message of each recipient is found beside any number of others.
    Index(
        "ix_outbox_recipients",
        *("channel", "priority", "wedding", "user", "contact", "id"),
        sqlite_where=text(WAITS),
        postgresql_where=text(WAITS),
    ),
    Index(None, "state", "next_at"),
    Index(None, "wedding", "user", "state", "characters"),
    Index(None, "wedding", "state", "id", "characters"),
)

# `body` is JSON. `digest_at` is when the next digest is due; NULL: nothing is held back.
preferences = Table(
    "preferences",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("user", name, primary_key=True),
    Column("body", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("digest_at", UtcDateTime),
    Index(None, "digest_at"),
)

# The addresses of a person: of mail, of a phone, of a push service (with its keys in `secret`). One is in use from
# `confirmed_at` on: whoever enters it has to have what was sent there.
contacts = Table(
    "contacts",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("user", name, primary_key=True),
    Column("channel", name, primary_key=True),
    Column("id", String(DIGEST_LENGTH), primary_key=True),
    Column("address", String(ADDRESS_LENGTH), nullable=False),
    Column("secret", String(ADDRESS_LENGTH), nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
    Column("confirmed_at", UtcDateTime),
)

# The codes that were sent to addresses, of which `code` is a digest; the newest of an address counts. They are kept for
# a day, also of addresses that were deleted: they bound what is sent to people who want nothing. `contact` is the same
# for everybody who enters an address.
confirmations = Table(
    "confirmations",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("wedding", name, nullable=False),
    Column("user", name, nullable=False),
    Column("contact", String(DIGEST_LENGTH), nullable=False),
    Column("code", String(DIGEST_LENGTH), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "contact", "at"),
    Index(None, "wedding", "user", "at"),
    Index(None, "at"),
)

# The rules of a wedding that differ from `routing.toml`: by name, as JSON.
routing_overrides = Table(
    "routing_overrides",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("rule", name, primary_key=True),
    Column("body", Text, nullable=False),
    Column("by", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)

# `types` and `secrets` are JSON lists; the first secret signs, the others sign besides while they are replaced.
webhooks = Table(
    "webhooks",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("id", name, primary_key=True),
    Column("url", String(ADDRESS_LENGTH), nullable=False),
    Column("types", Text, nullable=False),
    Column("secrets", Text, nullable=False),
    Column("by", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("disabled_at", UtcDateTime),
    Column("reason", String(REASON_LENGTH), nullable=False),
)

# Its bytes are in the store of files, under `sha256`. Without a `message` it is an orphan after a day.
attachments = Table(
    "attachments",
    metadata,
    Column("wedding", name, primary_key=True),
    Column("id", name, primary_key=True),
    Column("thread", name, nullable=False),
    Column("message", name, nullable=False),
    Column("name", name, nullable=False),
    Column("media_type", name, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(DIGEST_LENGTH), nullable=False),
    Column("by", name, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "message", "at"),
    Index(None, "wedding", "sha256", "size"),
    Index(None, "wedding", "thread", "at", "id"),
)

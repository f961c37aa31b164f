"""Conversations, notifications, and what they are sent by. Events that were stored before are not sent."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
moment = sa.DateTime(timezone=True)
digest = sa.String(64)
address = sa.String(2000)


def upgrade() -> None:
    _create_threads()
    _create_messages()
    _create_router()
    _create_outbox()
    _create_people()
    op.execute("INSERT INTO routed (wedding, seq) SELECT wedding, MAX(seq) FROM events GROUP BY wedding")


def _create_threads() -> None:
    op.create_table(
        "threads",
        sa.Column("wedding", name, nullable=False),
        sa.Column("id", name, nullable=False),
        sa.Column("title", name, nullable=False),
        sa.Column("type", name, nullable=False),
        sa.Column("status", name, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("created_by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("active_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "id", name="pk_threads"),
    )
    op.create_index("ix_threads_wedding_active_at_id", "threads", ["wedding", "active_at", "id"])
    op.create_table(
        "participants",
        sa.Column("wedding", name, nullable=False),
        sa.Column("thread", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("added_by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("muted", sa.Boolean, nullable=False),
        sa.Column("removed_at", moment),
        sa.PrimaryKeyConstraint("wedding", "thread", "user", name="pk_participants"),
    )
    op.create_index("ix_participants_wedding_user", "participants", ["wedding", "user"])
    op.create_table(
        "read_pointers",
        sa.Column("wedding", name, nullable=False),
        sa.Column("thread", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "thread", "user", name="pk_read_pointers"),
    )


def _create_messages() -> None:
    op.create_table(
        "messages",
        sa.Column("wedding", name, nullable=False),
        sa.Column("thread", name, nullable=False),
        sa.Column("message", name, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("author", name, nullable=False),
        sa.Column("at", sa.String(40), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("redacted", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "thread", "message", name="pk_messages"),
    )
    op.create_index("ix_messages_wedding_thread_sequence", "messages", ["wedding", "thread", "sequence"])
    op.create_table(
        "attachments",
        sa.Column("wedding", name, nullable=False),
        sa.Column("id", name, nullable=False),
        sa.Column("thread", name, nullable=False),
        sa.Column("message", name, nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("media_type", name, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("sha256", digest, nullable=False),
        sa.Column("by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "id", name="pk_attachments"),
    )
    op.create_index("ix_attachments_sha256", "attachments", ["sha256"])
    op.create_index("ix_attachments_message_at", "attachments", ["message", "at"])
    op.create_table(
        "purges",
        sa.Column("wedding", name, nullable=False),
        sa.Column("document", name, nullable=False),
        sa.Column("event", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "document", name="pk_purges"),
    )


def _create_router() -> None:
    op.create_table(
        "routed",
        sa.Column("wedding", name, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("wedding", name="pk_routed"),
    )
    op.create_table(
        "inbox",
        sa.Column("id", row_id, nullable=False),
        sa.Column("wedding", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("event", sa.BigInteger, nullable=False),
        sa.Column("type", name, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("document", name, nullable=False),
        sa.Column("record", name, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("read_at", moment),
        sa.UniqueConstraint("wedding", "user", "event", "type", name="uq_inbox_wedding_user_event_type"),
        sa.PrimaryKeyConstraint("id", name="pk_inbox"),
    )
    op.create_index("ix_inbox_wedding_user_id", "inbox", ["wedding", "user", "id"])
    unread = sa.text("read_at IS NULL")
    op.create_index("ix_inbox_unread", "inbox", ["wedding", "user", "id"], sqlite_where=unread, postgresql_where=unread)
    op.create_index("ix_inbox_wedding_document_record", "inbox", ["wedding", "document", "record"])


def _create_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", row_id, nullable=False),
        sa.Column("key", digest, nullable=False),
        sa.Column("wedding", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("channel", name, nullable=False),
        sa.Column("contact", digest, nullable=False),
        sa.Column("event", sa.BigInteger, nullable=False),
        sa.Column("type", name, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("document", name, nullable=False),
        sa.Column("record", name, nullable=False),
        sa.Column("params", sa.Text, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("state", name, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("next_at", moment, nullable=False),
        sa.Column("lease", name, nullable=False),
        sa.Column("lease_until", moment),
        sa.Column("error", sa.String(500), nullable=False),
        sa.Column("done_at", moment),
        sa.UniqueConstraint("key", name="uq_outbox_key"),
        sa.PrimaryKeyConstraint("id", name="pk_outbox"),
    )
    op.create_index("ix_outbox_state_channel_priority_id", "outbox", ["state", "channel", "priority", "id"])
    op.create_index("ix_outbox_state_next_at", "outbox", ["state", "next_at"])
    op.create_index("ix_outbox_wedding_user_state", "outbox", ["wedding", "user", "state"])
    op.create_index("ix_outbox_wedding_state_id", "outbox", ["wedding", "state", "id"])
    op.create_table(
        "routing_overrides",
        sa.Column("wedding", name, nullable=False),
        sa.Column("rule", name, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "rule", name="pk_routing_overrides"),
    )


def _create_people() -> None:
    op.create_table(
        "preferences",
        sa.Column("wedding", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("digest_at", moment),
        sa.PrimaryKeyConstraint("wedding", "user", name="pk_preferences"),
    )
    op.create_index("ix_preferences_digest_at", "preferences", ["digest_at"])
    op.create_table(
        "contacts",
        sa.Column("wedding", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("channel", name, nullable=False),
        sa.Column("id", digest, nullable=False),
        sa.Column("address", address, nullable=False),
        sa.Column("secret", address, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("disabled_at", moment),
        sa.PrimaryKeyConstraint("wedding", "user", "channel", "id", name="pk_contacts"),
    )
    op.create_table(
        "webhooks",
        sa.Column("wedding", name, nullable=False),
        sa.Column("id", name, nullable=False),
        sa.Column("url", address, nullable=False),
        sa.Column("types", sa.Text, nullable=False),
        sa.Column("secrets", sa.Text, nullable=False),
        sa.Column("by", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("disabled_at", moment),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.PrimaryKeyConstraint("wedding", "id", name="pk_webhooks"),
    )

"""Records that follow from updates: rows, events, owners of client ids, and answers to commands."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")


def _name(column: str) -> sa.Column[str]:
    return sa.Column(column, name, nullable=False)


def upgrade() -> None:
    op.create_table(
        "rows",
        _name("wedding"),
        _name("document"),
        _name("root"),
        _name("record"),
        sa.Column("fields", sa.Text),
        sa.Column("writers", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "document", "root", "record", name="pk_rows"),
    )
    op.create_table(
        "events",
        _name("wedding"),
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        _name("type"),
        sa.Column("at", sa.String(40), nullable=False),
        _name("document"),
        _name("record"),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "seq", name="pk_events"),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_events_seq")),
    )
    op.create_index("ix_events_wedding_document_record", "events", ["wedding", "document", "record"])
    op.create_table(
        "client_ids",
        _name("wedding"),
        _name("document"),
        sa.Column("client", sa.BigInteger, nullable=False, autoincrement=False),
        _name("user"),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.current_timestamp()),
        sa.PrimaryKeyConstraint("wedding", "document", "client", name="pk_client_ids"),
    )
    op.create_table(
        "answers",
        _name("wedding"),
        _name("key"),
        _name("digest"),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("wedding", "key", name="pk_answers"),
    )
    op.create_index("ix_answers_at", "answers", ["at"])

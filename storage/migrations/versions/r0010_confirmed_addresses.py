"""Addresses are in use when they were confirmed, and files of a conversation are listed.

Addresses that are there were entered before anybody had to confirm one: they stay in use.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
moment = sa.DateTime(timezone=True)
digest = sa.String(64)


def upgrade() -> None:
    op.add_column("contacts", sa.Column("confirmed_at", moment))
    op.execute("UPDATE contacts SET confirmed_at = at")
    op.create_table(
        "confirmations",
        sa.Column("id", row_id, nullable=False),
        sa.Column("wedding", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("contact", digest, nullable=False),
        sa.Column("code", digest, nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_confirmations"),
    )
    op.create_index("ix_confirmations_contact_at", "confirmations", ["contact", "at"])
    op.create_index("ix_confirmations_wedding_user_at", "confirmations", ["wedding", "user", "at"])
    op.create_index("ix_confirmations_at", "confirmations", ["at"])
    op.create_index("ix_attachments_wedding_thread_at_id", "attachments", ["wedding", "thread", "at", "id"])

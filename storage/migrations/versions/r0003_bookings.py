"""Bookings of organizations with their times, compared over all weddings."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "bookings",
        sa.Column("wedding", name, nullable=False),
        sa.Column("vendor", name, nullable=False),
        sa.Column("organization", name, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("until", sa.BigInteger, nullable=False),
        sa.Column("stage", name, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "vendor", name="pk_bookings"),
    )
    op.create_index("ix_bookings_organization_start", "bookings", ["organization", "start"])

"""Documents, their updates, quarantine, and the row of the readiness probe."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("id", row_id, nullable=False),
        sa.Column("wedding", name, nullable=False),
        sa.Column("name", name, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.UniqueConstraint("wedding", "name", name="uq_documents_wedding_name"),
    )
    op.create_table(
        "updates",
        sa.Column("document_id", row_id, nullable=False),
        sa.Column("first_seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("update", sa.LargeBinary, nullable=False),
        sa.Column("checksum", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("document_id", "first_seq", name="pk_updates"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_updates_document_id"),
        sa.CheckConstraint("first_seq >= 1 AND last_seq >= first_seq", name=op.f("ck_updates_range")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", row_id, nullable=False),
        sa.Column("wedding", name, nullable=False),
        sa.Column("document", name, nullable=False),
        sa.Column("update", sa.LargeBinary, nullable=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("sender", sa.String(500), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
    )
    op.create_index("ix_quarantine_wedding_id", "quarantine", ["wedding", "id"])
    probe = op.create_table(
        "probe",
        sa.Column("id", row_id, nullable=False),
        sa.Column("writes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_probe"),
    )
    op.bulk_insert(probe, [{"id": 1, "writes": 0}])

"""When people were last there, and in which documents."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "last_seen",
        sa.Column("wedding", name, nullable=False),
        sa.Column("user", name, nullable=False),
        sa.Column("node", name, nullable=False),
        sa.Column("role", name, nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("at", moment, nullable=False),
        sa.Column("changed_at", moment, nullable=False),
        sa.Column("connected", sa.Boolean, nullable=False),
        sa.Column("documents", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("wedding", "user", "node", name="pk_last_seen"),
    )

"""The characters of messages are summed in indexes, without the messages."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Each has the only kind that may be added to a table and be in an index.
    persisted = True if op.get_bind().dialect.name == "postgresql" else None
    op.add_column("outbox", sa.Column("characters", sa.Integer(), sa.Computed("length(params)", persisted)))
    for columns in (["wedding", "user", "state"], ["wedding", "state", "id"]):
        op.create_index("_".join(["ix_outbox", *columns, "characters"]), "outbox", [*columns, "characters"])
        op.drop_index("_".join(["ix_outbox", *columns]), "outbox")

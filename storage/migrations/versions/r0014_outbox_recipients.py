"""Find the next message of each recipient of a channel without reading those of other recipients.

The index has what waits only: a message that is over does not pay for it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

waits = sa.text("state = 'waiting'")


def upgrade() -> None:
    op.create_index(
        "ix_outbox_recipients",
        "outbox",
        ["channel", "priority", "wedding", "user", "contact", "id"],
        sqlite_where=waits,
        postgresql_where=waits,
    )

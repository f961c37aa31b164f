"""Find the events about a message without reading all of its wedding.

The index has the events of threads only: an edit of another document does not pay for it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

of_threads = sa.text("document >= 'thread.' AND document < 'thread/'")


def upgrade() -> None:
    op.create_index(
        "ix_events_threads",
        "events",
        ["wedding", "document", "record"],
        sqlite_where=of_threads,
        postgresql_where=of_threads,
    )

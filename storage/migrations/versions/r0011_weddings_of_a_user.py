"""The weddings of a user are found without reading the members of all weddings."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_members_user_wedding", "members", ["user", "wedding"])

"""The files of a wedding are found and summed in an index, without their names and messages."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_attachments_wedding_sha256_size", "attachments", ["wedding", "sha256", "size"])
    op.drop_index("ix_attachments_sha256", "attachments")

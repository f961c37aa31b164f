"""The search index. It is empty at first: `crdt-server search rebuild` fills it from what is stored."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

name = sa.String(255).with_variant(sa.String(255, collation="C"), "postgresql")
row_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "search_texts",
        sa.Column("id", row_id, nullable=False),
        sa.Column("wedding", name, nullable=False),
        sa.Column("document", name, nullable=False),
        sa.Column("root", name, nullable=False),
        sa.Column("record", name, nullable=False),
        sa.Column("key", name, nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
        sa.UniqueConstraint(
            "wedding", "document", "root", "record", "key", name="uq_search_texts_wedding_document_root_record_key"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_search_texts"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.create_index("ix_search_texts_words", "search_texts", ["words"], postgresql_using="gin")
    else:
        # Words come here as they are searched for: the tokenizer has nothing to do but to cut at blanks.
        op.execute(
            "CREATE VIRTUAL TABLE search_index USING fts5("
            "words, content = 'search_texts', content_rowid = 'id', columnsize = 0, tokenize = 'ascii')"
        )

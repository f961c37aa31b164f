"""The table of what can be searched for; `tables` has the others.

On PostgreSQL `words` is a `tsvector`. On SQLite it is the words with blanks between them, and the virtual table
`search_index` (FTS5, which is no part of the declared schema: SQLite keeps it in tables of its own) refers to it.
"""

from sqlalchemy import Column, Index, Table, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import TSVECTOR

from storage.tables import metadata, name, row_id

SEARCH_INDEX = "search_index"
"""The virtual table of SQLite."""

# A text of a record: that of its key, or the record itself where the key is empty. The newest has the greatest id.
search_texts = Table(
    "search_texts",
    metadata,
    Column("id", row_id, primary_key=True),
    Column("wedding", name, nullable=False),
    Column("document", name, nullable=False),
    Column("root", name, nullable=False),
    Column("record", name, nullable=False),
    Column("key", name, nullable=False),
    Column("words", Text().with_variant(TSVECTOR(), "postgresql"), nullable=False),
    UniqueConstraint("wedding", "document", "root", "record", "key"),
    Index("ix_search_texts_words", "words", postgresql_using="gin").ddl_if(dialect="postgresql"),
)

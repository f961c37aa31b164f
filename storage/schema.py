"""Bring a database to the schema of `tables`, and check whether it has it already.

On PostgreSQL the function of `postgres_function` is part of the schema.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from storage import postgres_function
from storage.errors import SchemaOutdated
from storage.tables import SCHEMA_REVISION

MIGRATION_LOCK = 0x63726474
"""Key of PostgreSQL's advisory lock under which migrations run."""

SCRIPTS = Path(__file__).parent / "migrations"


def check(connection: Connection) -> None:
    """Raise SchemaOutdated unless the database has exactly the schema of this program."""
    found = None
    if inspect(connection).has_table("alembic_version"):
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if found != SCHEMA_REVISION:
        raise SchemaOutdated(
            f"the database has schema {found or 'none'}, this program needs {SCHEMA_REVISION}: run crdt-server migrate"
        )
    if connection.dialect.name == "postgresql" and not postgres_function.exists(connection):
        raise SchemaOutdated(f"the database has no function {postgres_function.NAME}: run crdt-server migrate")


def upgrade(connection: Connection) -> None:
    """Run the migrations that are missing, all in the transaction of `connection`. A newest schema is left alone."""
    # Alembic is needed here only; a server whose schema is right starts without loading it.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    if connection.dialect.name == "postgresql":
        # One node migrates, the others wait for it and then find nothing to do.
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise SchemaOutdated(f"the database was made by a newer crdt-server: {error}") from error
    if connection.dialect.name == "postgresql":
        postgres_function.create(connection)

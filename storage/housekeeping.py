"""Operations for an operator: a write that proves that the database takes writes, its size, and vacuuming it."""

from pathlib import Path

from sqlalchemy import Connection, text, update

from storage.tables import metadata, probe

_VACUUM = {
    # VACUUM refuses to run inside a transaction.
    "sqlite": ("COMMIT", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"),
    "postgresql": (
        "COMMIT",
        "SET statement_timeout = 0",
        f"VACUUM (FULL, ANALYZE) {', '.join(metadata.tables)}",
        "RESET statement_timeout",
    ),
}


def probe_write(connection: Connection) -> None:
    """Write something and change no document."""
    connection.execute(update(probe).values(writes=probe.c.writes + 1))


def size_bytes(connection: Connection) -> int:
    """Bytes the database takes on disk; of SQLite with its write-ahead log."""
    if connection.dialect.name == "postgresql":
        return int(connection.scalar(text("SELECT pg_database_size(current_database())")) or 0)
    path = Path(connection.exec_driver_sql("PRAGMA database_list").all()[0][2])
    files = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def vacuum(connection: Connection) -> None:
    """Write the database anew without its free room. Ends the transaction."""
    for statement in _VACUUM[connection.dialect.name]:
        connection.exec_driver_sql(statement)

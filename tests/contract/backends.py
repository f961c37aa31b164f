"""The databases that `storage` runs on. A new one is one more entry."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.databases import postgres_template, sqlite_file
from tests.support.postgres import shared_server


@dataclass(frozen=True)
class Database:
    """A database without tables: its address, and a way into it past `storage`, which returns what it is told."""

    url: str
    execute: Callable[[str], list[str]]


@dataclass(frozen=True)
class Backend:
    """What the suite runs on. `database` makes a new one for the length of a test: in a directory, where it is files,
    and with the tables already, where that saves time and is allowed.
    """

    name: str
    database: Callable[[Path, bool], AbstractContextManager[Database]]
    remembers_ids: bool = True
    """Whether appends trust row ids that were read before."""


def _sqlite(scheme: str) -> Backend:
    @contextmanager
    def database(directory: Path, migrated: bool) -> Iterator[Database]:
        path = directory / "wedding.db"
        if migrated:
            path.write_bytes(sqlite_file("tables"))

        def execute(statement: str) -> list[str]:
            with closing(sqlite3.connect(path)) as connection, connection:
                return ["|".join(map(str, row)) for row in connection.execute(statement)]

        yield Database(f"{scheme}:///{path}", execute)

    return Backend(scheme.partition("+")[2] or scheme, database)


@contextmanager
def _postgres(_: Path, migrated: bool) -> Iterator[Database]:
    server = shared_server()
    with server.database(postgres_template("tables") if migrated else "template0") as url:
        name = url.rpartition("/")[2]

        def execute(statement: str) -> list[str]:
            # Bytes are written otherwise than in the rest of the world.
            return server.psql(statement.replace("X'", r"'\x"), name).splitlines()

        yield Database(url, execute)


BACKENDS = [
    pytest.param(_sqlite("sqlite"), id="sqlite"),
    pytest.param(_sqlite("sqlite+aiosqlite"), id="aiosqlite", marks=pytest.mark.repeat),
    pytest.param(Backend("postgresql", _postgres, remembers_ids=False), id="postgresql"),
]

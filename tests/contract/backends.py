"""The databases that `storage` runs on. A new one is one more entry."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Backend:
    """A database to run the suite on, fresh for each test: its address, and a way to write into it past `storage`."""

    name: str
    url: Callable[[Path], str]
    execute: Callable[[Path, str], None]


def _sqlite(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path / "wedding.db")) as connection, connection:
        connection.execute(statement)


BACKENDS = [
    Backend("sqlite", lambda path: f"sqlite:///{path}/wedding.db", _sqlite),
    Backend("aiosqlite", lambda path: f"sqlite+aiosqlite:///{path}/wedding.db", _sqlite),
]

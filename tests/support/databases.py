"""Databases for tests, of the kind that `CRDT_TEST_BACKEND` names: see `backend`.

They are copies of one that was migrated, since migrating takes longer than most tests.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
from sqlalchemy import Executable, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from crdt_server.sample import plant_demo
from storage import migrate
from tests.support.postgres import shared_server

Contents = Literal["nothing", "tables", "demo"]
"""Not even tables, or no rows, or the wedding `demo`, with which a server begins in `--dev`."""

BACKEND = os.environ.get("CRDT_TEST_BACKEND", "sqlite")
ON_SQLITE = BACKEND == "sqlite"
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

about_sqlite = pytest.mark.skipif(not ON_SQLITE, reason="is about the file of a SQLite database")


@contextmanager
def new_database(directory: Path, contents: Contents = "tables") -> Iterator[str]:
    """The address of a new database: the file wedding.db in the directory, which may be there already, or one of the
    shared PostgreSQL."""
    if ON_SQLITE:
        yield sqlite_database(directory, contents)
    else:
        template = "template0" if contents == "nothing" else postgres_template(contents)
        with shared_server().database(template) as url:
            yield url


def sqlite_database(directory: Path, contents: Contents = "tables") -> str:
    """The address of such a file, whatever the backend."""
    path = directory / "wedding.db"
    if contents != "nothing" and not path.exists():
        path.write_bytes(sqlite_file(contents))
    return f"sqlite:///{path}"


@cache
def sqlite_file(contents: Contents) -> bytes:
    """The file of such a database."""
    with TemporaryDirectory() as directory:
        path = Path(directory, "template.db")
        _fill(f"sqlite:///{path}", contents)
        return path.read_bytes()


@cache
def postgres_template(contents: Contents) -> str:
    """The name of such a database of the shared server. Without a default: it would be another key of the cache."""
    server, name = shared_server(), f"with_{contents}"
    server.psql(f"CREATE DATABASE {name}")
    _fill(server.url_of(name), contents)
    return name


def _fill(url: str, contents: Contents) -> None:
    # In a thread: a loop may be running in this one.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, plant_demo(url) if contents == "demo" else migrate(url)).result()


async def run_sql(url: str, statement: str | Executable, **values: object) -> list[tuple[Any, ...]]:
    """Run SQL past the program under test, and commit; what it returns."""
    address = make_url(url)
    engine = create_async_engine(address.set(drivername=DRIVERS[address.drivername]))
    try:
        async with engine.begin() as connection:
            wanted = text(statement) if isinstance(statement, str) else statement
            result = await connection.execute(wanted, values)
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        await engine.dispose()

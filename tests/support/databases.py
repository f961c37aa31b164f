"""Databases for tests, of the kind that `CRDT_TEST_BACKEND` names: see `backend`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Executable, make_url, text
from sqlalchemy.ext.asyncio import create_async_engine

from tests.support.postgres import shared_server

BACKEND = os.environ.get("CRDT_TEST_BACKEND", "sqlite")
ON_SQLITE = BACKEND == "sqlite"
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}

about_sqlite = pytest.mark.skipif(not ON_SQLITE, reason="is about the file of a SQLite database")


@contextmanager
def new_database(directory: Path) -> Iterator[str]:
    """The address of an empty database: a file in the directory, or one of the shared PostgreSQL."""
    if ON_SQLITE:
        yield f"sqlite:///{directory}/wedding.db"
    else:
        with shared_server().database() as url:
            yield url


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

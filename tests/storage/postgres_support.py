"""What the tests of PostgreSQL share: a server of their own, a second connection, and waiting for locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from storage import Append, ClientUser, DerivedRecords, DocumentKey, NewEvent, Storage, StoredRow

NOTE = DocumentKey("w_1", "notes")
OTHER = DocumentKey("w_2", "notes")
LONG = 3600.0
OVER = -1.0
WAIT_SECONDS = 30
HOLD_ROW = "INSERT INTO rows VALUES ('w_1', 'notes', 'r', 'held', '{}', '{}')"
"""Run in an open transaction, it stops an append with `HELD` in its middle."""

HELD = DerivedRecords(
    NOTE,
    [StoredRow("r", "held", '{"mine":1}', "{}")],
    [NewEvent("t", "2026-06-20T13:30:00Z", "r", "{}")],
    [ClientUser(7, "u")],
)


def batch(key: DocumentKey, first: int, *payloads: bytes) -> list[Append]:
    return [Append(key, seq, update) for seq, update in enumerate(payloads, first)]


async def contents(store: Storage, key: DocumentKey = NOTE) -> list[bytes]:
    return [row.update for row in (await store.load(key)).updates]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    """A connection past `storage`. Whatever the test did to it or to the server, it is gone afterwards."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        connection.terminate()


@asynccontextmanager
async def holding(url: str, statement: str) -> AsyncIterator[Any]:
    """A connection with an open transaction in which the statement was run, rolled back at the end unless committed."""
    async with connected(url) as connection:
        await connection.execute("BEGIN")
        await connection.execute(statement)
        yield connection


async def until_waiting(url: str, count: int = 1) -> None:
    """Return when so many connections to the database wait for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    # A connection outside of any transaction: inside, the server shows the same picture again and again.
    async with connected(url) as watching, asyncio.timeout(WAIT_SECONDS):
        while await watching.fetchval(query) != count:
            pass

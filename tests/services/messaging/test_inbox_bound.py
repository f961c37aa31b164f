"""The bytes of the inboxes of a wedding are bounded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, select

from crdt_server.counters import Counters
from crdt_server.services.messaging.inbox_bound import InboxBound
from crdt_server.services.messaging.wedding_bound import PART
from storage import Storage, StoredItem, open_storage
from storage.inbox import ITEM_BYTES, TRIMMED_AT_ONCE
from storage.messaging_tables import inbox

AT = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
TEXT = json.dumps({"text": "🌿" * 200}, ensure_ascii=False)
SIZE = ITEM_BYTES + len(TEXT.encode())


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Storage]:
    store = await open_storage(database_url, migrate=True)
    yield store
    await store.close()


async def add(store: Storage, wedding: str, first: int, count: int) -> list[tuple[str, StoredItem]]:
    """Items of two people in turns, as the router reports them."""
    numbers = range(first, first + count)
    items = [
        StoredItem(number, number, "message.sent", 3, "thread.t_1", f"m_{number}", TEXT, 1, AT) for number in numbers
    ]
    added = [("ada" if item.id % 2 else "bob", item) for item in items]
    rows = [{"wedding": wedding, "user": user, **item._asdict(), "count": 1} for user, item in added]
    for row in rows:
        del row["events"], row["read_at"], row["id"]
    await store._executor.write(lambda connection: connection.execute(insert(inbox), rows))
    return added


async def kept(store: Storage, wedding: str) -> list[int]:
    query = select(inbox.c.event).where(inbox.c.wedding == wedding).order_by(inbox.c.id)
    return await store._executor.read(lambda connection: list(connection.scalars(query)))


async def test_the_oldest_items_of_a_wedding_go(store: Storage) -> None:
    counters = Counters()
    bound = InboxBound(store, 100 * SIZE, counters)
    bound.added("small", await add(store, "small", 1, 100))
    number = TRIMMED_AT_ONCE + 150
    bound.added("large", await add(store, "large", 1, number))
    running = asyncio.create_task(bound.run())
    try:
        async with asyncio.timeout(60):
            while counters.inbox_trimmed < number - 100:
                await kept(store, "large")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert await kept(store, "large") == list(range(number - 99, number + 1))
    assert len(await kept(store, "small")) == 100


async def test_a_wedding_is_measured_when_much_was_added(store: Storage) -> None:
    """By what is added, whoever may have added the rest: an eighth of the bound."""
    bound = InboxBound(store, 80 * SIZE, Counters())
    await add(store, "w", 1, 200)  # by another node
    for number in range(80 // PART):
        bound.added("w", await add(store, "w", 201 + number, 1))
        await bound.trim()
        assert len(await kept(store, "w")) == 201 + number
    bound.added("w", await add(store, "w", 300, 1))
    await bound.trim()
    assert len(await kept(store, "w")) == 80


async def test_without_a_bound_nothing_goes(store: Storage) -> None:
    bound = InboxBound(store, 0, Counters())
    bound.added("w", await add(store, "w", 1, 50))
    await bound.trim()
    assert len(await kept(store, "w")) == 50

"""The messages of a wedding that are over are bounded, with the texts of dead ones."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from crdt_server.counters import Counters
from crdt_server.services.messaging.outbox_bound import OutboxBound
from storage import ClaimOf, DeliveryValues, MessageOutcome, NewMessage, Storage, open_storage
from storage.messaging_tables import outbox
from storage.outbox import DEAD, DROPPED, MESSAGE_CHARACTERS, NO_PARAMS, SENT, SLICE

AT = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)
TEXT = json.dumps({"text": "🌿" * 1_000}, ensure_ascii=False)
DEAD_SIZE = MESSAGE_CHARACTERS + len(TEXT)
SIZE = MESSAGE_CHARACTERS + len(NO_PARAMS)


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Storage]:
    store = await open_storage(database_url, migrate=True)
    yield store
    await store.close()


async def add(store: Storage, wedding: str, numbers: Sequence[int], state: str) -> list[DeliveryValues]:
    """Messages that are over, as the router reports them when they wait."""
    added = [
        NewMessage(f"{wedding} {number}", wedding, "whk_1", "webhook", number, "task.done", 2, "d", "r", TEXT, AT)
        for number in numbers
    ]
    await store.enqueue(added)
    claim = ClaimOf("webhook", len(added), 4, len(added))
    claimed, _ = await store.claim_messages("n", 60, [], [claim], AT, 7)
    outcomes = [MessageOutcome(each.id, state, "", AT) for each in claimed]
    await store.claim_messages("n", 60, outcomes, [], AT, 7)
    return [DeliveryValues(each) for each in added]


async def kept(store: Storage, wedding: str, state: str) -> list[int]:
    query = select(outbox.c.event).where(outbox.c.wedding == wedding, outbox.c.state == state).order_by(outbox.c.id)
    return await store._executor.read(lambda connection: list(connection.scalars(query)))


async def test_the_oldest_dead_messages_of_a_wedding_go(store: Storage) -> None:
    """Those of a wedding whose webhook refuses all of them were kept for thirty days, each with its texts."""
    counters = Counters()
    bound = OutboxBound(store, counters, 10 * DEAD_SIZE)
    bound.added("small", await add(store, "small", range(10), DEAD))
    bound.added("w", await add(store, "w", range(30), DEAD))
    await bound.trim()
    assert await kept(store, "w", DEAD) == list(range(20, 30))
    assert counters.outbox_trimmed == 20
    assert await kept(store, "small", DEAD) == list(range(10))
    (first, *_) = await store.messages("w", DEAD)
    assert await store.retry_dead("w", None, AT) == 10
    assert (await store.message(first.id) or first).params == TEXT, "what is kept can be sent once more"


async def test_what_was_sent_is_bounded_apart_from_what_is_dead(store: Storage) -> None:
    bound = OutboxBound(store, Counters(), 5 * DEAD_SIZE)
    number = SLICE + 5 * DEAD_SIZE // SIZE
    bound.added("w", await add(store, "w", range(2), DEAD))
    bound.added("w", await add(store, "w", range(2, number), SENT))
    bound.added("w", await add(store, "w", range(number, number + 5), DROPPED))
    await bound.trim()
    assert await kept(store, "w", DEAD) == [0, 1]
    done = await kept(store, "w", SENT) + await kept(store, "w", DROPPED)
    assert done == list(range(number + 5 - len(done), number + 5))
    assert len(done) == 5 * DEAD_SIZE // SIZE


async def test_what_waits_is_not_trimmed(store: Storage) -> None:
    bound = OutboxBound(store, Counters(), 2 * DEAD_SIZE)
    waiting = [NewMessage(f"k {n}", "w", "whk_1", "webhook", n, "task.done", 2, "d", "r", TEXT, AT) for n in range(9)]
    await store.enqueue(waiting)
    bound.added("w", [DeliveryValues(each) for each in waiting])
    await bound.trim()
    assert await kept(store, "w", "waiting") == list(range(9))

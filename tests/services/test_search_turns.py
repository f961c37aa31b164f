"""Searches wait for one another: one at a time, and those of one person behind the next of everybody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from crdt_server.services.search import SearchService
from storage import Append, DocumentKey, Storage, open_storage


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[Storage]:
    store = await open_storage(database_url, migrate=True)
    yield store
    await store.close()


async def test_searches_take_turns(store: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.append([Append(DocumentKey("w", "guests"), 1, b"a")])
    service, search, order, under_way = SearchService(store), store.search, list[str](), list[str]()

    async def alone(*arguments: Any, **options: Any) -> Any:
        under_way.append(order[-1])
        assert len(under_way) == 1
        found = await search(*arguments, **options)
        under_way.clear()
        return found

    async def find(person: str) -> None:
        def readable(_: str) -> bool:
            order.append(person)
            return True

        assert (await service.find("w", "cake", readable, 1 << 60, person)).found == []

    monkeypatch.setattr(store, "search", alone)
    await asyncio.gather(*map(find, ["ada"] * 4 + ["bob"] * 2 + ["cat"]))
    assert order[:3] == ["ada", "bob", "cat"]
    assert sorted(order) == ["ada"] * 4 + ["bob"] * 2 + ["cat"]

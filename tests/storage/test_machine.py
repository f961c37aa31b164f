"""The store against a dict: any order of appends, compactions, failures, cancellations and reopenings."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from storage import Append, DocumentKey, SequenceConflict, StoredUpdate, open_storage

T = TypeVar("T")
KEYS = [DocumentKey(wedding, name) for wedding in ("w_1", "w_2") for name in ("guests", "notes.a", "notes.b")]
some_key = st.sampled_from(KEYS)
some_bytes = st.binary(max_size=40)


class StorageMachine(RuleBasedStateMachine):
    scheme = "sqlite"

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.directory = tempfile.mkdtemp()
        self.url = f"{self.scheme}:///{Path(self.directory) / 'wedding.db'}"
        self.store = self.run(open_storage(self.url, synchronous="OFF", migrate=True))
        self.model: dict[DocumentKey, list[StoredUpdate]] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def head(self, key: DocumentKey) -> int:
        return self.model[key][-1].last_seq if key in self.model else 0

    def batch(self, items: list[tuple[DocumentKey, bytes]]) -> list[Append]:
        heads = {key: self.head(key) for key, _ in items}
        batch = []
        for key, update in items:
            heads[key] += 1
            batch.append(Append(key, heads[key], update))
        return batch

    def stored(self, batch: list[Append]) -> None:
        for item in batch:
            self.model.setdefault(item.key, []).append(StoredUpdate(item.seq, item.seq, item.update))

    @rule(items=st.lists(st.tuples(some_key, some_bytes), max_size=8))
    def append(self, items: list[tuple[DocumentKey, bytes]]) -> None:
        batch = self.batch(items)
        self.run(self.store.append(batch))
        self.stored(batch)

    @rule(items=st.lists(st.tuples(some_key, some_bytes), max_size=4), key=some_key, off=st.sampled_from([-3, -1, 1]))
    def append_out_of_turn(self, items: list[tuple[DocumentKey, bytes]], key: DocumentKey, off: int) -> None:
        batch = self.batch([*items, (key, b"wrong")])
        batch[-1] = Append(key, batch[-1].seq + off, b"wrong")
        with pytest.raises(SequenceConflict):
            self.run(self.store.append(batch))

    @rule(items=st.lists(st.tuples(some_key, some_bytes), min_size=1, max_size=4), turns=st.integers(0, 10))
    def append_cancelled(self, items: list[tuple[DocumentKey, bytes]], turns: int) -> None:
        batch = self.batch(items)

        async def cancel() -> bool:
            task = asyncio.create_task(self.store.append(batch))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            return (await self.store.load(batch[-1].key)).head_seq == batch[-1].seq

        if self.run(cancel()):
            self.stored(batch)

    @rule(items=st.lists(st.tuples(some_key, some_bytes), min_size=1, max_size=4))
    def append_by_another_process(self, items: list[tuple[DocumentKey, bytes]]) -> None:
        batch = self.batch(items)

        async def write() -> None:
            other = await open_storage(self.url, synchronous="OFF")
            await other.append(batch)
            await other.close()

        self.run(write())
        self.stored(batch)

    @rule(key=some_key, data=st.data(), update=some_bytes)
    def replace(self, key: DocumentKey, data: st.DataObject, update: bytes) -> None:
        first = data.draw(st.integers(0, self.head(key) + 1))
        last = data.draw(st.integers(0, self.head(key) + 1))
        rows = self.model.get(key, [])
        starts = [index for index, row in enumerate(rows) if row.first_seq == first]
        ends = [index for index, row in enumerate(rows) if row.last_seq == last]
        if starts and ends and starts[0] <= ends[0]:
            self.run(self.store.replace(key, first, last, update))
            rows[starts[0] : ends[0] + 1] = [StoredUpdate(first, last, update)]
        else:
            with pytest.raises(SequenceConflict):
                self.run(self.store.replace(key, first, last, update))

    @rule()
    def reopen(self) -> None:
        self.run(self.store.close())
        self.store = self.run(open_storage(self.url, synchronous="OFF"))

    @invariant()
    def equals_the_model(self) -> None:
        async def look() -> dict[DocumentKey, list[StoredUpdate]]:
            return {key: (await self.store.load(key)).updates async for key in self.store.keys()}  # noqa: SIM118 - no dict

        assert self.run(look()) == self.model

    def teardown(self) -> None:
        self.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.directory)


class AsyncStorageMachine(StorageMachine):
    scheme = "sqlite+aiosqlite"


ordinary = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestStorage = StorageMachine.TestCase
TestStorage.settings = ordinary
TestAsyncStorage = AsyncStorageMachine.TestCase
TestAsyncStorage.settings = settings(ordinary, max_examples=10)

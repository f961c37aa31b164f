"""What nodes that share a PostgreSQL do to one another: locks, takeovers, compaction; and what goes over the wire."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from storage import (
    Append,
    DerivedRecords,
    DocumentKey,
    NewEvent,
    NotOwner,
    Owner,
    SequenceConflict,
    Storage,
    StorageError,
    StorageUnavailable,
    StoredRow,
    open_storage,
    postgres_executor,
)
from storage.postgres_executor import PostgresExecutor
from storage.tables import metadata
from tests.contract.test_routing import item, page
from tests.storage.postgres_support import (
    HELD,
    HOLD_ROW,
    LONG,
    NOTE,
    OTHER,
    OVER,
    batch,
    connected,
    contents,
    holding,
    until_waiting,
)
from tests.support.databases import postgres_template
from tests.support.postgres import shared_server
from tests.support.rights import put_member
from tests.support.stored_rows import wedding_rows

EVENT = NewEvent("t", "2026-06-20T13:30:00Z", "r", "{}")


@pytest.fixture
def url() -> Iterator[str]:
    with shared_server().database(postgres_template("tables")) as fresh:
        yield fresh


@pytest.fixture
async def store(url: str) -> AsyncIterator[Storage]:
    opened = await open_storage(url)
    yield opened
    await opened.close()


@pytest.fixture
async def second(url: str) -> AsyncIterator[Storage]:
    opened = await open_storage(url)
    yield opened
    await opened.close()


class TestTakeover:
    @pytest.fixture(autouse=True)
    async def owned(self, store: Storage) -> None:
        await store.heartbeat("n_1", LONG)
        await store.heartbeat("n_2", LONG)
        await store.claim(["w_1", "w_2"], "n_1")

    async def test_waits_for_the_append_under_way(self, store: Storage, second: Storage, url: str) -> None:
        async with holding(url, HOLD_ROW):
            append = asyncio.create_task(store.append(batch(NOTE, 1, b"a"), [HELD], {"w_1": 1}, "n_1"))
            await until_waiting(url)
            await second.heartbeat("n_1", OVER)
            claim = asyncio.create_task(second.claim(["w_1"], "n_2"))
            await until_waiting(url, 2)
            assert not claim.done()
        assert await append == {"w_1": 1}
        assert await claim == [Owner("w_1", "n_2", 2)]
        assert await contents(second) == [b"a"]
        with pytest.raises(NotOwner):
            await store.append(batch(NOTE, 2, b"late"), (), {"w_1": 1}, "n_1")

    async def test_under_way_lets_no_append_through(self, store: Storage, url: str) -> None:
        async with holding(url, "UPDATE owners SET node = 'n_2', fence = 2 WHERE wedding = 'w_1'") as other:
            batch_of_two = [*batch(NOTE, 1, b"a"), *batch(OTHER, 1, b"b")]
            append = asyncio.create_task(store.append(batch_of_two, (), {"w_1": 1, "w_2": 1}, "n_1"))
            await until_waiting(url)
            await other.execute("COMMIT")
            with pytest.raises(NotOwner) as caught:
                await append
        assert caught.value.weddings == ("w_1",)
        assert await contents(store) == await contents(store, OTHER) == []

    async def test_that_comes_to_nothing_leaves_the_owner(self, store: Storage, url: str) -> None:
        async with holding(url, "UPDATE owners SET node = 'n_2', fence = 2 WHERE wedding = 'w_1'") as other:
            append = asyncio.create_task(store.append(batch(NOTE, 1, b"a"), (), {"w_1": 1}, "n_1"))
            await until_waiting(url)
            await other.execute("ROLLBACK")
            await append
        assert await contents(store) == [b"a"]

    async def test_of_other_weddings_does_not_wait(self, store: Storage, second: Storage, url: str) -> None:
        await store.heartbeat("n_1", OVER)
        async with holding(url, HOLD_ROW):
            append = asyncio.create_task(store.append(batch(NOTE, 1, b"a"), [HELD], {"w_1": 1}, "n_1"))
            await until_waiting(url)
            assert await second.claim(["w_2"], "n_2") == [Owner("w_2", "n_2", 2)]
            await second.append(batch(OTHER, 1, b"b"), (), {"w_2": 2}, "n_2")
            assert await second.owner("w_1") is None
        await append


class TestAppendsAtOnce:
    async def test_to_different_weddings_do_not_wait(self, store: Storage, second: Storage, url: str) -> None:
        async with holding(url, HOLD_ROW):
            append = asyncio.create_task(store.append(batch(NOTE, 1, b"a"), [HELD]))
            await until_waiting(url)
            await second.append(batch(OTHER, 1, b"b"), [DerivedRecords(OTHER, events=[EVENT])])
            assert await contents(second, OTHER) == [b"b"]
            assert await contents(second) == []
        await append

    async def test_what_one_stores_is_seen_together(self, store: Storage, second: Storage) -> None:
        pair = [NOTE, NOTE._replace(document="other")]
        writing = asyncio.create_task(_count_up(store, pair))
        seen = set()
        while not writing.done():
            now = {row.fields for _, row in await wedding_rows(second, "w_1")}
            assert len(now) <= 1
            seen |= now
        await writing
        assert len(seen) > 1

    async def test_to_one_document_one_wins(self, store: Storage, second: Storage, url: str) -> None:
        async with holding(url, HOLD_ROW):
            first = asyncio.create_task(store.append(batch(NOTE, 1, b"first"), [HELD]))
            await until_waiting(url)
            late = asyncio.create_task(second.append(batch(NOTE, 1, b"late")))
            await until_waiting(url, 2)
        await first
        with pytest.raises(SequenceConflict) as caught:
            await late
        assert caught.value.document == str(NOTE)
        assert await contents(store) == [b"first"]

    async def test_a_stale_one_fails_though_compaction_has_removed_what_it_would_meet(
        self, store: Storage, second: Storage, url: str
    ) -> None:
        await store.append(batch(NOTE, 1, b"a"))
        async with holding(url, "SELECT FROM owners WHERE wedding = 'w_1' FOR UPDATE") as other:
            late = asyncio.create_task(second.append(batch(NOTE, 2, b"late")))
            await until_waiting(url)
            # Behind the lock: what the waiting one would find, had it looked before.
            await other.execute("UPDATE updates SET last_seq = 2")
            await other.execute("COMMIT")
            with pytest.raises(SequenceConflict):
                await late
        assert [row.last_seq for row in (await store.load(NOTE)).updates] == [2]

    async def test_over_overlapping_weddings_none_waits_in_a_circle(self, url: str) -> None:
        stores = [await open_storage(url) for _ in range(6)]
        keys = [DocumentKey(f"w_{wedding}", f"notes.{name}") for wedding in range(5) for name in range(2)]
        outcomes = await asyncio.gather(*(_write_a_lot(each, keys, seed) for seed, each in enumerate(stores)))
        written = sum(outcomes)
        heads = [(await stores[0].load(key)).head_seq for key in keys]
        assert sum(heads) == written
        for wedding in range(5):
            events = await stores[0].events(f"w_{wedding}", limit=10_000)
            assert [event.seq for event in events] == list(range(1, sum(heads[2 * wedding : 2 * wedding + 2]) + 1))
        await asyncio.gather(*(each.close() for each in stores))


async def _count_up(store: Storage, keys: list[DocumentKey]) -> None:
    for number in range(1, 61):
        rows = [StoredRow("r", "count", f"{number}", "{}")]
        await store.append([Append(key, number, b"x") for key in keys], [DerivedRecords(key, rows) for key in keys])


async def _write_a_lot(store: Storage, keys: list[DocumentKey], seed: int) -> int:
    """Append to several documents at a time, in any order, until it has worked twenty times; how many updates."""
    chance = random.Random(seed)
    heads = dict.fromkeys(keys, 0)
    written = done = 0
    while done < 20:
        chosen = chance.sample(keys, chance.randint(1, 4))
        try:
            await store.append(
                [Append(key, heads[key] + 1, b"x") for key in chosen],
                [DerivedRecords(key, events=[EVENT]) for key in chosen],
            )
        except SequenceConflict:
            heads.update({key: (await store.load(key)).head_seq for key in chosen})
            continue
        heads.update({key: heads[key] + 1 for key in chosen})
        written, done = written + len(chosen), done + 1
    return written


class TestCompaction:
    @pytest.fixture(autouse=True)
    async def five(self, store: Storage) -> None:
        await store.append(batch(NOTE, 1, b"a", b"b", b"c", b"d", b"e"))

    async def test_holds_up_no_append(self, store: Storage, second: Storage, url: str) -> None:
        async with holding(url, "DELETE FROM updates WHERE first_seq BETWEEN 2 AND 5") as other:
            await other.execute("UPDATE updates SET last_seq = 5")
            await second.append(batch(NOTE, 6, b"f"))
            assert await contents(second) == [b"a", b"b", b"c", b"d", b"e", b"f"]
            await other.execute("COMMIT")
        assert [(row.first_seq, row.last_seq) for row in (await store.load(NOTE)).updates] == [(1, 5), (6, 6)]
        await second.append(batch(NOTE, 7, b"g"))

    async def test_of_two_that_overlap_one_wins(self, store: Storage, url: str) -> None:
        async with holding(url, "DELETE FROM updates WHERE first_seq BETWEEN 2 AND 5") as other:
            await other.execute("UPDATE updates SET last_seq = 5")
            late = asyncio.create_task(store.replace(NOTE, 2, 4, b"bcd"))
            await until_waiting(url)
            await other.execute("COMMIT")
            with pytest.raises(SequenceConflict):
                await late
        assert [(row.first_seq, row.last_seq) for row in (await store.load(NOTE)).updates] == [(1, 5)]

    async def test_beside_appends_of_another_node(self, store: Storage, second: Storage) -> None:
        async def compact() -> None:
            last = 6
            while last < 60:
                try:
                    await second.replace(NOTE, 1, last - 1, b"merged")
                    last += 1
                except SequenceConflict:
                    continue  # ahead of the writer: the row is not there yet

        async def write() -> None:
            for seq in range(6, 60):
                await store.append(batch(NOTE, seq, b"x"))

        await asyncio.gather(write(), compact())
        document = await store.load(NOTE)
        assert document.head_seq == 59

    async def test_updates_after_are_whole_while_rows_become_one(self, store: Storage, second: Storage) -> None:
        async def look() -> None:
            for _ in range(60):
                rows = await second.updates_after(NOTE, 3)
                assert rows[0].first_seq <= 4

        async def write() -> None:
            for seq in range(6, 40):
                await store.append(batch(NOTE, seq, b"x"))
                await store.replace(NOTE, 1, seq - 1, b"merged")

        await asyncio.gather(look(), write())


class TestWire:
    async def test_an_append_goes_to_the_server_and_back_once(self, store: Storage, url: str) -> None:
        documents = [DocumentKey(f"w_{number % 7}", f"notes.{number}") for number in range(40)]
        derived = [DerivedRecords(key, HELD.rows, HELD.events, HELD.owners) for key in documents]
        await store.heartbeat("n_1", LONG)
        owners = await store.claim([f"w_{number}" for number in range(7)], "n_1")
        fences = {owner.wedding: owner.fence for owner in owners}
        await store.append([Append(key, 1, b"x") for key in documents], derived, fences, "n_1")
        assert (
            await _statements(url, store.append([Append(key, 2, b"x") for key in documents], derived, fences, "n_1"))
            == 1
        )
        assert await _statements(url, store.claim(["w_0", "w_1", "w_new"], "n_1")) == 1
        await store.load(NOTE)
        assert await _statements(url, store.load(documents[0])) == 1

    async def test_what_is_promised_of_every_connection(self, url: str) -> None:
        for setting, commit in (("FULL", "on"), ("extra", "on"), ("NORMAL", "off"), ("OFF", "off")):
            store = await open_storage(url, synchronous=setting)
            executor = store._executor
            assert isinstance(executor, PostgresExecutor)
            expected = {"synchronous_commit": commit, "statement_timeout": "10s", "jit": "off"}
            for run in (executor.read, executor.write, executor.write_at_once):
                assert {name: await run(_show(name)) for name in expected} == expected
            await store.append(batch(NOTE, 1 + (await store.load(NOTE)).head_seq, b"a"))
            held = executor._held = await executor._take_held()
            assert {name: await held[1].fetchval(f"SHOW {name}") for name in expected} == expected
            await store.close()

    async def test_a_reader_cannot_write(self, store: Storage) -> None:
        with pytest.raises(StorageUnavailable, match="read-only"):
            await store._executor.read(lambda connection: connection.exec_driver_sql("DELETE FROM documents"))

    async def test_the_driver_may_be_named(self, url: str) -> None:
        store = await open_storage(url.replace("postgresql:", "postgresql+asyncpg:") + "?sslmode=disable")
        await store.append(batch(NOTE, 1, b"a"))
        await store.close()

    async def test_without_the_driver_it_says_what_to_install(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(postgres_executor, "find_spec", lambda _: None)
        with pytest.raises(StorageError, match=r"crdt-server\[postgres\]"):
            await open_storage(url)

    @pytest.mark.parametrize("query", ["sslmode=perhaps", "options=-c%20fsync=off"])
    async def test_addresses_that_make_no_sense(self, url: str, query: str) -> None:
        with pytest.raises(StorageError):
            await open_storage(f"{url}?{query}")

    @pytest.mark.parametrize("name", ["nowhere", "Robert'); DROP TABLE"])
    async def test_a_database_that_does_not_exist(self, url: str, name: str) -> None:
        with pytest.raises(StorageUnavailable, match="does not exist"):
            await open_storage(url.rpartition("/")[0] + "/" + name, migrate=True)


async def _statements(url: str, call: Any) -> int:
    """How many statements the call sends; BEGIN and COMMIT count, what functions do does not."""
    async with connected(url) as other:
        await other.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        mine = "dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND query NOT LIKE '%stat_st%'"
        count = f"SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE {mine}"  # noqa: S608 - ours
        before = await other.fetchval(count)
        await call
        return int(await other.fetchval(count) - before)


def _show(name: str) -> Any:
    return lambda connection: connection.exec_driver_sql(f"SHOW {name}").scalar()


async def test_the_migrated_schema_is_the_declared_one(store: Storage) -> None:
    def look(connection: Connection) -> None:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        # Names are in order of their code points, whatever the locale of the database.
        query = "SELECT DISTINCT collation_name FROM information_schema.columns WHERE character_maximum_length = 255"
        assert connection.scalars(text(query)).all() == ["C"]

    await store._executor.read(look)


async def test_a_page_that_has_waited_is_decided_about_again_by_new_rights(store: Storage, url: str) -> None:
    """Who was removed in the meantime had an item in the inbox."""
    await put_member(store, "u_1", "planner", wedding="w_42")
    await store.store_routed([page(0, 1, item(1), version=1)])
    async with holding(url, "SELECT seq FROM routed FOR UPDATE") as other:
        await other.execute("UPDATE rights SET version = version + 1")
        waits = asyncio.create_task(store.store_routed([page(1, 2, item(2), version=1)]))
        await until_waiting(url)
        await other.execute("COMMIT")
        assert await waits == []
    assert [each.event for each in await store.inbox("w_42", "u_1")] == [1]

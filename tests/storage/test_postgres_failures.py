"""What a bad day of PostgreSQL does to the store: killed, stopped, restarted, cut off, frozen, full. Real servers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from storage import (
    Append,
    ClientUser,
    DerivedRecords,
    NewEvent,
    SequenceConflict,
    Storage,
    StorageUnavailable,
    Timeouts,
    ValuesRefused,
    open_storage,
    postgres_executor,
)
from tests.storage.postgres_support import HELD, HOLD_ROW, NOTE, batch, connected, contents, holding, until_waiting
from tests.support.postgres import PostgresServer
from tests.support.proxy import CuttingProxy

SHORT = Timeouts(connect_seconds=0.5, call_seconds=0.5)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Not the one that all share: here it is killed."""
    own = PostgresServer()
    own.start()
    yield own
    own.close()


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    with server.database() as fresh:
        yield fresh


@pytest.fixture
async def store(url: str) -> AsyncIterator[Storage]:
    opened = await open_storage(url, migrate=True)
    yield opened
    await opened.close()


@pytest.fixture
async def hasty(store: Storage, url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Storage]:
    """A store that waits only shortly."""
    monkeypatch.setattr(postgres_executor, "GRACE_SECONDS", 0.2)
    opened = await open_storage(url, timeouts=SHORT)
    await opened.append(batch(NOTE, 1, b"a"))
    yield opened
    await opened.close()


async def warm(store: Storage) -> None:
    """Open connections for whatever comes."""
    await store.append(batch(NOTE, 1, b"a"))
    await store.probe_write()
    await store.quarantined()


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_after_a_restart_everything_works_by_itself(store: Storage, server: PostgresServer, how: str) -> None:
    await warm(store)
    getattr(server, how)()
    server.start()
    # The loop has not run since: that the connections have ended is to be seen at the sockets only.
    await store.append(batch(NOTE, 2, b"b"))
    await store.probe_write()
    assert await contents(store) == [b"a", b"b"]


async def test_while_it_is_away_every_call_says_so(store: Storage, server: PostgresServer, url: str) -> None:
    await warm(store)
    server.stop()
    try:
        for attempt in (store.load(NOTE), store.append(batch(NOTE, 2, b"b")), store.probe_write(), open_storage(url)):
            with pytest.raises(StorageUnavailable):
                await attempt
    finally:
        server.start()
    assert await contents(store) == [b"a"]
    await store.append(batch(NOTE, 2, b"b"))


@pytest.mark.parametrize("how", ["kill", "stop"])
async def test_it_ends_in_the_middle_of_an_append(store: Storage, server: PostgresServer, url: str, how: str) -> None:
    await store.append(batch(NOTE, 1, b"a"))
    async with holding(url, HOLD_ROW):
        append = asyncio.create_task(store.append(batch(NOTE, 2, b"b"), [HELD]))
        await until_waiting(url)
        getattr(server, how)()
        (failed,) = await asyncio.gather(append, return_exceptions=True)
    server.start()
    if how == "stop" and not isinstance(failed, BaseException):
        # The connection that held the row was ended first.
        assert await contents(store) == [b"a", b"b"]
        return
    assert isinstance(failed, StorageUnavailable)
    assert await contents(store) == [b"a"]
    assert await store.append(batch(NOTE, 2, b"b"), [HELD]) == {"w_1": 1}


async def test_its_connection_is_ended_in_the_middle_of_an_append(store: Storage, url: str) -> None:
    async with holding(url, HOLD_ROW) as other:
        append = asyncio.create_task(store.append(batch(NOTE, 1, b"a"), [HELD]))
        await until_waiting(url)
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        with pytest.raises(StorageUnavailable, match="administrator"):
            await append
    assert await contents(store) == []
    await store.append(batch(NOTE, 1, b"a"), [HELD])


async def test_a_server_that_is_stopped_holds_nobody_up(hasty: Storage, server: PostgresServer, url: str) -> None:
    server.pause()
    try:
        async with asyncio.timeout(10):
            for attempt in (hasty.append(batch(NOTE, 2, b"b")), hasty.load(NOTE), hasty.probe_write()):
                with pytest.raises(StorageUnavailable):
                    await attempt
            with pytest.raises(StorageUnavailable, match="reached"):
                await open_storage(url, timeouts=SHORT)
            with pytest.raises(StorageUnavailable):
                await hasty.append(batch(NOTE, 2, b"b"))
    finally:
        server.resume()
    # Nobody knows whether the first was stored: it was sent.
    stored = await contents(hasty)
    assert stored in ([b"a"], [b"a", b"b"])
    await hasty.append(batch(NOTE, len(stored) + 1, b"c"))


async def test_a_stopped_server_does_not_hold_up_closing(
    url: str, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_executor, "GRACE_SECONDS", 0.2)
    store = await open_storage(url, migrate=True)
    await warm(store)
    server.pause()
    try:
        async with asyncio.timeout(5):
            await store.close()
    finally:
        server.resume()


async def test_an_append_that_waits_too_long_stores_nothing(hasty: Storage, url: str) -> None:
    async with holding(url, HOLD_ROW):
        first = asyncio.create_task(hasty.append(batch(NOTE, 2, b"b"), [HELD]))
        await until_waiting(url)
        # What waits for its turn is refused in time too, and what has nothing to do with it goes on.
        await hasty.heartbeat("n_1", 60)
        assert await hasty.nodes() == ["n_1"]
        with pytest.raises(StorageUnavailable, match="statement timeout"):
            await first
    assert await contents(hasty) == [b"a"]
    assert await hasty.append(batch(NOTE, 2, b"b"), [HELD]) == {"w_1": 1}


async def test_appends_behind_one_that_waits_are_refused_in_time(hasty: Storage, url: str) -> None:
    async with holding(url, HOLD_ROW):
        appends = [hasty.append(batch(NOTE, 2, b"b"), [HELD])]
        appends += [hasty.append(batch(NOTE, 3, b"c")) for _ in range(20)]
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(*appends, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {StorageUnavailable, SequenceConflict}
    assert await contents(hasty) == [b"a"]


class TestWire:
    @pytest.fixture
    async def proxy(self, server: PostgresServer) -> AsyncIterator[CuttingProxy]:
        async with CuttingProxy(server.port) as between:
            yield between

    @pytest.fixture
    async def far(
        self, hasty: Storage, url: str, server: PostgresServer, proxy: CuttingProxy
    ) -> AsyncIterator[Storage]:
        opened = await open_storage(url.replace(f":{server.port}/", f":{proxy.port}/"), timeouts=SHORT)
        await opened.append(batch(NOTE, 2, b"b"))
        yield opened
        await opened.close()

    async def test_cut_in_the_middle_of_an_append(
        self, far: Storage, hasty: Storage, proxy: CuttingProxy, url: str
    ) -> None:
        async with holding(url, HOLD_ROW):
            append = asyncio.create_task(far.append(batch(NOTE, 3, b"c"), [HELD]))
            await until_waiting(url)
            proxy.cut()
            with pytest.raises(StorageUnavailable):
                await append
            with pytest.raises(StorageUnavailable, match="reached"):
                await far.load(NOTE)
            await until_waiting(url, 0)
        # The server did not notice before its statement was over; the outcome is one or the other, never half.
        stored = await contents(hasty)
        assert await hasty.event_head("w_1") == len(stored) - 2
        await proxy.heal()
        await far.append(batch(NOTE, len(stored) + 1, b"d"))

    async def test_frozen(self, far: Storage, proxy: CuttingProxy) -> None:
        proxy.freeze()
        async with asyncio.timeout(10):
            for attempt in (far.append(batch(NOTE, 3, b"c")), far.load(NOTE), far.append(batch(NOTE, 3, b"c"))):
                with pytest.raises(StorageUnavailable):
                    await attempt
        await proxy.heal()
        async with asyncio.timeout(10):
            while not await self._appended(far):  # what was on its way may arrive at any moment now, and count
                pass

    async def _appended(self, far: Storage) -> bool:
        stored = await contents(far)
        assert stored in ([b"a", b"b"], [b"a", b"b", b"c"])
        try:
            await far.append(batch(NOTE, len(stored) + 1, b"d"))
        except SequenceConflict:
            return False
        assert await contents(far) == [*stored, b"d"]
        return True


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 20])
async def test_a_cancelled_append_leaves_no_transaction(store: Storage, url: str, turns: int) -> None:
    append = asyncio.create_task(store.append(batch(NOTE, 1, b"a", b"b"), [HELD]))
    for _ in range(turns):
        await asyncio.sleep(0)
    append.cancel()
    with pytest.raises(asyncio.CancelledError):
        await append
    async with connected(url) as other:
        open_transactions = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE '%transaction%'"
        assert await other.fetchval(open_transactions) == 0
        assert (
            await other.fetchval("SELECT count(*) FROM pg_locks WHERE mode LIKE '%Exclusive%' AND relation > 16384")
            == 0
        )
    stored = await contents(store)
    assert stored in ([], [b"a", b"b"])
    assert await store.event_head("w_1") == len(await store.document_rows(NOTE)) == len(stored) / 2
    await store.append(batch(NOTE, len(stored) + 1, b"c"))


async def test_a_cancelled_append_waits_for_its_outcome(store: Storage, url: str) -> None:
    async with holding(url, HOLD_ROW):
        append = asyncio.create_task(store.append(batch(NOTE, 1, b"a"), [HELD]))
        await until_waiting(url)
        append.cancel()
        await asyncio.sleep(0)
        assert not append.done()
    with pytest.raises(asyncio.CancelledError):
        await append
    assert await contents(store) == [b"a"]


async def test_a_cancelled_read_gives_its_connection_back(store: Storage) -> None:
    await warm(store)
    for turns in range(30):
        reading = asyncio.create_task(store.load(NOTE))
        for _ in range(turns):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
    assert await contents(store) == [b"a"]


async def test_a_full_disk_refuses_and_recovers() -> None:
    # The log is written in pieces of 16 MiB, and no file may become larger than 20 MiB.
    server = PostgresServer(file_limit_bytes=20 << 20)
    server.start()
    try:
        store = await open_storage(server.url, migrate=True)
        await store.append(batch(NOTE, 1, b"a"))
        large = [Append(NOTE, seq, os.urandom(1 << 20)) for seq in range(2, 32)]
        events = [DerivedRecords(NOTE, events=[NewEvent("t", "2026-06-20T13:30:00Z", "r", "{}")])]
        for _ in range(2):
            with pytest.raises(StorageUnavailable, match="File too large"):
                await store.append(large, events)
        assert await contents(store) == [b"a"]
        await store.vacuum()
        assert await store.append(large[:2], events) == {"w_1": 1}
        assert (await store.load(NOTE)).head_seq == 3
        await store.close()
    finally:
        server.close()


@pytest.mark.parametrize("bad", ["\x00", "w\x00", "\ud800"])
async def test_texts_it_cannot_hold_are_refused_whole(store: Storage, bad: str) -> None:
    key = NOTE._replace(document=bad)
    for attempt in (
        store.append([*batch(NOTE, 1, b"a"), Append(key, 1, b"a")]),
        store.append(batch(NOTE, 1, b"a"), [DerivedRecords(NOTE, owners=[ClientUser(1, bad)])]),
        store.load(key),
        store.heartbeat(bad, 1),
    ):
        with pytest.raises(ValuesRefused):
            await attempt
    assert await contents(store) == []

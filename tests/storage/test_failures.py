"""What SQLite does on a bad day, on real files: locked, read-only, full, damaged, killed. And: cancelled callers."""

import asyncio
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from storage import (
    Append,
    CorruptDocument,
    DerivedRecords,
    DocumentKey,
    NewAuditEntry,
    NewDevice,
    NewEvent,
    SequenceConflict,
    Storage,
    StorageUnavailable,
    StoredRow,
    StoredUpdate,
    migrate,
    open_storage,
    sqlite_executors,
)

NOTE = DocumentKey("w_42", "notes.hello")
FACTS = DerivedRecords(NOTE, [StoredRow("r", "r_1", "{}", "{}")], [NewEvent("t", "2026-06-20T13:30:00Z", "r_1", "{}")])
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["sqlite", "sqlite+aiosqlite"])
def url(request: pytest.FixtureRequest, path: Path) -> str:
    return f"{request.param}:///{path}"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wedding.db"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Storage]:
    opened = await open_storage(url, migrate=True)
    yield opened
    await opened.close()


async def test_locked_by_another_process(url: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(url)
    monkeypatch.setattr(sqlite_executors, "BUSY_TIMEOUT_MS", 20)
    store = await open_storage(url)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable, match="locked"):
            await store.append([Append(NOTE, 1, b"a")])
        with pytest.raises(StorageUnavailable, match="locked"):
            await store.probe_write()
        assert (await store.load(NOTE)).head_seq == 0
        other.execute("ROLLBACK")
    await store.append([Append(NOTE, 1, b"a")])
    assert (await store.load(NOTE)).head_seq == 1
    await store.close()


async def test_codes_that_are_none_take_no_lock(url: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(url)
    monkeypatch.setattr(sqlite_executors, "BUSY_TIMEOUT_MS", 20)
    store = await open_storage(url)
    now, entry = datetime(2026, 6, 20, tzinfo=UTC), NewAuditEntry("2026-06-20T13:30:00Z", "u", "session.opened", "{}")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert await store.accept("code", NewDevice("d_1", "", "token"), lambda *_: entry, now, now) is None
        assert await store.refresh("token", "next", now, now, lambda _: entry) is None
        other.execute("ROLLBACK")
    await store.close()


async def test_a_long_read_holds_up_nobody(store: Storage, path: Path) -> None:
    await store.append([Append(NOTE, 1, b"a")])
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        rows = reader.execute("SELECT * FROM updates")
        await store.append([Append(NOTE, 2, b"b")])
        await store.replace(NOTE, 1, 2, b"ab")
        assert (await store.load(NOTE)).head_seq == 2
        assert len(rows.fetchall()) == 1


async def test_read_only(url: str, path: Path) -> None:
    await migrate(url)
    writable = await open_storage(url)
    await writable.append([Append(NOTE, 1, b"a")])
    scheme = url.partition(":")[0]
    store = await open_storage(f"{scheme}:///file:{path}?mode=ro&uri=true")
    for attempt in (store.append([Append(NOTE, 2, b"b")]), store.probe_write(), store.replace(NOTE, 1, 1, b"c")):
        with pytest.raises(StorageUnavailable, match="readonly"):
            await attempt
    assert (await store.load(NOTE)).updates == [StoredUpdate(1, 1, b"a")]
    await store.close()
    await writable.close()


async def test_a_directory_that_does_not_exist(url: str) -> None:
    with pytest.raises(StorageUnavailable, match="unable to open"):
        await migrate(url.replace("wedding.db", "nowhere/wedding.db"))
    # The thread of an aiosqlite connection that failed to open has one more thing to tell the loop.
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            await asyncio.to_thread(thread.join, 10)


async def test_a_file_that_is_no_database(url: str, path: Path) -> None:
    path.write_bytes(b"Dearly beloved, " * 1_000)
    with pytest.raises(StorageUnavailable, match="not a database"):
        await open_storage(url)
    assert path.read_bytes() == b"Dearly beloved, " * 1_000


async def test_a_flipped_bit_in_the_file(url: str, path: Path) -> None:
    store = await open_storage(url, migrate=True)
    await store.append([Append(NOTE, 1, b"first"), Append(NOTE, 2, b"the bit that flips"), Append(NOTE, 3, b"third")])
    await store.close()
    content = path.read_bytes()
    assert content.count(b"the bit that flips") == 1
    path.write_bytes(content.replace(b"the bit that flips", b"the bit that flipr"))
    store = await open_storage(url)
    with pytest.raises(CorruptDocument) as caught:
        await store.load(NOTE)
    assert caught.value.seq == 2
    await store.close()


async def test_a_damaged_page(url: str, path: Path) -> None:
    store = await open_storage(url, migrate=True)
    await store.append([Append(NOTE, seq, os.urandom(500)) for seq in range(1, 200)])
    await store.close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size - 80_000)  # the updates were written last
        file.write(os.urandom(40_000))
    store = await open_storage(url)
    with pytest.raises((StorageUnavailable, CorruptDocument)):
        await store.load(NOTE)
    await store.close()


@pytest.mark.parametrize("turns", range(12))
async def test_a_cancelled_append_leaves_no_transaction(store: Storage, path: Path, turns: int) -> None:
    append = asyncio.create_task(store.append([Append(NOTE, 1, b"a"), Append(NOTE, 2, b"b")], [FACTS]))
    for _ in range(turns):
        await asyncio.sleep(0)
    if append.cancel():  # on a slow machine it has ended by now
        with pytest.raises(asyncio.CancelledError):
            await append
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")  # fails if anybody still has a transaction open
        other.execute("ROLLBACK")
    head = (await store.load(NOTE)).head_seq
    assert head in (0, 2)
    assert await store.event_head("w_42") == len(await store.document_rows(NOTE)) == head / 2
    await store.append([Append(NOTE, head + 1, b"c")])
    assert (await store.load(NOTE)).head_seq == head + 1


async def test_an_append_cancelled_while_it_waits_for_a_lock(store: Storage, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        append = asyncio.create_task(store.append([Append(NOTE, 1, b"a")]))
        queued = asyncio.create_task(store.append([Append(NOTE, 2, b"b")]))
        for _ in range(20):
            await asyncio.sleep(0)
        append.cancel()
        other.execute("ROLLBACK")
    with pytest.raises(asyncio.CancelledError):
        await append
    head = (await store.load(NOTE)).head_seq
    (outcome,) = await asyncio.gather(queued, return_exceptions=True)
    assert outcome == {} or isinstance(outcome, SequenceConflict)
    head = (await store.load(NOTE)).head_seq
    await store.append([Append(NOTE, head + 1, b"c")])


DISK_FULL = """
import asyncio, os, resource, sys
from storage import Append, DocumentKey, NewEvent, DerivedRecords, StorageUnavailable, open_storage

async def main(url, path):
    store = await open_storage(url, migrate=True)
    key = DocumentKey("w", "notes.full")
    await store.append([Append(key, 1, b"a" * 1000)])
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    largest = max(os.stat(path).st_size, os.stat(path + "-wal").st_size)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 20_000, hard))
    batch = [Append(key, 2, b"b"), Append(DocumentKey("w", "notes.new"), 1, b"c")]
    derived = [DerivedRecords(key, events=[NewEvent("t", "2026-06-20T13:30:00Z", "r_1", "b" * 2_000_000)])]
    for attempt in range(3):
        try:
            await store.append(batch, derived)
        except StorageUnavailable as error:
            print("refused", error)
    assert (await store.load(key)).head_seq == 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert await store.event_head("w") == 0
    assert await store.append(batch, derived) == {"w": 1}
    await store.probe_write()
    document = await store.load(key)
    print("stored", document.head_seq, document.size_bytes, len([key async for key in store.keys()]))
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_full_disk_refuses_and_recovers(url: str, path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DISK_FULL, url, str(path)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["refused", "refused", "refused", "stored"], lines
    assert lines[-1] == "stored 2 1001 2"


WRITER = """
import asyncio, sys
from storage import Append, DocumentKey, NewEvent, DerivedRecords, StoredRow, open_storage

def derived(item):
    rows = [StoredRow("root", "newest", f"{item.seq}", "{}")]
    return DerivedRecords(item.key, rows, [NewEvent("t", "2026-06-20T13:30:00Z", "newest", f"{item.seq}")])

async def main(url):
    store = await open_storage(url)
    keys = [DocumentKey("w", f"notes.{number}") for number in range(5)]
    heads = {key: (await store.load(key)).head_seq for key in keys}
    while True:
        for turn in range(1, 8):
            batch = []
            for key in keys[:turn]:
                heads[key] += 1
                batch.append(Append(key, heads[key], b"%d" % heads[key]))
            await store.append(batch, [derived(item) for item in batch])
            if turn == 7:
                await store.replace(keys[0], 1, heads[keys[0]], b"merged")
            print(" ".join(f"{item.key.document}={item.seq}" for item in batch), flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_what_was_acknowledged_survives_kill_9(url: str) -> None:
    await migrate(url)
    acknowledged: dict[str, int] = {}
    for lines in (1, 40, 173):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, url], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        heard = [writer.stdout.readline() for _ in range(lines)]
        writer.send_signal(signal.SIGKILL)
        heard += writer.stdout.readlines()
        writer.stdout.close()
        assert writer.wait() == -signal.SIGKILL
        for line in heard:
            if line.endswith("\n"):
                acknowledged.update({name: int(seq) for name, seq in re.findall(r"(\S+)=(\d+)", line)})
        store = await open_storage(url)
        happened = await store.events("w", limit=100_000)
        assert [event.seq for event in happened] == list(range(1, len(happened) + 1))
        for name, seq in acknowledged.items():
            head = (await store.load(DocumentKey("w", name))).head_seq
            assert head >= seq
            # What followed from the updates is there exactly as far as they are.
            assert [row.fields for row in await store.document_rows(DocumentKey("w", name))] == [f"{head}"]
            bodies = [int(event.body) for event in happened if event.document == name]
            assert bodies == list(range(1, head + 1))
        await store.close()

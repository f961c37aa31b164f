"""Checkpoints beside the writer: pages reach the database file without a commit that moves them."""

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event

from storage import Append, DocumentKey, migrate, open_storage, sqlite_executors
from storage.checkpoints import PAGES, PAGES_OF_A_TRANSACTION, Checkpointer

NOTE = DocumentKey("w_42", "notes.hello")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wedding.db"


def updates_in_file(path: Path) -> int:
    """The updates in a database file, without its write-ahead log."""
    alone = path.with_name("alone.db")
    shutil.copy(path, alone)
    with closing(sqlite3.connect(alone)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM updates").fetchone()
    return int(count)


async def test_pages_reach_the_file_beside_the_writer(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(f"sqlite:///{path}")
    monkeypatch.setattr(sqlite_executors, "CHECKPOINT_PAGES", 1_000_000)  # no commit moves them
    store = await open_storage(f"sqlite:///{path}")
    await store.append([Append(NOTE, number, b"x") for number in range(1, 101)])
    executor = store._executor
    assert isinstance(executor, sqlite_executors.ThreadExecutor)
    assert updates_in_file(path) == 0
    executor._checkpointer.close()
    assert updates_in_file(path) == 100
    await store.close()


async def test_the_log_begins_anew_behind_a_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await migrate(f"sqlite:///{path}")
    monkeypatch.setattr(sqlite_executors, "CHECKPOINT_PAGES", 1_000_000)
    store = await open_storage(f"sqlite:///{path}")
    log = path.with_name("wedding.db-wal")
    await store.append([Append(NOTE, number, bytes(4096)) for number in range(1, 101)])
    size = log.stat().st_size
    executor = store._executor
    assert isinstance(executor, sqlite_executors.ThreadExecutor)
    executor._checkpointer.close()
    await store.append([Append(NOTE, number, bytes(4096)) for number in range(101, 181)])
    assert log.stat().st_size == size  # the new pages lie where the old ones were
    await store.close()
    assert updates_in_file(path) == 180


def test_a_checkpoint_is_due_when_so_many_rows_were_written(path: Path) -> None:
    engine, begun = create_engine(f"sqlite:///{path}"), threading.Event()
    event.listen(engine, "connect", lambda *_: begun.set())
    checkpointer = Checkpointer(engine)
    with closing(sqlite3.connect(":memory:")) as writer:
        write(writer, PAGES // 2)
        checkpointer.count(writer)
        assert checkpointer.pages == PAGES // 2 + PAGES_OF_A_TRANSACTION
        write(writer, PAGES // 2)
        checkpointer.count(writer)
        assert checkpointer.pages == 0
    assert begun.wait(60)
    checkpointer.close()


def test_what_was_written_during_a_checkpoint_is_in_the_last_one(path: Path) -> None:
    engine, checkpoints = create_engine(f"sqlite:///{path}", pool_size=1), list[bool]()
    checkpointer = Checkpointer(engine)
    closing_thread = threading.Thread(target=checkpointer.close)

    @event.listens_for(engine, "checkout")
    def close_meanwhile(*_: object) -> None:
        if not checkpoints:
            closing_thread.start()
            assert checkpointer._due.wait(60)
        checkpoints.append(True)

    with closing(sqlite3.connect(":memory:")) as writer:
        write(writer, PAGES)
        checkpointer.count(writer)
    checkpointer._thread.join(60)
    closing_thread.join(60)
    assert len(checkpoints) == 2


def test_a_database_that_cannot_be_read_ends_nothing(path: Path) -> None:
    path.write_bytes(b"not a database" * 1_000)
    engine, begun = create_engine(f"sqlite:///{path}", pool_size=1), threading.Semaphore(0)
    event.listen(engine, "checkout", lambda *_: begun.release())
    checkpointer = Checkpointer(engine)
    with closing(sqlite3.connect(":memory:")) as writer:
        for _ in range(2):
            write(writer, PAGES)
            checkpointer.count(writer)
            assert begun.acquire(timeout=60)
    checkpointer.close()


def write(connection: sqlite3.Connection, rows: int) -> None:
    """Write so many rows."""
    connection.execute("CREATE TABLE IF NOT EXISTS t (n)")
    connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(rows)])

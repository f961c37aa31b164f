"""Checkpoints of SQLite beside the writer: a thread moves pages of the write-ahead log into the database file.

The commit that makes the log as long as `sqlite_executors.CHECKPOINT_PAGES` moves them itself, and everybody waits for
it. The thread moves them before the log is that long, on a connection of its own, and takes no lock that a writer or a
reader waits for. Only the pages of the meantime are left for the commit; after it, the log begins anew.
"""

import sqlite3
from contextlib import closing, suppress
from threading import Event, Thread
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

PAGES_OF_A_TRANSACTION: Final = 2
"""In the log, besides about one for each row that is written: SQLite does not say how many there are."""

PAGES: Final = 3_000
"""In the log since the last checkpoint, when the next one begins."""


class Checkpointer:
    """Makes checkpoints on connections of `engine`, in a thread of its own."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.pages = 0
        """In the log since the last checkpoint, as far as that is known."""
        self._changes = 0
        self._due = Event()
        self._closed = False
        self._thread = Thread(target=self._work, name="storage-checkpointer", daemon=True)
        self._thread.start()

    def count(self, writer: sqlite3.Connection) -> None:
        """A transaction has ended. Called on the writer's thread."""
        changes = writer.total_changes
        self.pages += PAGES_OF_A_TRANSACTION + max(0, changes - self._changes)
        self._changes = changes
        if self.pages >= PAGES:
            self.pages = 0
            self._due.set()

    def close(self) -> None:
        """Make one more checkpoint, block until it has ended, and close the connection."""
        self._closed = True
        self._due.set()
        self._thread.join()
        self._engine.dispose()

    def _work(self) -> None:
        closed = False
        while not closed:
            self._due.wait()
            self._due.clear()
            closed = self._closed  # before the checkpoint: one that was under way lacks the newest pages
            # Without a checkpoint the log grows, until a commit finds it too long: an error that stays ends that one.
            with suppress(sqlite3.Error, SQLAlchemyError), closing(self._engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)")

"""After a redaction no byte of the text is in the store, and none is sent to anybody who comes later."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest
from pycrdt import Map
from sqlalchemy import insert

from crdt_server.hosts.jobs import JobFailed
from crdt_server.hub import redactions
from crdt_server.hub.hub import Hub
from crdt_server.maintenance import compact_store
from crdt_server.settings import Settings
from storage import DocumentKey, Storage, open_storage
from storage.messaging_tables import purges
from tests.rooms.message_writer import Writer
from tests.support.databases import sqlite_database
from tests.support.hosts import make_hub
from tests.support.mirrored import Mirror
from tests.support.stored_bytes import tables_with

TEXT = "the ring is under the oak"
KEY = DocumentKey("w", "thread.t")
AGAIN = (1013, "the document was written anew")


@pytest.fixture
def writer(hub: Hub) -> Writer:
    return Writer(hub, KEY.document, 11)


async def redacted(hub: Hub, storage: Storage, writer: Writer) -> Mirror:
    """One message is there, and one was redacted, which the router knows."""
    mirror = Mirror(storage)
    writer.say("m1", TEXT)
    writer.say("m2", "Hello")
    await writer.arrived("m2")
    await mirror.follow()
    assert await tables_with(storage, TEXT) == ["events", "messages", "rows", "updates"]
    writer.redact("m1")
    await writer.emptied("m1")
    await mirror.follow()
    assert await tables_with(storage, TEXT) == ["updates"]
    return mirror


async def raw_frames(hub: Hub, client_id: int) -> bytes:
    """All that a newcomer is sent."""
    newcomer = Writer(hub, KEY.document, client_id)
    await newcomer.arrived("m2")
    return b"".join(newcomer.socket.arrived)


async def test_no_byte_is_stored_or_sent(hub: Hub, storage: Storage, writer: Writer) -> None:
    await redacted(hub, storage, writer)
    await hub.purger.purge_pending()
    assert await tables_with(storage, TEXT) == []
    assert await storage.pending_purges(10) == []
    await writer.socket.until(lambda: writer.socket.closed == AGAIN)
    frames = await raw_frames(hub, 12)
    assert b"Hello" in frames
    assert TEXT.encode() not in frames
    writer.enter()
    writer.say("m3", "Are you there?")
    await writer.arrived("m3")
    other = Writer(hub, KEY.document, 13)
    await other.arrived("m3")
    for root in ("messages", "stamps", "redactions"):
        assert other.replica.doc.get(root, type=Map).to_py() == writer.replica.doc.get(root, type=Map).to_py()
    assert await tables_with(storage, TEXT) == []


async def test_what_a_crash_left_is_done_by_the_next_server(hub: Hub, storage: Storage, writer: Writer) -> None:
    await redacted(hub, storage, writer)
    await hub.stop()
    after = make_hub(Settings(dev=True, document_hosts=1, max_strikes=0), storage)
    await after.start()
    try:
        assert TEXT.encode() in await raw_frames(after, 12), "the search finds it"
        await after.purger.purge_pending()
        assert await tables_with(storage, TEXT) == []
        assert TEXT.encode() not in await raw_frames(after, 13)
    finally:
        await after.stop()


async def test_a_document_that_cannot_be_proved_stays_as_it_is(
    hub: Hub, storage: Storage, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    async def fail(*_: object) -> None:
        tries.append(1)
        raise JobFailed("merge_lost_content")

    await redacted(hub, storage, writer)
    monkeypatch.setattr(hub.hosts.jobs, "collect", fail)
    for _ in range(3):
        await hub.purger.purge_pending()
    assert len(tries) == 1, "until there is another redaction, or some time has passed"
    monkeypatch.setattr(redactions, "RETRY_SECONDS", 0.0)
    hub.purger._failed.clear()
    for _ in range(2):
        await hub.purger.purge_pending()
    assert len(tries) == 3
    assert (hub.purger.pending, writer.socket.closed) == (1, None)
    monkeypatch.undo()
    writer.redact("m2")
    await writer.emptied("m2")
    await Mirror(storage).follow()
    await hub.purger.purge_pending()
    assert (await tables_with(storage, TEXT), hub.purger.pending) == ([], 0)


async def test_documents_that_cannot_be_written_anew_hide_no_others(
    hub: Hub, storage: Storage, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody with a hundred documents of that kind would have kept the redacted texts of all other weddings."""
    monkeypatch.setattr(redactions, "AT_ONCE", 1)
    await redacted(hub, storage, writer)
    for name in ("thread.a", "thread.b"):
        row = {"wedding": "a", "document": name, "event": 1}
        await storage._executor.write(lambda connection, row=row: connection.execute(insert(purges), row))  # type: ignore[misc]
        hub.purger._failed[DocumentKey("a", name)] = 1, math.inf
    await hub.purger.purge_pending()
    assert (await tables_with(storage, TEXT), hub.purger.pending) == ([], 2)


async def test_compaction_leaves_no_byte_in_the_file(tmp_path: Path) -> None:
    settings = Settings(dev=True, document_hosts=1, max_strikes=0, database_url=sqlite_database(tmp_path))
    storage = await open_storage(settings.database_url, migrate=True)
    hub = make_hub(settings, storage)
    await hub.start()
    await redacted(hub, storage, Writer(hub, KEY.document, 11))
    await hub.stop()
    await storage.close()
    assert found_in_files(tmp_path), "the search finds it"
    await compact_store(settings, None, lambda _: None)
    assert found_in_files(tmp_path) == []
    with sqlite3.connect(tmp_path / "wedding.db") as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (2,)


def found_in_files(directory: Path) -> list[str]:
    return [path.name for path in sorted(directory.iterdir()) if TEXT.encode() in path.read_bytes()]


async def test_weddings_take_turns(hub: Hub, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wedding with many redactions went first with all of them."""
    for wedding, number in (("a", 3), ("b", 1)):
        for each in range(number):
            row = {"wedding": wedding, "document": f"thread.{each}", "event": 1}
            await storage._executor.write(lambda connection, row=row: connection.execute(insert(purges), row))  # type: ignore[misc]
    written: list[str] = []

    async def collected(key: DocumentKey, event: int) -> bool:
        written.append(str(key))
        await storage.purged(key.wedding, key.document, event)
        return True

    monkeypatch.setattr(hub.purger, "_purge", collected)
    assert await hub.purger.purge_pending()
    assert (written, hub.purger.pending) == (["a/thread.0", "b/thread.0"], 2)
    while await hub.purger.purge_pending():
        pass
    assert written == ["a/thread.0", "b/thread.0", "a/thread.1", "a/thread.2"]
    assert hub.purger.pending == 0

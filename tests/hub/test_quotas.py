"""What a wedding may take: the measurements, and the refusals of documents with and without a schema.

A client whose update is refused is not closed: it keeps the update, and is asked for it when there is room again.
"""

from __future__ import annotations

import asyncio
import json

import pytest
from pycrdt import Map

from crdt_server.errors import ViolationError
from crdt_server.hub import quotas, ticks
from crdt_server.hub.commands import OperationsRefusedError, carry_out
from crdt_server.hub.http_sync import sync
from crdt_server.hub.hub import Hub
from crdt_server.pipe import Status
from crdt_server.settings import Settings
from storage import Append, DocumentKey, Storage
from tests.hub.test_weddings import ADA, Guide
from tests.rooms.person import Person
from tests.support.codec import encode_update
from tests.support.hosts import make_hub
from tests.support.wire import Replica

FILLER = b"\0\0" * 5_000


async def opened(storage: Storage, **settings: int) -> Hub:
    hub = make_hub(Settings(dev=True, document_hosts=1, host_timeout_seconds=60, **settings), storage)
    await hub.start()
    return hub


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements do not wait."""
    monkeypatch.setattr(quotas, "MEASURE_SECONDS", 0)
    monkeypatch.setattr(quotas, "REST", 0)
    monkeypatch.setattr(quotas, "UNMEASURED", quotas.Limits(1, 0, 0))


async def measured(hub: Hub) -> None:
    """Wait for all measurements that are due."""
    while tasks := [task for task in hub._tasks if "_measure" in str(task.get_coro())]:
        await asyncio.gather(*tasks)


async def is_denied(person: Person, times: int = 1, code: str = "over_quota") -> None:
    """Wait for that many notices of a full wedding (or document), and nothing else."""
    await person.socket.until(lambda: person.read() or len(person.denied) == times or person.socket.closed is not None)
    assert [json.loads(notice)["code"] for notice in person.denied] == [code] * times
    assert person.socket.closed is None


async def test_a_note_over_the_quota_takes_deletions_only(storage: Storage) -> None:
    hub = await opened(storage, max_wedding_bytes=2_000)
    try:
        person = Person(hub, "notes.a", 11)
        person.type("x" * 2_500)
        await person.socket.until(lambda: person.read() or person.saved)
        await measured(hub)
        assert hub.quotas.weddings_over_quota == 1
        before = person.replica.state_vector
        del person.replica.text[0:100]
        person.send(encode_update(person.replica.doc.get_update(before)))
        await person.socket.until(lambda: person.read() or person.saved)
        assert person.socket.closed is None
        for letter in "more":
            person.type(letter)
        await is_denied(person)
        person.send(encode_update(person.replica.erase(0, 100)))
        reader = Person(hub, "notes.a", 13)
        await reader.has_length(2_300)
        assert hub.strikes._of_persons._strikes == {}
        with pytest.raises(ViolationError) as refused:
            await sync(hub, DocumentKey("w", "notes.a"), ADA, "::1", b"\0", person.replica.doc.get_update(before))
        assert refused.value.code == "over_quota"
        other = Person(hub, "notes.a", 12, wedding="w_else")
        other.type("x" * 1_000)
        await other.socket.until(lambda: other.read() or other.saved)
    finally:
        await hub.stop()


async def test_a_guest_list_over_the_quota_takes_soft_deletions(storage: Storage) -> None:
    hub = await opened(storage, max_wedding_records=2)
    try:
        guide = Guide(hub, 11)
        guide.put("g_1", "g_2")
        await guide.knows("g_1", "g_2")
        await measured(hub)
        before = guide.replica.state_vector
        deleted = {"at": "2026-05-01T10:00:00Z", "by": "user-11"}
        guide.replica.doc.get("guests", type=Map)["g_1"]["deleted"] = deleted
        guide.send(encode_update(guide.replica.doc.get_update(before)))
        await guide.knows("g_1", "g_2")
        assert guide.guests["g_1"]["deleted"] == deleted
        delete = [{"op": "delete", "root": "guests", "record": "g_1", "key": "firstName"}]
        await carry_out(hub, "w", ADA, "::1", [("guests", delete)])  # type: ignore[list-item]
        insert = [{"op": "insert", "root": "guests", "record": "g_3", "value": {"firstName": "Ann"}}]
        with pytest.raises(OperationsRefusedError) as refused:
            await carry_out(hub, "w", ADA, "::1", [("guests", insert)])  # type: ignore[list-item]
        assert [problem["code"] for problem in refused.value.problems] == ["over_quota"]
        guide.put("g_3")
        await is_denied(guide)
    finally:
        await hub.stop()


async def test_a_document_beyond_the_quota_is_refused_and_the_others_grow(storage: Storage) -> None:
    for n in range(3):
        await storage.append([Append(DocumentKey("w", f"notes.{n}"), 1, b"\0\0")])
    hub = await opened(storage, max_wedding_documents=3)
    try:
        person = Person(hub, "notes.0", 11)
        person.type("x")
        await person.socket.until(lambda: person.read() or person.saved)
        await measured(hub)
        person.type("y")
        await person.socket.until(lambda: person.read() or person.saved)
        new = Person(hub, "notes.new", 12)
        new.type("x")
        await is_denied(new)
        assert await storage.document_count("w") == 3
    finally:
        await hub.stop()


async def test_room_that_is_made_is_seen(storage: Storage) -> None:
    key = DocumentKey("w", "notes.large")
    await storage.append([Append(key, 1, FILLER), Append(key, 2, FILLER)])
    hub = await opened(storage, max_wedding_bytes=15_000)
    try:
        person = Person(hub, "notes.a", 11)
        person.type("x")
        await person.socket.until(lambda: person.read() or person.saved)
        await measured(hub)
        assert hub.quotas.weddings_over_quota == 1
        await storage.replace(key, 1, 2, b"\0\0")  # compaction
        again = Person(hub, "notes.b", 12)
        await again.socket.until(lambda: again.read() or again.synced)
        await measured(hub)
        assert hub.quotas.weddings_over_quota == 0
        again.type("x")
        await again.socket.until(lambda: again.read() or again.saved)
    finally:
        await hub.stop()


async def test_what_is_deleted_makes_room(storage: Storage) -> None:
    """In a document that is open, with edits before and behind, and in one that is closed."""
    closed = DocumentKey("w", "notes.closed")
    other = Replica(21)
    updates = [other.type("y" * 900), other.erase(0, 900)]
    await storage.append([Append(closed, n, update) for n, update in enumerate(updates, 1)])
    hub = await opened(storage, max_wedding_bytes=4_000)
    try:
        person = Person(hub, "notes.a", 11)
        person.type("begin")
        await person.socket.until(lambda: person.read() or person.saved)
        person.type("x" * 5_000)
        await person.socket.until(lambda: person.read() or person.saved)
        await measured(hub)
        assert hub.quotas.weddings_over_quota == 1
        assert sum(len(row.update) for row in (await storage.load(closed)).updates) < 100
        person.send(encode_update(person.replica.erase(5, 5_005)))
        reader = Person(hub, "notes.a", 12)
        await reader.sees("begin")
        await measured(hub)
        assert hub.quotas.weddings_over_quota == 0
        person.type(" and end")
        await reader.sees("begin and end")
        assert (await storage.usage("w")).size_bytes < 1_000
    finally:
        await hub.stop()


async def test_what_there_was_no_room_for_is_stored_when_there_is(storage: Storage) -> None:
    key = DocumentKey("w", "notes.large")
    await storage.append([Append(key, 1, FILLER), Append(key, 2, FILLER)])
    hub = await opened(storage, max_wedding_bytes=15_000)
    try:
        person, other = Person(hub, "notes.a", 11), Person(hub, "notes.a", 12)
        person.type("x")
        await other.sees("x")
        await measured(hub)
        for letter in "yz":
            person.type(letter)
        await is_denied(person)
        hub.ticks.retry_deferred(hub.time() + ticks.RETRY_SECONDS)
        await is_denied(person, times=2)
        hub.ticks.retry_deferred(hub.time() + ticks.RETRY_SECONDS)  # too early: nothing is requested
        assert person.room.members.deferred == {person.session: Status.OVER_QUOTA}
        requested = hub.metrics.counters.updates
        await storage.replace(key, 1, 2, b"\0\0")  # compaction
        other.type("!", 0)
        await is_denied(other)
        await measured(hub)
        assert hub.quotas.weddings_over_quota == 0
        hub.ticks.retry_deferred(hub.time())
        await asyncio.gather(person.sees("!xyz"), other.sees("!xyz"))
        assert hub.metrics.counters.updates == requested + 2
        assert person.room.members.deferred == {}
    finally:
        await hub.stop()


async def test_a_client_of_a_full_document_is_kept(storage: Storage) -> None:
    """It gets a notice each time, and no strike, and deletes."""
    hub = await opened(storage, max_document_bytes=10_000)
    try:
        person, other = Person(hub, "notes.a", 11), Person(hub, "notes.a", 12)
        other.type("o" * 6_000)
        await person.has_length(6_000)
        person.type("x" * 6_000)
        person.type("y")
        await is_denied(person, code="too_large")
        with pytest.raises(ViolationError) as refused:
            await sync(hub, DocumentKey("w", "notes.a"), ADA, "::1", b"\0", person.replica.all())
        assert refused.value.code == "too_large"
        hub.ticks.retry_deferred(hub.time() + ticks.RETRY_SECONDS)
        await is_denied(person, times=2, code="too_large")
        hub.ticks.retry_deferred(hub.time())  # too early, though the wedding has room: nothing is requested
        assert person.room.members.deferred == {person.session: Status.TOO_LARGE}
        person.send(encode_update(person.replica.erase(0, 100)))
        await other.has_length(5_900)
        assert hub.strikes._of_persons._strikes == {}
        assert (person.socket.closed, other.socket.closed) == (None, None)
    finally:
        await hub.stop()


async def test_of_many_writes_few_are_measured(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas, "UNMEASURED", quotas.Limits(3_000, 0, 0))
    hub = await opened(storage, max_wedding_bytes=1_000_000)
    try:
        reads = 0
        usage = storage.usage

        async def counted(wedding: str) -> object:
            nonlocal reads
            reads += 1
            return await usage(wedding)

        storage.usage = counted  # type: ignore[method-assign,assignment]
        person = Person(hub, "notes.a", 11)
        for n in range(50):
            person.type("x" * 100)
            await person.socket.until(lambda: person.read() or person.saved)
            await measured(hub)
            assert reads == (n >= 27)  # of 110 bytes each
    finally:
        await hub.stop()

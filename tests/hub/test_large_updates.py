"""Large updates: their check keeps nobody else waiting, and however large honest work is, it is taken."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pycrdt import Map, Text

from crdt_server.access.identity import Identity
from crdt_server.hosts.batch import BatchEntry
from crdt_server.hosts.fair_queue import RequestSender
from crdt_server.hub.commands import carry_out
from crdt_server.hub.http_sync import sync
from crdt_server.hub.hub import Hub
from crdt_server.operations import Operation
from crdt_server.pipe import BatchResponse, Fault, RequestKind, RoomResult, Status
from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from crdt_server.settings import Settings
from documents.kind import MAX_UPDATE_BYTES
from storage import DocumentKey, open_storage
from tests.cluster.conftest import until
from tests.rooms.person import Person
from tests.support.codec import encode_sync_step2, encode_update
from tests.support.hosts import make_hub
from tests.support.wire import Replica, Typist

MANY, LARGE_ITEMS, SMALL_BYTES = 5, 60_000, 40_000
MANY_GUESTS = 1_900
ADA, ADA_AT = Identity("ada", "couple"), "192.0.2.1"


@asynccontextmanager
async def running(database_url: str, **settings: Any) -> AsyncIterator[Hub]:
    storage = await open_storage(database_url, migrate=True)
    hub = make_hub(Settings(dev=True, document_hosts=1, **settings), storage)
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()
        await storage.close()


@pytest.fixture
async def hub(database_url: str) -> AsyncIterator[Hub]:
    async with running(database_url, max_strikes=0, host_timeout_seconds=60) as hub:
        yield hub


class Mallory(Person):
    """One person with many sockets, each with a large update."""

    address = "192.0.2.66"

    def enter(self) -> None:
        self.identity = Identity("mallory", "couple")
        super().enter()

    def paste(self) -> None:
        self.send(encode_update(Typist(self.replica.client_id).many_items(LARGE_ITEMS)))


async def echo(person: Person, order: list[str], name: str) -> None:
    person.socket.outbox.clear()
    await person.socket.until(lambda: any(frame.startswith(b"\0\2") for frame in person.socket.outbox))
    order.append(name)


async def test_a_small_paste_waits_for_at_most_one_large_update(hub: Hub) -> None:
    attackers = [Mallory(hub, f"notes.{number}", 60 + number) for number in range(MANY)]
    ada = Person(hub, "notes.ada", 11)
    for person in (*attackers, ada):
        await person.is_synced()
    order: list[str] = []
    for attacker in attackers:
        attacker.paste()
    ada.type("x" * SMALL_BYTES)
    await asyncio.gather(echo(ada, order, "ada"), *(echo(each, order, "large") for each in attackers))
    assert order.index("ada") <= 1
    assert hub.hosts.jobs.waiting_bytes == 0


async def test_small_edits_of_a_batch_do_not_wait_for_a_large_one_in_it(hub: Hub, monkeypatch: Any) -> None:
    many, ada, bob = Mallory(hub, "notes.many", 60), Person(hub, "notes.ada", 11), Person(hub, "notes.bob", 12)
    for person in (many, ada, bob):
        await person.is_synced()
        person.type("a")
        await person.echoed()
    dispatcher = hub.hosts.dispatchers[0]
    send, batches, released = dispatcher.request, list[list[str]](), asyncio.Event()

    async def request(entries: Sequence[BatchEntry], forget: Sequence[int] = ()) -> BatchResponse:
        batches.append([entry.room.document for entry in entries])
        await released.wait()
        return await send(entries, forget)

    monkeypatch.setattr(dispatcher, "request", request)
    bob.type("a batch is under way")
    many.type("x" * SMALL_BYTES)
    await until(lambda: bool(batches and many.room.inbox))
    ada.type("a")
    released.set()
    for person in (ada, many):
        await person.sees(str(person.replica))
    assert next(batch for batch in batches if "notes.many" in batch)[-2:] == ["notes.ada", "notes.many"]


async def test_a_command_that_was_not_reached_is_not_behind_the_small_edits_again(hub: Hub, monkeypatch: Any) -> None:
    """A command is large whatever its size: on a host that small edits keep busy it was the last of every batch."""
    ada, bob = Person(hub, "notes.ada", 11), Person(hub, "notes.bob", 12)
    for person in (ada, bob):
        await person.is_synced()
        person.type("a")
        await person.echoed()
    name: Operation = {"op": "insert", "root": "guests", "record": "g_1", "value": {"firstName": "Zoë"}}
    await carry_out(hub, ada.room.wedding, ADA, ADA_AT, [("guests", [name])])
    dispatcher, guests = hub.hosts.dispatchers[0], hub.registry.rooms[ada.room.wedding, "guests"]
    send, places = dispatcher.request, list[int]()

    async def request(entries: Sequence[BatchEntry], forget: Sequence[int] = ()) -> BatchResponse:
        if not places:
            await until(lambda: bool(guests.inbox) or len(entries) > 1)
        ada.type("a")  # there is always something small
        if not any(each.kind is RequestKind.COMMAND for entry in entries for each in entry.requests):
            return await send(entries, forget)
        places.append([entry.room for entry in entries].index(guests))
        if entries[-1].room is not guests:
            return await send(entries, forget)
        response = await send(entries[:-1], forget)
        not_reached = RoomResult.empty(guests.id, guests.hosted.size)
        not_reached.faults += (Fault(n, Status.LATER) for n in range(len(entries[-1].requests)))
        response.results.append(not_reached)
        return response

    monkeypatch.setattr(dispatcher, "request", request)
    bob.type("a batch is under way")
    await asyncio.sleep(0)
    change: Operation = {"op": "set", "root": "guests", "record": "g_1", "key": "firstName", "value": "Ada"}
    async with asyncio.timeout(20):
        await carry_out(hub, ada.room.wedding, ADA, ADA_AT, [("guests", [change])])
    assert places == [1, 0]


async def test_too_many_large_updates_of_one_person_are_deferred(database_url: str) -> None:
    async with running(database_url, max_strikes=1, max_checking_per_sender=500_000) as hub:
        attackers = [Mallory(hub, f"notes.{number}", 60 + number) for number in range(MANY)]
        ada = Person(hub, "notes.ada", 11)
        for person in (*attackers, ada):
            await person.is_synced()
        for attacker in attackers:
            attacker.paste()
        ada.type("x" * SMALL_BYTES)
        await ada.sees("x" * SMALL_BYTES)
        closed = [each for each in attackers if each.socket.closed is not None]
        assert {each.socket.closed for each in closed} == {(1013, "a large update could not be checked now")}
        assert 0 < len(closed) < MANY
        assert not hub.strikes.exceeded_by(Identity("mallory", "couple"), "192.0.2.66", hub.time())
        assert not any(each.session.queued_bytes for each in closed)


async def test_a_check_that_does_not_end_in_time_may_be_repeated(database_url: str) -> None:
    """On a busy machine that proves nothing against the update: an honest client is not closed for good."""
    async with running(database_url, host_timeout_seconds=1.0) as hub:
        ada = Mallory(hub, "notes.a", 11)
        await ada.is_synced()
        await hub.hosts.jobs.supervisor.run(())  # while it starts it would have a minute
        assert hub.hosts.jobs.supervisor.pid is not None
        os.kill(hub.hosts.jobs.supervisor.pid, signal.SIGSTOP)
        ada.paste()
        await ada.socket.until(lambda: ada.socket.closed is not None)
        assert ada.socket.close_code == 1013
        ada.leave()
        ada.enter()
        ada.paste()
        await echo(ada, [], "ada")


class Offline(Person):
    """Enters guests while it is away."""

    def __init__(self, hub: Hub, client_id: int) -> None:
        super().__init__(hub, "guests", client_id)

    def put(self, first: int, count: int, **fields: Any) -> None:
        guests = self.replica.doc.get("guests", type=Map)
        with self.replica.doc.transaction():
            for number in range(first, first + count):
                name = {"firstName": f"Guest number {number}", "lastName": "Brien-Smithson", "household": "h_1"}
                guests[f"g_{number}"] = Map({**name, "side": "a", "kind": "adult", "note": Text(), **fields})

    @property
    def guests(self) -> dict[str, Any]:
        self.read()
        return self.replica.doc.get("guests", type=Map).to_py() or {}

    async def has(self, count: int) -> None:
        """Wait until so many guests are here, and all own edits are confirmed."""

        def done() -> bool:
            self.read()
            guests = self.replica.doc.get("guests", type=Map)
            return self.socket.closed is not None or (self.saved and len(guests) == count)

        await self.socket.until(done)
        assert self.socket.closed is None, self.socket.closed


@pytest.mark.slow
async def test_what_was_entered_offline_is_taken_whatever_its_size(hub: Hub) -> None:
    ada, eve = Offline(hub, 11), Offline(hub, 12)
    await asyncio.gather(ada.is_synced(), eve.is_synced())
    ada.put(0, MANY_GUESTS)
    update = ada.replica.all()
    assert len(update) > MAX_UPDATE_BYTES
    ada.send(encode_sync_step2(update))
    await ada.has(MANY_GUESTS)
    await eve.has(MANY_GUESTS)
    assert eve.guests == ada.guests
    assert not ada.denied


async def test_also_over_http(hub: Hub) -> None:
    offline = Replica(11)
    guests = offline.doc.get("guests", type=Map)
    with offline.doc.transaction():
        for number in range(14):
            guests[f"g_{number}"] = Map({"firstName": "Ann", "note": Text("x" * 20_000)})
    update = offline.all()
    assert len(update) > MAX_UPDATE_BYTES
    await sync(hub, DocumentKey("w", "guests"), ADA, "test", EMPTY_STATE_VECTOR, update)
    eve = Offline(hub, 12)
    await eve.has(14)


async def test_work_of_several_reloads_is_taken_in_pieces(hub: Hub) -> None:
    """Every reload is another client, and the later ones edit what the earlier ones have made."""
    ada, eve = Offline(hub, 11), Offline(hub, 12)
    await asyncio.gather(ada.is_synced(), eve.is_synced())
    for client in (900, 20, 500):
        before = Replica(client)
        before.doc.apply_update(ada.replica.all())
        ada.replica = before
        ada.put(len(ada.guests), 150)
        with before.doc.transaction():
            for guest in before.doc.get("guests", type=Map).values():
                guest["meal"] = f"fish {client}"
    largest = 0

    async def check(
        update: bytes, sender: RequestSender, given: Any = hub.hosts.jobs.check
    ) -> list[tuple[bytes, bytes]]:
        nonlocal largest
        pieces: list[tuple[bytes, bytes]] = await given(update, sender)
        largest = max(len(piece) for piece, _ in pieces)
        return pieces

    hub.hosts.jobs.check = check  # type: ignore[method-assign]
    update = ada.replica.all()
    ada.send(encode_sync_step2(update))
    await ada.has(450)
    await eve.has(450)
    assert eve.guests == ada.guests
    assert largest < 20_000 < len(update)


async def test_the_state_vector_of_a_reconnection_is_sent_to_the_host_once(hub: Hub) -> None:
    ada = Offline(hub, 11)
    await ada.is_synced()
    ada.put(0, 100)
    ada.send(encode_sync_step2(ada.replica.all()))
    await ada.has(100)
    ada.leave()
    ada.put(100, 1_000)
    supervisor, vectors = hub.hosts.dispatchers[0].supervisor, list[bytes | None]()
    run = supervisor.run

    async def recorded(rooms: Any, jobs: Any = (), **others_wait: bool) -> Any:
        vectors.extend(each.client_state_vector for room in rooms for each in room.requests if each.summary)
        return await run(rooms, jobs, **others_wait)

    supervisor.run = recorded  # type: ignore[method-assign]
    away = ada.replica.state_vector
    ada.enter()
    await ada.has(1_100)
    assert len(vectors) > 3
    assert [vector for vector in vectors if vector is not None] == [away]


async def test_of_a_large_update_only_what_does_not_fit_is_undone(hub: Hub) -> None:
    """There is something in every piece: one update, however many notices it brings, is not too much."""
    ada, eve = Offline(hub, 11), Offline(hub, 12)
    await asyncio.gather(ada.is_synced(), eve.is_synced())
    for number in range(40):
        ada.put(number, 1, plusOnesAllowed=-1 if number % 2 else 1, **{"x:test.filler": "x" * 900})
        ada.put(1_000 + 20 * number, 20)
    ada.send(encode_sync_step2(ada.replica.all()))
    await ada.has(840)
    await eve.has(840)
    assert eve.guests == ada.guests
    assert sum("plusOnesAllowed" in guest for guest in eve.guests.values()) == 20
    assert len(ada.denied) > 1

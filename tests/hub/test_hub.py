"""All parts of the server but the transport: real hosts, a real store, hand-flushed sockets."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from crdt_server.access.identity import Identity
from crdt_server.errors import AdmissionError
from crdt_server.hosts.supervisor import Supervisor
from crdt_server.hub.hub import Hub
from crdt_server.rooms.room import Phase
from crdt_server.settings import Settings
from storage import Append, DocumentKey, QuarantinedUpdate, Storage, open_storage
from tests.rooms.person import Person
from tests.support.codec import encode_sync_step1, encode_update
from tests.support.hosts import make_hub
from tests.support.wire import KILLER, KILLER_GROUND, Replica

Opener = Callable[..., Awaitable[Hub]]
STORED_DEATH = [
    Append(DocumentKey("w", "notes.bad"), seq, update) for seq, update in enumerate((*KILLER_GROUND, KILLER), 1)
]


@pytest.fixture
async def open_hub(database_url: str) -> AsyncIterator[Opener]:
    """Start hubs on one store; each is stopped at the end."""
    async with AsyncExitStack() as stack:

        async def start(**settings: Any) -> Hub:
            storage = await open_storage(database_url, migrate=True)
            stack.push_async_callback(storage.close)
            values = {"dev": True, "document_hosts": 1, "max_strikes": 0, **settings}
            hub = make_hub(Settings(**values), storage)
            await hub.start()
            stack.push_async_callback(hub.stop)
            return hub

        yield start


@pytest.fixture
async def hub(open_hub: Opener) -> Hub:
    return await open_hub()


def host(hub: Hub) -> Supervisor:
    return hub.hosts.dispatchers[0].supervisor


def kill(supervisor: Supervisor, number: signal.Signals = signal.SIGKILL) -> None:
    assert supervisor.pid is not None
    with suppress(ProcessLookupError):  # it is dead already, and its supervisor has not noticed yet
        os.kill(supervisor.pid, number)


def evict_idle(hub: Hub) -> None:
    """End every room that stands empty, however short its time."""
    hub.registry.evict_idle(hub.time(), 0)


async def quarantined(hub: Hub) -> list[QuarantinedUpdate]:
    """What is kept aside, including what is just being written."""
    await asyncio.gather(*(task for task in hub._tasks if "_quarantine" in str(task.get_coro())))
    return await hub.storage.quarantined()


async def stored_text(storage: Storage, document: str, wedding: str = "w") -> str:
    reader = Replica(99)
    for row in (await storage.load(DocumentKey(wedding, document))).updates:
        reader.receive(row.update)
    assert not reader.pending
    return str(reader)


async def couple(hub: Hub, document: str = "notes.a") -> tuple[Person, Person]:
    one, two = Person(hub, document, 1), Person(hub, document, 2)
    await one.is_synced()
    await two.is_synced()
    return one, two


async def test_two_people_write_one_note(hub: Hub) -> None:
    one, two = await couple(hub)
    one.type("hello")
    await two.sees("hello")
    two.type(" world")
    await one.sees("hello world")
    await two.sees("hello world")
    assert await stored_text(hub.storage, "notes.a") == "hello world"


async def test_the_writer_hears_of_its_own_edit_when_it_is_stored(hub: Hub) -> None:
    one, _ = await couple(hub)
    edit = one.type("x")
    assert not one.received
    await one.echoed()
    assert one.received == [edit]
    assert [row.update for row in (await hub.storage.load(DocumentKey("w", "notes.a"))).updates] == [edit]


async def test_a_gap_is_answered_with_a_question_and_healed(hub: Hub) -> None:
    one, two = await couple(hub)
    one.replica.type("lost ")
    one.type("seen")
    await asyncio.gather(one.sees("lost seen"), two.sees("lost seen"))
    assert hub.metrics.counters.gaps == 1


async def test_a_gap_is_healed_while_other_rooms_are_busy(hub: Hub) -> None:
    """The batch with the gap waits behind the commits of the other room."""
    one, two = await couple(hub)
    busy = Person(hub, "notes.b", 3)
    await busy.is_synced()
    for _ in range(20):
        busy.type("x")
        one.replica.type("-")
        one.type("+")
        await asyncio.gather(*(person.sees(str(one.replica)) for person in (one, two)))


async def test_a_newcomer_gets_all_of_it(hub: Hub) -> None:
    one, _ = await couple(hub)
    for word in ("a", "b", "c"):
        one.type(word)
    await one.sees("abc")
    late = Person(hub, "notes.a", 3)
    await late.sees("abc")


async def test_a_large_update_is_checked_and_applied(hub: Hub) -> None:
    one, two = await couple(hub)
    one.type("x" * 100_000)
    one.type("!")
    await two.sees("x" * 100_000 + "!")
    two.send(encode_update(b"\x01" * 100_000))
    await two.socket.until(lambda: two.socket.closed is not None)
    assert two.socket.close_code == 4400
    assert one.socket.closed is None


async def test_a_room_that_cannot_be_fetched_ends(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason is: its clients come again rather than wait for ever."""

    async def fail(key: DocumentKey) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as broken:
        broken.setattr(hub.storage, "load", fail)
        person = Person(hub, "notes.a", 1)
        await person.socket.until(lambda: person.socket.closed is not None, 20)
        assert person.socket.close_code == 1013
    person.enter()
    person.type("x")
    await person.sees("x")


async def test_an_empty_room_is_given_up_and_comes_back(hub: Hub) -> None:
    one, two = await couple(hub)
    one.type("kept")
    await two.sees("kept")
    room = one.room
    one.leave()
    two.leave()
    evict_idle(hub)
    assert room.phase is Phase.DEAD
    assert hub.rooms == {}
    back = Person(hub, "notes.a", 3)
    await back.sees("kept")


async def test_a_room_with_work_is_not_given_up(hub: Hub) -> None:
    one, two = await couple(hub)
    one.type("on its way")
    one.leave()
    two.leave()
    evict_idle(hub)
    assert ("w", "notes.a") in hub.rooms
    late = Person(hub, "notes.a", 3)
    await late.sees("on its way")


async def test_memory_is_bounded_by_giving_up_idle_rooms(open_hub: Opener) -> None:
    hub = await open_hub(loaded_bytes=10_000)
    first = Person(hub, "notes.a", 1)
    await first.is_synced()
    first.type("x" * 12_000)
    await first.echoed()
    with pytest.raises(AdmissionError):
        hub.enter("w", "notes.b", first.socket, Identity("ada", "couple"))
    first.leave()
    second = Person(hub, "notes.b", 2)
    await second.is_synced()
    assert set(hub.rooms) == {("w", "notes.b")}


async def test_rooms_are_full_at_their_limit(open_hub: Opener) -> None:
    hub = await open_hub(max_connections_per_room=2)
    one, _ = await couple(hub)
    with pytest.raises(AdmissionError):
        Person(hub, "notes.a", 3)
    one.leave()
    Person(hub, "notes.a", 3)


async def test_stored_rows_are_merged_while_people_write(open_hub: Opener) -> None:
    hub = await open_hub(compact_after_updates=5)
    one, two = await couple(hub)
    for n in range(40):
        one.type("x")
        await one.sees("x" * (n + 1))
    await two.sees("x" * 40)
    await hub.commits.flush()
    await hub.hosts.compactor.idle.wait()
    stored = await hub.storage.load(DocumentKey("w", "notes.a"))
    assert stored.head_seq == 40
    assert len(stored.updates) < 20
    assert await stored_text(hub.storage, "notes.a") == "x" * 40


async def test_draining_stores_and_closes(open_hub: Opener) -> None:
    hub = await open_hub()
    one, two = await couple(hub)
    for _ in range(20):
        one.type("x")
        two.type("y")
    await hub.stop()
    assert one.socket.close_code == two.socket.close_code == 1012
    one.read()
    text = await stored_text(hub.storage, "notes.a")
    assert sorted(text) == ["x"] * 20 + ["y"] * 20
    with pytest.raises(AdmissionError):
        Person(hub, "notes.a", 3)


async def test_a_document_that_cannot_be_read_is_refused_and_left_alone(hub: Hub) -> None:
    rows = [Append(DocumentKey("w", "notes.a"), 1, b"these are no update")]
    await hub.storage.append(rows)
    person = Person(hub, "notes.a", 1)
    person.type("must not replace it")
    await person.socket.until(lambda: person.socket.closed is not None)
    assert person.socket.close_code == 1013
    assert hub.rooms == {}
    stored = await hub.storage.load(DocumentKey("w", "notes.a"))
    assert [row.update for row in stored.updates] == [b"these are no update"]
    other = Person(hub, "notes.b", 2)
    await other.is_synced()


class TestRecovery:
    """What happens when a document host dies."""

    @pytest.fixture
    async def crowd(self, hub: Hub) -> list[Person]:
        """Ten rooms with one person each; the first room has the ground for the killer, and five more people."""
        ground = [Append(DocumentKey("w", "notes.0"), n, update) for n, update in enumerate(KILLER_GROUND, 1)]
        await hub.storage.append(ground)
        people = [Person(hub, f"notes.{n}", n + 10) for n in range(10)]
        people += [Person(hub, "notes.0", n + 30) for n in range(5)]
        for person in people:
            await person.is_synced()
        for person in (people[0], *people[10:]):
            await person.sees("a")
            person.received.clear()
        return people

    async def test_of_a_batch_only_the_deadly_update_is_quarantined(self, hub: Hub, crowd: list[Person]) -> None:
        attacker = Person(hub, "notes.0", 66)
        await attacker.is_synced()
        attacker.read()
        before = host(hub).restarts
        for person in crowd[:12]:
            person.type("1")
        attacker.send(encode_update(KILLER))
        for person in crowd:
            person.type("2")
        await attacker.socket.until(lambda: attacker.socket.closed is not None)
        assert attacker.socket.close_code == 4409
        attacker.leave()
        for person in crowd[1:10]:
            await person.sees("12")
        await crowd[0].has_length(10)
        for person in crowd[10:]:
            await person.sees(str(crowd[0].replica))
        assert sorted(str(crowd[0].replica)) == ["1"] * 3 + ["2"] * 6 + ["a"]
        assert [person.socket.closed for person in crowd] == [None] * len(crowd)
        (item,) = await quarantined(hub)
        assert (item.update, item.key) == (KILLER, DocumentKey("w", "notes.0"))
        assert host(hub).restarts > before
        for number in range(10):
            assert await stored_text(hub.storage, f"notes.{number}") == str(crowd[number].replica)
        assert await stored_text(hub.storage, "notes.0") == str(crowd[0].replica)
        crowd[0].type("still alive")
        await crowd[0].echoed()

    async def test_a_killer_as_first_and_as_last_of_its_own_batch(self, hub: Hub, crowd: list[Person]) -> None:
        for number in range(2):
            attacker = Person(hub, "notes.0", 70 + number)
            await attacker.is_synced()
            if number:
                crowd[0].type("x")
            attacker.send(encode_update(KILLER))
            if not number:
                crowd[0].type("x")
            await attacker.socket.until(lambda who=attacker: who.socket.closed is not None)  # type: ignore[misc]
            assert attacker.socket.close_code == 4409
        await crowd[0].sees("axx")
        assert len(await quarantined(hub)) == 2

    async def test_a_host_killed_from_outside_costs_no_update(self, hub: Hub, crowd: list[Person]) -> None:
        for turn in range(6):
            for person in crowd[:10]:
                person.type(str(turn))
            for _ in range(turn):
                await asyncio.sleep(0)
            if host(hub).pid is not None:  # after several deaths in a row a new host waits a little
                kill(host(hub))
            for person in crowd[1:10]:
                await person.sees("012345"[: turn + 1])
        assert [person.socket.closed for person in crowd] == [None] * len(crowd)
        assert await quarantined(hub) == []
        for number in range(1, 10):
            assert await stored_text(hub.storage, f"notes.{number}") == "012345"

    async def test_a_host_that_stands_still_is_replaced(self, open_hub: Opener) -> None:
        hub = await open_hub(host_timeout_seconds=60)
        one, two = await couple(hub)
        one.type("have ")
        await two.sees("have ")
        kill(host(hub), signal.SIGSTOP)
        host(hub)._timeout_seconds = 0.2  # for this batch alone: the next host has the time of a busy machine
        one.type("patience", 5)
        async with asyncio.timeout(60):
            while not hub.hosts.dispatchers[0].busy(one.room):  # noqa: ASYNC110 - no event reports the next batch
                await asyncio.sleep(0)
        host(hub)._timeout_seconds = 60
        await two.sees("have patience")
        assert host(hub).restarts == 1
        assert await quarantined(hub) == []

    async def test_a_room_whose_stored_bytes_kill_goes_on_without_a_doc(self, hub: Hub) -> None:
        await hub.storage.append(STORED_DEATH)
        neighbour = Person(hub, "notes.good", 2)
        await neighbour.is_synced()
        before = host(hub).restarts
        victim = Person(hub, "notes.bad", 1)  # does not read: its own Doc would not survive that either
        neighbour.type("y")
        for text in "xy":
            echo = encode_update(victim.type(text))
            await victim.socket.until(lambda echo=echo: echo in victim.socket.outbox)  # type: ignore[misc]
        await neighbour.sees("y")
        assert host(hub).restarts - before == 2
        rows = [row.update for row in (await hub.storage.load(STORED_DEATH[0].key)).updates]
        assert rows[:3] == [*KILLER_GROUND, KILLER]
        assert len(rows) == 5
        assert await quarantined(hub) == []

    async def test_a_read_only_visitor_can_ask_for_a_document_that_cannot_be_edited(self, hub: Hub) -> None:
        await hub.storage.append(STORED_DEATH)
        visitor = Person(hub, "notes.bad", 1)
        await visitor.socket.until(lambda: len(visitor.socket.outbox) >= 2)
        assert visitor.socket.answers()
        assert visitor.socket.closed is None

    async def test_hostile_questions_do_not_kill(self, hub: Hub) -> None:
        one, two = await couple(hub)
        one.send(encode_sync_step1(bytes.fromhex("8080808002")))
        await one.socket.until(lambda: one.socket.closed is not None)
        assert one.socket.close_code == 4400
        two.type("x")
        await two.sees("x")
        assert host(hub).restarts == 0

    async def test_the_job_worker_survives_its_host(self, hub: Hub) -> None:
        one, two = await couple(hub)
        await hub.hosts.jobs.check(KILLER)
        kill(hub.hosts.jobs.supervisor)
        one.type("x" * 50_000)
        await two.sees("x" * 50_000)
        assert await hub.hosts.jobs.merge([KILLER, KILLER]) == KILLER


async def test_a_store_that_is_gone_ends_rooms_and_they_come_back(open_hub: Opener, database_url: str) -> None:
    hub = await open_hub()
    one, two = await couple(hub)
    one.type("safe")
    await two.sees("safe")
    lost, hub.storage._executor = hub.storage._executor, await _closed_executor(database_url)
    one.type(" and kept")
    await one.socket.until(lambda: one.socket.closed is not None)
    assert one.socket.close_code == two.socket.close_code == 1013
    one.read()
    assert len(one.received) == 1
    hub.storage._executor = lost
    for person in (one, two):
        person.leave()
        person.enter()
    await asyncio.gather(one.sees("safe and kept"), two.sees("safe and kept"))
    assert await stored_text(hub.storage, "notes.a") == "safe and kept"


async def _closed_executor(url: str) -> Any:
    twin = await open_storage(url)
    await twin.close()
    return twin._executor

"""Documents with a schema in the running parts of the server: real hosts, a real store, hand-flushed sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pycrdt import Map, Text

from crdt_server.access.identity import Identity
from crdt_server.hosts.batch import LoadPlan
from crdt_server.hub.hub import Hub
from crdt_server.hub.pacing import REVERTS
from crdt_server.judge.shared_types import MAX_UNKNOWN_ROOTS
from crdt_server.pipe import Bytes, RequestKind
from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import REVERTED, Request
from crdt_server.settings import Settings
from storage import Append, DocumentKey, Storage, StorageError, open_storage
from tests.rooms.person import Person
from tests.support.codec import encode_update
from tests.support.hosts import make_hub
from tests.support.stored_rows import wedding_rows

ADA = Identity("ada", "couple")
NOTE = "x" * 20_000


class Guide(Person):
    """Writes guests."""

    def __init__(self, hub: Hub, client_id: int, *, wedding: str = "w", document: str = "guests") -> None:
        super().__init__(hub, document, client_id, wedding=wedding)

    def put(self, *records: str, note: str = "", **fields: Any) -> bytes:
        before = self.replica.state_vector
        guests = self.replica.doc.get("guests", type=Map)
        with self.replica.doc.transaction():
            for record in records:
                guests[record] = Map({"firstName": record, "note": Text(note), **fields})
        update = self.replica.doc.get_update(before)
        self.send(encode_update(update))
        return update

    @property
    def guests(self) -> dict[str, dict[str, Any]]:
        self.read()
        rows = self.replica.doc.get("guests", type=Map).to_py() or {}
        return {record: {key: value for key, value in row.items() if key != "note"} for record, row in rows.items()}

    async def knows(self, *records: str) -> None:
        """Wait until exactly these guests are here, and all own edits are confirmed."""
        wanted = set(records)
        await self.socket.until(lambda: self.socket.closed is not None or (self.guests.keys() == wanted and self.saved))
        assert self.socket.closed is None, self.socket.closed


@pytest.fixture
async def hub(storage: Storage) -> AsyncIterator[Hub]:
    settings = Settings(dev=True, document_hosts=1, max_strikes=0, host_timeout_seconds=60)
    hub = make_hub(settings, storage)
    await hub.start()
    yield hub
    await hub.stop()


async def ended(person: Person) -> int | None:
    """The close code, once there is one."""
    await person.socket.until(lambda: person.socket.closed is not None)
    return person.socket.close_code


async def give_up(hub: Hub, guide: Guide) -> None:
    """Leave, and let the room go as soon as it has nothing to do."""
    guide.leave()
    async with asyncio.timeout(60):
        while guide.room.phase is not Phase.DEAD:
            hub.registry.evict_idle(hub.time(), 0)
            await asyncio.sleep(0)


async def read_rows(hub: Hub, document: str = "guests") -> dict[str, Any]:
    response = await hub.request(DocumentKey("w", document), ADA, "test", Request(None, RequestKind.READ, b""))
    assert isinstance(response, Bytes)
    rows: dict[str, Any] = json.loads(response.data)
    return rows


def fetches(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What is fetched from now on, and whether with the rows of the wedding."""
    fetch, seen = hub.hosts.fetch, []

    async def noted(room: Room, with_rows: bool) -> LoadPlan:
        seen.append((room.document, with_rows))
        return await fetch(room, with_rows)

    monkeypatch.setattr(hub.hosts, "fetch", noted)
    return seen


async def test_an_edit_reaches_the_others_the_store_and_the_listeners_for_events(hub: Hub) -> None:
    one, two = Guide(hub, 11), Guide(hub, 12)
    with hub.events.listen("w") as listener, hub.events.listen("elsewhere") as other:
        one.put("g_1")
        await two.knows("g_1")
        assert await listener.wait(10)
        (event,) = await hub.storage.events("w", after=listener.head - 1)
        assert (event.seq, event.type, event.record) == (1, "guest.added", "g_1")
        assert json.loads(event.body)["actor"]["user"] == "user-11"
        assert not await other.wait(0)
    ((document, row),) = await wedding_rows(hub.storage, "w")
    assert (document, row.record) == ("guests", "g_1")
    assert await hub.storage.owners(DocumentKey("w", "guests")) == {11: "user-11"}
    assert (await read_rows(hub))["guests"].keys() == {"g_1"}


async def test_what_does_not_fit_reaches_nobody_and_its_writer_gets_a_notice(hub: Hub) -> None:
    one, two = Guide(hub, 11), Guide(hub, 12)
    await asyncio.gather(one.is_synced(), two.is_synced())
    one.put("g_1", side="of no side")
    await two.knows("g_1")
    await one.knows("g_1")
    assert one.guests == two.guests == {"g_1": {"firstName": "g_1"}}
    assert all(b"of no side" not in frame for frame in two.socket.arrived)
    (notice,) = one.denied
    assert json.loads(notice)["reverted"][0]["key"] == "side"
    assert two.denied == []
    assert hub.metrics.counters.reverted == 1
    assert one.socket.closed is None


async def test_who_has_much_undone_is_slowed_down_and_stays(hub: Hub) -> None:
    """Whoever types into a note that is full has an edit undone for each key."""
    one, two = Guide(hub, 11), Guide(hub, 12)
    one.put("g_full", note="x" * 20_000)
    await one.knows("g_full")
    for count in range(REVERTS + 1):
        before = one.replica.state_vector
        one.replica.doc.get("guests", type=Map)["g_full"]["note"].insert(0, "y")
        one.send(encode_update(one.replica.doc.get_update(before)))
        await one.socket.until(lambda count=count: not one.read() and len(one.denied) > count)  # type: ignore[misc]
    assert (one.socket.closed, one.session.paused, one.socket.paused) == (None, REVERTED, True)
    assert hub.metrics.counters.revert_pauses == 1
    two.put("h_1")
    await two.socket.until(lambda: "h_1" in two.guests and two.saved)
    assert len(two.replica.doc.get("guests", type=Map).to_py()["g_full"]["note"]) == 20_000


async def test_half_of_a_character_is_refused_before_it_can_end_the_host(hub: Hub) -> None:
    """yrs does not survive that it is undone, as in a note that is full."""
    one, two, mallory = Guide(hub, 11), Guide(hub, 12), Guide(hub, 13)
    one.put("g_full", note="x" * 20_000)
    for each in (one, two, mallory):
        await each.knows("g_full")
    supervisor = hub.hosts.dispatchers[0].supervisor
    host = supervisor.pid
    typed = write_var_uint(13) + write_var_uint(0)
    mallory.send(encode_update(b"\1\1" + typed + b"\x84\x0b\x64" + write_var_string("🎻") + b"\1\x0d\1\1\1"))
    await ended(mallory)
    assert mallory.socket.closed == (4409, "violation: drop this copy and load the document again")
    mallory.read()
    assert "an edit inside of a character" in json.loads(mallory.denied[-1])["why"]
    two.put("h_1")
    await one.knows("g_full", "h_1")
    assert (supervisor.pid, supervisor.restarts) == (host, 0)
    assert (one.socket.closed, two.socket.closed) == (None, None)


async def test_a_root_too_many_closes_with_what_to_do(hub: Hub) -> None:
    guide = Guide(hub, 11)
    await guide.is_synced()

    def write_into(*roots: str) -> None:
        before = guide.replica.state_vector
        with guide.replica.doc.transaction():
            for root in roots:
                guide.replica.doc.get(root, type=Map)["a"] = 1
        guide.send(encode_update(guide.replica.doc.get_update(before)))

    write_into(*(f"guest{n}" for n in range(MAX_UNKNOWN_ROOTS)))
    await guide.socket.until(lambda: guide.read() or (guide.saved and bool(guide.denied)))
    write_into("guest")
    await ended(guide)
    assert guide.socket.closed == (4409, "violation: drop this copy and load the document again")
    guide.read()
    assert "unknown root 'guest'" in json.loads(guide.denied[-1])["why"]


async def test_it_comes_back_from_the_store_with_all_that_is_known_of_it(hub: Hub) -> None:
    one = Guide(hub, 11)
    one.put("g_1")
    await one.knows("g_1")
    await give_up(hub, one)
    intruder = Guide(hub, 11)
    intruder.identity = Identity("eve", "couple")
    intruder.leave()
    intruder.enter()
    await intruder.knows("g_1")
    intruder.put("g_2")
    assert await ended(intruder) == 4409  # client id 11 is another's
    assert (await read_rows(hub))["guests"].keys() == {"g_1"}


class TestRowsOfTheWedding:
    """The first document that opens brings the rows of all; the host says so where it lacks them."""

    async def test_they_come_once(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        seen = fetches(hub, monkeypatch)
        first = Guide(hub, 11)
        await first.is_synced()
        first.put("g_1")
        await first.knows("g_1")
        await read_rows(hub, "seating")
        await read_rows(hub, "budget")
        assert seen == [("guests", True), ("seating", False), ("budget", False)]

    @pytest.mark.parametrize("notes", [0, 8])
    async def test_where_they_are_lacking_the_document_is_fetched_again(
        self, hub: Hub, notes: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when a host dies between the fetch and the load; also of a document that is loaded in steps."""
        one = Guide(hub, 11)
        records = [f"g_{n}" for n in range(max(1, notes))]
        one.put(*records, note=NOTE if notes else "")
        await one.knows(*records)
        await give_up(hub, one)
        seen = fetches(hub, monkeypatch)
        hub.hosts.dispatchers[0].residency._weddings["w"] = {one.room}
        two = Guide(hub, 12)
        two.put("h_1")
        await two.knows(*records, "h_1")
        assert seen == [("guests", False), ("guests", True)]
        two.put("h_2", plusOnesAllowed=-1)
        await two.knows(*records, "h_1", "h_2")
        assert two.guests["h_2"] == {"firstName": "h_2"}  # it is held as what it is
        assert hub.hosts.dispatchers[0].supervisor.restarts == 0


class TestTogether:
    """The documents of a wedding stay in one host, and end together where it is ahead of the store."""

    async def test_a_large_one_stays(self, hub: Hub) -> None:
        guide, writer = Guide(hub, 11), Person(hub, "notes.a", 12)
        records = [f"g_{n}" for n in range(8)]
        guide.put(*records, note=NOTE)
        writer.type("x" * 160_000)
        await guide.knows(*records)
        await writer.sees("x" * 160_000)
        guide.put("h")
        writer.type("y")
        await guide.knows(*records, "h")
        await writer.sees("x" * 160_000 + "y")
        assert guide.room.hosted.heavy
        assert writer.room.hosted.heavy
        assert hub.dispatcher_for(guide.room) is hub.hosts.dispatchers[0]
        assert hub.dispatcher_for(writer.room) is hub.hosts.heavy
        assert guide.room in hub.hosts.dispatchers[0].residency

    async def test_where_one_cannot_be_stored_all_end_and_come_back(self, hub: Hub, database_url: str) -> None:
        guide, planner, writer = Guide(hub, 11), Person(hub, "budget", 12), Person(hub, "notes.a", 13)
        elsewhere = Guide(hub, 14, wedding="v")
        for person in (guide, planner, writer, elsewhere):
            await person.is_synced()
        guide.put("g_1")
        await guide.knows("g_1")
        closed = await open_storage(database_url)
        await closed.close()
        executor, hub.storage._executor = hub.storage._executor, closed._executor
        guide.put("g_2")
        assert await ended(guide) == 1013
        assert planner.socket.close_code == 1013
        assert writer.socket.closed is None
        assert elsewhere.socket.closed is None
        hub.storage._executor = executor
        assert [row.record for _, row in await wedding_rows(hub.storage, "w")] == ["g_1"]
        guide.leave()
        guide.enter()
        await guide.knows("g_1", "g_2")
        assert [row.record for _, row in await wedding_rows(hub.storage, "w")] == ["g_1", "g_2"]
        assert [event.record for event in await hub.storage.events("w")] == ["g_1", "g_2"]

    async def test_one_that_cannot_be_read_ends_alone(self, hub: Hub) -> None:
        guide = Guide(hub, 11)
        guide.put("g_1")
        await guide.knows("g_1")
        await hub.storage.append([Append(DocumentKey("w", "budget"), 1, b"damaged")])
        planner = Person(hub, "budget", 12)
        assert await ended(planner) == 1013
        guide.put("g_2")
        await guide.knows("g_1", "g_2")

    async def test_one_can_be_given_up_while_another_is_edited(self, hub: Hub) -> None:
        """The host forgets it in the batch that has the edit, and says something of the wedding as a whole."""
        planner, editor = Guide(hub, 11), Person(hub, "wedding", 12)
        board = editor.replica.doc.get("board", type=Text)
        editor.replica.text = board
        await planner.is_synced()
        planner.put("g_1")
        await planner.knows("g_1")
        editor.type("a")
        await editor.sees("a")
        await give_up(hub, planner)
        editor.type("b")  # its event waits
        await editor.sees("ab")
        assert hub.scheduler._timers.keys() == {"w"}
        assert hub.hosts.dispatchers[0].supervisor.restarts == 0


def book(person: Person) -> None:
    """The vendor everybody wants, for the same day."""
    before, doc = person.replica.state_vector, person.replica.doc
    with doc.transaction():
        meta = {"date": "2026-06-20", "timeZone": "Europe/London", "strategy:W2": "priority_based"}
        doc.get("meta", type=Map).update(meta)
        doc.get("vendors", type=Map)["v_1"] = Map(
            {"name": "Lens", "organization": "o_1", "stage": "booked", "bookedWindow": {"start": 840, "end": 1320}}
        )
    person.send(encode_update(doc.get_update(before)))


def stage(person: Person) -> str | None:
    person.read()
    return (person.replica.doc.get("vendors", type=Map).to_py() or {}).get("v_1", {}).get("stage")


async def test_who_opens_a_wedding_sees_what_a_crash_has_left_to_be_told(
    storage: Storage, hub: Hub, tmp_path: Path
) -> None:
    """The bookings are stored, and the process has ended before it told the other wedding. Nobody edits anything."""
    hub.commits._on_bookings = lambda *_: None
    vouched = tmp_path / "organizations"
    vouched.write_text("o_else\no_1\n")
    for wedding in ("early", "late"):
        person = Person(hub, "wedding", 11, wedding=wedding)
        book(person)
        await person.socket.until(lambda person=person: person.read() or person.saved)  # type: ignore[misc]
        assert stage(person) == "booked"
    await hub.stop()
    settings = Settings(dev=True, document_hosts=1, max_strikes=0, vouched_organizations=str(vouched))
    again = make_hub(settings, storage)
    await again.start()
    try:
        reader = Person(again, "wedding", 12, wedding="late")
        await reader.socket.until(lambda: stage(reader) == "quoted")
    finally:
        await again.stop()


async def test_nothing_is_kept_of_a_document_that_could_not_be_brought_into_a_new_host(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its wedding counts as held by the host for ever, and is fetched without its rows."""
    guide = Guide(hub, 11)
    guide.put("g_1")
    await guide.knows("g_1")
    dispatcher = hub.hosts.dispatchers[0]
    assert dispatcher.supervisor.pid is not None
    os.kill(dispatcher.supervisor.pid, signal.SIGSTOP)
    guide.put("g_2")
    async with asyncio.timeout(60):
        while not dispatcher.busy(guide.room):  # noqa: ASYNC110 - no event reports the next batch
            await asyncio.sleep(0)

    async def fail(key: DocumentKey) -> None:
        raise StorageError("the disk is gone")

    with monkeypatch.context() as broken:
        broken.setattr(hub.storage, "load", fail)
        os.kill(dispatcher.supervisor.pid, signal.SIGKILL)
        async with asyncio.timeout(60):
            while dispatcher.busy(guide.room):  # noqa: ASYNC110 - no event reports the end of a recovery
                await asyncio.sleep(0)
    assert guide.room.phase is Phase.DEAD
    assert guide.socket.closed is not None
    assert not dispatcher.residency.holds_wedding("w")
    assert not dispatcher.residency.siblings(guide.room)
    guide.enter()
    await guide.knows("g_1", "g_2")

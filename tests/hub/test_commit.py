"""The commit pump on a real store: order, barriers, and what happens when a commit fails."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from datetime import datetime
from pathlib import Path

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hub.commit import CommitPump
from crdt_server.hub.commit_queue import COMMIT_BYTES
from crdt_server.metrics import Metrics
from crdt_server.pipe import RequestKind, Status
from crdt_server.records import BatchRecords, BookingChange, ClientOwner, CommandAnswer, EventRecord, RowChange
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from storage import (
    Append,
    BookingValues,
    DerivedRecords,
    DocumentKey,
    Storage,
    StoredEvent,
    StoredRow,
    VendorBooking,
    open_storage,
)
from tests.support.codec import encode_update
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket
from tests.support.stored_rows import wedding_rows

AT = "2026-06-20T12:00:00.000Z"
MOMENT = datetime.fromisoformat(AT)


class Bench:
    """A pump, a store, and rooms with one session each."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.failed: list[Room] = []
        self.events = RecordingRoomEvents()
        self.recorded: list[tuple[str, int]] = []
        self.published: list[StoredEvent] = []
        self.booked: list[tuple[str, Sequence[BookingValues]]] = []
        self.pump = CommitPump(
            storage,
            Metrics(),
            fail=self._fail,
            on_events=self._record,
            on_bookings=lambda wedding, images: self.booked.append((wedding, images)),
        )

    def _fail(self, room: Room) -> None:
        self.failed.append(room)
        room.fail(1013, "try again")

    def _record(self, wedding: str, head: int, events: Sequence[StoredEvent]) -> None:
        self.recorded.append((wedding, head))
        self.published += events if wedding == "w" else ()

    def room(self, name: str) -> tuple[Room, Session, HandSocket]:
        room = Room(1, "w", name, RoomLimits(), Counters(), self.events)
        room.opened()
        socket = HandSocket()
        session = Session(SessionId(1), socket, Identity("ada", "couple"))
        room.join(session)
        room.take(1 << 20)
        return room, session, socket

    def put(self, room: Room, session: Session, update: bytes | None, status: Status | None = None) -> RoomBatch:
        request = Request(session, RequestKind.UPDATE, b"u", echo=True)
        batch = RoomBatch(room, [request], update, {0: status} if status else {})
        room.assign_sequence(batch)
        self.pump.put(batch)
        return batch

    async def stored(self, name: str) -> list[bytes]:
        return [row.update for row in (await self.storage.load(DocumentKey("w", name))).updates]


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    task = asyncio.create_task(bench.pump.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wedding.db"


@pytest.fixture
async def bench(path: Path) -> AsyncIterator[Bench]:
    storage = await open_storage(f"sqlite:///{path}", migrate=True)
    yield Bench(storage)
    await storage.close()


async def test_nothing_is_broadcast_before_its_commit(bench: Bench) -> None:
    room, session, socket = bench.room("notes.a")
    bench.put(room, session, b"one")
    bench.put(room, session, None, Status.KNOWN)
    assert not socket.outbox
    assert room.pins == bench.pump.backlog == 2
    async with running(bench):
        await bench.pump.flush()
    assert socket.flush() == [encode_update(b"one"), encode_update(b"u")]
    assert await bench.stored("notes.a") == [b"one"]
    assert room.pins == bench.pump.backlog == 0


async def test_a_room_that_cannot_be_broadcast_ends_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, session, _ = bench.room("notes.a")
    room, other, socket = bench.room("notes.b")

    def broadcast(batch: RoomBatch) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(broken, "broadcast", broadcast)
    bench.put(broken, session, b"one")
    bench.put(room, other, b"two")
    async with running(bench):
        await bench.pump.flush()
        await socket.until(lambda: bool(socket.outbox))
    assert bench.failed == [broken]
    assert socket.flush() == [encode_update(b"two")]
    assert await bench.stored("notes.a") == [b"one"]


async def test_another_writer_of_one_document_ends_nothing_of_the_other_weddings(bench: Bench) -> None:
    room, session, socket = bench.room("notes.a")
    bench.put(room, session, b"one")
    other = Room(2, "v", "notes.a", RoomLimits(), Counters(), bench.events)
    other.opened()
    await bench.storage.append([Append(DocumentKey("v", "notes.a"), seq, b"somebody else's") for seq in (1, 2)])
    bench.put(other, session, b"two")
    async with running(bench):
        await bench.pump.flush()
    assert bench.failed == [other]
    assert socket.flush() == [encode_update(b"one")]
    assert await bench.stored("notes.a") == [b"one"]


async def test_what_needs_no_commit_and_waits_behind_none_is_broadcast_at_once(bench: Bench) -> None:
    room, session, socket = bench.room("notes.a")
    bench.put(room, session, None, Status.KNOWN)
    assert socket.updates() == [b"u"]


async def test_requests_that_follow_a_late_broadcast_are_reported(bench: Bench) -> None:
    """A gap whose batch waited behind a commit is answered with a question, which must get into a batch."""
    room, session, _ = bench.room("notes.a")
    bench.events.with_requests.clear()
    bench.put(room, session, b"one")
    bench.put(room, session, None, Status.GAP)
    async with running(bench):
        await bench.pump.flush()
    assert room.inbox
    assert bench.events.with_requests == [room]


async def test_many_rooms_share_a_transaction_in_order(bench: Bench) -> None:
    rooms = [bench.room(f"notes.{n}") for n in range(5)]
    for n in range(20):
        for room, session, _ in rooms:
            bench.put(room, session, b"%d" % n)
    async with running(bench):
        await bench.pump.flush()
    for room, _, socket in rooms:
        assert socket.updates() == await bench.stored(room.document) == [b"%d" % n for n in range(20)]


async def test_what_is_large_waits_for_what_is_small_and_is_stored_by_itself(bench: Bench) -> None:
    """A transaction with 15 MB held SQLite's writer for 0.2 s, and two of them for twice as long."""
    large = [bench.room(f"notes.large{n}") for n in range(3)]
    small, session, socket = bench.room("notes.small")
    transactions, append = list[list[str]](), bench.storage.append

    async def counted(updates: Sequence[Append], derived: Sequence[DerivedRecords] = ()) -> dict[str, int]:
        transactions.append([f"{each.key.document}.{each.seq}" for each in updates])
        if len(transactions) == 2:
            bench.put(small, session, b"late")
            bench.put(*large[1][:2], b"also late")
        return await append(updates, derived)

    bench.pump._store.append = counted  # type: ignore[method-assign]
    for room, writer, _ in large:
        bench.put(room, writer, bytes(COMMIT_BYTES))
    bench.put(small, session, b"one")
    bench.put(small, session, b"two")
    async with running(bench):
        await bench.pump.flush()
        assert len(transactions) == 5
        bench.put(*large[0][:2], b"three")
        await bench.pump.flush()
    assert transactions == [
        ["notes.small.1", "notes.small.2"],
        ["notes.large0.1"],
        ["notes.small.3"],
        ["notes.large1.1", "notes.large1.2"],
        ["notes.large2.1"],
        ["notes.large0.2"],
    ]
    assert socket.updates() == [b"one", b"two", b"late"]
    assert [len(update) for update in large[1][2].updates()] == [COMMIT_BYTES, 9]


async def test_what_is_small_fills_every_transaction_of_a_long_queue(bench: Bench) -> None:
    """The oldest has every second one to itself only where it is large."""
    oldest = bench.room("notes.oldest")
    bench.put(*oldest[:2], bytes(COMMIT_BYTES // 4))
    rooms = [bench.room(f"notes.{n}") for n in range(40)]
    for room, session, _ in rooms:
        bench.put(room, session, bytes(COMMIT_BYTES // 8))
    transactions, append = list[int](), bench.storage.append

    async def counted(updates: Sequence[Append], derived: Sequence[DerivedRecords] = ()) -> dict[str, int]:
        transactions.append(len(updates))
        return await append(updates, derived)

    bench.pump._store.append = counted  # type: ignore[method-assign]
    async with running(bench):
        await bench.pump.flush()
    assert transactions == [8, 7, 8, 8, 8, 2]


async def test_all_of_a_wedding_is_one_transaction(bench: Bench) -> None:
    """A command is stored in all its documents or in none."""
    guests, seating, note = bench.room("guests"), bench.room("seating"), bench.room("notes.a")
    stored, append = list[set[str]](), bench.storage.append

    async def seen(updates: Sequence[Append], derived: Sequence[DerivedRecords] = ()) -> dict[str, int]:
        stored.append({each.key.document for each in updates})
        return await append(updates, derived)

    bench.pump._store.append = seen  # type: ignore[method-assign]
    bench.put(*guests[:2], bytes(COMMIT_BYTES))
    bench.put(*note[:2], b"a note")
    bench.put(*seating[:2], b"small")
    async with running(bench):
        await bench.pump.flush()
    assert stored == [{"notes.a"}, {"guests", "seating"}]


async def test_a_barrier_is_passed_under_constant_load(bench: Bench) -> None:
    room, session, socket = bench.room("notes.a")
    stop = asyncio.Event()

    async def load() -> None:
        while not stop.is_set():
            bench.put(room, session, b"x")
            await asyncio.sleep(0)

    async with running(bench):
        loading = asyncio.create_task(load())
        try:
            for _ in range(3):
                before = room.head_seq
                async with asyncio.timeout(60):
                    await bench.pump.flush()
                assert len(socket.outbox) >= before
        finally:
            stop.set()
            await loading
        await bench.pump.flush()


async def test_a_barrier_nobody_waits_for_any_more_is_harmless(bench: Bench) -> None:
    room, session, socket = bench.room("notes.a")
    bench.put(room, session, b"one")
    waiting = asyncio.create_task(bench.pump.flush())
    await asyncio.sleep(0)
    waiting.cancel()
    async with running(bench):
        await bench.pump.flush()
    assert socket.updates() == [b"one"]


async def test_a_closed_store_fails_the_rooms_of_the_batch(bench: Bench) -> None:
    room, session, socket = bench.room("notes.a")
    await bench.storage.close()
    bench.put(room, session, b"one")
    bench.put(room, session, b"two")
    async with running(bench):
        await bench.pump.flush()
    assert bench.failed == [room]
    assert socket.close_code == 1013
    assert not socket.outbox
    assert room.pins == 0


@pytest.mark.slow
async def test_a_locked_store_fails_the_batch_and_a_new_room_goes_on(bench: Bench, path: Path) -> None:
    room, session, socket = bench.room("notes.a")
    late, late_session, late_socket = bench.room("notes.b")
    async with running(bench):
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            bench.put(room, session, b"one")
            await bench.pump.flush()
            other.execute("ROLLBACK")
        assert (socket.close_code, list(socket.outbox)) == (1013, [])
        assert await bench.stored("notes.a") == []
        bench.put(late, late_session, b"later")
        bench.put(room, session, b"of the dead")
        await bench.pump.flush()
    assert late_socket.updates() == [b"later"]
    assert await bench.stored("notes.a") == []
    assert bench.failed == [room]


async def test_a_second_writer_is_noticed(bench: Bench, path: Path) -> None:
    room, session, socket = bench.room("notes.a")
    async with running(bench):
        bench.put(room, session, b"one")
        await bench.pump.flush()
        room.head_seq = 0
        bench.put(room, session, b"a second first")
        await bench.pump.flush()
    assert bench.failed == [room]
    assert await bench.stored("notes.a") == [b"one"]
    assert socket.updates() == [b"one"]


async def test_a_transaction_under_way_ends_before_the_pump_does(bench: Bench) -> None:
    room, session, _ = bench.room("notes.a")
    task = asyncio.create_task(bench.pump.run())
    bench.put(room, session, b"one")
    await asyncio.sleep(0)  # the pump wakes
    await asyncio.sleep(0)  # and has begun
    assert not bench.pump._waiting
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await bench.stored("notes.a") == [b"one"]


def derived(record: str, *, events: int = 1, root: str = "guests", key: str | None = None) -> BatchRecords:
    """What follows from an edit of one guest."""
    return BatchRecords(
        [RowChange(root, record, '{"firstName":"Ann"}', "{}")],
        [EventRecord("guest.changed", AT, record, f'{{"n":{n}}}') for n in range(events)],
        [ClientOwner(len(record), "ada")],
        [] if key is None else [CommandAnswer(key, "digest", '{"operations":1}', MOMENT)],
        [],
    )


class TestDerivedRecords:
    """Rows, events, owners and answers go the way of the updates they follow from."""

    def put(self, bench: Bench, room: Room, update: bytes | None, records: BatchRecords, session: Session) -> None:
        batch = RoomBatch(room, [Request(session, RequestKind.UPDATE, b"u", echo=True)], update)
        batch.derived = records
        room.assign_sequence(batch)
        bench.pump.put(batch)

    async def records(self, bench: Bench) -> list[str]:
        return [row.record for _, row in await wedding_rows(bench.storage, "w")]

    async def test_they_are_stored_with_the_update_and_announced_after_it(self, bench: Bench) -> None:
        room, session, socket = bench.room("guests")
        self.put(bench, room, b"one", derived("g_1", events=2, key="k"), session)
        assert (bench.recorded, list(socket.outbox)) == ([], [])
        async with running(bench):
            await bench.pump.flush()
        assert socket.updates() == await bench.stored("guests") == [b"one"]
        assert await wedding_rows(bench.storage, "w") == [
            ("guests", StoredRow("guests", "g_1", '{"firstName":"Ann"}', "{}"))
        ]
        assert [(each.seq, each.document, each.body) for each in await bench.storage.events("w")] == [
            (1, "guests", '{"n":0}'),
            (2, "guests", '{"n":1}'),
        ]
        assert await bench.storage.owners(DocumentKey("w", "guests")) == {3: "ada"}
        answer = await bench.storage.answer("w", "k")
        assert answer is not None
        assert answer.at == MOMENT
        assert bench.recorded == [("w", 2)]

    async def test_when_events_are_announced_they_can_be_read(self, bench: Bench) -> None:
        room, session, _ = bench.room("guests")
        called = asyncio.Event()
        bench.pump._on_events = lambda *_: called.set()
        self.put(bench, room, b"one", derived("g_1"), session)
        async with running(bench), asyncio.timeout(60):
            await called.wait()
            assert [each.seq for each in await bench.storage.events("w")] == [1]

    async def test_a_wedding_is_announced_once_for_all_its_documents(self, bench: Bench) -> None:
        guests, budget, notes = bench.room("guests"), bench.room("budget"), bench.room("notes.a")
        for n in range(3):
            self.put(bench, guests[0], b"g", derived(f"g_{n}", events=2), guests[1])
            self.put(bench, budget[0], b"b", derived(f"b_{n}", events=1), budget[1])
            bench.put(notes[0], notes[1], b"n")
        async with running(bench):
            await bench.pump.flush()
            assert bench.recorded == [("w", 9)]
            assert bench.published == await bench.storage.events("w")
            self.put(bench, guests[0], b"g", derived("g_9", events=1), guests[1])
            await bench.pump.flush()
        assert bench.recorded == [("w", 9), ("w", 10)]

    async def test_values_that_cannot_be_stored_end_nothing_of_the_other_weddings(self, bench: Bench) -> None:
        room, session, socket = bench.room("guests")
        other = Room(2, "v", "guests", RoomLimits(), Counters(), bench.events)
        other.opened()
        self.put(bench, room, b"one", derived("g_1"), session)
        self.put(bench, other, b"two", derived("\ud800"), session)
        async with running(bench):
            await bench.pump.flush()
            await socket.until(lambda: bool(socket.outbox))
        assert bench.failed == [other]
        assert await bench.stored("guests") == [b"one"]
        assert await self.records(bench) == ["g_1"]

    async def test_rows_without_events_announce_nothing(self, bench: Bench) -> None:
        room, session, _ = bench.room("guests")
        self.put(bench, room, b"one", derived("g_1", events=0), session)
        async with running(bench):
            await bench.pump.flush()
        assert bench.recorded == []
        assert await self.records(bench) == ["g_1"]

    async def test_bookings_are_stored_before_others_are_told(self, bench: Bench) -> None:
        room, session, _ = bench.room("wedding")
        image = VendorBooking("v_1", "o_1", 0, 60, "booked", 7)
        called = asyncio.Event()
        bench.pump._on_bookings = lambda *_: called.set()
        self.put(bench, room, b"one", BatchRecords([], [], [], [], [BookingChange(*image)]), session)
        assert not called.is_set()
        async with running(bench), asyncio.timeout(60):
            await called.wait()
            assert await bench.storage.bookings("w") == [image]

    async def test_nobody_is_told_of_bookings_that_are_not_stored(self, bench: Bench) -> None:
        room, session, _ = bench.room("wedding")
        booking = BookingChange("v" * 300, "o_1", 0, 60, "booked", 7)
        self.put(bench, room, b"one", BatchRecords([], [], [], [], [booking]), session)
        self.put(bench, room, b"two", derived("v_1"), session)
        async with running(bench):
            await bench.pump.flush()
        assert (bench.booked, bench.failed) == ([], [room])

    async def test_records_alone_wait_for_their_commit_too(self, bench: Bench) -> None:
        """Edits of a text are told later; no update comes with them, and no row of updates is written."""
        room, session, _ = bench.room("guests")
        self.put(bench, room, None, derived("g_1"), session)
        assert room.pins == bench.pump.backlog == 1
        async with running(bench):
            await bench.pump.flush()
        assert await bench.stored("guests") == []
        assert await self.records(bench) == ["g_1"]
        assert room.head_seq == 0

    async def test_of_a_dead_room_nothing_is_stored(self, bench: Bench) -> None:
        dead, session, _ = bench.room("guests")
        alive, other_session, _ = bench.room("budget")
        self.put(bench, dead, b"one", derived("g_1"), session)
        self.put(bench, alive, b"two", derived("b_1"), other_session)
        dead.fail(1013, "try again")
        async with running(bench):
            await bench.pump.flush()
        assert await bench.stored("guests") == []
        assert await self.records(bench) == ["b_1"]
        assert [each.document for each in await bench.storage.events("w")] == ["budget"]
        assert bench.recorded == [("w", 1)]
        assert bench.failed == []

    @pytest.mark.parametrize("broken", ["update", "records"])
    async def test_updates_and_records_fail_together(self, bench: Bench, broken: str) -> None:
        room, session, socket = bench.room("guests")
        if broken == "update":
            room.head_seq = 7  # the next one leaves a hole in the store
        self.put(bench, room, b"one", derived("g_1", root="r" * (1 if broken == "update" else 300)), session)
        async with running(bench):
            await bench.pump.flush()
        assert bench.failed == [room]
        assert (socket.close_code, list(socket.outbox), bench.recorded) == (1013, [], [])
        assert await bench.stored("guests") == []
        assert await self.records(bench) == []
        assert await bench.storage.events("w") == []

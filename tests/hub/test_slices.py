"""Weddings whose rules, rows or documents take long: nobody else waits for them, and no update answers for them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from itertools import count
from typing import Any

import pytest

from crdt_server.access.identity import SERVER
from crdt_server.errors import AdmissionError
from crdt_server.hosts.batch import BatchEntry
from crdt_server.hub.hub import Hub
from crdt_server.hub.registry import UNREADABLE_SECONDS
from crdt_server.hub.ticks import ANSWER_SECONDS
from crdt_server.pipe import BatchResponse, Bytes, LoadPostponed, RequestKind
from crdt_server.progress_mark import ProgressMark
from crdt_server.rooms.room import Phase
from crdt_server.rooms.session import Request
from crdt_server.settings import Settings
from documents.registry import kind_of
from documents.sample.build import build_pieces
from storage import Append, DerivedRecords, DocumentKey, Storage, StoredRow
from tests.hub.test_weddings import Guide
from tests.rooms.person import Person
from tests.support.hosts import make_hub

# Items at one time, and the vendors and persons of each: each two items clash once for each of those.
SOME, MANY = (25, 3, 3), (100, 20, 20)
RECORDS = int(os.environ.get("FULL_RECORDS", "10000"))
FULL_RECORDS = 86_000


@pytest.fixture
async def hub(storage: Storage) -> AsyncIterator[Hub]:
    hub = make_hub(Settings(dev=True, document_hosts=1, max_strikes=0, host_timeout_seconds=60), storage)
    await hub.start()
    yield hub
    await hub.stop()


def overlapping_items(items: int, vendors: int, persons: int) -> bytes:
    """A day whose items are all at one time, each with the same vendors and persons."""
    keys = [f"vendor:v_{n}" for n in range(vendors)] + [f"person:g_{n}" for n in range(persons)]
    rows = {
        f"i_{n}": {"title": f"Item {n}", "start": 600, "duration": 60, "place": f"p_{n}", **dict.fromkeys(keys, True)}
        for n in range(items)
    }
    return update_of("timeline", {"items": rows})[0]


def update_of(document: str, rows: dict[str, Any], max_bytes: int = 1 << 20) -> list[bytes]:
    kind = kind_of(document)
    assert kind is not None
    return build_pieces(rows, kind, 7, max_bytes)


async def edit_together(*guides: Guide, names: range) -> None:
    """Edits of single guests, each confirmed before the next."""
    for name in names:
        for guide in guides:
            guide.put(f"g_{name}")
        for guide in guides:
            await guide.socket.until(lambda guide=guide: guide.socket.closed is not None or known(guide))  # type: ignore[misc]
            assert guide.socket.closed is None, guide.socket.closed


def known(guide: Guide) -> bool:
    guide.read()
    return guide.saved


async def until_rest(hub: Hub, person: Person) -> None:
    """Wait until no rule of a wedding has anything left to do."""
    async with asyncio.timeout(300):
        while True:
            if not hub.hosts.dispatchers[0].busy(person.room):
                return
            await asyncio.sleep(0)


async def read(hub: Hub, key: DocumentKey) -> None:
    """Have a document opened for what follows from its rows."""
    await hub.request(key, SERVER, "server", Request(None, RequestKind.DIGEST, b""))


@pytest.mark.parametrize("items", [SOME, pytest.param(MANY, marks=pytest.mark.soak)])
async def test_what_breaks_thousands_of_rules_costs_nobody_else(hub: Hub, items: tuple[int, int, int]) -> None:
    """Small edits in other documents of the wedding are taken, and no host dies; also when all is loaded again."""
    supervisor = hub.hosts.dispatchers[0].supervisor
    await hub.storage.append([Append(DocumentKey("w", "timeline"), 1, overlapping_items(*items))])
    opened = asyncio.create_task(read(hub, DocumentKey("w", "timeline")))
    guide, elsewhere = Guide(hub, 12), Guide(hub, 13, wedding="v")
    await edit_together(guide, elsewhere, names=range(10))
    await opened
    await until_rest(hub, guide)
    assert supervisor.restarts == 0
    assert supervisor.pid is not None
    os.kill(supervisor.pid, signal.SIGKILL)
    await edit_together(guide, elsewhere, names=range(10, 20))
    await read(hub, DocumentKey("w", "timeline"))
    await until_rest(hub, guide)
    assert supervisor.restarts == 1
    assert await hub.storage.quarantined("w") == []
    assert (guide.socket.closed, elsewhere.socket.closed) == (None, None)


async def die_of_rules(hub: Hub, guide: Guide) -> None:
    """The host of small documents dies while it applies the rules of a wedding, in which somebody edits."""
    supervisor, edits = hub.hosts.dispatchers[0].supervisor, count()
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0)
            if known(guide):
                guide.put(f"h_{next(edits)}")
            process, pid = supervisor._process, supervisor.pid
            if process is None or pid is None:
                continue
            os.kill(pid, signal.SIGSTOP)
            dies = process._mark.get()[1] == ProgressMark.RESOLVING
            if dies:
                os.kill(pid, signal.SIGSEGV)
            os.kill(pid, signal.SIGCONT)
            if dies:
                return


async def test_rules_that_kill_their_host_convict_nobody_and_are_left_out(hub: Hub) -> None:
    supervisor = hub.hosts.dispatchers[0].supervisor
    await hub.storage.append([Append(DocumentKey("w", "timeline"), 1, overlapping_items(*SOME))])
    guide, planner, elsewhere = Guide(hub, 12), Person(hub, "timeline", 14), Guide(hub, 13, wedding="v")
    for death in range(2):
        opened = asyncio.create_task(read(hub, DocumentKey("w", "timeline")))
        await die_of_rules(hub, guide)
        await edit_together(guide, elsewhere, names=range(death, death + 1))
        await opened
    await until_rest(hub, guide)
    assert supervisor.restarts == 2
    assert planner.room.hosted.without_rules
    assert (planner.room.hosted.load_deaths, planner.room.hosted.bytes_only) == (0, False)
    assert not elsewhere.room.hosted.without_rules
    assert await hub.storage.quarantined("w") == []
    assert [person.socket.closed for person in (planner, guide, elsewhere)] == [None] * 3


async def plant_seating(storage: Storage, records: int) -> int:
    """Store a document that holds so many guests at tables of ten, and its rows; its size in bytes."""
    rows: dict[str, Any] = {
        "tables": {f"t_{n}": {"label": f"Table {n}", "capacity": 10} for n in range(records // 10)},
        "assignments": {f"g_{n}": {"table": f"t_{n // 10}", "seat": n % 10} for n in range(records)},
    }
    key, pieces = DocumentKey("w", "seating"), update_of("seating", rows, 16 * 1024)
    stored = [
        StoredRow(root, record, json.dumps(row), "{}") for root, those in rows.items() for record, row in those.items()
    ]
    appends = [Append(key, seq, piece) for seq, piece in enumerate(pieces, 1)]
    await storage.append(appends, [DerivedRecords(key, stored)])
    return sum(map(len, pieces))


@pytest.mark.parametrize("records", [RECORDS, pytest.param(FULL_RECORDS, marks=pytest.mark.soak)])
async def test_a_full_document_opens_at_once(hub: Hub, records: int) -> None:
    """Others are answered between its slices, and no host dies of it."""
    size = await plant_seating(hub.storage, records)
    elsewhere, seating = Guide(hub, 13, wedding="v"), Person(hub, "seating", 14)
    await edit_together(elsewhere, names=range(1))
    began, waits = time.monotonic(), list[float]()
    opened = asyncio.create_task(read(hub, DocumentKey("w", "seating")))
    while not opened.done():
        sent = time.monotonic()
        await edit_together(elsewhere, names=range(len(waits) + 1, len(waits) + 2))
        waits.append(time.monotonic() - sent)
    await opened
    seconds = time.monotonic() - began
    assert len(waits) > 2
    await until_rest(hub, seating)
    waits.sort()
    print(f"\n{size} bytes are open after {seconds:.2f} s, at rest after {time.monotonic() - began:.2f} s")
    print(f"{len(waits)} edits of others: p50 {waits[len(waits) // 2]:.4f} s, longest {waits[-1]:.4f} s")
    assert hub.hosts.dispatchers[0].supervisor.restarts == 0


async def test_an_idle_host_opens_a_document_in_few_batches(hub: Hub) -> None:
    """31 load steps of its updates, 6 of its rows and 20 slices took as many batches."""
    await plant_seating(hub.storage, 10_000)
    dispatcher, sizes = hub.hosts.dispatchers[0], list[int]()
    send = dispatcher.request

    async def counted(entries: Sequence[BatchEntry], forget: Sequence[int] = ()) -> BatchResponse:
        sizes.append(len(entries))
        return await send(entries, forget)

    dispatcher.request = counted  # type: ignore[method-assign]
    await read(hub, DocumentKey("w", "seating"))
    assert sum(sizes) > 37
    assert len(sizes) <= 20


async def test_whoever_comes_ends_the_batch_of_a_document_that_opens_alone(hub: Hub) -> None:
    """Load steps that were to follow in it come again, and the document is the same."""
    await plant_seating(hub.storage, 2_000)
    elsewhere = Guide(hub, 13, wedding="v")
    await edit_together(elsewhere, names=range(1))
    dispatcher, postponed = hub.hosts.dispatchers[0], 0
    send, supervisor = dispatcher.request, dispatcher.supervisor

    async def interrupted(entries: Sequence[BatchEntry], forget: Sequence[int] = ()) -> BatchResponse:
        nonlocal postponed
        if postponed:
            return await send(entries, forget)
        elsewhere.put("g_1")  # it comes when the batch is put together already
        sent = asyncio.ensure_future(send(entries, forget))
        await asyncio.sleep(0)
        elsewhere.put("g_2")
        assert supervisor._process is not None
        alone = all(entry.room is not elsewhere.room for entry in entries)
        assert supervisor._process._mark.is_waiting() or not alone
        response = await sent
        postponed += sum(type(each) is LoadPostponed for each in response.results)
        return response

    dispatcher.request = interrupted  # type: ignore[method-assign]
    request = Request(None, RequestKind.READ, b"")
    rows = await hub.request(DocumentKey("w", "seating"), SERVER, "server", request)
    assert isinstance(rows, Bytes)
    assert len(json.loads(rows.data)["assignments"]) == 2_000
    assert postponed


class TestAnswers:
    """Whoever is served from the store gets an answer to what they write, or a close that gives the reason."""

    async def test_a_document_that_cannot_be_read_is_refused_for_some_time(self, hub: Hub) -> None:
        await hub.storage.append([Append(DocumentKey("w", "guests"), 1, b"these are no update")])
        guide = Guide(hub, 12)
        await guide.socket.until(lambda: guide.socket.closed is not None)
        assert guide.socket.closed == (1013, "the document cannot be read")
        with pytest.raises(AdmissionError, match="cannot be read"):
            guide.enter()
        other = Guide(hub, 13, document="budget")
        await other.is_synced()
        again = hub.time() + UNREADABLE_SECONDS + 1  # a sum of floats may be rounded down
        assert hub.registry.open("w", "guests", guide.room.events, again).phase is Phase.LOADING

    async def test_requests_that_nobody_answers_end_their_room(self, hub: Hub) -> None:
        guide = Guide(hub, 12)
        guide.put("g_1")
        await guide.knows("g_1")
        pid = hub.hosts.dispatchers[0].supervisor.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        while not guide.room.inbox:
            guide.put("g_2")  # the first is on its way to the host
            await asyncio.sleep(0)
        now = hub.time()
        hub.ticks.check_answers(guide.room, now)
        hub.ticks.check_answers(guide.room, now + ANSWER_SECONDS - 1)
        assert guide.socket.closed is None
        hub.ticks.check_answers(guide.room, now + ANSWER_SECONDS + 1)  # a sum of floats may be rounded down
        assert guide.socket.closed == (1013, "no answer")
        os.kill(pid, signal.SIGCONT)

    async def test_a_slow_answer_ends_nothing(self, hub: Hub) -> None:
        guide, now = Guide(hub, 12), 0.0
        for edit in range(5):
            guide.put(f"g_{edit}")
            hub.ticks.check_answers(guide.room, now)
            await guide.knows(*(f"g_{n}" for n in range(edit + 1)))
            now += ANSWER_SECONDS
        assert guide.socket.closed is None

    @pytest.mark.soak
    async def test_a_host_that_dies_whenever_it_loads_ends_the_room(self, hub: Hub) -> None:
        guide = Guide(hub, 12)
        guide.put("g_1")
        while guide.socket.closed is None:
            pid = hub.hosts.dispatchers[0].supervisor.pid
            if pid is not None:
                os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0)
        assert guide.socket.close_code == 1013

"""Updates that a host tries in a copy of itself first, through the whole server but the transport."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence
from itertools import pairwise

import pytest

from crdt_server.errors import CLOSE_CODES
from crdt_server.hosts.batch import BatchEntry
from crdt_server.hub.hub import Hub
from crdt_server.pipe import BatchResponse
from tests.rooms.person import Person
from tests.support.codec import encode_update
from tests.support.wire import Typist

ITEMS = 3000


def restarts(hub: Hub) -> int:
    return sum(each.supervisor.restarts for each in (*hub.hosts.dispatchers, hub.hosts.heavy))


async def test_what_is_sent_behind_a_large_update_arrives_behind_it(hub: Hub) -> None:
    person = Person(hub, "notes.a", 1)
    await person.is_synced()
    typist = Typist(7, "text")
    updates = [typist.text(b"first "), typist.many_items(ITEMS // 4), typist.text(b"x")]
    for update in updates:
        person.send(encode_update(update))
    await person.has_length(ITEMS // 4 + 7)
    assert hub.metrics.counters.gaps == 0
    assert restarts(hub) == 0


async def test_a_deadly_update_costs_its_sender_the_connection_and_nobody_else_anything(hub: Hub) -> None:
    """Two clients that each put letters before their own: every letter of the second passes all of the first's."""
    honest, first, second = (Person(hub, "notes.a", n) for n in (1, 2, 3))
    for person in (honest, first, second):
        await person.is_synced()
    first.send(encode_update(Typist(20, "text").many_items(ITEMS)))
    await honest.has_length(ITEMS)
    second.send(encode_update(Typist(30, "text").many_items(ITEMS)))
    honest.type("still here ", 0)
    await second.socket.until(lambda: second.socket.closed is not None)
    assert second.socket.close_code == CLOSE_CODES["violation"]
    await honest.sees(str(honest.replica))
    assert honest.socket.closed is None
    assert restarts(hub) == 0
    await asyncio.gather(*(task for task in hub._tasks if "_quarantine" in str(task.get_coro())))
    assert len(await hub.storage.quarantined()) == 1


async def test_a_host_that_dies_in_the_middle_of_a_dry_run_loses_nothing(hub: Hub) -> None:
    person = Person(hub, "notes.a", 1)
    await person.is_synced()
    person.send(encode_update(Typist(7, "text").many_items(ITEMS // 2)))
    dispatcher = hub.hosts.dispatchers[0]
    async with asyncio.timeout(60):
        while not dispatcher.busy(person.room):  # noqa: ASYNC110 - it pauses, and no event reports the next batch
            await asyncio.sleep(0)
    pid = dispatcher.supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await person.has_length(ITEMS // 2)
    assert restarts(hub) == 1
    assert await hub.storage.quarantined() == []


async def test_a_client_without_overlap_gets_what_a_newcomer_gets(hub: Hub) -> None:
    writer, other = Person(hub, "notes.a", 1), Person(hub, "notes.b", 2)
    await writer.is_synced()
    await other.is_synced()
    writer.type("here")
    await writer.sees("here")
    other.type("elsewhere")
    await other.sees("elsewhere")
    other.leave()
    other._place = ("w", "notes.a")
    other.enter()
    await other.has_length(len("hereelsewhere"))
    for _ in range(3):
        late = Person(hub, "notes.a", 5)
        await late.is_synced()
        await late.has_length(len("hereelsewhere"))
        late.leave()


async def test_small_edits_wait_for_one_large_piece_at_most(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two send what comes in pieces, each of which keeps the host busy; a third types meanwhile."""
    first, second, third = Person(hub, "notes.a", 1), Person(hub, "notes.b", 2), Person(hub, "notes.c", 3)
    for person in (first, second, third):
        await person.is_synced()
    dispatcher = hub.hosts.dispatchers[0]
    batches: list[tuple[bool, bool]] = []  # whether there is something large in it, and something small
    request = dispatcher.request

    async def keep(entries: Sequence[BatchEntry], forget: Sequence[int] = ()) -> BatchResponse:
        summaries = [request.summary for entry in entries for request in entry.requests]
        batches.append((any(summaries), not all(summaries)))
        third.type("x", 0)  # one edit waits for every next batch
        return await request(entries, forget)

    monkeypatch.setattr(dispatcher, "request", keep)
    first.send(encode_update(Typist(7, "text").many_items(ITEMS * 2)))
    second.send(encode_update(Typist(8, "text").many_items(ITEMS * 2)))
    await first.has_length(ITEMS * 2)
    await second.has_length(ITEMS * 2)
    assert sum(large for large, _ in batches) > 2
    assert not any(large and large_next and small for (large, _), (large_next, small) in pairwise(batches))

"""Turns of the rooms of a host at what is large, such as reading a document for a sync step 1: one is in a batch."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest
from pycrdt import Map

from crdt_server.access.identity import Identity
from crdt_server.hosts.batch import BatchEntry
from crdt_server.hub.commands import carry_out
from crdt_server.hub.hub import Hub
from crdt_server.pipe import BatchResponse, RequestKind
from crdt_server.rooms.session import Request
from storage import DocumentKey
from tests.rooms.person import Person
from tests.support.codec import encode_sync_step1, encode_update
from tests.support.wire import state_vector

LETTERS = 10_000  # more than one session's share of a batch
QUESTIONS = 200
GUESTS = 300
READ_ALL = (RequestKind.READ, RequestKind.DIGEST, RequestKind.COMMAND)
ADA = Identity("ada", "couple")


async def test_who_reads_one_document_again_and_again_does_not_keep_others_from_theirs(hub: Hub) -> None:
    greedy, modest = Person(hub, "notes.a", 1), Person(hub, "notes.b", 2)
    for person in (greedy, modest):
        await person.is_synced()
        person.type("x" * LETTERS)
        await person.has_length(LETTERS)
        await person.echoed()
    before = greedy.synced, modest.synced
    for clock in range(1, QUESTIONS + 1):
        greedy.send(encode_sync_step1(state_vector({1: clock})))
    modest.send(encode_sync_step1(state_vector({2: 1})))

    def answered() -> bool:
        modest.read()
        return modest.synced > before[1]

    await modest.socket.until(answered)
    greedy.read()
    assert greedy.synced - before[0] < QUESTIONS // 4


async def test_a_question_of_somebody_who_has_left_takes_no_turn(hub: Hub) -> None:
    """Else nothing is taken that time, and nothing wakes the dispatcher of a quiet host again."""
    gone, patient = Person(hub, "notes.a", 1), Person(hub, "notes.a", 2)
    for person in (gone, patient):
        await person.is_synced()
    gone.type("x" * LETTERS)
    await patient.has_length(LETTERS)
    await gone.echoed()
    before = patient.synced
    gone.send(encode_sync_step1(state_vector({1: 1})))
    gone.leave()
    patient.send(encode_sync_step1(state_vector({1: 2})))

    def answered() -> bool:
        patient.read()
        return patient.synced > before

    await patient.socket.until(answered, 20)


def read(hub: Hub, number: int) -> Awaitable[object]:
    kind = RequestKind.DIGEST if number % 2 else RequestKind.READ
    return hub.request(DocumentKey("w", "guests"), ADA, "192.0.2.1", Request(None, kind, b""))


def move(hub: Hub, number: int) -> Awaitable[object]:
    """The document that a command names first has nothing in it."""
    first = ("care", [{"op": "insert", "root": "care", "record": f"g_{number}", "value": {}}])
    guests = [{"op": "move", "root": "guests", "record": f"g_{number}", "after": "g_0"}]
    return carry_out(hub, "w", ADA, "192.0.2.1", [first, ("guests", guests)])  # type: ignore[list-item]


@pytest.mark.parametrize("ask", [read, move])
async def test_what_reads_all_records_does_not_fill_a_batch(hub: Hub, ask: Any) -> None:
    """700 commands of 90 bytes, a move in 45,000 records each, killed a host twice: everybody waited 38 s."""
    editor, modest = Person(hub, "guests", 3), Person(hub, "notes.b", 2)
    await editor.is_synced()
    await modest.is_synced()
    before = editor.replica.state_vector
    guests = editor.replica.doc.get("guests", type=Map)
    for number in range(GUESTS):
        guests[f"g_{number}"] = Map({"firstName": "Ada", "order": "a0"})
    editor.send(encode_update(editor.replica.doc.get_update(before)))
    await editor.echoed()
    modest.type("a")
    await modest.echoed()
    await ask(hub, 0)
    dispatcher = hub.hosts.dispatchers[0]
    sizes, send = [], dispatcher.request

    async def measured(entries: Sequence[BatchEntry], forget: Sequence[int] = ()) -> BatchResponse:
        sizes.append(sum(request.kind in READ_ALL for entry in entries for request in entry.requests))
        return await send(entries, forget)

    dispatcher.request = measured  # type: ignore[method-assign]
    asked = [asyncio.ensure_future(ask(hub, number)) for number in range(1, QUESTIONS + 1)]
    await asyncio.sleep(0)
    modest.type("b")
    await modest.echoed()
    await asyncio.gather(*asked)
    assert max(sizes) == 1

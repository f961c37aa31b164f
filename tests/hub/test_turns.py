"""Turns of the rooms of a host at what is large, such as reading a document for a sync step 1: one is in a batch."""

from __future__ import annotations

from crdt_server.hub.hub import Hub
from tests.rooms.person import Person
from tests.support.codec import encode_sync_step1
from tests.support.wire import state_vector

LETTERS = 10_000  # more than one session's share of a batch
QUESTIONS = 200


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

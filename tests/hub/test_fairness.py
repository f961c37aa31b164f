"""Senders take turns in the batches of a host, however many rooms or requests one of them has."""

from __future__ import annotations

import asyncio
import os
import signal

from crdt_server.access.identity import Identity
from crdt_server.hosts.dispatcher import BATCH_BYTES
from crdt_server.hub.hub import Hub
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.inbox import RoomLimits
from tests.rooms.person import Person

ROOMS = 40
TEXT_BYTES = RoomLimits().session_quantum_bytes // 8  # small enough for no copy: a share of a batch holds several
MESSAGES = 8


class Many(Person):
    """One of many rooms of one sender."""

    address = "192.0.2.200"

    def enter(self) -> None:
        self.identity = Identity("many", "couple")
        super().enter()


async def test_a_sender_with_many_rooms_is_behind_one_with_a_single_edit(hub: Hub) -> None:
    """Everything waits while the host is stopped; the single edit came last."""
    many = [Many(hub, f"notes.{number}", 1000 + number) for number in range(ROOMS)]
    one = Person(hub, "notes.one", 2)
    for person in (*many, one):
        await person.is_synced()
        person.type("a")
        await person.sees("a")
        person.received.clear()
    order: list[tuple[Person, int]] = []
    for person in (*many, one):
        note_updates(person, order)
    pid = hub.hosts.dispatchers[0].supervisor.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    many[0].type("first, for a batch that is under way")
    await asyncio.sleep(0)
    for _ in range(MESSAGES):
        for person in many:
            person.type("x" * (TEXT_BYTES - 100))
    one.type("b")
    os.kill(pid, signal.SIGCONT)
    await one.echoed()
    place = next(number for number, (person, _) in enumerate(order) if person is one)
    assert sum(size for _, size in order[:place]) <= 2 * BATCH_BYTES
    assert ROOMS * MESSAGES * TEXT_BYTES > 3 * BATCH_BYTES


def note_updates(person: Person, order: list[tuple[Person, int]]) -> None:
    """Add what is sent to a person to a list that several have in common."""
    send = person.socket.send

    def noted(message: Outgoing) -> None:
        order.append((person, message.size_bytes))
        send(message)

    person.socket.send = noted  # type: ignore[method-assign]

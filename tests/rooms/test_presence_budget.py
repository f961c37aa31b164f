"""What one session sends of presence is read within a budget; then its socket is not read for a while."""

from __future__ import annotations

import json

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.rooms.awareness_states import MAX_STATES, read_states, write_states
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.intake import publish_presence
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import BACKLOG, Session, SessionId
from tests.support.codec import encode_awareness, encode_update, receive
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket
from tests.support.wire import presence

STATES_PER_SECOND, BYTES_PER_SECOND = 100, 20_000
OWN = 3_000_000_001
LIMITS = RoomLimits(presence_states_per_second=STATES_PER_SECOND, presence_bytes_per_second=BYTES_PER_SECOND)


class Table:
    """A room with one session that floods it and one that does not."""

    def __init__(self) -> None:
        self.events, self.counters = RecordingRoomEvents(), Counters()
        self.room = Room(1, "w", "notes.a", LIMITS, self.counters, self.events)
        self.room.opened()
        self.flooder, self.socket = self.join()
        self.other, self.other_socket = self.join()
        self.send(presence(OWN, 1, {}))
        publish_presence(self.room, 0.0)
        self.events.with_presence.clear()
        self.other_socket.flush()

    def join(self) -> tuple[Session, HandSocket]:
        socket = HandSocket()
        number = len(self.room.members) + 1
        session = Session(SessionId(number), socket, Identity(f"user-{number}", "couple"))
        self.room.join(session)
        self.room.take(1 << 20)
        return session, socket

    def send(self, frame: bytes) -> None:
        receive(self.room, self.flooder, frame)

    def own_states(self) -> list[tuple[int, str]]:
        """Clocks and states of the flooder that the other one receives now."""
        return [
            (clock, text)
            for payload in self.other_socket.presence()
            for client, clock, text in read_states(payload, None)
            if client == OWN
        ]


@pytest.fixture
def table() -> Table:
    return Table()


def many_states(clock: int, count: int, *, own_first: bool = True) -> bytes:
    own, others = (OWN, clock, json.dumps({"n": clock})), [(number + 1, 1, "{}") for number in range(count - 1)]
    return encode_awareness(write_states([own, *others] if own_first else [*others, own]))


def test_states_are_read_up_to_the_budget_and_the_socket_is_paused(table: Table) -> None:
    for clock in range(2, 6):
        table.send(many_states(clock, MAX_STATES))
    before = table.counters.awareness_states
    publish_presence(table.room, 0.0)
    assert table.counters.awareness_states - before < STATES_PER_SECOND
    table.send(presence(OWN, 6, {}))
    assert table.socket.paused
    assert table.counters.awareness_pauses == 1
    assert table.own_states() == [(2, '{"n": 2}')]


def test_it_goes_on_where_it_ended(table: Table) -> None:
    for clock in range(2, 6):
        table.send(many_states(clock, 60))
    publish_presence(table.room, 0.0)
    assert table.events.with_presence[-1] is table.room, "the next tick has something to do"
    table.send(presence(OWN, 6, {}))
    assert table.socket.paused
    for tick in range(1, 40):
        publish_presence(table.room, 0.1 * tick)
    assert not table.socket.paused
    assert table.own_states()[-1] == (6, "{}")
    assert not table.room.presence.pending


def test_bytes_count_however_few_states_they_are(table: Table) -> None:
    noise = presence(OWN, 2, {"x": "y" * 150})
    sent = 0
    while not table.socket.paused:
        table.send(noise)
        sent += len(noise)
        assert sent < 2 * BYTES_PER_SECOND
    assert sent > BYTES_PER_SECOND - 1_000
    publish_presence(table.room, 0.01)
    assert not table.socket.paused
    table.send(encode_awareness(write_states([(OWN, 3, "{}")]) + b""))
    assert not table.socket.paused


def test_an_echo_of_the_room_costs_nothing(table: Table) -> None:
    """Stock clients send back what they have received of others."""
    echo = encode_awareness(write_states([(number + 5_000_000_000, 1, "{}") for number in range(500)]))
    before = table.counters.awareness_states
    table.send(echo)
    publish_presence(table.room, 0.0)
    assert table.counters.awareness_states == before


def test_a_tick_reads_so_many_states_of_all_sessions(table: Table) -> None:
    table.send(many_states(2, 50))
    receive(table.room, table.other, presence(7, 1, {}))
    assert publish_presence(table.room, 1.0, 10) == 50
    assert table.room.presence.pending
    assert publish_presence(table.room, 1.0, 10) == 1
    assert not table.room.presence.pending


def test_who_had_a_turn_waits_for_the_others(table: Table) -> None:
    for clock in (2, 3):
        table.send(many_states(clock, 20))
    receive(table.room, table.other, presence(7, 1, {}))
    assert publish_presence(table.room, 1.0, 10) == 20
    assert publish_presence(table.room, 1.0, 1) == 1, "the other one, before the second message of the first"
    assert publish_presence(table.room, 1.0, 10) == 20


def test_a_pause_for_updates_is_another_one(table: Table) -> None:
    for clock in range(2, 6):
        table.send(many_states(clock, MAX_STATES))
    publish_presence(table.room, 0.0)
    table.send(presence(OWN, 6, {}))
    table.send(encode_update(b"u" * LIMITS.big_update_bytes) * 2)
    assert table.flooder.paused & BACKLOG
    table.room.take(1 << 20)
    table.room.take(1 << 20)
    assert not table.flooder.paused & BACKLOG
    assert table.socket.paused
    for tick in range(1, 40):
        publish_presence(table.room, 0.1 * tick)
    assert not table.socket.paused

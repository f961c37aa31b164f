"""Small edits that take a host long, as those of a stale replica at the start of a note that was rewritten many times:
they wait for one another, and an edit of somebody else waits for little more than one batch. CPU time is counted here.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from types import SimpleNamespace
from typing import cast

import pytest

from crdt_server.access.identity import Identity
from crdt_server.counters import Counters
from crdt_server.hosts.batch import BatchEntry
from crdt_server.hosts.dispatcher import DispatcherEvents, HostDispatcher
from crdt_server.hosts.supervisor import Supervisor
from crdt_server.judge.slices import BATCH_SECONDS
from crdt_server.metrics import Metrics
from crdt_server.pipe import BatchResponse, Fault, RequestKind, RoomRequests, RoomResult, SlowUpdates, Status
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from tests.support.room_events import RecordingRoomEvents
from tests.support.sockets import HandSocket

SMALL_SECONDS = 0.0001
EDITS = 40
WAITING = 24  # edits of the flood, always


class CountedHost:
    """In place of a document host: an edit takes what its bytes say, in microseconds."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.done: list[int] = []  # the edits, by number

    async def run(self, rooms: Sequence[RoomRequests], *_: object, **__: object) -> BatchResponse:
        end, results = self.clock + BATCH_SECONDS, []
        for room in rooms:
            result, began = RoomResult.empty(room.room), self.clock
            for index, request in enumerate(room.requests):
                if self.clock >= end:
                    result.faults.append(Fault(index, Status.LATER))
                    continue
                number, microseconds = map(int, request.payload.split())
                self.clock += microseconds / 1e6
                self.done.append(number)
                if microseconds > 1000:
                    result.slow.append(SlowUpdates(index, index + 1, microseconds / 1e6))
            result.cpu_seconds = self.clock - began
            results.append(result)
        return BatchResponse(results, [], [], [])

    def interrupt(self) -> None: ...


class Bench:
    """Rooms of one host, and batches one after another."""

    def __init__(self) -> None:
        self.host = CountedHost()
        events = SimpleNamespace(on_batch=lambda batch: None)
        self.dispatcher = HostDispatcher(cast("Supervisor", self.host), Metrics(), cast("DispatcherEvents", events))
        self._numbers = count()

    def room(self, number: int, document: str) -> Room:
        room = Room(number, "w", document, RoomLimits(), Counters(), RecordingRoomEvents())
        self.dispatcher.residency.register(room)
        self.dispatcher.residency.loaded(room)
        return room

    def send(self, room: Room, session: Session, seconds: float) -> int:
        """One edit; its number."""
        number = next(self._numbers)
        request = Request(session, RequestKind.UPDATE, b"%d %d" % (number, seconds * 1e6))
        session.queued_bytes += request.cost
        room.inbox.add(request)
        self.dispatcher.schedule(room)
        return number

    async def batch(self) -> None:
        entries: list[BatchEntry] = self.dispatcher._take()
        await self.dispatcher._run_batch(entries, [])


def session_of(user: str, number: int) -> Session:
    return Session(SessionId(number), HandSocket(), Identity(user, "couple"))


@pytest.mark.parametrize("sessions", [1, 3])
@pytest.mark.parametrize("document", ["guests", "budget"])
@pytest.mark.parametrize("cost_ms", [1, 2, 3, 4, 6, 15, 22])
async def test_edits_that_take_long_delay_their_sender(cost_ms: int, document: str, sessions: int) -> None:
    """In the same document, and in another one of the host; with one socket, and with several."""
    bench = Bench()
    attacked, elsewhere = bench.room(1, "guests"), bench.room(2, "budget")
    flood = [session_of("eve", number) for number in range(sessions)]
    room, honest = attacked if document == "guests" else elsewhere, session_of("ada", 9)
    waits: list[float] = []
    for _ in range(EDITS):
        for eve in flood:
            while len(eve.inbox or ()) < WAITING:
                bench.send(attacked, eve, cost_ms / 1e3)
        await bench.batch()  # under way when the edit is made: it waits for all of it
        began = bench.host.clock
        edit = bench.send(room, honest, SMALL_SECONDS)
        while edit not in bench.host.done:
            for eve in flood:
                while len(eve.inbox or ()) < WAITING:
                    bench.send(attacked, eve, cost_ms / 1e3)
            await bench.batch()
            assert bench.host.clock - began < 1, "it starves"
        waits.append(bench.host.clock - began)
    assert max(waits) <= 2 * (BATCH_SECONDS + cost_ms / 1e3), waits
    assert sum(waits) / EDITS <= BATCH_SECONDS + cost_ms / 1e3 + 2 * SMALL_SECONDS, waits

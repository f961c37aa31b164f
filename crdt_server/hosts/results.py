"""From what a host returned for a room to what is stored and broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from crdt_server.hosts.batch import BatchEntry
from crdt_server.pipe import RoomResult, Status, resolve
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.refusals import discard
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import Request

HEAVY_DOCUMENT_BYTES = 1 << 20


class ResultEvents(Protocol):
    """Where results go. Each method returns at once."""

    def on_batch(self, batch: RoomBatch) -> None:
        """A batch of a room was judged and numbered: it is to be stored."""

    def on_deadly(self, request: Request, room: Room, cause: str) -> None:
        """A request has killed a host, all by itself."""


def settle_room(events: ResultEvents, entry: BatchEntry, result: RoomResult) -> list[Request]:
    """Hand on the result of one room. Returns the requests that have to come again."""
    room, requests = entry.room, entry.requests
    room.hosted.measured(result.size, built=result.built)
    if result.size > HEAVY_DOCUMENT_BYTES:
        room.hosted.mark_heavy()
    if room.phase is Phase.DEAD or not (requests or result.updates or result.derived):
        return []
    batch = RoomBatch(room, () if entry.builds_doc else requests)
    later: list[Request] = []
    if result.faults:
        batch.statuses = {fault.index: fault.status for fault in result.faults}
        later = _settle_faults(events, room, requests, batch.statuses)
    if result.responses:
        batch.responses = resolve(result.responses)
    batch.notices = result.notices
    hand_on(events, batch, result)
    return later


def _settle_faults(
    events: ResultEvents, room: Room, requests: Sequence[Request], statuses: dict[int, Status]
) -> list[Request]:
    for index, status in statuses.items():
        if status is Status.DEADLY:
            events.on_deadly(requests[index], room, "a copy of the host died of it")
            room.hosted.mark_heavy()
            discard(room, requests[index].session)
    return [requests[index] for index, status in statuses.items() if status is Status.LATER]


def hand_on(events: ResultEvents, batch: RoomBatch, result: RoomResult) -> None:
    """Number what a host returned and let it be stored: an update at a time, the last with all that follows."""
    updates = result.updates
    if updates:
        for update in updates[:-1] if len(updates) > 1 else ():
            earlier = RoomBatch(batch.room, (), update)
            earlier.last = False
            _hand_on_one(events, earlier)
        batch.update = updates[-1]
    batch.derived = result.derived
    _hand_on_one(events, batch)


def refuse(events: ResultEvents, room: Room, request: Request, status: Status) -> None:
    """Hand on the refusal of one request."""
    _hand_on_one(events, RoomBatch(room, [request], None, {0: status}))


def _hand_on_one(events: ResultEvents, batch: RoomBatch) -> None:
    batch.room.assign_sequence(batch)
    events.on_batch(batch)

"""The results of a host: they are numbered, and submitted to be stored and broadcast."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from crdt_server.hosts.batch import BatchEntry, resolve
from crdt_server.hosts.sender_turns import SenderTurns
from crdt_server.hosts.supervisor import CPU_LIMIT
from crdt_server.operations import Problem
from crdt_server.pipe import CommandRefused, RequestKind, RoomResult, Status
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.refusals import discard
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import Request

HEAVY_DOCUMENT_BYTES = 1 << 20
TOO_EXPENSIVE = "the operations take too long: send fewer at a time"


class ResultEvents(Protocol):
    """The receiver of results. Each method returns at once."""

    def on_batch(self, batch: RoomBatch) -> None:
        """A batch of a room was judged and numbered: it is to be stored."""

    def on_over_quota(self, room: Room) -> None:
        """A wedding had no room for something."""

    def on_deadly(self, request: Request, room: Room, cause: str) -> None:
        """A request has killed a host, all by itself."""


def settle_room(events: ResultEvents, entry: BatchEntry, result: RoomResult) -> list[Request]:
    """Submit the result of one room. Returns the requests that have to come again."""
    room, requests = entry.room, entry.requests
    room.hosted.measured(result.size, built=result.built)
    if result.size > HEAVY_DOCUMENT_BYTES:
        room.hosted.mark_heavy()
    if room.phase is Phase.DEAD or not (requests or result.updates or result.derived):
        return []
    batch = RoomBatch(room, () if entry.is_own else requests)
    later: list[Request] = []
    if result.faults:
        batch.statuses = {fault.index: fault.status for fault in result.faults}
        later = _settle_faults(events, room, requests, batch.statuses)
    if result.responses:
        batch.responses = resolve(result.responses)
    batch.notices = result.notices
    submit(events, batch, result)
    return later


def account(turns: SenderTurns, entry: BatchEntry, result: RoomResult, later: Sequence[Request]) -> None:
    """Charge the CPU time of the requests of a room to their senders, but to those of ``later``, which come again."""
    again = set(later)
    requests = [each for each in entry.requests if each not in again] if again else entry.requests
    entry.room.hosted.worked(entry.cost * len(requests) // len(entry.requests), result.cpu_seconds)
    rest, slow = result.cpu_seconds, set[Request]()
    for updates in result.slow:
        those = [each for each in entry.requests[updates.first : updates.end] if each not in again]
        turns.charge_cpu(those, updates.cpu_seconds)
        rest -= updates.cpu_seconds
        slow.update(those)
    turns.charge_cpu([each for each in requests if each not in slow] if slow else requests, rest)


def _settle_faults(
    events: ResultEvents, room: Room, requests: Sequence[Request], statuses: dict[int, Status]
) -> list[Request]:
    for index, status in statuses.items():
        if status is Status.OVER_QUOTA:
            events.on_over_quota(room)
        elif status is Status.DEADLY:
            events.on_deadly(requests[index], room, "a copy of the host died of it")
            room.hosted.mark_heavy()
            discard(room, requests[index].session)
    return [requests[index] for index, status in statuses.items() if status is Status.LATER]


def submit(events: ResultEvents, batch: RoomBatch, result: RoomResult) -> None:
    """Number the updates of a result and submit each by itself, the last one with all records and responses."""
    updates = result.updates
    if updates:
        for update in updates[:-1] if len(updates) > 1 else ():
            _submit_one(events, RoomBatch(batch.room, (), update))
        batch.update = updates[-1]
    batch.derived = result.derived
    _submit_one(events, batch)


def refuse(events: ResultEvents, room: Room, request: Request, status: Status) -> None:
    """Submit the refusal of one request."""
    _submit_one(events, RoomBatch(room, [request], None, {0: status}))


def is_too_expensive(request: Request, cause: str) -> bool:
    """Whether a request that ended its host is a command that used up its CPU time."""
    return request.kind is RequestKind.COMMAND and cause == CPU_LIMIT


def refuse_command(events: ResultEvents, room: Room, request: Request) -> None:
    """Submit the refusal of a command that took too much CPU time, with nothing done."""
    problem = Problem(document=room.document, code="too_expensive", message=TOO_EXPENSIVE)
    _submit_one(events, RoomBatch(room, [request], responses={0: CommandRefused([problem])}))


def _submit_one(events: ResultEvents, batch: RoomBatch) -> None:
    batch.room.assign_sequence(batch)
    events.on_batch(batch)

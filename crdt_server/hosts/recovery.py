"""Recovery of a batch whose host died.

The cause is not evident: the host marks in shared memory which request it works on, which names a suspect, but memory
that was damaged earlier can kill later. Therefore the batch is run again on a new host in parts (before the suspect,
the suspect alone, after it), or in halves where there is no suspect, until the deadly request stands alone. Only a
request that kills a new host all by itself is refused and quarantined. All other requests are applied. A command that
used up its CPU time is refused as one whose estimate is too high.

An edit of a derived document is judged together with the documents that it is written to: those that the host held are
loaded with it. If it waits for another one, it has not been judged, and waits in its inbox.

Where the mark names the rules of a wedding, neither requests nor stored bytes are the cause. If the rules kill a second
host, the documents of that wedding are held without them until all are closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import structlog

from crdt_server.hosts.batch import BatchEntry, LoadFailed, split
from crdt_server.hosts.results import is_too_expensive, refuse, refuse_command
from crdt_server.hosts.supervisor import HostDied
from crdt_server.pipe import RequestKind, Status
from crdt_server.progress_mark import ProgressMark
from crdt_server.rooms.intake import put_back
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import Request

if TYPE_CHECKING:
    from crdt_server.hosts.dispatcher import HostDispatcher

log = structlog.get_logger(__name__)

MOST_LOADS = 10  # of one part of a batch, when hosts die of it whatever the reason: then its rooms end
OUTSIDE_KILLS = 5  # of one part of a batch: then its room ends, because the request may not be the cause


class LoadDied(Exception):
    """A host died while documents were brought into it, before any request ran."""


async def recover(dispatcher: HostDispatcher, entries: Sequence[BatchEntry], death: HostDied) -> None:
    """Run a batch whose host has died again, part by part. See the head of the file."""
    sources = {entry.room: _sources(dispatcher, entry.room) for entry in entries}
    _count_death(dispatcher, entries, death)
    work: deque[tuple[list[BatchEntry], int]] = deque()
    work.extendleft((part, 0) for part in reversed(_parts(dispatcher, entries, death)))
    # A document that was only being loaded is loaded alone: if the host dies again, that was the cause.
    work.extend(([BatchEntry(entry.room)], 0) for entry in entries if entry.load is not None)
    while work:
        part, kills = work.popleft()
        part = [entry for entry in part if entry.room.phase is not Phase.DEAD]
        try:
            await _load_all(dispatcher, [room for entry in part for room in (*sources[entry.room], entry.room)])
        except LoadDied:
            if kills < MOST_LOADS:
                work.appendleft((part, kills + 1))
            else:
                for entry in part:
                    dispatcher.events.fail(entry.room)
            continue
        part = [entry for entry in part if entry.requests and entry.room.phase is not Phase.DEAD]
        if not part:
            continue
        try:
            # Not put back into the inboxes: among other requests a deadly one would never stand alone.
            response = await dispatcher.request(part)
            unfinished = dispatcher.settle(part, response)
            if any(wedding.needed for wedding in response.weddings):
                begun = response.begun
                command = None if begun is None else part[begun.room].requests[begun.request]
                unfinished = put_back_waiting(unfinished, command)
            if unfinished:
                work.appendleft((unfinished, kills))
        except HostDied as again:
            work.extendleft(reversed(_after_another_death(dispatcher, part, kills, again)))


def _sources(dispatcher: HostDispatcher, room: Room) -> list[Room]:
    """The documents of a derived document's wedding that the host holds, and that are not derived."""
    if not room.hosted.derived:
        return []
    return [each for each in dispatcher.residency.siblings(room) if not each.hosted.derived]


def put_back_waiting(unfinished: Sequence[BatchEntry], begun: Request | None) -> list[BatchEntry]:
    """Put the edits of derived documents back, and return the others. ``begun``: a command that the host is writing,
    which has to come with its next batch."""
    left: list[BatchEntry] = []
    for entry in unfinished:
        stays = [each for each in entry.requests if each is begun or not entry.room.hosted.derived]
        for request in reversed(entry.requests):
            if request not in stays:
                put_back(entry.room, request)
        if stays:
            left.append(BatchEntry(entry.room, stays))
    return left


def _after_another_death(
    dispatcher: HostDispatcher, part: list[BatchEntry], kills: int, death: HostDied
) -> list[tuple[list[BatchEntry], int]]:
    """The parts to run next, in order, after one has killed its host too."""
    _count_death(dispatcher, part, death)
    if death.mark[1] == ProgressMark.RESOLVING:
        if kills < OUTSIDE_KILLS:
            return [(part, kills + 1)]
        for entry in part:
            dispatcher.events.fail(entry.room)
        return []
    if sum(len(entry.requests) for entry in part) > 1:
        return [(smaller, 0) for smaller in _parts(dispatcher, part, death)]
    if death.own_fault:
        _quarantine(dispatcher, part[0].room, part[0].requests[0], death.cause)
    elif kills < OUTSIDE_KILLS:
        return [(part, kills + 1)]
    else:
        dispatcher.events.fail(part[0].room)
    return []


def _count_death(dispatcher: HostDispatcher, entries: Sequence[BatchEntry], death: HostDied) -> None:
    """Count a death. A room whose stored bytes have killed a host twice goes on without a Doc, or ends; a wedding whose
    rules have, goes on without rules."""
    dispatcher.metrics.host_restarts.inc()
    index, request = death.mark
    if request == ProgressMark.RESOLVING and index < len(entries):
        _count_rules(dispatcher, entries[index].room, death)
    dispatcher.host_lost()
    if len(entries) == 1 and not entries[0].requests:
        index, request = 0, ProgressMark.LOADING  # it did nothing but load
    if death.own_fault and request == ProgressMark.LOADING and index < len(entries):
        room = entries[index].room
        if room.hosted.load_died() > 1:
            _fall_back_to_bytes(dispatcher, room, death.cause)


def _count_rules(dispatcher: HostDispatcher, room: Room, death: HostDied) -> None:
    if not death.own_fault:
        return
    together = {room, *dispatcher.residency.siblings(room)}
    if max([each.hosted.rules_died() for each in together]) > 1:
        log.error("wedding_without_rules", wedding=room.wedding, why=f"its rules kill a host: {death.cause}")
        for each in together:
            each.hosted.stop_rules()


def _fall_back_to_bytes(dispatcher: HostDispatcher, room: Room, cause: str) -> None:
    if room.hosted.bytes_only:
        dispatcher.events.on_unreadable(room, f"reading it kills its host: {cause}")
        return
    log.error("document_without_doc", room=room.name, why=f"its Doc kills a host: {cause}")
    room.hosted.fall_back_to_bytes()


def _parts(dispatcher: HostDispatcher, entries: Sequence[BatchEntry], death: HostDied) -> list[list[BatchEntry]]:
    """The parts to run again, in order; a suspect that is the certain cause is quarantined instead."""
    parts = split(entries, death)
    index, number = death.mark
    if death.certain and 0 <= index < len(entries) and 0 <= number < len(entries[index].requests):
        deadly = entries[index].requests[number]
        parts = [part for part in parts if not (len(part) == 1 and list(part[0].requests) == [deadly])]
        _quarantine(dispatcher, entries[index].room, deadly, death.cause)
    return parts


def _quarantine(dispatcher: HostDispatcher, room: Room, request: Request, cause: str) -> None:
    dispatcher.events.on_deadly(request, room, cause)
    if is_too_expensive(request, cause):
        refuse_command(dispatcher.events, room, request)
        return
    is_update = request.kind is RequestKind.UPDATE
    refuse(dispatcher.events, room, request, Status.VIOLATION if is_update else Status.MALFORMED)


async def _load_all(dispatcher: HostDispatcher, rooms: Sequence[Room]) -> None:
    """Bring rooms into the new host. Raises LoadDied, after which none of them is there."""
    missing = [r for r in dict.fromkeys(rooms) if r not in dispatcher.residency and r.phase is not Phase.DEAD]
    plans = await asyncio.gather(*(_fetch_or_end(dispatcher, room) for room in missing))
    for room, steps in zip(missing, plans, strict=True):
        if steps is None or room.ended:  # it has ended meanwhile, and its host was told so already
            continue
        dispatcher.residency.register(room)
        for entry in steps:
            if room.phase is Phase.DEAD:
                break
            try:
                dispatcher.settle([entry], await dispatcher.request([entry]))
            except HostDied as death:
                _count_death(dispatcher, [entry], death)
                raise LoadDied from death


async def _fetch_or_end(dispatcher: HostDispatcher, room: Room) -> Iterator[BatchEntry] | None:
    try:
        return (await dispatcher.events.fetch(room, room.hosted.has_schema)).steps(room)
    except LoadFailed as error:
        dispatcher.events.on_unreadable(room, str(error), stored=False)
        return None

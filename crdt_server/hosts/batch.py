"""Batches for a document host: their entries, the steps in which a document is loaded, and checks of the response."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from crdt_server.hosts.supervisor import HostDied
from crdt_server.pipe import (
    OWN,
    PIECE_BYTES,
    BatchResponse,
    BegunCommand,
    Bytes,
    CommandDone,
    CommandLacks,
    CommandRefused,
    Diff,
    Done,
    Fault,
    IndexedResponse,
    LoadPostponed,
    LoadStep,
    NoOverlap,
    RequestKind,
    Response,
    RoomOutcome,
    RoomRequests,
    RoomResult,
    RowsDigest,
    SameAs,
    SchemaContext,
    SlowUpdates,
    Status,
    WeddingState,
)
from crdt_server.progress_mark import ProgressMark
from crdt_server.records import BatchRecords, ClientOwner, MirrorRow
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request
from documents.registry import is_document_name

SLICE_BYTES = PIECE_BYTES  # of stored updates in one load step
SLICE_UPDATES = 1000
SLICE_ROW_BYTES = 256 * 1024  # of rows of a wedding in one load step: some 5 ms
ROW_OVERHEAD_BYTES = 100
_YEAR_9500 = 3_960_000_000  # in minutes since 1970: hosts of other weddings make dates of the times of bookings

_RESPONSES: Mapping[RequestKind, tuple[type[Response], ...]] = {
    RequestKind.DIFF: (Diff, NoOverlap),
    RequestKind.STATE_VECTOR: (Bytes,),
    RequestKind.READ: (Bytes,),
    RequestKind.DIGEST: (RowsDigest,),
    RequestKind.COMMAND: (CommandDone, CommandRefused, CommandLacks),
    RequestKind.RUN_SCHEDULED: (Done,),
    RequestKind.SET_BOOKINGS: (Done,),
}
_WITHOUT_RESPONSE = OWN | {RequestKind.UPDATE}


class LoadFailed(Exception):
    """The stored rows of a document cannot be loaded into a host."""


@dataclass(slots=True)
class BatchEntry:
    """One room's part of a batch."""

    room: Room
    requests: Sequence[Request] = ()
    load: LoadStep | None = None
    cost: int = 0
    """Of its requests, in bytes of the budget of a batch."""

    def for_host(self, begun: Request | None = None) -> RoomRequests:
        """Its part of the batch as it is sent. ``begun``: the command that the host is writing."""
        hosted = self.room.hosted
        over_quota = hosted.quota.refuses_growth(stored=self.room.head_seq > 0)
        requests = [request.for_host(hosted.has_schema, hosted.incarnation) for request in self.requests]
        if begun in self.requests:
            requests[self.requests.index(begun)].begun = True
        # Not with a load step: a host that dies of it takes them along, and its room was not resident yet.
        claims = self.room.claims.take(hosted.incarnation) if requests else []
        return RoomRequests(self.room.id, requests, self.load, over_quota, claims)

    @property
    def load_cost(self) -> int:
        """The cost of its load step, in bytes of stored updates."""
        if self.load is None:
            return 0
        of_context = self.load.context.rows if self.load.context is not None else None
        rows = sum(map(_row_size, self.load.rows)) + sum(map(_row_size, of_context or ()))
        return sum(map(len, self.load.updates)) + rows * SLICE_BYTES // SLICE_ROW_BYTES

    @property
    def is_own(self) -> bool:
        """Whether its request is the dispatcher's own."""
        return bool(self.requests) and self.requests[0].kind in OWN


@dataclass(slots=True)
class LoadPlan:
    """The stored updates of a document; the context of one with a schema, and the rows of its wedding (None: the host
    should hold them); the owners of client ids of one without."""

    updates: list[bytes]
    context: SchemaContext | None = None
    owners: list[ClientOwner] = field(default_factory=list)
    rows: Sequence[MirrorRow] | None = None

    def steps(self, room: Room) -> Iterator[BatchEntry]:
        """The load steps of a room, see `load_steps`."""
        hosted = room.hosted
        for step in self.load_steps(bytes_only=hosted.bytes_only, without_rules=hosted.without_rules):
            yield BatchEntry(room, (), step)

    def load_steps(self, *, bytes_only: bool = False, without_rules: bool = False) -> Iterator[LoadStep]:
        """Load steps, those with rows first; at least one, so that an empty document is loaded too."""
        context = self.context
        rows: list[MirrorRow] = []
        if context is not None:
            context.without_rules = without_rules
        if context is not None and self.rows is not None:
            parts = _row_slices(self.rows)
            context.rows = next(parts)
            for part in parts:
                yield LoadStep([], last=False, context=context, rows=rows, more_rows=True)
                context, rows = None, part
        updates, owners = slices(self.updates), self.owners
        while updates:
            step = LoadStep(updates.popleft(), bytes_only=bytes_only, context=context, owners=owners, rows=rows)
            step.last = not updates
            yield step
            context, owners, rows = None, [], []


def _row_slices(rows: Sequence[MirrorRow]) -> Iterator[list[MirrorRow]]:
    """Rows cut into load steps; at least one."""
    part: list[MirrorRow] = []
    size = 0
    for row in rows:
        if size > SLICE_ROW_BYTES:
            yield part
            part, size = [], 0
        part.append(row)
        size += _row_size(row)
    yield part


def _row_size(row: MirrorRow) -> int:
    return len(row.fields or "") + len(row.writers) + ROW_OVERHEAD_BYTES


def slices(updates: Sequence[bytes]) -> deque[list[bytes]]:
    """Stored updates cut into load steps; at least one, so that an empty document is loaded too."""
    parts: deque[list[bytes]] = deque([[]])
    size = 0
    for update in updates:
        if parts[-1] and (size + len(update) > SLICE_BYTES or len(parts[-1]) == SLICE_UPDATES):
            parts.append([])
            size = 0
        parts[-1].append(update)
        size += len(update)
    return parts


def split(entries: Sequence[BatchEntry], death: HostDied) -> list[list[BatchEntry]]:
    """The parts of a batch that has killed its host: around the suspect, or halves. Entries without requests are left
    out."""
    index, op = death.mark
    if death.own_fault and 0 <= index < len(entries) and 0 <= op < len(entries[index].requests):
        suspect = entries[index]
        parts = [
            [*entries[:index], BatchEntry(suspect.room, suspect.requests[:op])],
            [BatchEntry(suspect.room, suspect.requests[op : op + 1])],
            [BatchEntry(suspect.room, suspect.requests[op + 1 :]), *entries[index + 1 :]],
        ]
    elif death.mark[1] in (ProgressMark.LOADING, ProgressMark.RESOLVING):
        parts = [list(entries)]
    else:
        parts = _halves([(entry.room, request) for entry in entries for request in entry.requests])
    cleaned = [[BatchEntry(e.room, e.requests) for e in part if e.requests and not e.is_own] for part in parts]
    return [part for part in cleaned if part]


def _halves(pairs: Sequence[tuple[Room, Request]]) -> list[list[BatchEntry]]:
    middle = (len(pairs) + 1) // 2
    return [[BatchEntry(room, [request]) for room, request in half] for half in (pairs[:middle], pairs[middle:])]


def fits(entries: Sequence[BatchEntry], rooms: Mapping[int, Room], response: BatchResponse) -> bool:
    """Whether a response fits this batch: a host has parsed hostile bytes, and the decoder does not check everything.

    ``rooms``: id -> other room into whose document the server may have written.
    """
    return (
        len(response.results) == len(entries)
        and all(map(_fits, entries, response.results))
        and all(_fits_other(rooms, each) for each in response.others)
        and all(_fits_wedding(rooms, each) for each in response.weddings)
        and (response.begun is None or _fits_begun(entries, response, response.begun))
    )


def _fits_begun(entries: Sequence[BatchEntry], response: BatchResponse, begun: BegunCommand) -> bool:
    if not (0 <= begun.room < len(entries) and 0 <= begun.request < len(entries[begun.room].requests)):
        return False
    result = response.results[begun.room]
    is_command = entries[begun.room].requests[begun.request].kind is RequestKind.COMMAND
    return is_command and type(result) is RoomResult and Fault(begun.request, Status.LATER) in result.faults


def _fits(entry: BatchEntry, result: RoomOutcome) -> bool:
    if result.room != entry.room.id:
        return False
    if type(result) is LoadPostponed:
        return entry.load is not None and entry.load.further
    if type(result) is not RoomResult:
        return entry.load is not None
    if (
        result.size < 0
        or not 0 <= result.cpu_seconds < math.inf
        or (result.derived is not None and not _fits_records(result.derived))
    ):
        return False
    requests = entry.requests
    if not all(_fits_slow(requests, slow) for slow in result.slow):
        return False
    if not (result.faults or result.responses or result.notices):
        return all(request.kind in _WITHOUT_RESPONSE for request in requests)
    count = len(requests)
    return (
        all(0 <= fault.index < count and fault.status is not Status.OK for fault in result.faults)
        and all(0 <= notice.index < count and _is_text(notice.body) for notice in result.notices)
        and _responds(requests, result)
    )


def _fits_slow(requests: Sequence[Request], slow: SlowUpdates) -> bool:
    return 0 <= slow.first < slow.end <= len(requests) and 0 <= slow.cpu_seconds < math.inf


def _responds(requests: Sequence[Request], result: RoomResult) -> bool:
    """Whether every request that is not refused has a response of its kind, and nothing else has one."""
    try:
        responses = resolve(result.responses)
    except KeyError:
        return False
    refused = {fault.index for fault in result.faults}
    if not all(0 <= index < len(requests) for index in responses):
        return False
    for index, request in enumerate(requests):
        if index in refused:
            continue
        response = responses.get(index)
        if request.kind in _WITHOUT_RESPONSE:
            if response is not None:
                return False
        elif not isinstance(response, _RESPONSES[request.kind]) or (type(response) is Diff and not response.updates):
            return False
    return True


def resolve(responses: Sequence[IndexedResponse]) -> dict[int, Response]:
    """Request index -> response, each SameAs replaced. Raises KeyError where it names no earlier response."""
    found: dict[int, Response] = {}
    for each in responses:
        response = each.response
        found[each.index] = found[response.index] if type(response) is SameAs else response
    return found


def _is_text(body: bytes) -> bool:
    try:
        return bool(str(body, "utf-8"))
    except UnicodeDecodeError:
        return False


def _fits_other(rooms: Mapping[int, Room], result: RoomResult) -> bool:
    return (
        result.room in rooms
        and result.size >= 0
        and not (result.faults or result.responses or result.notices)
        and (result.derived is None or _fits_records(result.derived))
    )


def _fits_wedding(rooms: Mapping[int, Room], state: WeddingState) -> bool:
    is_time = state.due_seconds is None or 0 <= state.due_seconds < math.inf
    return state.room in rooms and is_time and all(map(is_document_name, state.needed))


def _fits_records(derived: BatchRecords) -> bool:
    return all(0 <= minute < _YEAR_9500 for each in derived.bookings for minute in (each.start, each.until))

"""Batches for a document host: what goes over, in which steps a document is loaded, and what may come back."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import NoneType
from typing import Any

from crdt_server.hosts.supervisor import HostDied
from crdt_server.pipe import NO_OVERLAP, ProgressMark, RequestKind, Status, answers_in
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request
from documents.registry import is_document_name

SLICE_BYTES = 64 * 1024  # of stored updates in one load step
SLICE_UPDATES = 2000
# As `storage.DerivedRecords` has them.
_FACTS = (
    (str, str, (str, NoneType), str),
    (str,) * 4,
    (int, str),
    (str,) * 4,
    (str, str, int, int, (str, NoneType), int),
)
_YEAR_9500 = 3_960_000_000  # in minutes since 1970: hosts of other weddings make dates of the times of bookings


@dataclass(slots=True)
class BatchEntry:
    """One room's part of a batch."""

    room: Room
    requests: Sequence[Request] = ()
    load: list[bytes] | None = None
    last: bool = True
    setting: list[Any] | None = None

    def wire(self) -> list[Any]:
        room = self.room
        ops = [request.wire(room.checked) for request in self.requests]
        return [room.id, self.load, self.last, room.bytes_only, ops, self.setting]


@dataclass(slots=True)
class LoadPlan:
    """What the store has of a document: its updates, and where it has a schema what the host needs besides."""

    updates: list[bytes]
    setting: list[Any] | None = None

    def steps(self, room: Room) -> deque[BatchEntry]:
        """Load steps; at least one, so that an empty document is loaded too."""
        parts = slices(self.updates)
        entries = deque(BatchEntry(room, (), part, False) for part in parts)
        entries[0].setting, entries[-1].last = self.setting, True
        return entries


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
    """A batch around the suspect of a death, or in halves; entries without requests need no second run."""
    index, op = death.mark
    if death.own_fault and 0 <= index < len(entries) and 0 <= op < len(entries[index].requests):
        suspect = entries[index]
        parts = [
            [*entries[:index], BatchEntry(suspect.room, suspect.requests[:op])],
            [BatchEntry(suspect.room, suspect.requests[op : op + 1])],
            [BatchEntry(suspect.room, suspect.requests[op + 1 :]), *entries[index + 1 :]],
        ]
    elif death.mark[1] == ProgressMark.LOADING:
        parts = [list(entries)]
    else:
        parts = _halves([(entry.room, request) for entry in entries for request in entry.requests])
    cleaned = [[BatchEntry(e.room, e.requests) for e in part if e.requests and not _is_warm(e)] for part in parts]
    return [part for part in cleaned if part]


def well_formed(entries: Sequence[BatchEntry], rooms: Mapping[int, Room], answer: Any) -> bool:
    """Whether an answer is one to this batch: a host has read hostile bytes, and may say anything.

    ``rooms``: id -> room of those that the server may have written into besides.
    """
    try:
        results, _, others, weddings = answer
        return (
            len(results) == len(entries)
            and all(_fits(entry, *result) for entry, result in zip(entries, results, strict=True))
            and all(_fits_other(rooms, *other) for other in others)
            and all(_fits_wedding(rooms, *wedding) for wedding in weddings)
        )
    except (TypeError, ValueError, KeyError):
        return False


def _fits(
    entry: BatchEntry, room: Any, merged: Any, faults: Any, answers: Any, size: Any, warm: Any, facts: Any, notices: Any
) -> bool:
    count = len(entry.requests)
    told = [*faults, *answers, *notices]
    return (
        room == entry.room.id
        and _is_outcome(merged, size, facts)
        and (size >= 0 or entry.load is not None)
        and all(type(i) is int and 0 <= i < count for i, _ in told)
        and all(Status(status) is not Status.OK for _, status in faults)
        and all(str(notice, "utf-8") for _, notice in notices)
        and (size < 0 or _answered(entry.requests, dict(faults), answers_in(answers)))
    )


def _fits_other(
    rooms: Mapping[int, Room],
    room: Any,
    merged: Any,
    faults: Any,
    answers: Any,
    size: Any,
    warm: Any,
    facts: Any,
    notices: Any,
) -> bool:
    return room in rooms and _is_outcome(merged, size, facts) and size >= 0


def _fits_wedding(rooms: Mapping[int, Room], room: Any, due: Any, wanted: Any) -> bool:
    is_time = due is None or (isinstance(due, float) and 0 <= due < math.inf)
    are_names = isinstance(wanted, list) and all(isinstance(name, str) and is_document_name(name) for name in wanted)
    return room in rooms and is_time and are_names


def _is_outcome(merged: Any, size: Any, facts: Any) -> bool:
    return (
        isinstance(size, int)
        and isinstance(merged, list)
        and all(isinstance(update, bytes) for update in merged)
        and (facts is None or _are_facts(facts))
    )


def _are_facts(facts: Any) -> bool:
    parts = zip(facts, _FACTS, strict=True)
    fit = all(_is_row(row, types) for rows, types in parts for row in rows)
    *_, answers, bookings = facts
    return (
        fit
        and all(datetime.fromisoformat(at).tzinfo is not None for *_, at in answers)
        and all(0 <= minute < _YEAR_9500 for _, _, *span, _, _ in bookings for minute in span)
    )


def _is_row(row: Any, types: Sequence[Any]) -> bool:
    return isinstance(row, list) and len(row) == len(types) and all(map(isinstance, row, types))


def _answered(requests: Sequence[Request], faults: dict[int, Any], answers: dict[int, Any]) -> bool:
    """Whether every question that is not refused has an answer of its kind, and nothing else has one."""
    return all(i in faults or _answers(request.kind, answers.get(i)) for i, request in enumerate(requests))


def _answers(kind: RequestKind, answer: Any) -> bool:
    if kind in (RequestKind.HELLO, RequestKind.READ):
        return isinstance(answer, bytes)
    if kind is RequestKind.DIFF:
        parts = isinstance(answer, list) and bool(answer) and all(isinstance(part, bytes) for part in answer)
        return parts or (type(answer) is int and answer == NO_OVERLAP)
    if kind is RequestKind.DIGEST:
        return _is_row(answer, (bytes, str))
    if kind is RequestKind.COMMAND:
        return _is_row(answer, (bool, str)) or _is_row(answer, ((bool, NoneType), list))
    if kind in (RequestKind.TEND, RequestKind.BOOKINGS):
        return answer is True
    return answer is None


def _is_warm(entry: BatchEntry) -> bool:
    return entry.requests[0].kind is RequestKind.WARM


def _halves(pairs: Sequence[tuple[Room, Request]]) -> list[list[BatchEntry]]:
    middle = (len(pairs) + 1) // 2
    return [[BatchEntry(room, [request]) for room, request in half] for half in (pairs[:middle], pairs[middle:])]

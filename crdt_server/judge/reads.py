"""Requests that read the bytes of a document: sync step 1, and the state vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crdt_server.errors import ProtocolError
from crdt_server.judge.clock_ranges import encode_clocks
from crdt_server.judge.document import Document
from crdt_server.pipe import (
    Bytes,
    Diff,
    Fault,
    HostRequest,
    IndexedResponse,
    NoOverlap,
    RequestKind,
    RoomResult,
    SameAs,
    Status,
)

READS = frozenset((RequestKind.DIFF, RequestKind.STATE_VECTOR))


def answer_reads(
    document: Document, requests: Sequence[HostRequest], result: RoomResult, batch: int, mark: Callable[[int], None]
) -> None:
    """Add the responses to those of the requests that read, as of now. ``mark(index)`` is called before each."""
    for index, request in enumerate(requests):
        if request.kind is RequestKind.DIFF:
            mark(index)
            _diff(index, document, request.payload, result, batch)
        elif request.kind is RequestKind.STATE_VECTOR:
            result.responses.append(IndexedResponse(index, Bytes(encode_clocks(document.clocks))))


def _diff(index: int, document: Document, state_vector: bytes, result: RoomResult, batch: int) -> None:
    try:
        if document.diffs.has_no_overlap(state_vector):
            result.responses.append(IndexedResponse(index, NoOverlap()))
            return
        updates = document.diff(state_vector, batch)
    except ProtocolError:
        result.faults.append(Fault(index, Status.MALFORMED))
        return
    if updates is None:
        result.faults.append(Fault(index, Status.LATER))
        return
    for earlier in result.responses:
        if type(earlier.response) is Diff and earlier.response.updates is updates:
            result.responses.append(IndexedResponse(index, SameAs(earlier.index)))
            return
    result.responses.append(IndexedResponse(index, Diff(updates)))

"""Requests that read a document: its bytes for a sync step 1, its state vector, and its rows as JSON or as a digest.

They are answered at the end of a batch: its reader has all that the server sends as the updates of this batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from crdt_server.errors import ProtocolError
from crdt_server.judge.clock_ranges import encode_clocks
from crdt_server.judge.document import Document
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.slices import Slices
from crdt_server.pipe import (
    Bytes,
    Diff,
    Fault,
    HostRequest,
    IndexedResponse,
    NoOverlap,
    RequestKind,
    Response,
    RoomResult,
    RowsDigest,
    SameAs,
    Status,
)
from documents.encoded_rows import EncodedRows

OF_ROWS = frozenset((RequestKind.READ, RequestKind.DIGEST))
OF_BYTES = frozenset((RequestKind.DIFF, RequestKind.STATE_VECTOR))
ENCODING_SECONDS = 10.0
"""Rows that nobody has requested for so long are not encoded further."""


class Reader:
    """The reads of one host. ``slices``: those in which rows are encoded."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self._requested: dict[SchemaDocument, float] = {}  # when, of those whose rows are being encoded

    def answer(
        self,
        document: Document,
        requests: Sequence[HostRequest],
        result: RoomResult,
        batch: tuple[int, float],
        mark: Callable[[int], None],
    ) -> None:
        """Add the responses to those of the requests that read, as of now. ``batch``: number and time; ``mark(index)``
        is called before each."""
        number, now = batch
        rows: bytes | None = None
        later = {fault.index for fault in result.faults if fault.status is Status.LATER}
        for index, request in enumerate(requests):
            if index in later or (request.kind not in OF_ROWS and request.kind not in OF_BYTES):
                continue
            mark(index)
            if request.kind is RequestKind.DIFF:
                _diff(index, document, request.payload, result, number)
            elif request.kind is RequestKind.STATE_VECTOR:
                result.responses.append(IndexedResponse(index, Bytes(encode_clocks(document.clocks))))
            elif not isinstance(document, SchemaDocument):
                result.faults.append(Fault(index, Status.VIOLATION))
            elif not document.is_open or (rows := rows or self._encoded(document, now)) is None:
                result.faults.append(Fault(index, Status.LATER))
            else:
                result.responses.append(IndexedResponse(index, _of_rows(request.kind, document, rows)))

    def expire(self, now: float) -> None:
        """Drop what is encoded for readers who have left."""
        for document, requested in list(self._requested.items()):
            if not document.is_open or now - requested > ENCODING_SECONDS:
                document.encoding = None
                del self._requested[document]

    def _encoded(self, document: SchemaDocument, now: float) -> bytes | None:
        """The rows of a document as canonical JSON. None: that takes further slices."""
        if document.encoding is None:
            document.encoding = EncodedRows(document.rows.roots)
        self._requested[document] = now
        encoding = document.encoding
        self._slices.begin(encoding)
        try:
            if not self._slices.run(encoding.steps):
                return None
        finally:
            self._slices.end()
        document.encoding = None
        del self._requested[document]
        return encoding.result()


def _of_rows(kind: RequestKind, document: SchemaDocument, rows: bytes) -> Response:
    if kind is RequestKind.READ:
        return Bytes(rows)
    return RowsDigest(encode_clocks(document.clocks), hashlib.sha256(rows).hexdigest())


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

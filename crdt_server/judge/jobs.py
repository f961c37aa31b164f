"""Work of a document host that belongs to no open room."""

from __future__ import annotations

import msgspec

from crdt_server.errors import ProtocolError
from crdt_server.judge.merging import collected, merge_checked
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.slices import Unlimited
from crdt_server.pipe import (
    Checked,
    CheckedPiece,
    CheckUpdate,
    JobRefused,
    JobResult,
    Merged,
    MergeUpdates,
    ReadRows,
    StoredRows,
    encode,
)
from crdt_server.protocol.update import Update, decode_update
from crdt_server.protocol.update_split import split_update
from documents.readers import canonical_json
from documents.registry import kind_of
from documents.rows import read

CHECKED_PIECE_BYTES = 16 * 1024  # one takes 20 ms at most


def perform(job: CheckUpdate | MergeUpdates | ReadRows) -> JobResult:
    """Do a job that needs no open document."""
    try:
        if isinstance(job, ReadRows):
            return StoredRows(_rows(job.document, job.updates))
        if isinstance(job, CheckUpdate):
            return Checked(_check(job.update))
        return Merged(collected(job.updates, job.collected) if job.collected else [merge_checked(job.updates)])
    except ProtocolError as error:
        return JobRefused(str(error))


def _rows(document: str, updates: list[bytes]) -> bytes:
    kind = kind_of(document)
    assert kind is not None
    stored = SchemaDocument(kind, document, {})
    stored.load(updates)
    slices = Unlimited()
    slices.begin(stored)
    stored.build(slices)
    assert stored.doc is not None
    return canonical_json(read(kind, stored.doc)).encode()


def _check(update: bytes) -> list[CheckedPiece]:
    """The pieces of a well-formed update with their summaries. Raises ProtocolError."""
    pieces = split_update(update, CHECKED_PIECE_BYTES)
    if len(pieces) == 1:
        return [CheckedPiece(None, _encode_summary(decode_update(update, max_bytes=len(update))))]
    return [CheckedPiece(piece, _encode_summary(decode_update(piece, max_bytes=len(piece)))) for piece in pieces]


def _encode_summary(update: Update) -> bytes:
    # Packed: the serving process only carries it, and unpacking a summary of 300,000 clients would stall it for 0.7 s.
    return encode(update._replace(data=b""))


def decode_summary(data: bytes, summary: bytes) -> Update:
    """The summary of a checked piece, as `decode_update` gives it. Raises ValueError on anything else."""
    return _summary_decoder.decode(summary)._replace(data=data)


_summary_decoder = msgspec.msgpack.Decoder(Update)

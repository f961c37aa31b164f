"""The messages on the pipe between the serving process and a document host.

Both directions carry frames: four bytes of length (little endian), then msgpack of a `Batch` to the host, of a
`BatchResponse` back. A host has parsed hostile bytes in native code, so its response is plain data: the decoder checks
every type, `hosts.batch` what the types do not express, and nothing on this pipe can name code to run.
"""

from __future__ import annotations

import enum
import struct

import msgspec

from crdt_server.access.identity import Identity
from crdt_server.operations import Operation, Problem
from crdt_server.records import BatchRecords, BookingChange, ClientOwner, MirrorRow, OtherBooking

LENGTH = struct.Struct("<I")
MAX_FRAME_BYTES = 1 << 30
PIECE_BYTES = 16 * 1024  # pieces and stored rows grow by merging up to this size; a step on one takes 5 ms at most
DRY_RUN_BYTES = 1024  # what follows a larger update is not in its batch: a dry run may have it come again
DIFF_STEP_BYTES = 64 * 1024  # a host reads that much of a document for a sync step 1 in one batch
ALREADY_ANSWERED = "answered"  # the code of the problem of a command that was carried out before


class RequestKind(enum.IntEnum):
    """Kinds of requests to a document. Each names its payload and the response that follows when it is not refused."""

    UPDATE = 0  # payload: an update to apply; no response
    DIFF = 1  # payload: a state vector; response: Diff, SameAs or NoOverlap
    STATE_VECTOR = 2  # response: Bytes, the document's state vector
    BUILD_DOC = 3  # build a slice of the Doc from stored bytes, so that no single step is long; no response
    READ = 4  # response: Bytes, the rows as canonical JSON
    DIGEST = 5  # response: RowsDigest
    COMMAND = 6  # payload: an encoded CommandBody; response: CommandDone, CommandRefused or CommandLacks
    RUN_SCHEDULED = 7  # do the scheduled work that is due; response: Done
    SET_BOOKINGS = 8  # payload: encoded OtherBookings; response: Done
    RESUME = 9  # the next slice of the rules of its wedding; no response


OWN = frozenset((RequestKind.BUILD_DOC, RequestKind.RESUME))
"""Requested by the dispatcher itself, as long as there is something to do."""


class Status(enum.IntEnum):
    """The verdict on one request. OK is not reported."""

    OK = 0
    KNOWN = 1  # brought nothing new
    GAP = 2  # would leave a hole: the sender is sent a step 1
    MALFORMED = 3
    VIOLATION = 4  # well-formed, but the document cannot hold it
    TOO_LARGE = 5  # the document would outgrow its limit
    DEADLY = 6  # a copy of the host died of it, or was stopped after its time
    LATER = 7  # takes more than one batch: request it again
    OVER_QUOTA = 8  # the wedding may not grow any more
    CLIENT_ID_TAKEN = 9  # the client id belongs to somebody else, or its clock holds other content already
    FORBIDDEN = 10  # its sender may not write there any more; decided before it reaches a document


REFUSALS = frozenset((Status.VIOLATION, Status.TOO_LARGE, Status.DEADLY, Status.OVER_QUOTA, Status.CLIENT_ID_TAKEN))
"""For good, and by what the document holds. Another host may judge otherwise if its document holds more."""


class _Record(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """A record of plain values: an array in msgpack."""


# To the host
class OtherBookings(_Record):
    """All bookings of an organization by other weddings that overlap those of this one."""

    organization: str
    bookings: list[OtherBooking]


class SchemaContext(_Record):
    """The context of a document that has a schema. ``rows`` and ``bookings`` are those of the whole wedding, ``others``
    the overlapping bookings of other weddings. ``rows`` None: the host should hold the wedding."""

    wedding: str
    document: str
    owners: list[ClientOwner]
    rows: list[MirrorRow] | None = None
    bookings: list[BookingChange] = []
    others: list[OtherBooking] = []
    without_rules: bool = False


class LoadStep(_Record):
    """Stored updates of a document. ``last``: it is complete with them; ``bytes_only``: without a Doc; ``owners``: of
    client ids, without a schema; ``rows``: further ones of its wedding; ``more_rows``: these are not the last.
    ``further``: not the first of the document in this batch, and postponed where others wait for its end."""

    updates: list[bytes]
    last: bool = True
    bytes_only: bool = False
    context: SchemaContext | None = None
    owners: list[ClientOwner] = []
    rows: list[MirrorRow] = []
    more_rows: bool = False
    further: bool = False


class HostRequest(_Record):
    """One request. ``summary``: of an update that was checked before; ``actor``: of an update, and of any request to a
    document with a schema; ``client_state_vector``: that of an update's sender, where it was away until now.
    ``vector_of``: the large update of which this is a piece; its state vector comes once. ``begun``: a command, see
    `BatchResponse`."""

    kind: RequestKind
    payload: bytes
    summary: bytes | None = None
    actor: Identity | None = None
    client_state_vector: bytes | None = None
    vector_of: int | None = None
    begun: bool = False


class RoomRequests(_Record):
    """One room in a batch: a load step, if any, then the requests. ``over_quota``: the document may not grow;
    ``claims``: client ids that are somebody's before a write, as `ClientOwners.claim` takes them."""

    room: int
    requests: list[HostRequest] = []
    load: LoadStep | None = None
    over_quota: bool = False
    claims: list[ClientOwner] = []


class CheckUpdate(_Record, tag=0):
    """Check a large update, and cut it into pieces of bounded size."""

    update: bytes


class MergeUpdates(_Record, tag=1):
    """Merge updates into one that provably holds all of them. ``collected``: into so many at most, to be applied in
    order, without the content of what is deleted; 0: with all of it."""

    updates: list[bytes]
    collected: int = 0


class ForgetRooms(_Record, tag=2):
    """Drop the documents of these rooms."""

    rooms: list[int]


class ReadRows(_Record, tag=3):
    """The rows of a document with a schema, of which the host keeps nothing."""

    document: str
    updates: list[bytes]


Job = CheckUpdate | MergeUpdates | ForgetRooms | ReadRows
"""Work of a host that belongs to no open room."""


class Batch(_Record):
    """``now`` in seconds since 1970."""

    now: float
    rooms: list[RoomRequests] = []
    jobs: list[Job] = []


class CommandPart(_Record):
    """The operations of a command on one document."""

    document: str
    operations: list[Operation]


class CommandBody(_Record):
    """Operations on documents of one wedding. ``key`` and ``digest``: of what must not be carried out twice."""

    parts: list[CommandPart]
    key: str | None = None
    digest: str | None = None


# From the host
class Bytes(_Record, tag=0):
    """A state vector, or rows as JSON."""

    data: bytes


class Diff(_Record, tag=1):
    """Updates that together are the difference, to be applied in order; at least one."""

    updates: list[bytes]


class SameAs(_Record, tag=2):
    """The response to an earlier request of the same room and batch."""

    index: int


class NoOverlap(_Record, tag=3):
    """The state vector names no client of the document: the response is that to the empty state vector."""


class RowsDigest(_Record, tag=4):
    """``sha256`` is that of the canonical JSON, in hexadecimal."""

    state_vector: bytes
    sha256: str


class CommandDone(_Record, tag=5):
    """``answer`` is JSON."""

    answer: str


class CommandRefused(_Record, tag=6):
    """Nothing was done, for these reasons; at least one."""

    problems: list[Problem]


class CommandLacks(_Record, tag=7):
    """Nothing was done: these documents are not open here."""

    documents: list[str]


class Done(_Record, tag=8):
    """The response to what has no other."""


Response = Bytes | Diff | SameAs | NoOverlap | RowsDigest | CommandDone | CommandRefused | CommandLacks | Done


class Fault(_Record):
    """A request that was not simply accepted."""

    index: int
    status: Status


class IndexedResponse(_Record):
    """The response to the request of this index."""

    index: int
    response: Response


class IndexedNotice(_Record):
    """JSON for the sender of the request of this index: something of it was undone or refused."""

    index: int
    body: bytes


class SlowUpdates(_Record):
    """Updates in a row that took long: the requests from ``first`` on, before ``end``."""

    first: int
    end: int
    cpu_seconds: float


class RoomResult(_Record, tag=0):
    """``updates`` are to be stored and sent: nearly always one, or none. ``size``: in bytes; ``built``: is the Doc;
    ``cpu_seconds``: of the host, for the requests, those of ``slow`` included."""

    room: int
    size: int
    built: bool
    updates: list[bytes]
    faults: list[Fault]
    responses: list[IndexedResponse]
    derived: BatchRecords | None
    notices: list[IndexedNotice]
    cpu_seconds: float
    slow: list[SlowUpdates]

    @classmethod
    def empty(cls, room: int, size: int = 0, *, built: bool = True) -> RoomResult:
        """An empty result."""
        return cls(room, size, built, [], [], [], None, [], 0.0, [])


class LoadRefused(_Record, tag=1):
    """The stored updates cannot be read."""

    room: int
    reason: str


class ContextMissing(_Record, tag=2):
    """The host does not hold the wedding: load the document again with its rows."""

    room: int


class LoadPostponed(_Record, tag=3):
    """Others wait for the end of the batch: this load step has to come again."""

    room: int


class WeddingState(_Record):
    """One room of a wedding, in how many seconds the wedding has scheduled work (None: none), the documents that it
    needs open, and whether its rules need further slices."""

    room: int
    due_seconds: float | None
    needed: list[str]
    unfinished: bool = False


class CheckedPiece(_Record):
    """A piece of a checked update (None: the update as it is) and its summary, which only a host reads."""

    update: bytes | None
    summary: bytes


class Checked(_Record, tag=0):
    """The response to CheckUpdate; pieces are to be applied in order."""

    pieces: list[CheckedPiece]


class Merged(_Record, tag=1):
    """The response to MergeUpdates."""

    updates: list[bytes]


class Forgotten(_Record, tag=2):
    """The response to ForgetRooms."""


class StoredRows(_Record, tag=3):
    """The response to ReadRows: canonical JSON."""

    rows: bytes


class JobRefused(_Record, tag=4):
    """The job could not be done."""

    message: str


JobResult = Checked | Merged | Forgotten | StoredRows | JobRefused


RoomOutcome = RoomResult | LoadRefused | ContextMissing | LoadPostponed


class BegunCommand(_Record):
    """A command that is being written, by its place in the batch: of its room, and of its request in that room."""

    room: int
    request: int


class BatchResponse(_Record):
    """``results``: one for each room of the batch, in its order; ``jobs``: one for each job; ``others``: rooms that the
    batch did not name, into whose documents the server has written. ``begun``: the command that is being written, which
    has to come with every batch until it is done."""

    results: list[RoomOutcome]
    jobs: list[JobResult]
    others: list[RoomResult]
    weddings: list[WeddingState]
    begun: BegunCommand | None = None


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
"""A struct as msgpack. Raises OverflowError, UnicodeEncodeError, TypeError on what msgpack cannot hold."""
decode_batch = msgspec.msgpack.Decoder(Batch).decode
decode_response = msgspec.msgpack.Decoder(BatchResponse).decode
"""Raises msgspec.MsgspecError (a ValueError) on anything else."""
decode_command = msgspec.msgpack.Decoder(CommandBody).decode
decode_other_bookings = msgspec.msgpack.Decoder(OtherBookings).decode


def frame(value: Batch | BatchResponse) -> bytes:
    """One frame, length included."""
    buffer = bytearray(LENGTH.size)
    _encoder.encode_into(value, buffer, LENGTH.size)
    LENGTH.pack_into(buffer, 0, len(buffer) - LENGTH.size)
    return bytes(buffer)

"""What crosses the pipe between the serving process and a document host.

Both directions carry frames: four bytes of length (little endian), then msgpack. A host has parsed hostile bytes in
native code, so its answers are plain data that is checked on arrival; nothing on this pipe can name code to run.

Request: ``[now, entries, jobs]``; ``now`` in seconds since 1970.
    entry: ``[room, load, last, bytes_only, ops, setting]``: ``load`` is a list of stored updates (or None), ``last``
        says whether the document is complete with them, ``bytes_only`` whether it is held without a pycrdt Doc, ``ops``
        a list of ``[kind, payload, extra, actor, knows]``; ``setting`` comes with the first load of a document that has
        a schema: ``[wedding, document, owners, rows, bookings, others]``, where ``rows`` and ``bookings`` are those of
        the whole wedding as the store has them (``rows`` None: the host should have them), and ``others`` the bookings
        of other weddings that overlap them.
    job: ``[kind, payload]``: work without a room (check an update, merge updates, forget rooms).
Answer: ``[results, job_results, others, weddings]``.
    result: ``[room, merged, faults, answers, size, warm, facts, notices]``: ``merged`` lists the updates to store and
        send (one nearly always, none when nothing is new), ``faults`` pairs of (op index, Status), ``answers`` pairs of
        (op index, data), where in place of data may stand the index of an earlier op that has the same, or NO_OVERLAP,
        ``facts`` what is stored with them (`judge.ledger`) or None, ``notices`` pairs of
        (op index, JSON to tell the sender). A negative ``size`` (`UNREADABLE`, `NO_SETTING`) ends the load.
    other: a result of a room that the batch did not name: the server has written into its document.
    wedding: ``[room, seconds, documents]``: one room of a wedding, in how many seconds it has to be tended (or None),
        and documents that are wanted open.
"""

from __future__ import annotations

import enum
import mmap
import struct
from collections.abc import Iterable, Sequence
from typing import Any

import msgpack

LENGTH = struct.Struct("<I")
MAX_FRAME_BYTES = 1 << 30
PIECE_BYTES = 64 * 1024  # pieces and stored rows grow by merging up to this size; one step on one takes about 20 ms
DRY_RUN_BYTES = 1024  # larger updates are rehearsed; smaller ones hold a few dozen structs, which is soon done
DIFF_STEP_BYTES = 64 * 1024  # a host reads that much of a document for a question in one batch


class RequestKind(enum.IntEnum):
    """What a session asks of its document. Values travel on the pipe."""

    UPDATE = 0  # apply one update; extra: None, or the summary of a check made before
    DIFF = 1  # what the given state vector lacks; answer: list of updates, together the difference
    HELLO = 2  # the document's own state vector
    WARM = 3  # build a slice of the Doc from stored bytes, so that no single step is long
    READ = 4  # the rows as JSON: answer: bytes
    DIGEST = 5  # answer: [state vector, SHA-256 of the rows]
    COMMAND = 6  # operations on documents of the wedding; answer: [True, ...] or [False, problems]
    TEND = 7  # do what was to wait until now; answer: True
    BOOKINGS = 8  # [organization, bookings of other weddings]: all that overlap the wedding's; answer: True


UNREADABLE, NO_SETTING = -1, -2
ANSWERED = "answered"  # the code of a command that was carried out before
NO_OVERLAP = (
    -1
)  # in place of an answer: it is that to the empty state vector, for who asks knows nobody of the document


class Job(enum.IntEnum):
    """Work of a host that belongs to no room."""

    CHECK = 0  # payload: update; answer: [pieces, each (update or None for it as it is, summary)] or [None, message]
    MERGE = 1  # payload: list of updates; answer: [merged] or [None, message]
    FORGET = 2  # payload: list of rooms to drop; answer: [None]
    ROWS = 3  # payload: [document, updates]; answer: [rows as canonical JSON] of a document with a schema, nothing kept


class Status(enum.IntEnum):
    """The verdict on one update. Only what is not OK is reported."""

    OK = 0
    KNOWN = 1  # brought nothing new
    GAP = 2  # would leave a hole: ask the sender for all of it
    MALFORMED = 3
    VIOLATION = 4  # well-formed, but the document cannot hold it
    TOO_LARGE = 5  # the document would outgrow its limit
    DEADLY = 6  # a copy of the host died of it, or was stopped after its time
    LATER = 7  # a question that takes more than one batch, or an update that is being rehearsed: ask again


REFUSALS = frozenset((Status.VIOLATION, Status.TOO_LARGE, Status.DEADLY))
"""For good, and by what the document holds. Another host may see it otherwise if it knows more."""


def encode(value: Any) -> bytes:
    """A frame's body, or a value that travels inside one unread."""
    body: bytes = msgpack.packb(value, use_bin_type=True)
    return body


def pack(value: Any) -> bytes:
    """One frame, length included."""
    body = encode(value)
    return LENGTH.pack(len(body)) + body


def pack_request(now: float, entries: Sequence[Any], jobs: Sequence[Any]) -> tuple[bytes, ...]:
    """One frame in parts. The update of a lone check is a part as it is: its megabytes are not copied."""
    if not entries and len(jobs) == 1 and jobs[0][0] == Job.CHECK:
        update = jobs[0][1]
        # as msgpack would: [now, [], [[CHECK, update]]]
        head = b"\x93" + encode(now) + b"\x90\x91\x92" + encode(Job.CHECK) + b"\xc6" + len(update).to_bytes(4, "big")
        return LENGTH.pack(len(head) + len(update)) + head, update
    return (pack([now, entries, jobs]),)


def unpack(body: bytes | bytearray | memoryview) -> Any:
    """The value of a frame's body. Raises ValueError (or a subclass) on anything that is not msgpack."""
    return msgpack.unpackb(body, raw=False, strict_map_key=False)


def answers_in(pairs: Iterable[tuple[int, Any]]) -> dict[int, Any]:
    """RequestKind index -> answer, each with its data, or NO_OVERLAP. Raises KeyError where there is no such answer."""
    answers: dict[int, Any] = {}
    for index, data in pairs:
        answers[index] = answers[data] if type(data) is int and data != NO_OVERLAP else data
    return answers


class ProgressMark:
    """Three integers shared with a host: which entry and op it is busy with, so that a crash names its suspect.

    The host writes before each risky step; the serving process reads after the host is dead.
    """

    SIZE = mmap.PAGESIZE
    STARTING = (-2, -2)  # the host has not opened it yet
    IDLE = (-1, -1)
    MERGING = -1  # in place of an op index: what was accepted is put together, and no single update is to blame
    LOADING = -2  # in place of an op index: the stored bytes themselves were being read
    _cells = struct.Struct("<ii")

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, self.SIZE)
        self.set(*self.IDLE)

    def set(self, entry: int, op: int) -> None:
        self._cells.pack_into(self._map, 0, entry, op)

    def get(self) -> tuple[int, int]:
        entry, op = self._cells.unpack_from(self._map, 0)
        return entry, op

    def close(self) -> None:
        self._map.close()

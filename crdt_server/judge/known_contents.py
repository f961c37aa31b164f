"""Whether an update repeats what a document has, or has other content under ids that are taken.

Client ids are public, so somebody may write under the next ids of another client. The client that comes second must not
be sent a receipt: the content is stored nowhere. Contents are compared, not encodings: a resend may be cut into other
structs, and what was deleted has no content any more, on either side.

The newest pieces of the document are read first, and of each client only what it wrote from the first of these ids on:
of an edit that is sent twice that is little. Where it is much, the comparison is given up, and in one batch only so
many are made: an update of 30 bytes may cost 5 ms.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pycrdt import get_update

from crdt_server.errors import ProtocolError
from crdt_server.judge.clock_ranges import ClockRanges, encode_clocks
from crdt_server.protocol.structs import ANY, DELETED, GC, SKIP, STRING, Struct
from crdt_server.protocol.update import decode_structs

# Bytes for one update, or so many times its own: of pieces that are searched (6 ms for each MB), and of structs that
# are found there and decoded (150 ms for each MB).
SEARCHED_BYTES, DECODED_BYTES, PER_BYTE = 512 * 1024, 16 * 1024, 8
# Of comparisons of one document in a batch, in bytes that are searched: 6 ms; those beyond wait for the next batch.
BATCH_BYTES = 1 << 20
DECODED_COST, CLIENT_COST = (
    25,
    100,
)  # bytes searched that cost as much as one that is decoded, as a client of the document
_UNKNOWN = frozenset((GC, DELETED, SKIP))  # kinds of structs whose content is not there
_REPLACEMENT = "\ufffd".encode("utf-16-le")  # stands for half of a surrogate pair, where a struct was cut inside of one


class Known(enum.Enum):
    """The outcome of a comparison; where several structs differ, the highest."""

    SAME = 0
    UNDECIDED = 1
    OTHER = 2


class Compared(NamedTuple):
    """The outcome, and what it cost: in bytes that are searched."""

    known: Known
    cost_bytes: int


class _TooMuch(Exception):
    """The comparison is given up."""


def compare_known(
    data: bytes, structs: Sequence[Struct], clocks: Mapping[int, int], pieces: Iterable[bytes]
) -> Compared:
    """Compare the structs of an update ``data`` whose ids are taken with those in the pieces of a document, which come
    the newest first. ``clocks``: client id -> next clock of the document."""
    wanted: dict[int, list[Struct]] = {}
    for struct in structs:
        if struct.content not in _UNKNOWN and struct.clock < clocks.get(struct.client, 0):
            wanted.setdefault(struct.client, []).append(struct)
    cost_bytes = DECODED_COST * len(data)
    if not wanted:
        return Compared(Known.SAME, cost_bytes)
    cost_bytes += CLIENT_COST * len(clocks)
    spans = [
        (each.client, each.clock, min(each.clock + each.length, clocks[each.client]))
        for found in wanted.values()
        for each in found
    ]
    covered, worst = ClockRanges(), Known.SAME
    try:
        for found, cost in _found(data, wanted, clocks, pieces):
            cost_bytes += cost
            for struct, other in pairs_of_structs(wanted, found):
                worst = max(worst, compared_structs(struct, other), key=lambda known: known.value)
            for other in found:
                covered.add(other.client, other.clock, other.clock + other.length)
            if worst is Known.OTHER or all(covered.covers(*span) for span in spans):
                break
    except _TooMuch:
        worst, cost_bytes = Known.UNDECIDED, cost_bytes + SEARCHED_BYTES
    return Compared(worst, cost_bytes)


def _found(
    data: bytes, wanted: Mapping[int, Sequence[Struct]], clocks: Mapping[int, int], pieces: Iterable[bytes]
) -> Iterator[tuple[list[Struct], int]]:
    """The structs of the pieces, one piece after the other: of these clients, from the first struct that is wanted on;
    and the cost of each piece. Raises _TooMuch."""
    state_vector = encode_clocks(dict(clocks) | {client: structs[0].clock for client, structs in wanted.items()})
    searched, decoded = max(SEARCHED_BYTES, PER_BYTE * len(data)), max(DECODED_BYTES, PER_BYTE * len(data))
    for piece in pieces:
        if searched <= 0:
            raise _TooMuch
        searched -= len(piece) + len(state_vector)
        part = get_update(piece, state_vector)
        decoded -= len(part)
        if decoded < 0:
            raise _TooMuch
        try:
            structs = [struct for struct in decode_structs(part).structs if struct.client in wanted]
        except ProtocolError as error:  # the cut has left something that no client could read
            raise _TooMuch from error
        yield structs, len(piece) + DECODED_COST * len(part)


def pairs_of_structs(
    wanted: Mapping[int, Sequence[Struct]], found: Iterable[Struct]
) -> Iterator[tuple[Struct, Struct]]:
    """Those that have ids in common: both run in the order of their clocks for each client."""
    places = dict.fromkeys(wanted, 0)
    for other in found:
        mine, place = wanted[other.client], places[other.client]
        while place < len(mine) and mine[place].clock < other.clock + other.length:
            end = mine[place].clock + mine[place].length
            if end > other.clock:
                yield mine[place], other
            if end > other.clock + other.length:
                break
            place += 1
        places[other.client] = place


def compared_structs(struct: Struct, other: Struct) -> Known:
    """Compare the content of a struct with that of a stored one, in the ids that they have in common."""
    if other.content in _UNKNOWN:
        return Known.SAME
    if struct.content != other.content:
        return Known.OTHER
    first = max(struct.clock, other.clock)
    following = min(struct.clock + struct.length, other.clock + other.length)
    mine, theirs = _part(struct, first, following), _part(other, first, following)
    if mine == theirs:
        return Known.SAME
    return _units_compared(mine, theirs) if struct.content == STRING else Known.OTHER


def _units_compared(mine: bytes, theirs: bytes) -> Known:
    worst = Known.SAME
    for n in range(0, len(mine), 2):
        one, other = mine[n : n + 2], theirs[n : n + 2]
        if one != other and one != _REPLACEMENT:
            if other != _REPLACEMENT:
                return Known.OTHER
            worst = Known.UNDECIDED
    return worst


def _part(struct: Struct, first: int, following: int) -> Any:
    """The content of some ids, in a form that can be compared."""
    begin, end = first - struct.clock, following - struct.clock
    if struct.content == STRING:
        return struct.value.encode("utf-16-le", "surrogatepass")[2 * begin : 2 * end]
    if struct.content == ANY:
        return json.dumps(struct.value[begin:end], sort_keys=True, default=repr)  # merging changes the order of keys
    return struct.value

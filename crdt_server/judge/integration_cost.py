"""Bounds on the structs that new ones pass on the way to their places, in Yjs: each takes 70 to 95 ns there. Where a
place is inside of a struct, that is cut in two, and all structs of its client behind it are moved: 1 ns for each."""

from __future__ import annotations

from collections.abc import Sequence

from crdt_server.errors import ProtocolError
from crdt_server.judge.shared_types import A_TEXT, SharedType
from crdt_server.judge.struct_index import Step
from crdt_server.protocol.lib0 import read_var_uint
from crdt_server.protocol.structs import Id

FEW_STEPS, FEW_DELETIONS = 250_000, 256
MOVED_IN_STEP = 64  # structs that are moved in the time in which one is passed
_BYTES_OF_STRUCT = 4  # of the smallest one that has a place
_BYTES_PER_STEP = 256  # of a text that is cut in two, or of a list of structs that grows: they are copied
_LENGTHS = slice(2, None, 5)  # in `MapEntries.order`


def most_stored(clocks: int, size_bytes: int) -> int:
    """At most so many structs does a document of some bytes have, or what they cost that are cut in two. ``clocks``:
    the sum of its clocks."""
    return max(min(clocks, size_bytes // _BYTES_OF_STRUCT), size_bytes // _BYTES_PER_STEP)


def has_few_structs(data: bytes, stored: int) -> bool:
    """Whether an update holds so little that applying it to a document of ``stored`` structs, at most, is soon done,
    however many bytes that is: pasted text is one struct.
    """
    try:
        sections, pos = read_var_uint(data, 0)
        count = read_var_uint(data, pos)[0] if sections else 0
    except (IndexError, ProtocolError):
        return False
    return _is_few(count if sections <= 1 else len(data) // _BYTES_OF_STRUCT, stored)


def deletes_few(deletions: int, size_bytes: int) -> bool:
    """Whether so many ranges are soon deleted in a document of that size."""
    return deletions <= 1 or (deletions <= FEW_DELETIONS and deletions * size_bytes // _BYTES_PER_STEP <= FEW_STEPS)


def _is_few(count: int, stored: int) -> bool:
    """Whether new structs may pass all others of a document. A single one may: typing goes on in a large one, too."""
    return count <= 1 or count * (stored + count) <= FEW_STEPS


def passes_few(steps: Sequence[Step], stored: int) -> bool:
    """Whether applying new structs, whose places are known, is soon done in a document of ``stored`` structs, at most.

    An entry of a map passes others of its key alone: the fields of a new record have none. Anything else may pass all
    that is stored.
    """
    others = passed = 0
    moved = stored + len(steps)
    coming: dict[tuple[SharedType, str], tuple[int, Id]] = {}  # how many structs of the key, and the last id of them
    for struct, shared, key, _ in steps:
        if shared is None or key is None or shared.use >= A_TEXT:
            others += 1
            continue
        entries = shared.keys.get(key)
        if entries is not None:
            passed += 1 if entries.order is None else sum(entries.order[_LENGTHS])
        number, newest = coming.get((shared, key)) or (0, entries and entries.newest)
        passed += number
        if struct.origin not in (None, newest):  # which is the end of a struct; any other may be inside of one
            passed += moved // MOVED_IN_STEP
        # Others may cut it between any two of its values, which are copied.
        coming[shared, key] = number + struct.length + 1, (struct.client, struct.clock + struct.length - 1)
        if passed > FEW_STEPS:
            return False
    return _is_few(others, stored) if not passed else others * (stored + others) + passed <= FEW_STEPS

"""Bounds on the structs that new ones pass on the way to their places, in Yjs: each takes 70 to 95 ns there. Where a
place is inside of a struct, that is cut in two, and all structs of its client behind it are moved: 1 ns for each."""

from __future__ import annotations

from collections.abc import Sequence

from crdt_server.errors import ProtocolError
from crdt_server.judge.shared_types import A_TEXT, SharedType
from crdt_server.judge.struct_index import Step
from crdt_server.protocol.lib0 import read_var_uint
from crdt_server.protocol.structs import Id

FEW_STRUCTS, FEW_STEPS = 32, 250_000
MOVED_IN_STEP = 64  # structs that are moved in the time in which one is passed
_LENGTHS = slice(2, None, 5)  # in `MapEntries.order`


def has_few_structs(data: bytes, stored: int) -> bool:
    """Whether an update holds so little that applying it to a document of ``stored`` structs, at most, is soon done,
    however many bytes that is: pasted text is one struct.
    """
    try:
        sections, pos = read_var_uint(data, 0)
        count = read_var_uint(data, pos)[0] if sections else 0
    except (IndexError, ProtocolError):
        return False
    return sections <= 1 and (count <= FEW_STRUCTS or count * (stored + count) <= FEW_STEPS)


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
        coming[shared, key] = number + 2, (struct.client, struct.clock + struct.length - 1)  # 2: one may be cut in two
        if passed > FEW_STEPS:
            return False
    return others <= FEW_STRUCTS or others * (stored + others) + passed <= FEW_STEPS

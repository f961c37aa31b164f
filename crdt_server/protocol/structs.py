"""The structs of an update (v1), one object each, for checks of what an update writes, and where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

Id: TypeAlias = tuple[int, int]
"""Client and clock."""

GC, DELETED, JSON, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, DOC, SKIP = range(11)
"""The kinds of content of a struct, as Yjs numbers them."""

TYPE_MAP, TYPE_TEXT = 1, 2
"""The shared types that documents consist of, as Yjs numbers them."""


class Struct(NamedTuple):
    """One item, or a run of collected ones. Its ids are `(client, clock)` to `(client, clock + length - 1)`."""

    client: int
    clock: int
    length: int
    """In clocks; of text that is UTF-16 units."""
    content: int
    """`GC` to `DOC`."""
    origin: Id | None
    right_origin: Id | None
    parent: str | Id | None
    """Name of a root, id of a shared type; None where an origin implies it, and for what was collected."""
    key: str | None
    """None in lists and texts, and where an origin implies it."""
    value: Any
    """ANY: list of plain values as pycrdt shows them; BINARY: bytes; STRING: str; TYPE: its number; else None."""


def new_structs(structs: Sequence[Struct], known: Mapping[int, int]) -> Sequence[Struct]:
    """The new ones among the structs. Of one that is known in part, the rest follows on that part."""
    fresh = []
    for struct in structs:
        next_clock = known.get(struct.client, 0)
        if struct.clock >= next_clock:
            fresh.append(struct)
        elif struct.clock + struct.length > next_clock:
            fresh.append(_rest(struct, next_clock))
    return fresh


def _rest(struct: Struct, clock: int) -> Struct:
    length = struct.clock + struct.length - clock
    if struct.content == GC:
        return struct._replace(clock=clock, length=length)
    value = struct.value[-length:] if struct.content == ANY else None
    origin = (struct.client, clock - 1)
    return Struct(struct.client, clock, length, struct.content, origin, struct.right_origin, None, None, value)


def in_order(structs: Sequence[Struct]) -> Sequence[Struct]:
    """The structs, each after those that it refers to. Structs that wait for one another are left out."""
    if not structs or structs[0].client == structs[-1].client:
        return structs  # an update has the structs of a client in one run
    queues: dict[int, list[Struct]] = {}
    for struct in structs:
        queues.setdefault(struct.client, []).append(struct)
    ordered: list[Struct] = []
    reached = {client: queue[0].clock for client, queue in queues.items()}
    for queue in queues.values():
        queue.reverse()
    for first in queues:
        stack, stuck = [first], set[int]()
        while stack:
            client = stack[-1]
            queue = queues[client]
            if not queue:
                stack.pop()
                continue
            waits_for = _waits_for(queue[-1], reached)
            if waits_for is None:
                ordered.append(queue.pop())
                reached[client] = ordered[-1].clock + ordered[-1].length
                stuck.clear()
            elif client in stuck:
                return ordered
            else:
                stuck.add(client)
                stack.append(waits_for)
    return ordered


def _waits_for(struct: Struct, reached: Mapping[int, int]) -> int | None:
    """The client of a struct that must come before this one and has not come yet."""
    for reference in (struct.origin, struct.right_origin, struct.parent):
        if type(reference) is tuple and reference[0] != struct.client:
            client, clock = reference
            if clock >= reached.get(client, clock + 1):
                return client
    return None

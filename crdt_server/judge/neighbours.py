"""The place of a struct that names its neighbours, and whether these are in one place."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import TypeAlias

from crdt_server.judge.clock_ranges import ClockRanges
from crdt_server.judge.shared_types import SharedType
from crdt_server.protocol.lib0 import write_var_uint
from crdt_server.protocol.structs import SKIP, Id, Struct
from crdt_server.protocol.update import decode_runs, decode_structs, encode_delete_set

Place: TypeAlias = tuple[SharedType, str | None]
"""A shared type, and the key in it."""

Spot: TypeAlias = tuple[SharedType, str | None, SharedType | None]
"""The place of a struct, its key, and the shared type that it opens."""

Lookup: TypeAlias = Callable[[Id], Spot | None]

OnTorn: TypeAlias = Callable[[Struct], None]
"""Called with a struct whose neighbours are in different places, or one of them in none. yrs takes the place of the
other then, Yjs none. No client writes this."""


class TornError(Exception):
    """The neighbours of a struct are in different places."""


def place_between(struct: Struct, lookup: Lookup, on_torn: OnTorn) -> Place | None:
    """The place of a struct that has an origin or a right origin, or both; None: they have none, or not the same."""
    origin, right_origin = struct.origin, struct.right_origin
    if origin is None or right_origin is None:
        spot = lookup(origin or right_origin)  # type: ignore[arg-type]
        return spot and spot[:2]
    left, right = lookup(origin), lookup(right_origin)
    place = left and left[:2]
    if place == (right and right[:2]):
        return place
    on_torn(struct)
    return None


def as_collected(data: bytes, torn: ClockRanges) -> bytes:
    """An update with these structs collected, as they are in Yjs where one of their neighbours is."""
    update, runs = decode_runs(data, 0)  # of one struct each
    lengths = iter(decode_structs(data).structs)
    out = []
    for client, those in groupby(runs, key=attrgetter("client")):
        section = list(those)
        out.append(b"".join(map(write_var_uint, (len(section), client, section[0].clock))))
        for run in section:
            end = run.clock if data[run.start] == SKIP else run.clock + next(lengths).length
            is_torn = run.clock < end and torn.covers(client, run.clock, end)
            out.append(b"\0" + write_var_uint(end - run.clock) if is_torn else data[run.start : run.end])
    sections = len({run.client for run in runs})
    return write_var_uint(sections) + b"".join(out) + encode_delete_set(update.deletes)


def refuse_torn(struct: Struct) -> None:
    """Of updates of clients."""
    raise TornError


def accept_torn(struct: Struct) -> None:
    """Of structs that were checked before, or are the server's own."""

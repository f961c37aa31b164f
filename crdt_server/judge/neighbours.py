"""The place of a struct that names its neighbours, and whether these are in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from crdt_server.judge.shared_types import SharedType
from crdt_server.protocol.structs import Id, Struct

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
    """The place of a struct that has an origin or a right origin, or both; None: a neighbour has none."""
    origin, right_origin = struct.origin, struct.right_origin
    if origin is None or right_origin is None:
        spot = lookup(origin or right_origin)  # type: ignore[arg-type]
        return spot and spot[:2]
    left, right = lookup(origin), lookup(right_origin)
    place = left and left[:2]
    if place != (right and right[:2]):
        on_torn(struct)
    return None if right is None else place


def refuse_torn(struct: Struct) -> None:
    """Of updates of clients."""
    raise TornError


def accept_torn(struct: Struct) -> None:
    """Of structs that were checked before, or are the server's own."""

"""Whether the two neighbours that a struct names are in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from crdt_server.judge.shared_types import SharedType
from crdt_server.protocol.structs import Id, Struct

Spot: TypeAlias = tuple[SharedType, str | None, SharedType | None]
"""The place of a struct, its key, and the shared type that it opens."""

Lookup: TypeAlias = Callable[[Id], Spot | None]


class TornError(Exception):
    """The neighbours of a struct are in different places."""


def refuse_torn(struct: Struct, lookup: Lookup) -> None:
    """Raises TornError where the neighbours of a struct are in different places, or one of them in none. yrs takes the
    place of the other then, Yjs none. No client writes this."""
    if struct.origin is not None and struct.right_origin is not None:
        left, right = lookup(struct.origin), lookup(struct.right_origin)
        if (left and left[:2]) != (right and right[:2]):
            raise TornError


def accept_any(struct: Struct, lookup: Lookup) -> None:
    """Of structs that were checked before, or are the server's own."""

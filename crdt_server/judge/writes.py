"""The map entries that an update writes, as the index of structs returns them."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from crdt_server.protocol.structs import Id


class Marker(enum.Enum):
    """Takes the place of a value."""

    NESTED = "nested"
    GONE = "gone"


NESTED: Final = Marker.NESTED
"""The value of an entry that is a shared type."""

GONE: Final = Marker.GONE
"""The value of an entry that the update which brought it deleted again."""


class Write(NamedTuple):
    """One map entry that an update brought and did not itself delete or overwrite.

    Or one that it did delete, if it is the newest of its key and was not written on the entry that was newest before:
    the value of another writer was deleted with it.
    """

    root: str
    record: str
    key: str | None
    """As in `documents.changes.Change`: None for single values and records as a whole."""
    value: Any
    """The plain value as pycrdt shows it, `NESTED` or `GONE`."""
    id: Id
    seen: bool
    """Whether it follows, directly or over entries of the same update, on the newest entry before the update."""
    wins: bool
    """Whether it is the newest of its key now."""
    orphan: bool
    """Whether the record it was written into is deleted, or another has taken its place."""
    over: Id | None
    """The newest entry before the update; None: there was none."""


def standing(writes: Iterable[Write]) -> dict[tuple[str, str], dict[str | None, Any]]:
    """The plain values among the writes of one update that hold now, by row and key."""
    rows: dict[tuple[str, str], dict[str | None, Any]] = {}
    for write in writes:
        if write.wins and not write.orphan and type(write.value) is not Marker:
            rows.setdefault(write[:2], {})[write.key] = write.value
    return rows

"""What the server has put back in one document, as its ids: seen by clients that have seen one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crdt_server.judge.struct_index import Step
from crdt_server.judge.writes import Write
from crdt_server.protocol.structs import Id


class Restorations:
    """What was put back -> what was undone -> what had been there."""

    def __init__(self) -> None:
        self._over: dict[Id, Id | None] = {}

    def __contains__(self, id: Id | None) -> bool:
        return id in self._over

    def add(self, writes: Iterable[Write]) -> None:
        """These were written to put something back, or were undone."""
        self._over.update((write.id, write.over) for write in writes)

    def with_seen(self, writes: list[Write], steps: Iterable[Step]) -> list[Write]:
        """The writes of an update, seen also where nothing but what was put back lies between a write and what it was
        written on."""
        if all(write.seen for write in writes):
            return writes
        origins = {(struct.client, struct.clock): struct.origin for struct, *_ in steps}
        return [write._replace(seen=write.seen or self._saw(write, origins)) for write in writes]

    def _saw(self, write: Write, origins: Mapping[Id, Id | None]) -> bool:
        origin = origins.get(write.id)
        while origin is not None and origin in origins:
            origin = origins[origin]
        return self._before(write.over) == self._before(origin)

    def _before(self, id: Id | None) -> Id | None:
        while id is not None and id in self._over:
            id = self._over[id]
        return id

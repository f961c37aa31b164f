"""The ids of values that the server has put back in one document. A client has seen them if it has seen one of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from crdt_server.judge.struct_index import Step
from crdt_server.judge.writes import Write
from crdt_server.protocol.structs import Id


class Restorations:
    """Id of the restored value -> id of the write that was undone -> id of the value before it."""

    def __init__(self) -> None:
        self._over: dict[Id, Id | None] = {}

    def __contains__(self, id: Id | None) -> bool:
        return id in self._over

    def add(self, writes: Iterable[Write]) -> None:
        """Add writes that put a value back, and writes that were undone."""
        self._over.update((write.id, write.over) for write in writes)

    def with_seen(self, writes: list[Write], steps: Iterable[Step]) -> list[Write]:
        """The writes of an update. Those also count as seen that have only restored values between them and the entry
        they were written on."""
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

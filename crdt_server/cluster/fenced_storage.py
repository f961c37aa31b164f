"""Appends under the fences of this node, so that what another node has taken meanwhile is never written here."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from crdt_server.cluster.owners import Owners
from storage import Append, DerivedRecords, NotOwner, Storage


class FencedStorage:
    """The `Store` of a node. Its methods raise NotOwner where another node has taken a wedding."""

    def __init__(self, storage: Storage, owners: Owners) -> None:
        self._storage = storage
        self._owners = owners

    async def append(self, batch: Sequence[Append], facts: Sequence[DerivedRecords] = ()) -> dict[str, int]:
        """`Storage.append` with the fences of all its weddings."""
        with self._fences({each.key.wedding for part in (batch, facts) for each in part}) as fences:
            return await self._storage.append(batch, facts, fences, self._owners.node)

    async def confirm(self, weddings: Collection[str]) -> None:
        """`Storage.confirm` with the fences of these weddings."""
        with self._fences(weddings) as fences:
            await self._storage.confirm(weddings, fences, self._owners.node)

    @contextmanager
    def _fences(self, weddings: Collection[str]) -> Iterator[dict[str, int]]:
        """This node's fences of the weddings; those that turn out to be another node's are disowned."""
        # 0, which no node holds, for a wedding that was taken from this node just now.
        fences = {wedding: self._owners.fences.get(wedding, 0) for wedding in weddings}
        try:
            yield fences
        except NotOwner as error:
            self._owners.disown({wedding: fences[wedding] for wedding in error.weddings})
            raise

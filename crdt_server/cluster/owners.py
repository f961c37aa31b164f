"""The owners of weddings: a cache of a table of the database.

A node is alive as long as its heartbeat in the database is recent, by the database's clock. A wedding belongs to the
node that claimed it, under a number (the fence) that grows with every change of owner and is checked inside every
append. So an outdated cache costs time and never an update: an owner that was stopped and wakes up cannot write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from storage import Owner, Storage, StorageError

log = structlog.get_logger(__name__)

HEARTBEAT_SECONDS = 0.8
LEASE_SECONDS = 3.0  # after the last heartbeat; then other nodes may take over
CHANCE_SECONDS = 2 * HEARTBEAT_SECONDS
"""After this node had no database for a lease, the other nodes may have had none either: the first that reaches it
again does not take what belongs to those that are about to."""


class Owners:
    """See the head of the file. ``on_lost`` gets weddings that this node does not own any more, ``on_gone`` nodes that
    have died or stopped."""

    def __init__(
        self,
        storage: Storage,
        node: str,
        *,
        on_lost: Callable[[Iterable[str]], None],
        on_gone: Callable[[Collection[str]], None],
    ) -> None:
        self.node = node
        self.fences: dict[str, int] = {}  # of the weddings that this node owns
        self.alive: set[str] = set()
        self._storage = storage
        self._on_lost = on_lost
        self._on_gone = on_gone
        self._others: dict[str, str] = {}  # wedding -> another node, its owner
        self._heartbeat_at = 0.0  # start of the newest heartbeat that has arrived, by the loop's clock
        self._chance_until = 0.0  # others without a heartbeat are not taken for dead before
        self._lock = asyncio.Lock()  # a wedding that is being released must not be claimed meanwhile

    def owns(self, wedding: str) -> bool:
        """Whether this node owns it, as far as is known here."""
        return wedding in self.fences

    def other(self, wedding: str) -> str | None:
        """The other node that owns it, as far as is known here."""
        return self._others.get(wedding)

    def forget(self, wedding: str) -> None:
        """Read its owner from the database when it is needed again."""
        self._others.pop(wedding, None)

    async def claim(self, weddings: list[str]) -> None:
        """Take those without a living owner, and read the owners of the others. Raises StorageError."""
        async with self._lock:
            loop = asyncio.get_running_loop()
            if loop.time() - self._heartbeat_at > LEASE_SECONDS / 2:
                await self._heartbeat()  # a claim of a dead node is void
            await asyncio.sleep(max(0.0, self._chance_until - loop.time()))
            for owner in await self._storage.claim(weddings, self.node):
                self._record(owner)

    def _record(self, owner: Owner) -> None:
        wedding, node, fence = owner
        if node != self.node or self.fences.get(wedding) != fence:
            self.disown({wedding: self.fences.get(wedding, 0)})  # an owner since then may have written
        if node != self.node:
            self._others[wedding] = node
            return
        self._others.pop(wedding, None)
        if wedding not in self.fences:
            self.fences[wedding] = fence
            log.info("wedding_owned", node=node, wedding=wedding, fence=fence)

    async def release(self, unused: Callable[[], list[str]]) -> None:
        """Release the weddings that are ``unused`` when it is called. Raises StorageError."""
        async with self._lock:
            weddings = unused()
            for wedding in weddings:
                self.fences.pop(wedding, None)
            await self._storage.release(self.node, weddings)

    async def release_all(self) -> list[str]:
        """Release every wedding, for good; returns them. Raises StorageError."""
        async with self._lock:
            weddings, self.fences = list(self.fences), {}
            await self._storage.release(self.node)
        return weddings

    def disown(self, fences: Mapping[str, int]) -> None:
        """Another node has taken these weddings, which this node owned under these fences."""
        taken = [wedding for wedding, fence in fences.items() if self.fences.get(wedding) == fence]
        for wedding in taken:
            del self.fences[wedding]
        if taken:
            log.warning("weddings_lost", weddings=taken[:10], count=len(taken))
            self._on_lost(taken)

    async def heartbeat(self) -> None:
        """Prolong this node's lease, and read which weddings it owns and which nodes are alive. Raises StorageError."""
        await self._heartbeat()
        before = dict(self.fences)
        now = await self._storage.owned(self.node)
        self.disown({wedding: fence for wedding, fence in before.items() if fence != now.get(wedding)})
        await self._release_unknown([wedding for wedding in now if wedding not in self.fences])
        if asyncio.get_running_loop().time() < self._chance_until:
            return
        alive = set(await self._storage.nodes())
        gone, self.alive = self.alive - alive, alive
        if gone:
            self._others = {wedding: node for wedding, node in self._others.items() if node not in gone}
            self._on_gone(gone)

    async def _heartbeat(self) -> None:
        loop = asyncio.get_running_loop()
        before, start = self._heartbeat_at, loop.time()
        await self._storage.heartbeat(self.node, LEASE_SECONDS)
        self._heartbeat_at = start
        if before and loop.time() - before > LEASE_SECONDS:
            self._chance_until = loop.time() + CHANCE_SECONDS

    async def _release_unknown(self, weddings: list[str]) -> None:
        """Release weddings that this node owns without knowing it: the response to a claim was lost."""
        # A claim under way may be about to bring them, and a heartbeat does not wait for it.
        if weddings and not self._lock.locked():
            async with self._lock:
                await self._storage.release(self.node, weddings)

    async def run(self) -> None:
        """Send heartbeats until cancelled. While the database is unreachable, the lease may end."""
        while True:
            try:
                await self.heartbeat()
            except StorageError as error:
                log.warning("heartbeat_failed", error=str(error))
            await asyncio.sleep(HEARTBEAT_SECONDS)

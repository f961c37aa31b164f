"""Which node owns which wedding: what the database says, remembered.

A node is alive as long as its heartbeat in the database is young enough, by the database's clock. A wedding belongs to
the node that claimed it, under a number (the fence) that grows with every change of owner and is checked inside every
append. So a wrong memory here costs time and never an update: an owner that was stopped and wakes up cannot write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping

import structlog

from storage import Owner, Storage, StorageError

log = structlog.get_logger(__name__)

BEAT_SECONDS = 0.8
LIFE_SECONDS = 3.0  # without a beat: then others may take over


class Owners:
    """See the head of the file. ``lost`` hears of weddings that are not this node's any more, ``gone`` of nodes that
    have died or left."""

    def __init__(
        self,
        storage: Storage,
        node: str,
        *,
        lost: Callable[[Iterable[str]], None],
        gone: Callable[[Collection[str]], None],
    ) -> None:
        self.node = node
        self.fences: dict[str, int] = {}  # of the weddings that are ours
        self.alive: set[str] = set()
        self._storage = storage
        self._lost = lost
        self._gone = gone
        self._others: dict[str, str] = {}
        self._beaten = 0.0  # when the heartbeat began that is known to have arrived, by the loop's clock
        self._turn = asyncio.Lock()  # what is given up must not be claimed before it is

    def owns(self, wedding: str) -> bool:
        """Whether it is ours, as far as is known here."""
        return wedding in self.fences

    def other(self, wedding: str) -> str | None:
        """The node that owns it, as far as is known here."""
        return self._others.get(wedding)

    def forget(self, wedding: str) -> None:
        """Ask the database again who owns it."""
        self._others.pop(wedding, None)

    async def claim(self, weddings: list[str]) -> None:
        """Take those that have no living owner, and learn who owns the others. Raises StorageError."""
        async with self._turn:
            if asyncio.get_running_loop().time() - self._beaten > LIFE_SECONDS / 2:
                await self._say_alive()  # what the dead claim is anybody's
            for owner in await self._storage.claim(weddings, self.node):
                self._note(owner)

    def _note(self, owner: Owner) -> None:
        wedding, node, fence = owner
        if node != self.node or self.fences.get(wedding) != fence:
            self.disown({wedding: self.fences.get(wedding, 0)})  # whoever had it since may have written
        if node != self.node:
            self._others[wedding] = node
            return
        self._others.pop(wedding, None)
        if wedding not in self.fences:
            self.fences[wedding] = fence
            log.info("wedding_owned", node=node, wedding=wedding, fence=fence)

    async def release(self, weddings: Callable[[], list[str]]) -> None:
        """Give up what nobody needs here when it comes to it: the next who asks gets it. Raises StorageError."""
        async with self._turn:
            unneeded = weddings()
            for wedding in unneeded:
                self.fences.pop(wedding, None)
            await self._storage.release(self.node, unneeded)

    async def leave(self) -> list[str]:
        """Give everything up, for good; which weddings these were. Raises StorageError."""
        async with self._turn:
            weddings, self.fences = list(self.fences), {}
            await self._storage.release(self.node)
        return weddings

    def disown(self, fences: Mapping[str, int]) -> None:
        """Somebody else has taken these, which we held under these numbers."""
        taken = [wedding for wedding, fence in fences.items() if self.fences.get(wedding) == fence]
        for wedding in taken:
            del self.fences[wedding]
        if taken:
            log.warning("weddings_lost", weddings=taken[:10], count=len(taken))
            self._lost(taken)

    async def beat(self) -> None:
        """Say that this node is alive, and hear what has become of its weddings and of the others. Raises
        StorageError."""
        await self._say_alive()
        before = dict(self.fences)
        now = await self._storage.owned(self.node)
        self.disown({wedding: fence for wedding, fence in before.items() if fence != now.get(wedding)})
        await self._give_back([wedding for wedding in now if wedding not in self.fences])
        alive = set(await self._storage.nodes())
        gone, self.alive = self.alive - alive, alive
        if gone:
            self._others = {wedding: node for wedding, node in self._others.items() if node not in gone}
            self._gone(gone)

    async def _say_alive(self) -> None:
        now = asyncio.get_running_loop().time()
        await self._storage.heartbeat(self.node, LIFE_SECONDS)
        self._beaten = now

    async def _give_back(self, weddings: list[str]) -> None:
        """What the database says is ours and we do not know of: an answer was lost. Nobody else gets it otherwise."""
        if weddings and not self._turn.locked():  # else the answer may be on its way; and a beat does not wait
            async with self._turn:
                await self._storage.release(self.node, weddings)

    async def run(self) -> None:
        """Beat until cancelled. Where the database cannot be reached others may take over, and that is right."""
        while True:
            try:
                await self.beat()
            except StorageError as error:
                log.warning("heartbeat_failed", error=str(error))
            await asyncio.sleep(BEAT_SECONDS)

"""The rights of the weddings in use here, as read from the store, so that most decisions need no waiting.

Every change of rights counts a version of the wedding up in the store. The cache is read again when another node,
or this one, reports a change, and when the versions are compared, every few seconds, with one query for all weddings.
While the store cannot be read nothing here is older than `FRESH_SECONDS`: then decisions wait for the store, and fail
with it. Overrides, grants and threads have to be known at once: they are those of before while they are read again:
whoever comes in meanwhile has waited for `of`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from crdt_server.access.members import HeldGrant, KnownMember, KnownThread, WeddingRights
from crdt_server.access.policy import NO_OVERRIDES
from crdt_server.access.threads import CLOSED
from storage import Storage, StoredRights, open_storage

FRESH_SECONDS = 10.0
WEDDINGS_KEPT = 10_000  # without open rooms
NONE: Mapping[Any, Any] = MappingProxyType({})
"""Of weddings whose people have tokens with a role: one for all, as each empty dictionary takes 64 bytes."""


@dataclass(slots=True)
class _Held:
    rights: WeddingRights
    checked_at: float  # when it was known to be the newest
    outdated: bool = False


class RightsCache:
    """See the head of the file. ``time`` is the loop's clock."""

    def __init__(self, storage: Storage, time: Callable[[], float]) -> None:
        self._storage = storage
        self._time = time
        self._held: dict[str, _Held] = {}
        self._loading: dict[str, asyncio.Task[WeddingRights]] = {}
        self._changes: dict[str, int] = {}  # reported while they were being read

    def of(self, wedding: str) -> WeddingRights | Awaitable[WeddingRights]:
        """The rights in a wedding; an awaitable where they have to be read. Awaited it raises StorageError."""
        held = self._held.get(wedding)
        if held is not None and not held.outdated and self._time() - held.checked_at <= FRESH_SECONDS:
            return held.rights
        return self.read(wedding)

    def overrides(self, wedding: str) -> Mapping[tuple[str, str], str]:
        """The changed cells of the policy of a wedding, as far as its rights are held."""
        held = self._held.get(wedding)
        return NO_OVERRIDES if held is None else held.rights.overrides

    def granted(self, wedding: str, user: str, document: str) -> bool:
        """Whether a user has a grant to read a document now, as far as the rights of the wedding are held."""
        held = self._held.get(wedding)
        return held is not None and held.rights.granted(user, document, time.time())

    def thread(self, wedding: str, thread: str) -> KnownThread | None:
        """A thread, also one that was just changed, as it was last read; None: there is none. Closed to everybody where
        the rights of the wedding are not held."""
        held = self._held.get(wedding)
        return CLOSED if held is None else held.rights.threads.get(thread)

    def held(self, wedding: str) -> WeddingRights | None:
        """The rights as they were last read; None where they were not, or have changed since."""
        found = self._held.get(wedding)
        return None if found is None or found.outdated else found.rights

    @property
    def weddings(self) -> Collection[str]:
        """The weddings that are held, without those that have changed since."""
        return [wedding for wedding, held in self._held.items() if not held.outdated]

    def forget(self, wedding: str) -> None:
        """Have the next decision read them."""
        if wedding in self._loading:
            self._changes[wedding] = self._changes.get(wedding, 0) + 1
        if wedding in self._held:
            self._held[wedding].outdated = True

    def confirm(self, versions: Mapping[str, int], weddings: Collection[str], at: float) -> list[str]:
        """Compare with versions from the store, requested ``at`` a time. Returns the weddings with other ones."""
        different = []
        for wedding in weddings:
            held = self._held.get(wedding)
            if held is None or held.outdated or held.rights.version < versions.get(wedding, 0):
                different.append(wedding)
            else:
                held.checked_at = max(held.checked_at, at)
        return different

    def evict(self, keep: Collection[str]) -> None:
        """Drop the longest held that are too many and have no open room."""
        spare = [wedding for wedding in self._held if wedding not in keep]
        for wedding in spare[: max(0, len(spare) - WEDDINGS_KEPT)]:
            del self._held[wedding]

    def read(self, wedding: str) -> Awaitable[WeddingRights]:
        """The rights as the store has them now. Of several readers at a time one reads."""
        task = self._loading.get(wedding)
        if task is None:
            task = self._loading[wedding] = asyncio.get_running_loop().create_task(self._read(wedding))
            task.add_done_callback(lambda _: self._loading.pop(wedding, None))
        return asyncio.shield(task)

    async def _read(self, wedding: str) -> WeddingRights:
        try:
            while True:
                changes, at = self._changes.get(wedding, 0), self._time()
                rights = rights_of(await self._storage.rights(wedding, datetime.now(UTC)))
                if self._changes.get(wedding, 0) == changes:
                    break
        finally:
            self._changes.pop(wedding, None)
        self._held.pop(wedding, None)
        self._held[wedding] = _Held(rights, at)
        return rights


class HeldMembers:
    """The members of all weddings as an access object asks for them, which is made before the store is open: `cache` is
    set with it."""

    def __init__(self) -> None:
        self.cache: RightsCache

    def of(self, wedding: str) -> WeddingRights | Awaitable[WeddingRights]:
        """See `RightsCache.of`."""
        return self.cache.of(wedding)

    def overrides(self, wedding: str) -> Mapping[tuple[str, str], str]:
        """See `RightsCache.overrides`."""
        return self.cache.overrides(wedding)

    def granted(self, wedding: str, user: str, document: str) -> bool:
        """See `RightsCache.granted`."""
        return self.cache.granted(wedding, user, document)

    def thread(self, wedding: str, thread: str) -> KnownThread | None:
        """See `RightsCache.thread`."""
        return self.cache.thread(wedding, thread)


def rights_of(stored: StoredRights) -> WeddingRights:
    """Rights as they are decided on."""
    return WeddingRights(
        stored.version,
        {
            each.user: KnownMember(
                each.user, each.role, each.vendor, each.guest, each.side, each.name, each.removed_at is not None
            )
            for each in stored.members
        }
        or NONE,
        {(each.role, each.category): each.rights for each in stored.overrides} or NONE,
        tuple(
            HeldGrant(each.user, each.what, each.until.timestamp()) for each in stored.grants if each.until is not None
        ),
        frozenset(stored.revoked_devices),
        {each.id: KnownThread(each.type, frozenset(each.users)) for each in stored.threads} or NONE,
    )


async def stored_rights(database_url: str, wedding: str) -> WeddingRights:
    """The rights in a wedding, of a database that nobody else has opened here. Raises StorageError."""
    storage = await open_storage(database_url)
    try:
        return rights_of(await storage.rights(wedding, datetime.now(UTC)))
    finally:
        await storage.close()

"""Finds the owners of weddings, and takes those that have none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from crdt_server.cluster.catch_up import CatchUp
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import HubPort
from crdt_server.cluster.remote_room import RemoteRoom
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.room import Phase, Room
from storage import DocumentKey, StorageError

log = structlog.get_logger(__name__)


class Takeover:
    """``remotes`` are the remote rooms, from which those of a wedding go that this node takes. ``schedule`` is called
    for rooms whose owner was found, ``resubscribe`` for a wedding that was lost again."""

    def __init__(
        self,
        owners: Owners,
        hub: HubPort,
        catch_up: CatchUp,
        remotes: dict[DocumentKey, RemoteRoom],
        *,
        schedule: Callable[[Room], None],
        resubscribe: Callable[[list[str]], None],
    ) -> None:
        self._owners = owners
        self._hub = hub
        self._catch_up = catch_up
        self._remotes = remotes
        self._schedule = schedule
        self._resubscribe = resubscribe
        self._unowned: set[str] = set()
        self._claiming = False

    def claim(self, wedding: str) -> None:
        """Take a wedding, or find its owner. Claims that gather meanwhile are one query."""
        self._unowned.add(wedding)
        if not self._claiming:
            self._claiming = True
            self._hub.spawn(self._claim_all())

    async def _claim_all(self) -> None:
        try:
            while self._unowned:
                weddings, self._unowned = list(self._unowned), set()
                await self._owners.claim(weddings)
                for wedding in weddings:
                    if self._owners.owns(wedding):
                        self._hub.spawn(self._take_over(wedding))
                    else:
                        for remote in self._of(wedding):
                            self._schedule(remote.room)
        except StorageError as error:
            log.warning("weddings_not_claimed", error=str(error))  # repeated after SILENCE_SECONDS
        finally:
            self._claiming = False

    def _of(self, wedding: str) -> list[RemoteRoom]:
        return [remote for remote in self._remotes.values() if remote.key.wedding == wedding]

    async def _take_over(self, wedding: str) -> None:
        """Send what the last owner stored and could not send, then give the rooms to the hosts of this node."""
        remotes, fence = self._of(wedding), self._owners.fences.get(wedding)
        try:
            await asyncio.gather(*(self._catch_up.send_stored(remote) for remote in remotes if remote.seq_known))
        except StorageError as error:
            log.warning("wedding_not_taken_over", wedding=wedding, error=str(error))
            return  # repeated after SILENCE_SECONDS
        if fence is None or self._owners.fences.get(wedding) != fence:  # an owner in between may have stored more
            self._resubscribe([wedding])
            return
        for remote in remotes:
            if self._remotes.get(remote.key) is remote:
                del self._remotes[remote.key]
                if remote.room.phase is not Phase.DEAD:
                    self._make_local(remote)

    def _make_local(self, remote: RemoteRoom) -> None:
        remote.abandon_commands()
        remote.room.relocate(Placement.HOST)
        remote.put_back_all()

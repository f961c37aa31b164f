"""Catching up of remote rooms from the store: updates that did not arrive, and responses too long for the bus.

Not of derived documents: the store may hold what is not shown any more. Their sockets come again, and are answered by
the owner.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from crdt_server.cluster.port import HubPort
from crdt_server.cluster.remote_room import RemoteRoom
from crdt_server.pipe import Diff, Status
from crdt_server.protocol.update import EMPTY_UPDATE
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.room import Phase, Room
from storage import DocumentKey, Storage, StorageError

log = structlog.get_logger(__name__)


class CatchUp:
    """``remotes`` are the rooms that are still remote; ``on_response`` is called after a request was answered here."""

    def __init__(
        self,
        storage: Storage,
        hub: HubPort,
        remotes: Mapping[DocumentKey, RemoteRoom],
        *,
        on_response: Callable[[RemoteRoom], None],
    ) -> None:
        self._storage = storage
        self._hub = hub
        self._remotes = remotes
        self._on_response = on_response

    def advance(self, remote: RemoteRoom, seq: int) -> None:
        """Updates up to this number are stored: read those that the room lacks."""
        if not remote.seq_known:
            remote.seq_known, remote.room.head_seq = True, seq
        remote.newest_seq = max(remote.newest_seq, seq)
        if remote.newest_seq > remote.room.head_seq and not remote.catching_up:
            remote.catching_up = True
            self._hub.spawn(self._read_missing(remote))

    async def _read_missing(self, remote: RemoteRoom) -> None:
        room = remote.room
        try:
            while remote.newest_seq > room.head_seq and _is_remote(room):
                await self.send_stored(remote)
        except StorageError as error:
            log.warning("missing_updates_not_read", room=room.name, error=str(error))
            if _is_remote(room):
                self._hub.fail(room)
        finally:
            remote.catching_up = False

    async def send_stored(self, remote: RemoteRoom) -> None:
        """Send the room's sessions the stored updates that they lack; a derived document ends instead. Raises
        StorageError."""
        room = remote.room
        rows = await self._storage.updates_after(remote.key, room.head_seq)
        if not _is_remote(room):
            return
        if room.hosted.derived and rows and rows[-1].last_seq > room.head_seq:
            self._hub.fail(room)
            return
        for row in rows:
            if row.last_seq > room.head_seq:  # else its owner has sent it meanwhile
                room.broadcast_stored(row.last_seq, row.update)
        remote.newest_seq = max(remote.newest_seq, room.head_seq) if rows else room.head_seq

    def respond(self, remote: RemoteRoom, number: int) -> None:
        """Answer a pending DIFF request with the whole document, which is not derived."""
        if number not in remote.lookups and not remote.room.hosted.derived:
            remote.lookups.add(number)
            self._hub.spawn(self._respond(remote, number))

    async def _respond(self, remote: RemoteRoom, number: int) -> None:
        try:
            rows = await self._storage.updates_after(remote.key, 0)
            while rows and rows[-1].last_seq < remote.room.head_seq:  # it is edited meanwhile
                rows += await self._storage.updates_after(remote.key, rows[-1].last_seq)
        except StorageError as error:
            # The request is repeated when the owner stays silent.
            log.warning("request_not_answered", room=remote.room.name, error=str(error))
            return
        finally:
            remote.lookups.discard(number)
        if self._remotes.get(remote.key) is not remote or remote.room.phase is Phase.DEAD:
            return
        self.advance(remote, rows[-1].last_seq if rows else 0)
        requests = remote.pop(number)
        if requests:
            remote.settle(requests, Status.OK, Diff([row.update for row in rows] or [EMPTY_UPDATE]))
        self._on_response(remote)


def _is_remote(room: Room) -> bool:
    return room.phase is not Phase.DEAD and room.hosted.placement is Placement.REMOTE

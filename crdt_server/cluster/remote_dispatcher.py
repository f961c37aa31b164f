"""Brings the requests of rooms to the nodes that own their weddings, as a `HostDispatcher` brings them to a host.

- A request without a response is sent again, to the owner at that time: documents take an update once. A command is not
  sent again: its sender learns that it may not have been carried out.
- The owner numbers the updates that it stores. One that is missing here is read from the store.
- While the owner is silent, a newcomer gets the document from the store.
- Bounded: of each room only so many bytes, and so many reads, are in flight; then its sockets are not read. A request
  without a response for too long ends the room with 1013; clients keep their edits and come again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Iterable

import structlog

from crdt_server.cluster.catch_up import CatchUp
from crdt_server.cluster.messages import SUBSCRIBE, RemoteRequest, RequestMessage, UnsubscribeMessage
from crdt_server.cluster.messenger import Messenger
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import HubPort
from crdt_server.cluster.remote_room import RemoteRoom, encode_request
from crdt_server.cluster.takeover import Takeover
from crdt_server.pipe import DIFF_STEP_BYTES
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.room import Phase, Room
from crdt_server.rooms.session import Origin
from storage import DocumentKey, Storage

log = structlog.get_logger(__name__)

WINDOW_BYTES = 256 * 1024
"""Bytes of requests in flight for one room."""

MOST_LARGE = 4
"""Requests in flight for one room that are large, or have large responses: 80 bytes may bring megabytes back, and the
edits of all others wait behind them."""

TICK_SECONDS = 0.25
SILENCE_SECONDS = 1.0
"""Without a message of the owner; then the owner is read from the database again."""

PATIENCE_SECONDS = 10.0
"""Without a response; then the room ends."""


class RemoteDispatcher:
    """See the head of the file."""

    def __init__(self, storage: Storage, owners: Owners, messenger: Messenger, hub: HubPort) -> None:
        self.remotes: dict[DocumentKey, RemoteRoom] = {}
        self.catch_up = CatchUp(storage, hub, self.remotes, on_response=self.on_response)
        self._owners = owners
        self._messenger = messenger
        self._hub = hub
        self._takeover = Takeover(
            owners, hub, self.catch_up, self.remotes, schedule=self.schedule, resubscribe=self.resubscribe
        )
        self._scheduled: dict[Room, None] = {}
        self._numbers = itertools.count(SUBSCRIBE + 1)

    # -- called by the hub

    def schedule(self, room: Room) -> None:
        """Send the room's requests, and its subscription, in the next turn of the event loop."""
        if not self._scheduled:
            asyncio.get_running_loop().call_soon(self._flush)
        self._scheduled[room] = None

    def busy(self, room: Room) -> bool:
        """Whether a request of the room is in flight."""
        remote = self.remotes.get(_key(room))
        return remote is not None and (remote.waits or remote.catching_up)

    def drop(self, room: Room) -> None:
        """Release what is held for the room: it has ended."""
        remote = self.remotes.pop(_key(room), None)
        self._scheduled.pop(room, None)
        self._owners.forget(room.wedding)  # there are many weddings
        if remote is not None and remote.owner is not None:
            self._messenger.send(remote.owner, UnsubscribeMessage(self._owners.node, remote.key))

    # -- requests

    def _flush(self) -> None:
        rooms, self._scheduled = self._scheduled, {}
        for room in rooms:
            # Else this node has taken it over meanwhile.
            if room.phase is not Phase.DEAD and room.hosted.placement is Placement.REMOTE:
                self._forward(self._remote(room))

    def _remote(self, room: Room) -> RemoteRoom:
        remote = self.remotes.get(_key(room))
        if remote is None:
            remote = self.remotes[_key(room)] = RemoteRoom(room, self._hub.time())
        return remote

    def _forward(self, remote: RemoteRoom) -> None:
        """Send the room's requests to its owner, or find its owner first."""
        now = self._hub.time()
        if remote.waiting_since is None:
            remote.waiting_since = now
        owner = self._owners.other(remote.key.wedding)
        if owner is None:
            self._takeover.claim(remote.key.wedding)
            return
        if remote.owner != owner:
            self._send(owner, remote, remote.subscribe(owner, now))
        requests = self._take(remote)
        if requests:
            self._send(owner, remote, requests)

    def _take(self, remote: RemoteRoom) -> list[RemoteRequest]:
        taken = []
        while remote.pending_bytes < WINDOW_BYTES and remote.room.inbox:
            left, large = WINDOW_BYTES - remote.pending_bytes, max(0, MOST_LARGE - remote.large)
            # The size of the document is not known here.
            found = remote.room.take(left, large=large, document_bytes=DIFF_STEP_BYTES)
            if not found.cost:  # all that is left is large; what was denied has a cost, and others wait behind it
                break
            for request in found.requests:
                # A node that requested this while this node was the owner requests it from the next owner itself.
                if request.session.origin is not Origin.REMOTE and not remote.share(request):
                    number = next(self._numbers)
                    remote.add(number, request)
                    taken.append(encode_request(number, request))
        return taken

    def _send(self, owner: str, remote: RemoteRoom, requests: list[RemoteRequest]) -> None:
        claims = remote.room.claims.take(remote.subscription)
        self._messenger.send(owner, RequestMessage(self._owners.node, remote.key, requests, claims))

    def on_response(self, remote: RemoteRoom) -> None:
        """A request of the room has been answered."""
        if remote.subscribed and not remote.waits:
            remote.waiting_since = None
        if remote.room.inbox:
            self.schedule(remote.room)

    # -- changes of owners

    def resubscribe(self, weddings: Iterable[str] | None = None) -> None:
        """Messages may have been missed (None: of every wedding), or these weddings have no owner any more."""
        some = None if weddings is None else set(weddings)
        for wedding in some or ():
            self._owners.forget(wedding)
        self._resubscribe([each for each in self.remotes.values() if some is None or each.key.wedding in some])

    def nodes_gone(self, nodes: Collection[str]) -> None:
        """These nodes have died or stopped, and may not have sent the last updates that they stored."""
        self._resubscribe([remote for remote in self.remotes.values() if remote.owner in nodes])

    def _resubscribe(self, remotes: Iterable[RemoteRoom]) -> None:
        for remote in remotes:
            remote.unsubscribe()
            self.schedule(remote.room)

    async def run(self) -> None:
        """Repeat what has no response, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self._hub.time()
            for remote in [each for each in self.remotes.values() if each.silent(now, SILENCE_SECONDS)]:
                self._retry(remote, now)

    def _retry(self, remote: RemoteRoom, now: float) -> None:
        if remote.overdue(now, PATIENCE_SECONDS):
            log.warning("owner_not_reached", room=remote.room.name, owner=remote.owner)
            self._hub.fail(remote.room)
            return
        for number in remote.newcomers():
            self.catch_up.respond(remote, number)
        remote.message_at = now
        self._owners.forget(remote.key.wedding)
        self._resubscribe([remote])


def _key(room: Room) -> DocumentKey:
    return DocumentKey(room.wedding, room.document)

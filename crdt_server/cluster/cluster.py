"""One node of a cluster: connects owners, remote rooms, subscribers and presence with the hub.

`join(hub)` before the hub starts.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable

import structlog

from crdt_server.cluster import messages
from crdt_server.cluster.fenced_storage import FencedStorage
from crdt_server.cluster.messages import EventsMessage, InboxMessage, ReleasedMessage, RightsMessage
from crdt_server.cluster.messenger import Messenger
from crdt_server.cluster.owner_messages import OwnerMessages
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import HubPort
from crdt_server.cluster.presence import RoomPresence
from crdt_server.cluster.remote_dispatcher import RemoteDispatcher
from crdt_server.cluster.subscribers import Subscribers
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.room import Room
from storage import Bus, Storage, StorageError

log = structlog.get_logger(__name__)


class Cluster:
    """See the head of the file; its methods are those of `ClusterPort`."""

    def __init__(self, storage: Storage, bus: Bus, node: str | None = None) -> None:
        self.node = node or uuid.uuid4().hex
        self.owners = Owners(storage, self.node, on_lost=self._on_lost, on_gone=self._on_gone)
        self.store = FencedStorage(storage, self.owners)
        self._storage = storage
        self._bus = bus
        self._hub: HubPort
        self._presence: dict[Room, RoomPresence] = {}
        self._releasing = False
        self._messenger = Messenger(bus, self.node, self._on_resync)

    def join(self, hub: HubPort) -> None:
        """Serve the rooms of this hub."""
        self._hub = hub
        self.dispatcher = RemoteDispatcher(self._storage, self.owners, self._messenger, hub)
        self._subscribers = Subscribers(self.owners, self._messenger, hub)
        owner = OwnerMessages(self.dispatcher, self.owners, hub)
        self._messenger.handlers = {
            messages.RequestMessage: self._subscribers.on_request,
            messages.UnsubscribeMessage: self._subscribers.on_unsubscribe,
            messages.ResponseMessage: owner.on_response,
            messages.InStoreMessage: owner.on_in_store,
            messages.UpdateMessage: owner.on_update,
            messages.NoticeMessage: owner.on_notice,
            messages.NotOwnerMessage: owner.on_not_owner,
            messages.EventsMessage: lambda message: hub.events.publish(message.wedding, message.head),
            messages.ReleasedMessage: self._on_released,
            messages.InboxMessage: lambda message: hub.events.publish_inbox(message.wedding, message.users),
            messages.RightsMessage: lambda message: hub.rights.on_change(message.wedding),
        }

    @property
    def connected(self) -> bool:
        return self._bus.connected

    async def start(self) -> None:
        await self._bus.start()
        await self.owners.heartbeat()
        self._messenger.open()
        self._hub.spawn(self.owners.run())
        self._hub.spawn(self.dispatcher.run())
        log.info("node_started", node=self.node)

    async def stop(self) -> None:
        try:
            weddings = await self.owners.release_all()
            self._messenger.broadcast(ReleasedMessage(self.node, weddings))
        except StorageError as error:
            log.warning("weddings_not_released", error=str(error))  # they can be claimed when the lease ends
        self._messenger.close()
        await self._bus.close()

    def opened(self, room: Room) -> None:
        if not self.owners.owns(room.wedding):
            room.hosted.place(Placement.REMOTE)
        if room.hosted.derived:
            room.hosted.confirm_replies()
        self._presence[room] = RoomPresence(self._bus, self.node, room, self._hub.time)

    def closed(self, room: Room) -> None:
        presence = self._presence.pop(room, None)
        if presence is not None:
            presence.close()
        self._subscribers.room_ended(room)
        if self.owners.owns(room.wedding) and not self._releasing:
            self._releasing = True
            self._hub.spawn(self._release())

    def publish_rights(self, wedding: str) -> None:
        self._messenger.broadcast(RightsMessage(wedding))

    def publish_events(self, wedding: str, head: int) -> None:
        self._messenger.broadcast(EventsMessage(wedding, head))

    def publish_inbox(self, wedding: str, users: Collection[str]) -> None:
        self._messenger.broadcast(InboxMessage(wedding, list(users)))

    # -- messages

    def _on_resync(self) -> None:
        self.dispatcher.resubscribe()
        self._hub.events.wake_all()
        self._hub.rights.on_resync()

    def _on_released(self, message: ReleasedMessage) -> None:
        if message.node != self.node:
            self.dispatcher.resubscribe(message.weddings)
            self._on_gone([message.node])

    # -- owners

    def _on_lost(self, weddings: Iterable[str]) -> None:
        """The documents in the hosts of this node differ from the stored ones, or will."""
        lost = set(weddings)
        for room in [room for room in self._hub.rooms.values() if room.wedding in lost]:
            if room.hosted.placement is Placement.REMOTE:
                self._subscribers.room_ended(room)
            else:
                self._hub.fail(room)

    def _on_gone(self, nodes: Collection[str]) -> None:
        self.dispatcher.nodes_gone(nodes)
        self._subscribers.nodes_gone(nodes)
        for presence in self._presence.values():
            presence.nodes_gone(nodes)

    async def _release(self) -> None:
        """Release the weddings of which no document is open."""
        try:
            await self.owners.release(lambda: _unused(self.owners.fences, self._hub.rooms))
        except StorageError as error:
            log.warning("weddings_not_released", error=str(error))
        finally:
            self._releasing = False


def _unused(weddings: Iterable[str], rooms: Iterable[tuple[str, str]]) -> list[str]:
    """The weddings without an open room."""
    used = {wedding for wedding, _ in rooms}
    return [wedding for wedding in weddings if wedding not in used]

"""What makes one node of several: wires the owners of weddings, the way to them, and presence to the hub.

`Cluster.join(hub)` before the hub starts. The hub asks it where a room is judged, tells it which rooms open and close,
and what was stored.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable
from typing import Any

import structlog

from crdt_server.cluster.fenced_storage import FencedStorage
from crdt_server.cluster.messenger import MessageKind, Messenger
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import Rooms
from crdt_server.cluster.presence import RoomPresence
from crdt_server.cluster.remote_rooms import RemoteDispatcher
from crdt_server.cluster.subscribers import Subscribers
from crdt_server.rooms.room import Room
from storage import Bus, Storage, StorageError

log = structlog.get_logger(__name__)


class Cluster:
    """See the head of the file."""

    def __init__(self, storage: Storage, bus: Bus, node: str | None = None) -> None:
        self.node = node or uuid.uuid4().hex
        self._bus = bus
        self._storage = storage
        self._hub: Rooms
        self._presence: dict[Room, RoomPresence] = {}
        self._releasing = False
        self.owners = Owners(storage, self.node, lost=self._lost, gone=self._gone)
        self.store = FencedStorage(storage, self.owners)
        self._post = Messenger(bus, self.node, self._receive, self._gained)

    def join(self, hub: Rooms) -> None:
        """Whose rooms these are."""
        self._hub = hub
        self.dispatcher = RemoteDispatcher(self._storage, self.owners, self._post, hub)
        self._relays = Subscribers(self.owners, self._post, hub)
        self._receivers: dict[MessageKind, Callable[..., None]] = {
            MessageKind.ASK: self._relays.hear_question,
            MessageKind.LEFT: self._relays.hear_left,
            MessageKind.ANSWER: self.dispatcher.hear_answer,
            MessageKind.STORED: self.dispatcher.hear_stored,
            MessageKind.UPDATE: self.dispatcher.hear_update,
            MessageKind.TOLD: self.dispatcher.hear_notice,
            MessageKind.LOST: self.dispatcher.hear_lost,
            MessageKind.EVENTS: hub.feed.announce,
            MessageKind.RELEASED: self._hear_released,
        }

    async def start(self) -> None:
        """Be alive, and listen. Raises StorageError."""
        await self._bus.start()
        await self.owners.beat()
        self._post.open()
        self._hub.spawn(self.owners.run())
        self._hub.spawn(self.dispatcher.run())
        log.info("node_started", node=self.node)

    @property
    def connected(self) -> bool:
        """Whether messages reach the other nodes."""
        return self._bus.connected

    async def stop(self) -> None:
        """Hand everything over: nothing is unsettled any more, and nothing is begun."""
        try:
            weddings = await self.owners.leave()
            self._post.send_all(MessageKind.RELEASED, self.node, weddings)
        except StorageError as error:
            log.warning("weddings_not_released", error=str(error))  # they are taken over after the last heartbeat
        self._post.close()
        await self._bus.close()

    # -- called by the hub

    def opened(self, room: Room) -> None:
        """A room is open here."""
        room.away = not self.owners.owns(room.wedding)
        self._presence[room] = RoomPresence(self._bus, self.node, room, self._hub.presence_changed, self._hub.time)

    def closed(self, room: Room) -> None:
        """A room is closed here. A wedding that has none any more is given up."""
        presence = self._presence.pop(room, None)
        if presence is not None:
            presence.close()
        self._relays.ended(room)
        if self.owners.owns(room.wedding) and not self._releasing:
            self._releasing = True
            self._hub.spawn(self._release())

    def recorded(self, wedding: str, head: int) -> None:
        """The wedding has events up to this number."""
        self._post.send_all(MessageKind.EVENTS, wedding, head)

    # -- from other nodes

    def _receive(self, message: list[Any]) -> None:
        kind, *rest = message
        self._receivers[MessageKind(kind)](*rest)

    def _gained(self) -> None:
        self.dispatcher.again()
        self._hub.feed.look()

    def _hear_released(self, node: str, weddings: list[str]) -> None:
        if node != self.node:
            self.dispatcher.again(weddings)
            self._gone([node])

    # -- owners

    def _lost(self, weddings: Iterable[str]) -> None:
        """What our hosts hold of them is not what is stored, or will not be."""
        lost = set(weddings)
        for room in [room for room in self._hub.rooms.values() if room.wedding in lost]:
            if room.away:
                self._relays.ended(room)
            else:
                self._hub.fail(room)

    def _gone(self, nodes: Collection[str]) -> None:
        self.dispatcher.gone(nodes)
        self._relays.gone(nodes)
        for presence in self._presence.values():
            presence.forget(nodes)

    async def _release(self) -> None:
        """Give up the weddings of which no document is open."""
        try:
            await self.owners.release(self._unneeded)
        except StorageError as error:
            log.warning("weddings_not_released", error=str(error))
        finally:
            self._releasing = False

    def _unneeded(self) -> list[str]:
        needed = {wedding for wedding, _ in self._hub.rooms}
        return [wedding for wedding in self.owners.fences if wedding not in needed]

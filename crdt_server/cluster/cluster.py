"""What makes one node of several: wires the owners of weddings, the way to them, and presence to the hub.

`Cluster.join(hub)` before the hub starts. The hub asks it where a room is judged, tells it which rooms open and close,
and what was stored.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from crdt_server.cluster.messenger import MessageKind, Messenger
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import Rooms
from crdt_server.cluster.presence import RoomPresence
from crdt_server.cluster.remote_rooms import RemoteDispatcher
from crdt_server.cluster.subscribers import Subscribers
from crdt_server.rooms.room import Room
from storage import Append, Bus, Facts, NotOwner, Storage, StorageError

log = structlog.get_logger(__name__)


class Cluster:
    """See the head of the file."""

    def __init__(self, storage: Storage, bus: Bus, node: str | None = None) -> None:
        self.node = node or uuid.uuid4().hex
        self.bus = bus
        self._storage = storage
        self._hub: Rooms
        self._presence: dict[Room, RoomPresence] = {}
        self._releasing = False
        self.owners = Owners(storage, self.node, lost=self._lost, gone=self._gone)
        self._post = Messenger(bus, self.node, self._receive, self._gained)

    def join(self, hub: Rooms) -> None:
        """Whose rooms these are."""
        self._hub = hub
        self.lane = RemoteDispatcher(self._storage, self.owners, self._post, hub)
        self._relays = Subscribers(self.owners, self._post, hub)
        self._receivers: dict[MessageKind, Callable[..., None]] = {
            MessageKind.ASK: self._relays.hear_question,
            MessageKind.LEFT: self._relays.hear_left,
            MessageKind.ANSWER: self.lane.hear_answer,
            MessageKind.STORED: self.lane.hear_stored,
            MessageKind.UPDATE: self.lane.hear_update,
            MessageKind.TOLD: self.lane.hear_notice,
            MessageKind.LOST: self.lane.hear_lost,
            MessageKind.EVENTS: hub.feed.announce,
            MessageKind.RELEASED: self._hear_released,
        }

    async def start(self) -> None:
        """Be alive, and listen. Raises StorageError."""
        await self.bus.start()
        await self.owners.beat()
        self._post.open()
        self._hub.spawn(self.owners.run())
        self._hub.spawn(self.lane.run())
        log.info("node_started", node=self.node)

    async def leave(self) -> None:
        """Hand everything over: nothing is unsettled any more, and nothing is begun."""
        try:
            weddings = await self.owners.leave()
            self._post.send_all(MessageKind.RELEASED, self.node, weddings)
        except StorageError as error:
            log.warning("weddings_not_released", error=str(error))  # they are taken over after the last heartbeat
        self._post.close()
        await self.bus.close()

    # -- called by the hub

    def opened(self, room: Room) -> None:
        """A room is open here."""
        room.away = not self.owners.owns(room.wedding)
        self._presence[room] = RoomPresence(self.bus, self.node, room, self._hub.presence_changed, self._hub.time)

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

    async def append(self, batch: Sequence[Append], facts: Sequence[Facts] = ()) -> dict[str, int]:
        """`Storage.append`, under the fences of this node: NotOwner where another has taken a wedding."""
        with self._fences({each.key.wedding for part in (batch, facts) for each in part}) as fences:
            return await self._storage.append(batch, facts, fences, self.node)

    async def confirm(self, weddings: Collection[str]) -> None:
        """`Storage.confirm`, under the fences of this node."""
        with self._fences(weddings) as fences:
            await self._storage.confirm(weddings, fences, self.node)

    @contextmanager
    def _fences(self, weddings: Collection[str]) -> Iterator[dict[str, int]]:
        """Our numbers of these weddings, for one question. Where it turns out that another has one, we give it up."""
        # Of one that was just taken from us: a number that nobody has.
        fences = {wedding: self.owners.fences.get(wedding, 0) for wedding in weddings}
        try:
            yield fences
        except NotOwner as error:
            self.owners.disown({wedding: fences[wedding] for wedding in error.weddings})
            raise

    # -- from other nodes

    def _receive(self, message: list[Any]) -> None:
        kind, *rest = message
        self._receivers[MessageKind(kind)](*rest)

    def _gained(self) -> None:
        self.lane.again()
        self._hub.feed.look()

    def _hear_released(self, node: str, weddings: list[str]) -> None:
        if node != self.node:
            self.lane.again(weddings)
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
        self.lane.gone(nodes)
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

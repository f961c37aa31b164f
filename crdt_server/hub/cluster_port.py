"""The port through which the hub reaches the other nodes of a cluster."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from crdt_server.hub.commit import Store
from crdt_server.rooms.room import Room


class RoomDispatcher(Protocol):
    """Brings the requests of rooms to the place where their documents are: a host process, or another node."""

    def schedule(self, room: Room) -> None:
        """Schedule the room: it has requests."""

    def busy(self, room: Room) -> bool:
        """Whether a request of the room is in flight."""

    def drop(self, room: Room) -> None:
        """Release what is held for the room: it has ended."""


class ClusterPort(Protocol):
    """One node of several."""

    node: str

    @property
    def store(self) -> Store:
        """The storage; it raises NotOwner where another node has taken a wedding."""

    @property
    def dispatcher(self) -> RoomDispatcher:
        """For rooms whose wedding another node owns, or may own."""

    @property
    def connected(self) -> bool:
        """Whether messages reach the other nodes."""

    async def start(self) -> None:
        """Become a live node and subscribe to its messages. Raises StorageError."""

    async def stop(self) -> None:
        """Hand over every wedding and disconnect. No verdict may wait for its commit, and no request follow."""

    def opened(self, room: Room) -> None:
        """A room was opened: decide where its requests go."""

    def closed(self, room: Room) -> None:
        """A room was closed. Its wedding is released when it was the last one."""

    def publish_rights(self, wedding: str) -> None:
        """Publish that rights in the wedding have changed."""

    def publish_events(self, wedding: str, head: int) -> None:
        """Publish that events of the wedding are stored up to the number `head`."""

    def publish_inbox(self, wedding: str, users: Collection[str]) -> None:
        """Publish that the inboxes of these users have new items."""

"""The port through which the cluster reaches the rooms of its node: what it needs of the hub."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from crdt_server.hub.event_notifier import EventNotifier
from crdt_server.rooms.room import Room


class Rooms(Protocol):
    """What of the hub the cluster needs."""

    rooms: dict[tuple[str, str], Room]
    feed: EventNotifier

    def open(self, wedding: str, document: str) -> Room:
        """The open room of a document, opened where needed. Raises AdmissionError."""

    def look(self, room: Room) -> None:
        """The room may have something to do."""

    def rest(self, room: Room) -> None:
        """Somebody has left the room."""

    def fail(self, room: Room) -> None:
        """End the room; its sockets come again."""

    def presence_changed(self, room: Room) -> None:
        """There is something to tell of who is in the room."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it until the end of the hub."""

    def time(self) -> float:
        """Seconds of the loop's clock."""

"""The port through which the cluster reaches the rooms of its own node."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol

from crdt_server.hub.event_notifier import EventNotifier
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session


class RightsPort(Protocol):
    """The part of `RightsWatch` that the cluster uses."""

    def on_change(self, wedding: str) -> None:
        """Another node has changed rights in a wedding."""

    def on_resync(self) -> None:
        """Messages about such changes may be missing."""

    def may_stay(self, room: Room, session: Session) -> bool:
        """Whether a session of another node may be in a room; its requests are dropped if not."""


class HubPort(Protocol):
    """The part of `Hub` that the cluster uses."""

    events: EventNotifier

    @property
    def rights(self) -> RightsPort:
        """Those who are connected, and the rights by which they are."""

    @property
    def rooms(self) -> dict[tuple[str, str], Room]:
        """Wedding and document -> open room."""

    def open(self, wedding: str, document: str) -> Room:
        """The open room of a document, opened where needed. Raises AdmissionError."""

    def idle(self, room: Room) -> None:
        """The room may be idle now."""

    def fail(self, room: Room) -> None:
        """End the room with 1013."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run it until the end of the hub."""

    def time(self) -> float:
        """Seconds of the loop's clock."""

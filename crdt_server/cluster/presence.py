"""Presence between nodes: of each room, every node that has it open says what its own sockets say.

It does not go by way of the owner, so it goes on while a wedding has none. What is lost is said again after 15 s at the
latest, when clients renew it; what a dead node said is removed when its heartbeat ends.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from crdt_server.hosts.frames import encode, unpack
from crdt_server.rooms.awareness import Presence
from crdt_server.rooms.room import Room
from storage import Bus


class RoomPresence:
    """The presence of one open room. A message is: sender, whether it wants to hear who is here, states."""

    def __init__(self, bus: Bus, node: str, room: Room, changed: Callable[[Room], None], clock: Callable[[], float]):
        self._bus = bus
        self._node = node
        self._room = room
        self._changed = changed
        self._clock = clock
        self._channel = f"presence.{room.name}"
        room.share, room.awareness.shared = self.say, True
        self._subscription = bus.subscribe(self._channel, self)

    def say(self, states: Sequence[Presence], *, asks: bool = False) -> None:
        """Tell the other nodes."""
        self._bus.publish(self._channel, encode([self._node, asks, states]))

    def hear(self, message: bytes) -> None:
        """Another node tells us, or we ourselves."""
        node, asks, states = unpack(message)
        if node == self._node:
            return
        self._room.awareness.hear(node, [Presence(*state) for state in states], self._clock())
        self._tell()
        if asks and (here := self._room.awareness.said_here()):
            self.say(here)

    def gained(self) -> None:
        """From here on everything is heard: say who is here, and ask who is there."""
        self.say(self._room.awareness.said_here(), asks=True)

    def forget(self, nodes: Collection[str]) -> None:
        """These nodes are no more."""
        self._room.awareness.forget(nodes)
        self._tell()

    def _tell(self) -> None:
        if self._room.awareness.dirty:
            self._changed(self._room)

    def close(self) -> None:
        """The room is closed here."""
        self._room.share, self._room.awareness.shared = None, False
        self._subscription.close()

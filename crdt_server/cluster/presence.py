"""Presence between nodes: of each room, every node that has it open says what its own sockets say.

It does not go by way of the owner, so it goes on while a wedding has none. What is lost is said again after 15 s at the
latest, when clients renew it; what a dead node said is removed when its heartbeat ends. As long as no other node has
been heard in a room, nothing is said: a node that opens it asks who is there.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Sequence

from crdt_server.pipe import encode, unpack
from crdt_server.rooms.awareness import Presence
from crdt_server.rooms.room import Room
from storage import Bus


class PresenceKind(enum.IntEnum):
    """What a message is for."""

    THIS = 0
    WHO = 1  # and who is there?
    BYE = 2  # the sender has closed the room


class RoomPresence:
    """The presence of one open room. A message is: sender, `PresenceKind`, states."""

    def __init__(self, bus: Bus, node: str, room: Room, changed: Callable[[Room], None], clock: Callable[[], float]):
        self._bus = bus
        self._node = node
        self._room = room
        self._changed = changed
        self._clock = clock
        self._channel = f"presence.{room.name}"
        self._others: set[str] = set()  # nodes that have the room open
        room.share, room.awareness.shared = self.share, True
        self._subscription = bus.subscribe(self._channel, self)

    def share(self, states: Sequence[Presence]) -> None:
        """Tell the other nodes, if there are any."""
        if self._others:
            self._say(PresenceKind.THIS, states)

    def _say(self, what: PresenceKind, states: Sequence[Presence]) -> None:
        self._bus.publish(self._channel, encode([self._node, what, states]))

    def on_message(self, message: bytes) -> None:
        """Another node tells us, or we ourselves."""
        node, what, states = unpack(message)
        if node == self._node:
            return
        if what == PresenceKind.BYE:
            self._others.discard(node)
            return
        self._others.add(node)
        self._room.awareness.hear(node, [Presence(*state) for state in states], self._clock())
        self._tell()
        if what == PresenceKind.WHO:
            self._say(PresenceKind.THIS, self._room.awareness.said_here())

    def on_resync(self) -> None:
        """From here on everything is heard: say who is here, and ask who is there."""
        self._say(PresenceKind.WHO, self._room.awareness.said_here())

    def forget(self, nodes: Collection[str]) -> None:
        """These nodes are no more."""
        self._others.difference_update(nodes)
        self._room.awareness.forget(nodes)
        self._tell()

    def _tell(self) -> None:
        if self._room.awareness.dirty:
            self._changed(self._room)

    def close(self) -> None:
        """The room is closed here."""
        if self._others:
            self._say(PresenceKind.BYE, ())
        self._room.share, self._room.awareness.shared = None, False
        self._subscription.close()

"""Presence between nodes: every node that has a room open publishes the states of its own sessions there.

Presence does not pass through the owner of the wedding, so it works while there is none. A lost message is repeated
within 15 s, when clients renew their states; the states of a dead node are removed when its lease ends. Nothing is
published in a room until another node is known to have it open: a node that opens it sends a query.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import msgspec
import structlog

from crdt_server.cluster.messages import PresenceKind, PresenceMessage, decode_presence, encode
from crdt_server.rooms.awareness_states import Presence
from crdt_server.rooms.room import Room
from storage import Bus

log = structlog.get_logger(__name__)


class RoomPresence:
    """The presence of one open room."""

    def __init__(self, bus: Bus, node: str, room: Room, clock: Callable[[], float]) -> None:
        self._bus = bus
        self._node = node
        self._room = room
        self._clock = clock
        self._channel = f"presence.{room.name}"
        self._nodes: set[str] = set()  # other nodes that have the room open
        self._awareness = room.presence.awareness
        room.presence.subscribe(self.share)
        self._subscription = bus.subscribe(self._channel, self)

    def share(self, states: Sequence[Presence]) -> None:
        """Publish states of sessions here, if another node has the room open."""
        if self._nodes:
            self._publish(PresenceKind.STATES, states)

    def _publish(self, kind: PresenceKind, states: Sequence[Presence]) -> None:
        self._bus.publish(self._channel, encode(PresenceMessage(self._node, kind, list(states))))

    def on_message(self, data: bytes) -> None:
        """Called by the bus."""
        try:
            message = decode_presence(data)
        except msgspec.DecodeError as error:
            log.warning("presence_message_malformed", room=self._room.name, reason=str(error))
            return
        if message.node != self._node:
            self._receive(message)

    def _receive(self, message: PresenceMessage) -> None:
        if message.kind is PresenceKind.CLOSED:
            self._nodes.discard(message.node)
            return
        self._nodes.add(message.node)
        self._awareness.receive_from_node(message.node, message.states, self._clock())
        self._send_changes()
        if message.kind is PresenceKind.QUERY:
            self._publish(PresenceKind.STATES, self._awareness.states.local_states())

    def on_resync(self) -> None:
        """Called by the bus: publish all states of sessions here, and query those of the other nodes."""
        self._publish(PresenceKind.QUERY, self._awareness.states.local_states())

    def nodes_gone(self, nodes: Collection[str]) -> None:
        """These nodes have died or stopped: remove their states."""
        self._nodes.difference_update(nodes)
        self._awareness.remove_nodes(nodes)
        self._send_changes()

    def _send_changes(self) -> None:
        if self._awareness.states.dirty:
            self._room.events.on_presence(self._room)

    def close(self) -> None:
        """The room is closed here."""
        if self._nodes:
            self._publish(PresenceKind.CLOSED, ())
        self._room.presence.subscribe(None)
        self._subscription.close()

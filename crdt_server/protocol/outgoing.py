"""A message on its way to any number of receivers."""

from __future__ import annotations

from crdt_server.protocol.codec import Encoder
from crdt_server.protocol.frames import server_frame
from crdt_server.protocol.messages import AwarenessUpdate, Message, SyncStep2, SyncUpdate
from crdt_server.protocol.ywebsocket import YWEBSOCKET


class Outgoing:
    """One message and its payload in each codec: it is encoded once per codec, at the first use."""

    __slots__ = ("_others", "frame", "message", "payload")

    payload: bytes
    """The message in the y-websocket protocol."""
    frame: bytes
    """`payload` as it stands on the wire of a raw WebSocket."""

    def __init__(self, message: Message) -> None:
        self.message = message
        self._others: dict[Encoder, bytes] | None = None

    def __getattr__(self, name: str) -> bytes:
        # Called only as long as the slot is empty: a room of a hundred sockets reads it a hundred times. A server uses
        # one of the two for all its sockets, so neither keeps the other in memory.
        if name == "frame":
            self.frame = frame = server_frame(YWEBSOCKET.encode(self.message))
            return frame
        if name == "payload":
            self.payload = payload = YWEBSOCKET.encode(self.message)
            return payload
        raise AttributeError(name)

    def encoded(self, codec: Encoder) -> bytes:
        """The payload that ``codec`` makes of the message."""
        if codec is YWEBSOCKET:
            return self.payload
        if self._others is None:
            self._others = {}
        payload = self._others.get(codec)
        if payload is None:
            payload = self._others[codec] = codec.encode(self.message)
        return payload

    @property
    def size_bytes(self) -> int:
        """The bytes of content, whatever the wire."""
        message = self.message
        if isinstance(message, SyncUpdate):
            return len(message.update)
        if isinstance(message, SyncStep2):
            return len(message.update)
        return len(message.payload) if isinstance(message, AwarenessUpdate) else 0

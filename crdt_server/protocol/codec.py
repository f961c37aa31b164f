"""The port between messages and the bytes of one wire. Codecs hold no state: one instance serves all connections."""

from __future__ import annotations

from typing import Protocol

from crdt_server.protocol.messages import Message, Received


class Codec(Protocol):
    """Encodes messages into payloads of WebSocket messages, and decodes such payloads."""

    def decode(self, frame: bytes | memoryview) -> list[Received]:
        """All messages of one payload, at least one. Raises `ProtocolError` where any of them is malformed."""

    def encode(self, message: Message) -> bytes:
        """The payload that carries one message."""

"""The port between messages and the bytes of one wire. Codecs hold no state: one instance serves all connections."""

from __future__ import annotations

from typing import Protocol

from crdt_server.protocol.messages import Message, Received


class Encoder(Protocol):
    """Encodes messages into payloads of WebSocket messages."""

    def encode(self, message: Message) -> bytes:
        """The payload that carries one message."""


class Codec(Encoder, Protocol):
    """Encodes messages, and decodes payloads that need no address."""

    def decode(self, frame: bytes | memoryview) -> list[Received]:
        """All messages of one payload, at least one. Raises `ProtocolError` where any of them is malformed."""

"""Outgoing messages as WebSocket frames (RFC 6455), encoded once for all receivers."""

from __future__ import annotations

BINARY_FINAL = 0x82


def server_frame(payload: bytes) -> bytes:
    """One unmasked, final binary frame."""
    size = len(payload)
    if size < 126:
        return bytes((BINARY_FINAL, size)) + payload
    if size < 65536:
        return bytes((BINARY_FINAL, 126)) + size.to_bytes(2, "big") + payload
    return bytes((BINARY_FINAL, 127)) + size.to_bytes(8, "big") + payload


class Outgoing:
    """One message to any number of receivers; the frame is made at the first use."""

    __slots__ = ("_frame", "payload")

    def __init__(self, payload: bytes) -> None:
        self.payload = payload
        self._frame: bytes | None = None

    @property
    def frame(self) -> bytes:
        """The message as it stands on the wire of a raw WebSocket."""
        if self._frame is None:
            self._frame = server_frame(self.payload)
        return self._frame

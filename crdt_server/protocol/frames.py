"""Payloads as WebSocket frames of a server (RFC 6455)."""

from __future__ import annotations

BINARY_FINAL = 0x82
_SHORT_HEADS = [bytes((BINARY_FINAL, size)) for size in range(126)]


def server_frame(payload: bytes) -> bytes:
    """One unmasked, final binary frame."""
    size = len(payload)
    if size < 126:
        return _SHORT_HEADS[size] + payload
    if size < 65536:
        return bytes((BINARY_FINAL, 126)) + size.to_bytes(2, "big") + payload
    return bytes((BINARY_FINAL, 127)) + size.to_bytes(8, "big") + payload

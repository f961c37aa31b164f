"""The vocabulary between a client and a room, in both directions and independent of any wire.

A codec (`protocol.codec`) makes these of bytes and bytes of these. Updates, state vectors and awareness states are
carried as they are; their content is read elsewhere.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

# Structs without tracking by the garbage collector: one of them is made per update, in 0.1 µs instead of the 0.3 µs of
# a frozen dataclass.


class SyncStep1(Struct, frozen=True, gc=False):
    """The state vector of the sender; the receiver answers with what the sender lacks."""

    state_vector: bytes


class SyncStep2(Struct, frozen=True, gc=False):
    """The answer to a step 1."""

    update: bytes


class SyncUpdate(Struct, frozen=True, gc=False):
    """An edit made since."""

    update: bytes


class AwarenessUpdate(Struct, frozen=True, gc=False):
    """Awareness states of one or more clients, still encoded."""

    payload: bytes


class QueryAwareness(Struct, frozen=True, gc=False):
    """A request for every awareness state of the room."""


class PermissionDenied(Struct, frozen=True, gc=False):
    """From the server only: something that the client wrote was undone or refused. ``reason`` is JSON or prose."""

    reason: str


Received: TypeAlias = SyncStep1 | SyncStep2 | SyncUpdate | AwarenessUpdate | QueryAwareness
"""Messages that a client may send."""

Message: TypeAlias = Received | PermissionDenied
"""Messages that the server may send."""

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
    """From the server only, a notice: something that the client wrote was undone or refused. ``reason`` is JSON."""

    reason: str


class Stateless(Struct, frozen=True, gc=False):
    """A text beside the document, in either direction."""

    payload: str


class Authenticate(Struct, frozen=True, gc=False):
    """From a client: its token for one document, the first one or a newer one. "" where it has none."""

    token: str


class CloseDocument(Struct, frozen=True, gc=False):
    """One document of a socket is closed, the others are not. A client gives no reason."""

    reason: str = ""


class TokenRequest(Struct, frozen=True, gc=False):
    """From the server: send the token of this document now."""


class DocumentOpened(Struct, frozen=True, gc=False):
    """From the server: the document is open."""

    reads_only: bool


class DocumentRefused(Struct, frozen=True, gc=False):
    """From the server: the document is not opened."""

    reason: str


class SyncStatus(Struct, frozen=True, gc=False):
    """From the server: one update of the client is stored, or never will be."""

    stored: bool


Received: TypeAlias = SyncStep1 | SyncStep2 | SyncUpdate | AwarenessUpdate | QueryAwareness
"""Messages that a client may send."""

Message: TypeAlias = Received | PermissionDenied | Stateless
"""Messages that the server may send."""

DocumentReceived: TypeAlias = Received | Stateless | Authenticate | CloseDocument
"""Messages that a client may send where a socket carries several documents."""

DocumentMessage: TypeAlias = Message | CloseDocument | TokenRequest | DocumentOpened | DocumentRefused | SyncStatus
"""Messages that the server may send there."""

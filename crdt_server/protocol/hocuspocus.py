"""The codec of Hocuspocus' protocol, as the providers of its majors 3 and 4 speak it.

A socket carries several documents. A payload holds one message: the address (the name of the document, or of a session
of it as `name\\0session`), a varint type and its fields:
0 sync (as in y-websocket), 1 awareness, 2 auth (from a client: 0, token and perhaps its version; to it: 0 send your
token, 1 failed: reason, 2 authenticated: scope), 3 query awareness, 4 sync that is no request for a step 1,
5 stateless: text, 6 stateless between servers, 7 close: reason, 8 sync status: 1 stored or 0 not.
A payload of one byte is a ping (9) or a pong (10) of the socket.
"""

from __future__ import annotations

from functools import lru_cache

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import (
    read_var_bytes,
    read_var_string,
    read_var_uint,
    truncated,
    write_var_bytes,
    write_var_string,
)
from crdt_server.protocol.messages import (
    Authenticate,
    AwarenessUpdate,
    CloseDocument,
    DocumentMessage,
    DocumentOpened,
    DocumentReceived,
    DocumentRefused,
    PermissionDenied,
    QueryAwareness,
    Stateless,
    SyncStatus,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    TokenRequest,
)
from crdt_server.protocol.ywebsocket import YWEBSOCKET, read_sync

ADDRESS_BYTES = 512
PING, PONG = b"\x09", b"\x0a"
SESSION = "\0"
"""Between the name of a document and that of a session of it."""

_SYNC, _AWARENESS, _AUTH, _QUERY_AWARENESS, _SYNC_REPLY, _STATELESS, _BROADCAST_STATELESS, _CLOSE, _STATUS = range(9)
_CODECS_KEPT = 4096  # of rooms whose sockets share payloads; without one a payload is encoded once more
_SCOPES = {True: "readonly", False: "read-write"}


class HocuspocusCodec:
    """Encodes the messages of one address."""

    __slots__ = ("_prefix",)

    def __init__(self, address: bytes) -> None:
        self._prefix = write_var_bytes(address)

    def encode(self, message: DocumentMessage) -> bytes:
        """The payload that carries one message. A notice of undone writes is stateless here."""
        return self._prefix + _body(message)


codec_of = lru_cache(_CODECS_KEPT)(HocuspocusCodec)
"""The codec of an address. Sockets in one room that have the same one share their payloads."""


def _body(message: DocumentMessage) -> bytes:
    if isinstance(message, SyncUpdate | AwarenessUpdate | SyncStep2 | SyncStep1):
        return YWEBSOCKET.encode(message)  # sync and awareness are the same on both wires
    if isinstance(message, SyncStatus):
        return b"\x08\1" if message.stored else b"\x08\0"
    if isinstance(message, PermissionDenied):
        return b"\5" + write_var_string(message.reason)
    return _rare_body(message)


def _rare_body(
    message: QueryAwareness | Stateless | CloseDocument | TokenRequest | DocumentOpened | DocumentRefused,
) -> bytes:
    if isinstance(message, Stateless):
        return b"\5" + write_var_string(message.payload)
    if isinstance(message, CloseDocument):
        return b"\7" + write_var_string(message.reason)
    if isinstance(message, TokenRequest):
        return b"\2\0"
    if isinstance(message, DocumentRefused):
        return b"\2\1" + write_var_string(message.reason)
    if isinstance(message, DocumentOpened):
        return b"\2\2" + write_var_string(_SCOPES[message.reads_only])
    return b"\3"


def read_address(payload: bytes | memoryview) -> tuple[bytes, int]:
    """The address of a message, and where its type is. Raises ProtocolError."""
    try:
        size, pos = read_var_uint(payload, 0)
    except IndexError:
        raise truncated() from None
    if not 0 < size <= ADDRESS_BYTES:
        raise ProtocolError("address", f"an address has 1 to {ADDRESS_BYTES} bytes")
    end = pos + size
    if end > len(payload):
        raise truncated()
    return bytes(payload[pos:end]), end


def read_message(payload: bytes | memoryview, pos: int) -> DocumentReceived:
    """The message behind an address; bytes behind it are malformed. Raises ProtocolError."""
    message, end = _read_message(payload, pos)
    if end != len(payload):
        raise ProtocolError("trailing_bytes", "bytes behind the message")
    return message


def is_authenticate(payload: bytes | memoryview, pos: int) -> bool:
    """Whether the message behind an address is of the type of `Authenticate`."""
    return pos < len(payload) and payload[pos] == _AUTH


def _read_message(payload: bytes | memoryview, pos: int) -> tuple[DocumentReceived, int]:
    # Every known type is below 128, so a type is one byte; anything above is unknown whatever follows.
    if pos >= len(payload):
        raise truncated()
    kind = payload[pos]
    pos += 1
    if kind in (_SYNC, _SYNC_REPLY):
        return read_sync(payload, pos)
    if kind == _AWARENESS:
        states, pos = read_var_bytes(payload, pos)
        return AwarenessUpdate(states), pos
    if kind == _QUERY_AWARENESS:
        return QueryAwareness(), pos
    if kind == _AUTH:
        return _read_auth(payload, pos)
    if kind == _STATELESS:
        text, pos = read_var_string(payload, pos)
        return Stateless(text), pos
    if kind == _CLOSE:
        return CloseDocument(), pos
    if kind in (_BROADCAST_STATELESS, _STATUS):
        raise ProtocolError("unexpected_message", "a message that is only sent by servers")
    raise ProtocolError("unknown_message", "unknown type of message")


def _read_auth(payload: bytes | memoryview, pos: int) -> tuple[Authenticate, int]:
    try:
        kind, pos = read_var_uint(payload, pos)
    except IndexError:
        raise truncated() from None
    if kind:
        raise ProtocolError("unexpected_message", "an auth message that is only sent by servers")
    token, pos = read_var_string(payload, pos)
    if pos < len(payload):  # since version 4
        _, pos = read_var_string(payload, pos)
    return Authenticate(token), pos

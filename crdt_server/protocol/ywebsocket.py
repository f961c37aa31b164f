"""The codec of the y-websocket protocol.

A payload holds one or more messages. A message is a varint type and its fields:
0 sync (0 step 1: state vector, 1 step 2: update, 2 update), 1 awareness, 2 auth (1: a JSON text, of the server only),
3 query awareness. The server sends one message per payload: older clients read only one.
"""

from __future__ import annotations

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import read_var_bytes, write_var_bytes, write_var_string
from crdt_server.protocol.messages import (
    AwarenessUpdate,
    Message,
    PermissionDenied,
    QueryAwareness,
    Received,
    Stateless,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
)

MAX_MESSAGES_PER_FRAME = 1000

_SYNC, _AWARENESS, _AUTH, _QUERY_AWARENESS = range(4)
_UPDATE = b"\0\2"


class YWebSocketCodec:
    """See the head of the file."""

    __slots__ = ()

    def decode(self, frame: bytes | memoryview) -> list[Received]:
        """See `Codec.decode`."""
        size = len(frame)
        # By far the most frequent payload: a single update of less than 128 bytes.
        if size > 3 and frame[:2] == _UPDATE and frame[2] == size - 3 < 128:
            return [SyncUpdate(bytes(frame[3:]))]
        if not size:
            raise ProtocolError("empty_frame", "a frame without a message")
        message, pos = _read_message(frame, 0)
        messages = [message]
        while pos < size:
            if len(messages) == MAX_MESSAGES_PER_FRAME:
                raise ProtocolError("limit", f"more than {MAX_MESSAGES_PER_FRAME} messages in a frame")
            message, pos = _read_message(frame, pos)
            messages.append(message)
        return messages

    def encode(self, message: Message) -> bytes:
        """See `Codec.encode`."""
        if isinstance(message, SyncUpdate):
            return _UPDATE + write_var_bytes(message.update)
        if isinstance(message, AwarenessUpdate):
            return b"\1" + write_var_bytes(message.payload)
        if isinstance(message, SyncStep2):
            return b"\0\1" + write_var_bytes(message.update)
        if isinstance(message, SyncStep1):
            return b"\0\0" + write_var_bytes(message.state_vector)
        # Not subtype 0 of auth, which stock clients print as a refusal of access: they skip all others.
        if isinstance(message, PermissionDenied):
            return b"\2\1" + write_var_string(message.reason)
        if isinstance(message, Stateless):
            return b"\2\1" + write_var_string(message.payload)
        return b"\3"


def _read_message(frame: bytes | memoryview, pos: int) -> tuple[Received, int]:
    # Every known type is below 128, so a type is one byte; anything above is unknown whatever follows.
    kind = frame[pos]
    if kind == _SYNC:
        return read_sync(frame, pos + 1)
    if kind == _AWARENESS:
        payload, pos = read_var_bytes(frame, pos + 1)
        return AwarenessUpdate(payload), pos
    if kind == _QUERY_AWARENESS:
        return QueryAwareness(), pos + 1
    if kind == _AUTH:
        raise ProtocolError("unexpected_message", "an auth message is only sent by servers")
    raise ProtocolError("unknown_message", "unknown type of message")


def read_sync(payload: bytes | memoryview, pos: int) -> tuple[SyncStep1 | SyncStep2 | SyncUpdate, int]:
    """A sync message, from its kind on, and where it ends. Raises ProtocolError."""
    step = payload[pos : pos + 1]
    content, pos = read_var_bytes(payload, pos + 1)
    if step == b"\2":
        return SyncUpdate(content), pos
    if step == b"\0":
        return SyncStep1(content), pos
    if step == b"\1":
        return SyncStep2(content), pos
    raise ProtocolError("unknown_message", "unknown kind of sync message")


YWEBSOCKET = YWebSocketCodec()

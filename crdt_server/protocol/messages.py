"""Messages of the y-websocket protocol, decoded from and encoded to WebSocket frames.

A frame holds one or more messages. A message is a varint type and its fields:
0 sync (0 step 1: state vector, 1 step 2: update, 2 update), 1 awareness, 2 permission denied (server to client only),
3 query awareness. Update, state vector and awareness payloads are only cut out here, not looked into.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import read_var_bytes, write_var_bytes, write_var_string

MAX_MESSAGES_PER_FRAME = 1000

_SYNC, _AWARENESS, _AUTH, _QUERY_AWARENESS = range(4)
_STEP_1, _STEP_2, _UPDATE = range(3)
_PERMISSION_DENIED = 0


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """What the sender has; to be answered with what it lacks."""

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class SyncStep2:
    """The answer to a step 1."""

    update: bytes


@dataclass(frozen=True, slots=True)
class SyncUpdate:
    """An edit made since."""

    update: bytes


@dataclass(frozen=True, slots=True)
class AwarenessUpdate:
    """Presence states of one or more clients, still encoded."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """The sender wants every presence state of the room."""


Message: TypeAlias = SyncStep1 | SyncStep2 | SyncUpdate | AwarenessUpdate | QueryAwareness


def decode_messages(frame: bytes | memoryview) -> list[Message]:
    """All messages of one frame, at least one. Raises `ProtocolError` if any of them is malformed."""
    if not frame:
        raise ProtocolError("empty_frame", "a frame without a message")
    message, pos = _read_message(frame, 0)
    messages = [message]
    end = len(frame)
    while pos < end:
        if len(messages) == MAX_MESSAGES_PER_FRAME:
            raise ProtocolError("limit", f"more than {MAX_MESSAGES_PER_FRAME} messages in a frame")
        message, pos = _read_message(frame, pos)
        messages.append(message)
    return messages


def _read_message(frame: bytes | memoryview, pos: int) -> tuple[Message, int]:
    # Every known type is below 128, so a type is one byte; anything above is unknown whatever follows.
    kind = frame[pos]
    if kind == _SYNC:
        step = frame[pos + 1 : pos + 2]
        payload, pos = read_var_bytes(frame, pos + 2)
        if step == b"\2":
            return SyncUpdate(payload), pos
        if step == b"\0":
            return SyncStep1(payload), pos
        if step == b"\1":
            return SyncStep2(payload), pos
        raise ProtocolError("unknown_message", "unknown kind of sync message")
    if kind == _AWARENESS:
        payload, pos = read_var_bytes(frame, pos + 1)
        return AwarenessUpdate(payload), pos
    if kind == _QUERY_AWARENESS:
        return QueryAwareness(), pos + 1
    if kind == _AUTH:
        raise ProtocolError("unexpected_message", "an auth message is only sent by servers")
    raise ProtocolError("unknown_message", "unknown type of message")


def encode_sync_step1(state_vector: bytes) -> bytes:
    """One frame: sync step 1."""
    return bytes((_SYNC, _STEP_1)) + write_var_bytes(state_vector)


def encode_sync_step2(update: bytes) -> bytes:
    """One frame: sync step 2."""
    return bytes((_SYNC, _STEP_2)) + write_var_bytes(update)


def encode_update(update: bytes) -> bytes:
    """One frame: an update."""
    return bytes((_SYNC, _UPDATE)) + write_var_bytes(update)


def encode_awareness(payload: bytes) -> bytes:
    """One frame: presence states."""
    return bytes((_AWARENESS,)) + write_var_bytes(payload)


def encode_permission_denied(reason: str) -> bytes:
    """One frame: the server tells a client that it may not; `reason` is shown to people."""
    return bytes((_AUTH, _PERMISSION_DENIED)) + write_var_string(reason)

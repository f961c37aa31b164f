"""The y-websocket wire as functions: what a test sends as a client, and how a frame reaches a room."""

from __future__ import annotations

from crdt_server.errors import ProtocolError
from crdt_server.hub.hub import Hub
from crdt_server.protocol.messages import (
    AwarenessUpdate,
    PermissionDenied,
    Received,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
)
from crdt_server.protocol.ywebsocket import YWEBSOCKET
from crdt_server.rooms import intake
from crdt_server.rooms.refusals import reject
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Session


def encode_sync_step1(state_vector: bytes) -> bytes:
    return YWEBSOCKET.encode(SyncStep1(state_vector))


def encode_sync_step2(update: bytes) -> bytes:
    return YWEBSOCKET.encode(SyncStep2(update))


def encode_update(update: bytes) -> bytes:
    return YWEBSOCKET.encode(SyncUpdate(update))


def encode_awareness(payload: bytes) -> bytes:
    return YWEBSOCKET.encode(AwarenessUpdate(payload))


def encode_permission_denied(reason: str) -> bytes:
    return YWEBSOCKET.encode(PermissionDenied(reason))


def decode_messages(frame: bytes | memoryview) -> list[Received]:
    return YWEBSOCKET.decode(frame)


def receive(room: Room, session: Session, frame: bytes, hub: Hub | None = None) -> None:
    """What an endpoint does with a frame of a session."""
    try:
        messages = YWEBSOCKET.decode(frame)
    except ProtocolError as error:
        reject(room, session, error)
        return
    if hub is None:
        intake.receive(room, session, messages)
    else:
        hub.receive(room, session, messages)

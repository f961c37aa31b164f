"""Bytes for tests: real updates from a small replica, presence messages, and updates that kill a document host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pycrdt import Doc, Text

from crdt_server.protocol.lib0 import write_var_uint
from crdt_server.protocol.messages import encode_awareness
from crdt_server.protocol.update import Update, decode_state_vector, decode_update, missing
from crdt_server.rooms.awareness import write_states

EMPTY_STATE_VECTOR = b"\x00"
EMPTY_UPDATE = b"\x00\x00"

KILLER_GROUND = bytes.fromhex("0101030004010474657874016100")
"""A harmless update: client 3 writes "a" into the root text."""

KILLER = bytes.fromhex("0101040004000300016100")
"""Well-formed, complete, and after `KILLER_GROUND` the end of a host: an item inside a string, which holds no items."""


class Replica:
    """A client's copy with Yjs's manners: an update that builds on something unknown waits until it is known.

    (A pycrdt Doc alone integrates over the hole and diverges.)
    """

    def __init__(self, client_id: int) -> None:
        self.client_id = client_id
        self.doc: Doc[Any] = Doc(client_id=client_id)
        self.text: Text = self.doc.get("text", type=Text)
        self.pending: list[Update] = []

    @property
    def state_vector(self) -> bytes:
        return self.doc.get_state()

    def type(self, text: str, at: int | None = None) -> bytes:
        """Insert at a UTF-8 offset (default: the end); the update."""
        before = self.state_vector
        self.text.insert(len(self.text) if at is None else at, text)
        return self.doc.get_update(before)

    def erase(self, start: int, stop: int) -> bytes:
        """Delete a range; the update."""
        before = self.state_vector
        del self.text[start:stop]
        return self.doc.get_update(before)

    def all(self) -> bytes:
        """The whole document as one update."""
        return self.doc.get_update()

    def lacks(self, state_vector: bytes) -> bytes:
        """What a document with this state vector lacks."""
        return self.doc.get_update(state_vector)

    def receive(self, data: bytes) -> None:
        """Apply now what can be applied, later what cannot yet."""
        self.pending.append(decode_update(data, max_bytes=len(data)))
        progress = True
        while progress:
            progress = False
            for update in list(self.pending):
                if not missing(update, decode_state_vector(self.state_vector)):
                    self.doc.apply_update(update.data)
                    self.pending.remove(update)
                    progress = True

    def __str__(self) -> str:
        return str(self.text)


def presence(client: int, clock: int, state: Mapping[str, Any] | None, **options: Any) -> bytes:
    """One frame: the awareness state of one client."""
    text = json.dumps(state, ensure_ascii=options.pop("ensure_ascii", False), **options)
    return encode_awareness(write_states([(client, clock, text)]))


def state_vector(clocks: Mapping[int, int]) -> bytes:
    """A Yjs state vector."""
    pairs = (write_var_uint(client) + write_var_uint(clock) for client, clock in clocks.items())
    return write_var_uint(len(clocks)) + b"".join(pairs)

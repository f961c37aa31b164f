"""Bytes for tests: real updates from a small replica, presence messages, and updates that kill a document host."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pycrdt import Doc, Map, Text

from crdt_server.protocol.lib0 import write_var_bytes, write_var_string, write_var_uint
from crdt_server.protocol.update import Update, decode_state_vector, decode_update, missing
from crdt_server.rooms.awareness_states import write_states
from tests.support.codec import encode_awareness

KILLER_GROUND = (bytes.fromhex("0101030004010474657874016100"), bytes.fromhex("01010300070104746578740100"))
"""Two stored rows that no room would have taken together, two contents under one id of client 3: the letter "a" in the
root text, and a map. Whoever reads them keeps the letter."""

KILLER = bytes.fromhex("0101040004000300016100")
"""Well-formed, complete, and after `KILLER_GROUND` the end of a host: an item inside that letter, which holds none."""


class Typist:
    """A client that only ever appends, without a Doc."""

    def __init__(self, id_: int, root: str = "flood") -> None:
        self.id = write_var_uint(id_)
        self._root = root
        self.clock = 0

    def text(self, content: bytes) -> bytes:
        """One string of ASCII."""
        return self._update(1, self._head(4) + write_var_bytes(content), len(content))

    def many_items(self, count: int) -> bytes:
        """As many one-letter items, each left of the one before."""
        begin = self._head(4) + b"\1a"
        rest = b"".join(
            b"\x44" + self.id + write_var_uint(clock) + b"\1a" for clock in range(self.clock, self.clock + count - 1)
        )
        return self._update(count, begin + rest, count)

    def many_deletions(self, count: int) -> bytes:
        """Text, and every second letter of it deleted."""
        text = self._head(4) + write_var_bytes(b"d" * 2 * count)
        ranges = b"".join(write_var_uint(2 * n) + b"\1" for n in range(count))
        deletions = b"\1" + self.id + write_var_uint(count) + ranges
        return self._update(1, text, 2 * count, deletions)

    def _head(self, kind: int) -> bytes:
        if self.clock:
            return bytes((kind | 0x80,)) + self.id + write_var_uint(self.clock - 1)
        return bytes((kind,)) + b"\1" + write_var_string(self._root)

    def _update(self, count: int, structs: bytes, clocks: int, deletions: bytes = b"\0") -> bytes:
        update = b"\1" + write_var_uint(count) + self.id + write_var_uint(self.clock) + structs + deletions
        self.clock += clocks
        return update


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


def message_update(number: int, sender: str) -> bytes:
    """An update that sends a message in a thread."""
    doc: Doc[Any] = Doc(client_id=1000 + number)
    value = {"from": sender, "at": "2026-11-22T10:00:00Z", "kind": "text", "body": "hello"}
    doc.get("messages", type=Map)[f"01JY3Z8Q7M4T2V6W8X9Y{number:06d}"] = value
    return doc.get_update()


def presence(client: int, clock: int, state: Mapping[str, Any] | None, **options: Any) -> bytes:
    """One frame: the awareness state of one client."""
    text = json.dumps(state, ensure_ascii=options.pop("ensure_ascii", False), **options)
    return encode_awareness(write_states([(client, clock, text)]))


def state_vector(clocks: Mapping[int, int]) -> bytes:
    """A Yjs state vector."""
    pairs = (write_var_uint(client) + write_var_uint(clock) for client, clock in clocks.items())
    return write_var_uint(len(clocks)) + b"".join(pairs)

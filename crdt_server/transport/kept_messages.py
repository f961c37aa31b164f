"""The messages of a document on a shared socket that outlive its session: the newest step 1 and presence.

While the document is not open, updates are dropped, and come with the answer to the next step 1. A step 1 stays valid:
a client only ever gets more.
"""

from __future__ import annotations

from crdt_server.protocol.messages import AwarenessUpdate, Received, SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from crdt_server.rooms.receipts import Receipts

KEPT_BYTES = 64 * 1024
"""Of state vectors and presence that a socket keeps, in all. For a step 1 that is not kept the reply is everything."""


class KeptMessages:
    """See the head of the file. ``budget_bytes`` may be kept besides what is."""

    __slots__ = ("_awareness", "_state_vector")

    def __init__(self) -> None:
        self._state_vector: bytes | None = None
        self._awareness: bytes | None = None

    def receive(self, message: Received, receipts: Receipts, budget_bytes: int) -> None:
        """A message that came while the document is not open."""
        if isinstance(message, (SyncUpdate, SyncStep2)):
            claim = receipts.claim(is_update=isinstance(message, SyncUpdate))
            receipts.settle(claim, stored=None)
        elif isinstance(message, SyncStep1):
            receipts.step1_received()
            self.keep_step1(message, budget_bytes)
        elif isinstance(message, AwarenessUpdate):
            within = len(message.payload) - len(self._awareness or b"") <= budget_bytes
            self._awareness = message.payload if within else None

    def keep_step1(self, message: SyncStep1, budget_bytes: int) -> None:
        """Keep a step 1, from which the client is brought up to date when the document opens again."""
        vector = message.state_vector
        within = len(vector) - len(self._state_vector or b"") <= budget_bytes
        self._state_vector = vector if within else EMPTY_STATE_VECTOR

    def take(self) -> list[Received]:
        """The messages to be read when the document opens. The step 1 stays."""
        kept: list[Received] = [] if self._state_vector is None else [SyncStep1(self._state_vector)]
        if self._awareness is not None:
            kept.append(AwarenessUpdate(self._awareness))
            self._awareness = None
        return kept

    @property
    def size_bytes(self) -> int:
        """The bytes that are kept."""
        return len(self._state_vector or b"") + len(self._awareness or b"")

"""Differences between a document and a state vector, found in steps and shared by equal requests."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from pycrdt import get_update

from crdt_server.judge.merging import merge
from crdt_server.judge.pieces import Pieces
from crdt_server.pipe import DIFF_STEP_BYTES
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE, decode_state_vector

JOINED_BYTES = 2 * 1024  # parts of a difference are merged up to this size: a message costs less than merging again
DIFFS_KEPT = 4
MOST_SEARCHES = 4  # differences of one document at a time
STALE_BATCHES = 100
# A state vector longer than one of twice the clients of the document and a few thousand more is not decoded (1,000,000
# clients take 0.4 s): its sender is answered like a newcomer.
CLIENT_BYTES, SPARE_BYTES = 32, 32 * 1024


class Diffs:
    """The differences of one document. ``clocks``: client id -> its next clock there."""

    def __init__(self, pieces: Pieces, clocks: Mapping[int, int]) -> None:
        self._pieces = pieces
        self._clocks = clocks
        self._found: dict[bytes, list[bytes]] = {}  # differences that are still valid
        self._searches: dict[bytes, _Search] = {}

    def add(self, updates: Iterable[bytes]) -> None:
        """These updates are among the pieces now."""
        self._found.clear()
        for search in self._searches.values():
            search.later += updates

    def diff(self, state_vector: bytes, batch: int | None = None) -> list[bytes] | None:
        """The updates that a client with this state vector lacks, to be applied in order; at least one.

        With the number of a ``batch``, one step of the search at most; None until it is finished. Updates that are
        accepted meanwhile are included. Raises ProtocolError when the state vector does not decode.
        """
        found = self._found.get(state_vector)
        if found is not None:
            return found
        search = self._searches.get(state_vector)
        if search is None:
            if self.has_no_overlap(state_vector):
                return self.diff(EMPTY_STATE_VECTOR, batch)
            if batch is not None and not self._may_begin(batch):
                return None
            search = self._searches[state_vector] = _Search(state_vector, list(self._pieces))
        done = search.proceed(batch, sys.maxsize if batch is None else DIFF_STEP_BYTES)
        if not done:
            return None
        del self._searches[state_vector]
        answer = search.answer()
        if len(self._found) < DIFFS_KEPT:  # also with what was accepted meanwhile: until the next edit it holds
            self._found[state_vector] = answer
        return answer

    def has_no_overlap(self, state_vector: bytes) -> bool:
        """Whether a state vector names clients, but none of the document, or is too long to be one of the document.

        Raises ProtocolError when it does not decode.
        """
        if state_vector == EMPTY_STATE_VECTOR or state_vector in self._found or state_vector in self._searches:
            return False
        if len(state_vector) > SPARE_BYTES + CLIENT_BYTES * len(self._clocks):
            return True
        clocks = decode_state_vector(state_vector)
        return not any(map(self._clocks.get, filter(clocks.get, clocks)))

    def _may_begin(self, batch: int) -> bool:
        if len(self._searches) < MOST_SEARCHES:
            return True
        for state_vector, search in list(self._searches.items()):
            if batch - search.batch > STALE_BATCHES:  # the client that requested it has gone
                del self._searches[state_vector]
        return len(self._searches) < MOST_SEARCHES


class _Search:
    """The search for one difference: the pieces that were compared, and the updates found."""

    def __init__(self, state_vector: bytes, pieces: list[bytes]) -> None:
        self.batch = -1
        self.later: list[bytes] = []  # accepted since it was requested
        self._state_vector = state_vector
        self._pieces = pieces
        self._parts: list[bytes] = pieces if state_vector == EMPTY_STATE_VECTOR else []
        self._next = len(pieces) if state_vector == EMPTY_STATE_VECTOR else 0

    def proceed(self, batch: int | None, budget: int) -> bool:
        """Compare pieces of ``budget`` bytes, once in a batch. True when all are compared."""
        if batch is not None and batch == self.batch:
            return False
        self.batch = -1 if batch is None else batch
        while self._next < len(self._pieces) and budget > 0:
            piece = self._pieces[self._next]
            budget -= len(piece)
            self._next += 1
            part = get_update(piece, self._state_vector)
            if part != EMPTY_UPDATE:
                self._parts.append(part)
        return self._next == len(self._pieces)

    def answer(self) -> list[bytes]:
        joined: list[bytes] = []
        run: list[bytes] = []
        run_size = 0
        for part in [*self._parts, *self.later]:
            if run and run_size + len(part) > JOINED_BYTES:
                joined += merge(run)
                run, run_size = [], 0
            run.append(part)
            run_size += len(part)
        return joined + (merge(run) or [EMPTY_UPDATE])

"""How long the router rests, so that it takes no more than a share of the process and of the store.

- The first event after a while is routed at once. Events that come meanwhile wait for SHORTEST_REST.
- The rest follows from the work of the batch: CPU time of the decisions, and time of the transactions. Waits of the
  decisions for a busy machine are not work. Of two batches the shorter transactions count: one of them may have
  waited for a slow disk, and what it made late is not made later still.
- A batch rests between its decisions, piece by piece: a request of the event loop that comes meanwhile waits for one
  piece, not for the batch. The rest behind the batch is for what is left. This holds for small batches too: decisions
  of three milliseconds at a stretch added a third to the p99 of rooms.
- A batch that has taken all there was is followed by a longer rest than one of a backlog: what gathers meanwhile is
  routed together, and most of a small batch is the same for a larger one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

SHORTEST_REST, LONGEST_REST = 0.02, 1.0
"""Seconds."""

FREE_STORING = 0.02
"""Seconds of its transactions that a batch is not made to rest for: a single event is to be in inboxes within 100
ms."""

PIECE_SECONDS: Final = 0.0003
"""CPU time of decisions between two rests, about one event: less is not worth two changes of the thread."""

BACKLOG_FACTOR, REST_FACTOR = 3.0, 9.0
"""How many times as long as its decisions took a rest is, behind a batch that leaves a backlog and behind others."""

STORING_FACTOR: Final = 3.0
"""And for its transactions: much of their time is the wait for the disk, in which the process does other things."""


class RoutingPace:
    """See the head of the file."""

    def __init__(self) -> None:
        self._decided = 0.0
        self._rested_for = 0.0  # of those
        self._factor = REST_FACTOR
        self._stored = 0.0
        self._stored_before = 0.0

    @contextmanager
    def deciding(self, sleep: Callable[[float], None]) -> Iterator[Callable[[], None]]:
        """A page is decided about, in this thread. Gives what is to be called between two decisions: it calls ``sleep``
        with the seconds of a rest when one is due."""
        begun = time.thread_time()
        rested = 0.0

        def between() -> None:
            nonlocal begun, rested
            piece = time.thread_time() - begun
            if piece >= PIECE_SECONDS and rested < LONGEST_REST:
                rest = self.rest_between(piece)
                rested += rest
                sleep(rest)
                begun = time.thread_time()

        try:
            yield between
        finally:
            self.decided(time.thread_time() - begun)

    @contextmanager
    def storing(self) -> Iterator[None]:
        """A transaction is under way."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self.stored(time.monotonic() - begun)

    def decided(self, seconds: float) -> None:
        """A page was decided about, with so much CPU time."""
        self._decided += seconds

    def stored(self, seconds: float) -> None:
        """A transaction took so long."""
        self._stored += seconds

    def rest_between(self, seconds: float) -> float:
        """A part of the decisions took so much CPU time: the seconds until the next part."""
        self.decided(seconds)
        self._rested_for += seconds
        return min(LONGEST_REST, seconds * self._factor)

    def rest(self, *, backlog: bool) -> float:
        """A batch has ended: the seconds until the next one."""
        self._factor = BACKLOG_FACTOR if backlog else REST_FACTOR
        deciding = (self._decided - self._rested_for) * self._factor
        storing = max(0.0, min(self._stored, self._stored_before) - FREE_STORING) * STORING_FACTOR
        self._decided, self._rested_for, self._stored, self._stored_before = 0.0, 0.0, 0.0, self._stored
        return min(LONGEST_REST, max(SHORTEST_REST, deciding + storing))

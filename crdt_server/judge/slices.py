"""CPU time for the rules of weddings and for building documents, so that no batch is long.

Everything that is not an update's own work is cut into steps, and is done in slices: of each batch it gets
`SLICE_SECONDS` in all, and every document or wedding that takes part `QUANTUM_SECONDS` besides, so that what is
small is done in the batch that it belongs to, whatever others need. What is left over continues with the next batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

SLICE_SECONDS = 0.005
QUANTUM_SECONDS = 0.001
STEPS = 16  # between two looks at the clock; one takes some microseconds


class Slices:
    """The slices of one batch after another. ``clock``: CPU seconds of this thread."""

    def __init__(self, clock: Callable[[], float] = time.thread_time) -> None:
        self._clock = clock
        self._shared = SLICE_SECONDS
        self._quanta: dict[object, float] = {}  # what is left of them
        self._owner: object = None
        self._began = self._end = 0.0

    @property
    def used(self) -> bool:
        """Whether anybody had a turn in this batch."""
        return bool(self._quanta)

    def begin_batch(self) -> None:
        """Another batch: everybody has a turn again."""
        self._shared = SLICE_SECONDS
        self._quanta.clear()

    def begin(self, owner: object) -> None:
        """The turn of a document or wedding begins. Turns do not overlap."""
        self._owner, self._began = owner, self._clock()
        self._end = self._began + self._quanta.get(owner, QUANTUM_SECONDS) + self._shared

    def end(self) -> None:
        """The turn is over."""
        used = self._clock() - self._began
        quantum = self._quanta.get(self._owner, QUANTUM_SECONDS)
        self._quanta[self._owner] = max(0.0, quantum - used)
        self._shared -= max(0.0, used - quantum)
        self._owner = None

    def used_up(self) -> bool:
        """Whether the turn has to end."""
        return self._clock() >= self._end

    def run(self, steps: Iterator[None]) -> bool:
        """Run steps within the turn. Returns whether they are done."""
        while True:
            count = sum(1 for _ in islice(steps, STEPS))
            if count < STEPS:
                return True
            if self.used_up():
                return False


class Unlimited(Slices):
    """Turns that end only when everything is done."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)

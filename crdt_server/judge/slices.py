"""CPU time for the rules of weddings and for building documents, so that no batch is long.

Everything that is not an update's own work is cut into steps, and is done in slices: of each batch it gets
`SLICE_SECONDS` in all, and every document or wedding that takes part `QUANTUM_SECONDS` besides, so that what is
small is done in the batch that it belongs to, whatever others need. What is left over continues with the next batch.

A batch that nobody else waits for, and of which every request is long, need not end for them: each that takes part has
its share of `ALONE_SECONDS` more, until somebody waits. A wedding that opens on an idle host waits for few batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

SLICE_SECONDS = 0.005
QUANTUM_SECONDS = 0.001
ALONE_SECONDS = 0.05
STEPS = 16  # between two looks at the clock; one takes some microseconds


class Slices:
    """The slices of one batch after another. ``clock``: CPU seconds of this thread; ``others_wait``: whether somebody
    waits for the end of this batch."""

    def __init__(
        self, clock: Callable[[], float] = time.thread_time, others_wait: Callable[[], bool] = lambda: True
    ) -> None:
        self._clock = clock
        self._others_wait = others_wait
        self._alone = 0.0  # what each may use besides while nobody waits
        self._shared = SLICE_SECONDS
        self._quanta: dict[object, float] = {}  # what is left of them
        self._owner: object = None
        self._began = self._end = 0.0

    @property
    def used(self) -> bool:
        """Whether anybody had a turn in this batch."""
        return bool(self._quanta)

    def begin_batch(self, *, sharing: int = 0) -> None:
        """Another batch: everybody has a turn again. ``sharing``: how many share the time for which nobody waits."""
        self._shared = SLICE_SECONDS
        self._alone = ALONE_SECONDS / sharing if sharing else 0.0
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
        self._shared = max(0.0, self._shared - max(0.0, used - quantum))
        self._owner = None

    def used_up(self) -> bool:
        """Whether the turn has to end."""
        now = self._clock()
        return now >= self._end and (now >= self._end + self._alone or self._others_wait())

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

"""CPU time for the rules of weddings and for building documents, so that no batch is long.

Everything that is not an update's own work is cut into steps, and is done in slices: of each batch it gets
`SLICE_SECONDS` in all, and every document or wedding that takes part `QUANTUM_SECONDS` besides, so that what is
small is done in the batch that it belongs to, whatever others need. The remainder continues with the next batch.
Those that were left unfinished share `UNFINISHED_SECONDS` of quanta, however many take part: who gets nothing of it
goes first in the batches that follow.

The requests of a batch have `BATCH_SECONDS`: those that are not reached within come again with the next batch, where
senders that were given least come first.

A batch that nobody else waits for, and of which every request is long, need not end for them: each that takes part has
its share of `ALONE_SECONDS` more, until somebody waits. A wedding that opens on an idle host waits for few batches.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice

SLICE_SECONDS = 0.005
QUANTUM_SECONDS = 0.001
UNFINISHED_SECONDS = 0.005
MOST_UNFINISHED = 10_000  # then all of them are taken for new: some have been forgotten, and never end
ALONE_SECONDS = 0.05
BATCH_SECONDS = 0.01
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
        self._unfinished: set[int] = set()  # the ids of owners: what is forgotten is not kept in memory
        self._unfinished_seconds = UNFINISHED_SECONDS
        self._first: set[int] = set()  # of the unfinished: they got nothing of the batches before
        self._left_out: set[int] = set()  # as `_first`, for the next batch
        self._quantum = 0.0
        self._cut = False  # whether this turn had to end
        self._owner: object = None
        self._began = self._end = self._batch_end = 0.0

    @property
    def used(self) -> bool:
        """Whether anybody had a turn in this batch."""
        return bool(self._quanta)

    def begin_batch(self, *, sharing: int = 0) -> None:
        """Another batch: everybody has a turn again. ``sharing``: how many share the time for which nobody waits."""
        self._batch_end = self._clock() + BATCH_SECONDS
        self._shared = SLICE_SECONDS
        self._alone = ALONE_SECONDS / sharing if sharing else 0.0
        self._quanta.clear()
        self._unfinished_seconds = UNFINISHED_SECONDS
        self._first, self._left_out = self._left_out, set()
        if len(self._unfinished) > MOST_UNFINISHED:
            self._unfinished.clear()

    def batch_is_long(self) -> bool:
        """Whether requests that were not begun have to wait for the next batch."""
        return self._clock() >= self._batch_end

    def begin(self, owner: object) -> None:
        """The turn of a document or wedding begins. Turns do not overlap."""
        self._owner, self._began = owner, self._clock()
        self._quantum, self._cut = self._quantum_of(owner), False
        self._end = self._began + self._quantum + self._shared

    def _quantum_of(self, owner: object) -> float:
        left = self._quanta.get(owner)
        if left is not None:
            return left
        number = id(owner)
        if number not in self._unfinished:
            return QUANTUM_SECONDS
        if self._first and number not in self._first:
            return 0.0
        quantum = min(QUANTUM_SECONDS, self._unfinished_seconds)
        self._unfinished_seconds -= quantum
        if not quantum:
            self._left_out.add(number)
        return quantum

    def end(self) -> None:
        """The turn is over."""
        used = self._clock() - self._began
        self._quanta[self._owner] = max(0.0, self._quantum - used)
        self._shared = max(0.0, self._shared - max(0.0, used - self._quantum))
        (self._unfinished.add if self._cut else self._unfinished.discard)(id(self._owner))
        self._owner = None

    def used_up(self) -> bool:
        """Whether the turn has to end."""
        now = self._clock()
        self._cut = now >= self._end and (now >= self._end + self._alone or self._others_wait())
        return self._cut

    def is_idle(self) -> bool:
        """Whether nobody waits for the end of this batch."""
        return not self._others_wait()

    def run_last(self, steps: Iterator[None]) -> bool:
        """Run steps that belong to no turn and for which nobody waits: a slice of them, and on while nobody waits for
        anything else. Returns whether they are done."""
        end = self._clock() + SLICE_SECONDS
        while sum(1 for _ in islice(steps, STEPS)) == STEPS:
            if self._clock() >= end and self._others_wait():
                return False
        return True

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

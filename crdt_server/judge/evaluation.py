"""The index of a wedding, kept up to date in slices, and its evaluation as a whole: every subject is looked up."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator

from crdt_server.judge.slices import Slices
from crdt_server.judge.subject_queue import SubjectQueue
from documents.invariants import Context, Index, review_id


class Evaluation:
    """See the head of the file. Subjects go into the queue; ``open_records``: those that wait for a person."""

    def __init__(self, index: Index, subjects: SubjectQueue, open_records: Collection[str]) -> None:
        self.moot: deque[str] = deque()
        """Open records that belong to no subject."""
        self._index = index
        self._subjects = subjects
        self._open_records = open_records
        self._reading: Iterator[None] | None = index.reading  # None: the index has read all rows
        self._steps: Iterator[None] | None = None  # of the evaluation under way
        self._requested: bool | None = None  # a further one: whether its subjects need not wait

    @property
    def has_work(self) -> bool:
        """Whether something is to be evaluated, or records are moot."""
        return bool(self.moot) or self._steps is not None or self._requested is not None

    def request(self, *, settled: bool) -> None:
        """Look every subject up. ``settled``: they need not wait."""
        self._requested = self._requested or settled

    def read_again(self) -> None:
        """Read all rows once more, and look every subject up."""
        self._reading, self._steps = self._index.reload(), None
        self.request(settled=True)

    def set_context(self, context: Context) -> None:
        """Use another context: any finding may be another."""
        self._subjects.add(self._index.set_context(context), settled=False)
        self.request(settled=False)

    def follow(self, slices: Slices) -> bool:
        """Bring index and queue up to date. Returns whether they are."""
        if self._reading is not None:
            if not slices.run(self._reading):
                return False
            self._reading = None
        while self._steps is not None or self._requested is not None:
            if self._steps is None:
                self._steps, self._requested = self._evaluate(settled=bool(self._requested)), None
            if not slices.run(self._steps):
                return False
            self._steps = None
        return self._subjects.follow(slices)

    def _evaluate(self, *, settled: bool) -> Iterator[None]:
        unclaimed = dict.fromkeys(self._open_records)
        for subject in self._index.candidates():
            yield
            if subject is None:
                continue
            self._subjects.add_found(subject, settled=settled)
            if unclaimed:
                unclaimed.pop(review_id(subject), None)
        self.moot.extend(unclaimed)

"""The subjects whose finding may have changed: those that are broken now, and those to be looked up later.

- Changed fields are collected, and the index follows them in slices.
- A subject that may settle by itself is looked up again when its time has come (`due`).
- A subject whose resolution needs a document that is not open waits until `resume`.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile

from crdt_server.judge.slices import STEPS, Slices
from documents.changes import Change, Changes
from documents.invariants import Field, Finding, Index, Op, Subject, review_id

MOST_BROKEN = 256
"""Subjects that are acted on in their order; of more, these come first."""


class Haste(enum.IntEnum):
    """Whether a finding about a subject waits in case that it settles by itself."""

    WAITS = 0
    FOUND = 1  # with all others: it does not wait, except for a change that comes before it is looked up
    HURRIES = 2


class SubjectQueue:
    """See the head of the file. ``index`` follows from here."""

    def __init__(self, index: Index) -> None:
        self._index = index
        # When to look up again, seconds since 1970; the earliest first, since all that settle take as long.
        self.due: dict[Subject, float] = {}
        self._changed: dict[Field, bool] = {}  # fields that the index has not followed yet; whether they need not wait
        self._queue: dict[Subject, Haste] = {}
        self._checking: dict[Subject, Haste] = {}  # the part of the queue that `take` is about
        self._found: list[Subject] = []  # by it so far
        self._waiting: set[Subject] = set()

    def __bool__(self) -> bool:
        return bool(self._changed or self._queue or self._checking or self._found)

    def set_back(self, seconds: float) -> None:
        """The clock was set back by that much."""
        self.due = {subject: at - seconds for subject, at in self.due.items()}

    def next_due(self, default: float) -> float:
        """When the first subject is to be looked up again."""
        return next(iter(self.due.values()), default)

    def observe(self, document: str, changes: Changes, rewritten: Sequence[Change], *, settled: bool) -> None:
        """Collect changes that the rows have already; ``rewritten``: fields with another writer and the same value."""
        changed = self._changed
        for root, record, key, *_ in (*changes.fields, *rewritten) if rewritten else changes.fields:
            field = Field(document, root, record, key)
            changed[field] = settled or changed.get(field, False)
        if changes.added or changes.removed:
            for root, record in (*changes.added, *changes.removed):
                field = Field(document, root, record)
                changed[field] = settled or changed.get(field, False)

    def add(self, subjects: Iterable[Subject], *, settled: bool) -> None:
        """Subjects that a change concerns. ``settled``: they need not wait."""
        queue = self._queue
        for subject in subjects:
            if settled:
                queue[subject] = Haste.HURRIES
            elif queue.get(subject) is not Haste.HURRIES:
                queue[subject] = Haste.WAITS

    def add_found(self, subject: Subject, *, settled: bool) -> None:
        """A subject of an evaluation. ``settled``: it need not wait."""
        self._queue.setdefault(subject, Haste.FOUND if settled else Haste.WAITS)

    def touched_by(self, field: Field) -> list[Subject]:
        """The subjects that a change of a field may concern, in their order; all are looked up besides. The index must
        have followed."""
        touched = self._index.update((field,))
        self.add(touched, settled=False)
        return sorted(touched)

    def finding_after(self, record: str, ops: Iterable[Op]) -> Finding | None:
        """The finding about which a record in `review` is, where operations that were carried out have left one. The
        index must have followed."""
        touched = self._index.update(Field(*op[1:5]) for op in ops)
        subject = next((subject for subject in touched if review_id(subject) == record), None)
        return None if subject is None else self._index.find(subject)

    def wait(self, subject: Subject) -> None:
        """Look a subject up again at the next `resume`."""
        self._waiting.add(subject)

    def resume(self, now: float) -> None:
        """Queue the subjects whose time has come, and those that waited for documents which are open now."""
        waiting, self._waiting = self._waiting, set()
        ready = {subject for subject, _ in takewhile(lambda each: each[1] <= now, self.due.items())}
        if waiting or ready:
            self.add(waiting | ready, settled=True)

    def follow(self, slices: Slices) -> bool:
        """Let the index follow the collected changes. Returns whether it has followed all."""
        changed = self._changed
        while changed:
            some = [changed.popitem() for _ in range(min(STEPS, len(changed)))]
            for settled in (True, False):
                fields = [field for field, each in some if each is settled]
                if fields:
                    self.add(self._index.update(fields), settled=settled)
            if changed and slices.used_up():
                return False
        return True

    def take(self, now: float, open_records: Collection[str], slices: Slices) -> list[Subject] | None:
        """Take subjects from the queue. Returns, in their order, those to act on now: those that are broken and need
        not wait, and those that hold although their record in `review` is open, or keys of the server are outdated.
        None: the slice is used up before all are checked. The index must have followed."""
        if not self._checking:
            self._checking, self._queue = self._queue, {}
        checking, found = self._checking, self._found
        while checking and len(found) < MOST_BROKEN:
            for _ in range(min(STEPS, len(checking))):
                self._check(*checking.popitem(), now, open_records)
            if checking and slices.used_up():
                return None
        self._found = []
        return sorted(found)

    def _check(self, subject: Subject, haste: Haste, now: float, open_records: Collection[str]) -> None:
        due = self.due
        if not self._index.broken(subject):
            if due:
                due.pop(subject, None)
            if (open_records and review_id(subject) in open_records) or self._index.derived(subject):
                self._found.append(subject)
        elif haste or not subject.settle_seconds:
            due.pop(subject, None)
            self._found.append(subject)
        else:
            due.setdefault(subject, now + subject.settle_seconds)

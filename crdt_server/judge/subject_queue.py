"""The subjects whose finding may have changed: those that are broken now, and those to be looked up later.

- Changed fields are collected, and the index follows all of them at once.
- A subject that may settle by itself is looked up again when its time has come (`due`).
- A subject whose resolution needs a document that is not open waits until `resume`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from documents.changes import Change, Changes
from documents.invariants import Context, Field, Finding, Index, Op, Subject, review_id


class SubjectQueue:
    """See the head of the file. ``index`` follows from here."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self.due: dict[Subject, float] = {}  # when to look up again, seconds since 1970
        self._changed: dict[Field, bool] = {}  # fields that the index has not followed yet; whether they need not wait
        self._queue: dict[Subject, bool] = {}  # whether it need not wait
        self._waiting: set[Subject] = set()

    def __bool__(self) -> bool:
        return bool(self._changed or self._queue)

    def set_back(self, seconds: float) -> None:
        """The clock was set back by that much."""
        self.due = {subject: at - seconds for subject, at in self.due.items()}

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
        """Subjects to look up. ``settled``: they need not wait."""
        queue = self._queue
        for subject in subjects:
            queue[subject] = settled or queue.get(subject, False)

    def add_all(self) -> set[Subject]:
        """Look up every subject there is, and return them."""
        self.follow()
        subjects = self._index.subjects()
        self.add(subjects, settled=True)
        return subjects

    def set_context(self, context: Context) -> None:
        """Use another context, from the next collected changes on."""
        self.follow()
        self.add(self._index.set_context(context), settled=False)

    def finding_after(self, record: str, ops: Iterable[Op]) -> Finding | None:
        """The finding about which a record in `review` is, where operations that were carried out have left one."""
        self.follow()
        touched = self._index.update(Field(*op[1:5]) for op in ops)
        subject = next((subject for subject in touched if review_id(subject) == record), None)
        return None if subject is None else self._index.find(subject)

    def wait(self, subject: Subject) -> None:
        """Look a subject up again at the next `resume`."""
        self._waiting.add(subject)

    def resume(self, now: float) -> None:
        """Queue the subjects whose time has come, and those that waited for documents which are open now."""
        waiting, self._waiting = self._waiting, set()
        ready = {subject for subject, at in self.due.items() if at <= now}
        if waiting or ready:
            self.add(waiting | ready, settled=True)

    def follow(self) -> None:
        """Let the index follow the collected changes."""
        if not self._changed:
            return
        changed, self._changed = self._changed, {}
        for settled in (True, False):
            fields = [field for field, each in changed.items() if each is settled]
            if fields:
                self.add(self._index.update(fields), settled=settled)

    def take(self, now: float, open_records: Collection[str]) -> list[Subject]:
        """Empty the queue. Returns, in their order, the subjects to act on now: those that are broken and need not
        wait, and those that hold although their record in `review` is open, or keys of the server are outdated."""
        self.follow()
        queue, self._queue = self._queue, {}
        broken, derived, due, found = self._index.broken, self._index.derived, self.due, []
        for subject, settled in queue.items():
            if not broken(subject):
                if due:
                    due.pop(subject, None)
                if (open_records and review_id(subject) in open_records) or derived(subject):
                    found.append(subject)
            elif settled or not subject.settle_seconds:
                due.pop(subject, None)
                found.append(subject)
            else:
                due.setdefault(subject, now + subject.settle_seconds)
        return sorted(found)

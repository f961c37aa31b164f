"""The resolution of findings: by rule, or by a person; recorded in the root `review`.

- Nothing is written from here: `step` returns what is to be written, and has to be called until `has_work` is False.
- It works in slices. Only what is `urgent` must not wait for the next one: until it is done, the wedding takes no
  update, since the next write could hide the value that is judged.
- A resolution in a document that is not open here waits until it is open (`needed`).
- There is one record per subject, with the state of the conflict. A subject that holds again closes its record as
  `moot`.
- A resolution may break something else: subjects go through a queue, and a subject that had to be repaired more than
  `MOST_FIXES` times in a minute is left to people.
"""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from crdt_server.judge.evaluation import Evaluation
from crdt_server.judge.ledger import SERVER_ACTOR, instant
from crdt_server.judge.open_records import OpenRecords
from crdt_server.judge.review_limits import ReviewLimits, size_of
from crdt_server.judge.reviews import (
    close_ops,
    for_a_person,
    home_of,
    is_recorded,
    may_be_decided,
    open_ops,
    record_of,
)
from crdt_server.judge.slices import Slices
from crdt_server.judge.subject_queue import SubjectQueue
from documents.changes import Change, Changes
from documents.events import Actor
from documents.invariants import (
    NOBODY,
    UNKNOWN,
    Field,
    Finding,
    Index,
    Op,
    Subject,
    Wedding,
    Writer,
    attributed,
    chosen,
    review_id,
    with_way_back,
)

MOST_FIXES = 3
FIXES_SECONDS = 60.0


class Resolution(NamedTuple):
    """Operations to carry out, as one transaction in each document."""

    ops: Sequence[Op]
    cause: str | None
    """Id of the record in `review`, if any."""
    actor: Actor = SERVER_ACTOR
    """The user who is recorded as the writer."""
    writers: Mapping[Field, Writer] | None = None
    """Fields whose recorded writer is another user."""


Work: TypeAlias = Callable[[], list[Resolution]]


class Urgent(NamedTuple):
    """Work that must not wait for the end of a batch."""

    work: Work
    needs_index: bool = False
    """Whether the index has to have followed all changes first."""


class Repairs:
    """When each subject was repaired."""

    def __init__(self) -> None:
        self._times: dict[Subject, list[float]] = {}

    def set_back(self, seconds: float) -> None:
        """The clock was set back by that much."""
        self._times = {subject: [at - seconds for at in times] for subject, times in self._times.items()}

    def exhausted(self, subject: Subject, now: float) -> bool:
        """Count one more repair. Returns whether there have been `MOST_FIXES` already."""
        times = [at for at in self._times.get(subject, ()) if now - at < FIXES_SECONDS]
        self._times[subject] = [*times, now]
        return len(times) >= MOST_FIXES


class Resolver:
    """See the head of the file. ``index`` follows from here; ``documents``: names of those open."""

    def __init__(self, wedding: Wedding, index: Index, documents: Collection[str]) -> None:
        self._wedding = wedding
        self._index = index
        self._documents = documents
        self._now = 0.0
        self.subjects = SubjectQueue(index)
        self._limits = ReviewLimits(wedding)
        self.open_records = OpenRecords(self._limits)
        self.evaluation = Evaluation(index, self.subjects, self.open_records.documents)
        self.needed: set[str] = set()  # documents that a resolution waits for
        self.urgent: deque[Urgent] = deque()
        self._suspects: deque[Subject] = deque()
        self._repairs = Repairs()

    def set_time(self, now: float) -> None:
        """It is ``now``. A clock that was set back makes nothing wait longer."""
        back = self._now - now
        if back > 0:
            self.subjects.set_back(back)
            self._repairs.set_back(back)
        self._now = now

    # -- work

    @property
    def has_work(self) -> bool:
        """Whether `step` has anything to do."""
        if self.urgent or self.evaluation.has_work or self._suspects or self.subjects:
            return True
        return self._limits.has_work(self._documents)

    def resume(self) -> None:
        """Resume the subjects whose time has come, and those that waited for documents which are open now."""
        self.subjects.resume(self._now)
        undecided, self.open_records.undecided = self.open_records.undecided, set()
        for document, record in sorted(undecided):
            self.decide(document, record)

    def observe(
        self, document: str, changes: Changes, rewritten: Sequence[Change] = (), *, settled: bool = False
    ) -> None:
        """Changes that were recorded: see `SubjectQueue.observe`. A field that is written again is no open question
        any more."""
        self.subjects.observe(document, changes, rewritten, settled=settled)
        for record in self.open_records.observe(document, changes):
            self.urgent.append(Urgent(partial(self._close, document, record, "moot")))

    def add(self, finding: Finding, writers: Mapping[Field, Writer] | None = None) -> None:
        """A finding to resolve. ``writers``: those of what its automatic operations set."""
        self.urgent.append(Urgent(partial(self._resolve, finding, writers)))

    def decide(self, document: str, record: str) -> None:
        """The key `choice` of a record was set: carry out that option, or take back a choice there is not."""
        self.urgent.append(Urgent(partial(self._decide, document, record)))

    def step(self, slices: Slices, *, urgent: bool = False) -> list[Resolution] | None:
        """The next resolutions, to be carried out in order before the next call; None: nothing is left, or the slice
        is used up.

        ``urgent``: only what must not wait for the end of a batch.
        """
        while (self.urgent or not urgent) and not slices.used_up():
            work = self._next_work(slices)
            if work is None:
                return None
            found = work()
            if found:
                return found
        return None

    def _next_work(self, slices: Slices) -> Work | None:
        """The next work, when the index has followed all changes where that is needed."""
        if self.urgent and not self.urgent[0].needs_index:
            return self.urgent.popleft().work
        if not self.has_work or not self.evaluation.follow(slices):
            return None
        if self.urgent:
            return self.urgent.popleft().work
        if self.evaluation.moot:
            return partial(self._close_moot, self.evaluation.moot.popleft())
        if not self._suspects:
            records = ChainMap[str, Any](self.open_records.documents, self._limits.waiting)
            taken = self.subjects.take(self._now, records, slices)
            if taken is None:
                return None
            self._suspects.extend(taken)
        if self._suspects:
            return partial(self.look_up, self._suspects.popleft())
        return partial(_keep_limits, self._limits, self.subjects, self._documents, self._now)

    # -- one subject

    def look_up(self, subject: Subject) -> list[Resolution]:
        """Resolve what is wrong about a subject, if anything; close its record if it holds. The index must have
        followed."""
        ops = self._index.derived(subject)
        if ops:  # the subject comes again with what they change
            if not self._missing({op.document for op in ops}):
                return [Resolution(ops, None)]
            self.subjects.wait(subject)
        if self._limits.keeps_waiting(subject, self._index):
            return []
        finding = self._index.find(subject)
        if finding is not None:
            return self._resolve(finding, None)
        self._limits.forget(subject)
        record = review_id(subject) if self.open_records else ""
        if record not in self.open_records:
            return []
        closed = self._close_moot(record)
        if not closed:
            self.subjects.wait(subject)
        return closed

    def _resolve(self, finding: Finding, writers: Mapping[Field, Writer] | None) -> list[Resolution]:
        """The record of a finding, and the operations of its strategy."""
        subject, record = finding.subject, review_id(finding.subject)
        document = home_of(finding)
        row = record_of(self._wedding, document, record)
        is_open = row is not None and row.get("_state") == "open"
        if row is not None and is_recorded(row, finding) and not (is_open and self._limits.is_over(subject)):
            self._limits.forget(subject)
            return []
        if self._missing({document, *(op.document for op in finding.automatic or ())}):
            self.subjects.wait(subject)
            return []
        if finding.automatic and self._repairs.exhausted(subject, self._now):
            finding = for_a_person(finding)
        finding = attributed(self._wedding, with_way_back(self._wedding, finding), document)
        ops = open_ops(row, document, record, finding, instant(self._now))
        if not self._limits.admits(finding, size_of(ops), self._now):
            self._limits.leave_out(finding)
            ops = [Op("delete", document, "review", record)] if is_open else []
            automatic = () if finding.manual else finding.automatic or ()
            return [Resolution(each, None, writers=writers) for each in (ops, automatic) if each]
        self._limits.forget(subject)
        if subject.invariant == "X1" and finding.manual:
            self.open_records.enter_field(finding.parties[0].field, record)
        resolutions = [Resolution(ops, record)]
        if finding.automatic:
            resolutions.append(Resolution(finding.automatic, record, writers=writers))
        return resolutions

    def _decide(self, document: str, record: str) -> list[Resolution]:
        row = record_of(self._wedding, document, record)
        if row is None or "choice" not in row:
            return []
        writer = self._wedding.writers.get(Field(document, "review", record, "choice"), NOBODY)
        ops = chosen(row, row["choice"], writer)
        if ops is None or not may_be_decided(row, self._now):
            if self._missing({document}):
                return []
            # the earlier choice, if any, stands again
            kind = "delete" if writer.before is None or writer.before is UNKNOWN else "set"
            value = None if kind == "delete" else writer.before
            return [Resolution([Op(kind, document, "review", record, "choice", value)], record)]
        if self._missing({document, *(op.document for op in ops)}):
            self.open_records.undecided.add((document, record))
            return []
        actor = Actor(writer.user, writer.role)
        outcome = "undone" if row.get("_state") == "auto" else "option"
        self.open_records.decided(record)
        if outcome == "undone":
            self.urgent.append(Urgent(partial(_let_stand, self.subjects, document, record, ops), needs_index=True))
        return [*self._close(document, record, outcome, actor), Resolution(ops, record, actor)]

    def _close_moot(self, record: str) -> list[Resolution]:
        """Close the record of what holds again, in whatever document, unless it is about lost writes."""
        closed = []
        for document in self._wedding.documents:
            row = record_of(self._wedding, document, record)
            if row is not None and row.get("_state") == "open" and not str(row.get("_kind")).startswith("X"):
                closed += self._close(document, record, "moot")
        return closed

    def _close(self, document: str, record: str, outcome: str, actor: Actor | None = None) -> list[Resolution]:
        if self._missing({document}):
            return []
        return [Resolution(close_ops(document, record, outcome, instant(self._now), actor), record)]

    def _missing(self, documents: set[str]) -> bool:
        missing = {document for document in documents if document not in self._documents}
        self.needed |= missing
        return bool(missing)


def _keep_limits(
    limits: ReviewLimits, subjects: SubjectQueue, documents: Collection[str], now: float
) -> list[Resolution]:
    """Look up again what may be listed by now; else count what is not, and remove records that are too many."""
    if limits.again:
        subjects.add(limits.again, settled=True)
        limits.again.clear()
        return []
    ops = limits.next_ops(documents, instant(now), now)
    return [Resolution(ops, None)] if ops else []


def _let_stand(subjects: SubjectQueue, document: str, record: str, ops: Sequence[Op]) -> list[Resolution]:
    """Record the finding that a choice against a rule has left as decided about: it is no conflict while its facts are
    equal."""
    finding = subjects.finding_after(record, ops)
    if finding is None:
        return []
    return [Resolution([Op("set", document, "review", record, "_fingerprint", finding.fingerprint)], record)]


def judge_alone(resolver: Resolver, field: Field, invariant: str) -> None:
    """A field was written whose invariant is about the value that was replaced: look up its subjects first."""

    def look_up() -> list[Resolution]:
        subjects = [each for each in resolver.subjects.touched_by(field) if each.invariant == invariant]
        work = [Urgent(partial(resolver.look_up, each), needs_index=True) for each in reversed(subjects)]
        resolver.urgent.extendleft(work)
        return []

    resolver.urgent.append(Urgent(look_up, needs_index=True))

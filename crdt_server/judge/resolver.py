"""What becomes of findings: wait, resolve by rule, or put before a person; and the records of all that in `review`.

- A finding that may wait is looked at again when its time has come (`due`).
- What needs a document that is not open here waits until it is (`wanted`).
- There is one record per subject; it says how the matter stands. What holds again closes its record as `moot`.
- Whatever is written here may break something else: subjects go through a queue, and a subject that had to be repaired
  more than `MOST_FIXES` times in a minute is left to people.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from documents.changes import Changes
from documents.events import Actor
from documents.fields import same
from documents.invariants import UNKNOWN, Field, Finding, Op, Option, Subject, Writer, operations, review_row
from documents.invariants.model import short_id
from documents.invariants.part import LEAVE

if TYPE_CHECKING:
    from crdt_server.judge.wedding import WeddingJudge

MOST_FIXES = 3
FIXES_SECONDS = 60.0
UNDO_SECONDS = 24 * 3600.0
_KIND_OF = {"T": "timeline", "B": "budget", "G": "guests", "S": "seating", "C": "care", "W": "wedding", "M": "thread"}
_SERVER_KEYS_OF_DECISION = ("choice", "say", "_outcome", "_by", "_closedAt")


@lru_cache(maxsize=4096)
def review_id(subject: Subject) -> str:
    """The id of the record about a subject."""
    return short_id("c", subject.invariant, *subject.ids)


class Resolver:
    """See the head of the file. Entry points end with `run`."""

    def __init__(self, state: WeddingJudge) -> None:
        self._state = state
        self.due: dict[Subject, float] = {}  # when to look again, seconds since 1970
        self.wanted: set[str] = set()  # documents that something waits for
        self._waiting: set[Subject] = set()
        self._undecided: set[tuple[str, str]] = set()  # document and record of a choice that waits
        self._queue: deque[tuple[Subject, bool]] = deque()
        self._fixes: dict[Subject, list[float]] = {}
        self._open: set[str] = set()  # records that wait for a person
        self._open_x: dict[Field, str] = {}  # X1 that waits for a person -> its record

    def set_back(self, seconds: float) -> None:
        """The clock was set back by that much."""
        self.due = {subject: at - seconds for subject, at in self.due.items()}
        self._fixes = {subject: [at - seconds for at in those] for subject, those in self._fixes.items()}

    # -- what is to be looked at

    def queue(self, subjects: Iterable[Subject], *, settled: bool) -> None:
        """Look at these in `run`. ``settled``: they need not wait."""
        self._queue.extend((subject, settled) for subject in sorted(subjects))

    def begin(self) -> None:
        """Documents have been opened: look at everything, and close what holds again."""
        subjects = self._state.subjects()
        self.queue(subjects, settled=True)
        known = {review_id(subject): subject for subject in subjects}
        for document, roots in self._state.wedding.documents.items():
            for record, row in roots.get("review", {}).items():
                if row.get("_state") != "open":
                    continue
                self._open.add(record)
                if "choice" in row:
                    self._undecided.add((document, record))
                if row.get("_kind") == "X1":
                    self._open_x[Field(**{"key": None, **row["_subject"][0]})] = record
                if record not in known and not str(row.get("_kind")).startswith("X"):
                    self._close(document, record, "moot")
        self.resume()

    def resume(self) -> None:
        """Take up what has waited for its time, or for documents that are open now."""
        waiting, self._waiting = self._waiting, set()
        ready = {subject for subject, at in self.due.items() if at <= self._state.now}
        self.queue(waiting | ready, settled=True)
        undecided, self._undecided = self._undecided, set()
        for document, record in sorted(undecided):
            self.decide(document, record)
        self.run()

    def run(self) -> None:
        """Until nothing is left to look at."""
        if self._queue:
            self._state.tell_time()
        while self._queue:
            self._look(*self._queue.popleft())

    def hear(self, document: str, changes: Changes) -> None:
        """A field that somebody has written again is no open question any more."""
        for change in changes.fields:
            if change.root == "review" and change.key == "_state":
                (self._open.add if change.after == "open" else self._open.discard)(change.record)
            record = self._open_x.pop(Field(document, *change[:3]), None) if self._open_x else None
            if record is not None:
                self._close(document, record, "moot")

    def _look(self, subject: Subject, settled: bool) -> None:
        settle_seconds = 0 if settled else subject.settle_seconds
        if settle_seconds and self._state.broken(subject):
            self.due.setdefault(subject, self._state.now + settle_seconds)
            return
        self.due.pop(subject, None)
        finding = None if settle_seconds else self._state.find(subject)
        if finding is None:
            self._close_moot(subject)
        else:
            self.enforce(finding)

    # -- what is done about it

    def enforce(self, finding: Finding, writers: Mapping[Field, Writer] | None = None) -> None:
        """Carry out what the strategy says, and write it down. ``writers``: see `WeddingJudge.write`."""
        subject, record = finding.subject, review_id(finding.subject)
        document = self._home(finding)
        row = self._row(document, record)
        if row is not None and _is_known(row, finding):
            return
        if self._missing({document, *(op.document for op in finding.automatic or ())}):
            self._waiting.add(subject)
            return
        if finding.automatic and self._exhausted(subject):
            finding = _asked(finding)
        automatic, manual = finding.automatic, finding.manual
        self._write_down(document, record, finding, "open" if manual else "auto")
        if subject.invariant == "X1" and manual:
            self._open_x[finding.parties[0].field] = record
        if automatic:
            self._state.write(automatic, cause=record, writers=writers)

    def decide(self, document: str, record: str) -> None:
        """Somebody has set `choice`: do what the option says. What cannot be chosen is taken back."""
        row = self._row(document, record)
        if row is None or "choice" not in row:
            return
        ops = operations(row, row["choice"])
        if ops is None or not self._may_be_decided(row):
            if not self._missing({document}):
                self._take_back(document, record)
            return
        if self._missing({document, *(op.document for op in ops)}):
            self._undecided.add((document, record))
            return
        writer = self._state.writers.get(Field(document, "review", record, "choice"))
        actor = Actor(writer.user, writer.role)
        outcome = "undone" if row.get("_state") == "auto" else "option"
        self._open_x = {field: each for field, each in self._open_x.items() if each != record}
        self._close(document, record, outcome, actor)
        self._state.write(ops, actor, cause=record)

    def _take_back(self, document: str, record: str) -> None:
        """What was chosen before, if anything, stands again."""
        before = self._state.writers.get(Field(document, "review", record, "choice")).before
        kind = "delete" if before is None or before is UNKNOWN else "set"
        op = Op(kind, document, "review", record, "choice", None if kind == "delete" else before)
        self._state.write([op], cause=record)

    def _may_be_decided(self, row: Mapping[str, Any]) -> bool:
        if row.get("_state") == "open":
            return True
        found_at = datetime.fromisoformat(row.get("_at", "1970-01-01T00:00:00Z")).timestamp()
        return row.get("_state") == "auto" and self._state.now - found_at <= UNDO_SECONDS

    def _exhausted(self, subject: Subject) -> bool:
        now = self._state.now
        fixes = [at for at in self._fixes.get(subject, ()) if now - at < FIXES_SECONDS]
        self._fixes[subject] = [*fixes, now]
        return len(fixes) >= MOST_FIXES

    # -- the records

    def _home(self, finding: Finding) -> str:
        """The document whose `review` has the record: that of the field, or of what the invariant is about."""
        first = finding.parties[0].field.document if finding.parties else ""
        kind = _KIND_OF.get(finding.invariant[0])
        documents = (party.field.document for party in finding.parties)
        return next((each for each in documents if each.partition(".")[0] == kind), kind or first)

    def _row(self, document: str, record: str) -> dict[str, Any] | None:
        row = self._state.wedding.rows(document, "review").get(record)
        return row if type(row) is dict else None

    def _write_down(self, document: str, record: str, finding: Finding, state: str) -> None:
        new = review_row(finding, self._state.at, state=state) | {"_fingerprint": finding.fingerprint}
        old = self._row(document, record)
        if old is None:
            self._state.write([Op("insert", document, "review", record, None, new)], cause=record)
            return
        ops = [Op("set", document, "review", record, k, v) for k, v in new.items() if not same(old.get(k), v)]
        ops += [Op("delete", document, "review", record, key) for key in _SERVER_KEYS_OF_DECISION if key in old]
        self._state.write(ops, cause=record)

    def _close_moot(self, subject: Subject) -> None:
        if not self._open or (record := review_id(subject)) not in self._open:
            return
        for document in self._state.wedding.documents:
            row = self._row(document, record)
            if row is not None and row.get("_state") == "open" and not self._close(document, record, "moot"):
                self._waiting.add(subject)

    def _close(self, document: str, record: str, outcome: str, actor: Actor | None = None) -> bool:
        if self._missing({document}):
            return False
        values = {"_state": "resolved", "_outcome": outcome, "_closedAt": self._state.at}
        if actor is not None and actor.user:
            values["_by"] = actor.user
        self._state.write([Op("set", document, "review", record, k, v) for k, v in values.items()], cause=record)
        return True

    def _missing(self, documents: set[str]) -> bool:
        missing = {document for document in documents if document not in self._state.open}
        self.wanted |= missing
        return bool(missing)


def _asked(finding: Finding) -> Finding:
    """The same for a person to decide: what would have been done by itself is an option, leaving it is another."""
    options = finding.options or (Option(0, "Repair it once more.", finding.automatic or ()),)
    if all(option.ops for option in options):
        options = (*options, Option(len(options), LEAVE, ()))
    return replace(finding, options=options, automatic=None)


def _is_known(row: Mapping[str, Any], finding: Finding) -> bool:
    """Whether the record says already all there is to say and do about a finding."""
    if row.get("_fingerprint") != finding.fingerprint:
        return False
    if row.get("_state") == "resolved":
        return not finding.invariant.startswith("X")  # it has happened once more
    return row.get("_state") == "open" or not finding.automatic

"""One wedding inside a host: the rows of all its documents, their writers, and where its invariants do not hold.

This is the one orchestrator: a document returns what it applied, the ledger records it, concurrent writes are detected,
and the resolver is stepped until nothing is left, or its slice is used up. Invariants are looked up once per batch; a
write that an invariant judges by the value it replaced (`documents.invariants.guards`) is resolved before the next
update is applied. Findings left when all documents are closed are found again when one is opened.

The documents that are open here bring their rows themselves; those of the others come from the store with the first
one that is opened, and stay valid: all documents of a wedding are in one host, which alone changes them.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf

import orjson

from crdt_server.judge.applied import Applied, Judgement
from crdt_server.judge.arrivals import THREAD, Arrivals, forgetting, without_before
from crdt_server.judge.bookings import Bookings
from crdt_server.judge.concurrency import confirmed, detect
from crdt_server.judge.context import concerns_context, context_of
from crdt_server.judge.derived import OpenDerived
from crdt_server.judge.derived_document import ProjectedDocument
from crdt_server.judge.derived_edits import carried
from crdt_server.judge.ledger import SERVER_ACTOR, Ledger, Writers, instant
from crdt_server.judge.opening import opened
from crdt_server.judge.resolver import Resolver, judge_alone
from crdt_server.judge.schema_document import SchemaDocument, Signed
from crdt_server.judge.slices import Slices, Unlimited
from crdt_server.judge.writes import Marker, Write
from crdt_server.pipe import Status
from crdt_server.progress_mark import ProgressMark
from crdt_server.protocol.update import Update
from crdt_server.records import BatchRecords, BookingChange, MirrorRow, OtherBooking
from documents.changes import Change, Changes
from documents.events import Actor
from documents.invariants import Field, Index, Op, Wedding, Writer, judged_alone


class WeddingJudge:
    """One wedding. ``mirror``: its rows as the store has them; ``bookings`` and ``others``: see `Bookings`.

    ``more``: further rows come with `add_rows`, and until then no document can be opened. ``slices``: of what is no
    update's own work. ``rules``: resolve what merged edits break.
    """

    bookings: Bookings
    index: Index
    resolver: Resolver

    def __init__(
        self,
        name: str,
        mirror: Sequence[MirrorRow],
        bookings: Sequence[BookingChange] = (),
        others: Sequence[OtherBooking] = (),
        *,
        more: bool = False,
        slices: Slices | None = None,
        rules: bool = True,
    ) -> None:
        self.name = name
        self.now = 0.0
        self.at = ""
        self.open: dict[str, SchemaDocument] = {}
        self.on_resolve: Callable[[], None] = lambda: None
        """Called before work that no update answers for."""
        this = weakref.proxy(self)  # else each would keep the other in memory until a collection
        self.derived = OpenDerived(lambda: this.on_resolve())
        self.answered: dict[str, None] = {}  # keys of the newest commands
        self._arrivals = Arrivals()
        self._writers = Writers()
        self.wedding = Wedding({}, self._writers)  # type: ignore[arg-type]
        self._slices = slices or Unlimited()
        self._opening: dict[SchemaDocument, Iterator[None]] = {}
        self._written: set[str] = set()  # documents with updates of the server that were not taken yet
        self._stored_bookings = bookings, others
        self.complete = False
        self._rules = rules
        self.add_rows(mirror, more=more)

    def add_rows(self, mirror: Sequence[MirrorRow], *, more: bool) -> None:
        """Take rows of the store. ``more``: these are not the last."""
        documents = self.wedding.documents
        for document, root, record, fields, of_row in mirror:
            if fields is not None:
                documents.setdefault(document, {}).setdefault(root, {})[record] = orjson.loads(fields)
            self._writers.unpack((document, root, record), of_row)
        if more:
            return
        self.ledger = Ledger(self.wedding, self._writers)
        self.wedding.context = context_of(self.wedding, self.at)
        self.bookings = Bookings(self.name, self.wedding, *self._stored_bookings)
        self.index = Index(self.wedding, self.bookings, read=False)
        self.resolver = Resolver(self.wedding, self.index, self.open.keys())
        self.complete = True

    # -- time

    def set_time(self, now: float) -> None:
        """It is ``now``, in seconds since 1970. A clock that was set back makes nothing wait longer."""
        if now < self.now:
            self.ledger.texts.set_back(self.now - now)
        self.resolver.set_time(now)
        self.now, self.at = now, instant(now)

    def run_scheduled(self) -> None:
        """Do the work that is due now."""
        self.resolver.resume()
        self.resolve()
        self.ledger.finish_texts(self.now, self.at, self.open)

    def next_due(self) -> float | None:
        """In how many seconds `run_scheduled` has something to do; None: nothing waits."""
        due = min(self.ledger.texts.next_due(self.open), self.resolver.subjects.next_due(inf))
        return None if due == inf else max(0.0, due - self.now)

    # -- documents

    def build_doc(self, document: SchemaDocument) -> bool:
        """Build a document from its stored bytes and open it, in slices. Returns whether it is open."""
        if document.is_open:
            return True
        if not self.complete:
            return False
        self._slices.begin(document)
        try:
            if not document.build(self._slices):
                return False
            if document not in self._opening:
                self._opening[document] = opened(self, document)
            if not self._slices.run(self._opening[document]):
                return False
            del self._opening[document]
        finally:
            self._slices.end()
        self.resolve()
        return True

    def detach(self, document: SchemaDocument) -> None:
        """A document is closed; its rows stay known."""
        self._opening.pop(document, None)
        self._arrivals.forget(document.name)
        if isinstance(document, ProjectedDocument):
            self.derived.close(document)
        if self.open.get(document.name) is document:
            del self.open[document.name]

    def replace_bookings(self, organization: str, others: Sequence[OtherBooking]) -> None:
        """These bookings of other weddings with an organization overlap those of this one, and no others."""
        self.resolver.subjects.add(self.bookings.replace_others(organization, others), settled=True)
        self.resolve()

    def documents_with_news(self) -> list[SchemaDocument]:
        """The open documents that have something to be taken, in the order in which they were opened."""
        named = self.ledger.documents() | self._written
        self._written = set()
        derived: list[SchemaDocument] = [*self.derived.with_news()]
        if not named:
            return derived
        pending = self.ledger.documents()
        open_ones = [(name, document) for name, document in self.open.items() if name in named]
        return [document for name, document in open_ones if name in pending or document.pieces.has_news] + derived

    def take_records(self, document: SchemaDocument) -> BatchRecords | None:
        """The records to store with the updates of a document that is open, or about to be; None: there are none."""
        if isinstance(document, ProjectedDocument):
            return document.take_records()
        roots = self.wedding.documents.get(document.name) if self.complete else None
        return None if roots is None else self.ledger.take(document.name, roots, self.at)

    # -- updates of clients

    def receive(
        self,
        document: SchemaDocument,
        updates: Sequence[tuple[bytes, Update | None]],
        signed: Sequence[Signed],
        mark: Callable[[int], None],
        *,
        waiting: bool = False,
    ) -> list[Judgement]:
        """Judge and apply updates of clients in order; see `SchemaDocument.judge`. They have to come again while the
        document is not open yet, or something urgent is not resolved."""
        if document.needs_doc(updates):
            mark(ProgressMark.LOADING)
            if not self.build_doc(document):
                return _later(range(len(updates)))
        self.resolve(urgent=True)
        if self.resolver.urgent or not self.derived.takes_edits(document, self.resolver.needed):
            return _later(range(len(updates)))
        judgements = []
        for judgement in document.judge(updates, signed, mark, at=self.at, waiting=waiting):
            judgements.append(judgement)
            if judgement.applied is not None:
                self._accept(document, judgement.applied)
                if self.resolver.urgent:
                    break
        if len(judgements) < len(updates):
            mark(ProgressMark.MERGING)
            document.flush()
            judgements += _later(range(len(judgements), len(updates)))
        self.resolve()
        return judgements

    def _accept(self, document: SchemaDocument, applied: Applied) -> None:
        """Record an update, and resolve the part that must not wait for the end of the batch."""
        actor, changes, writes, unseen, owners = applied
        if isinstance(document, ProjectedDocument):
            document.claim(owners)
            for edit in carried(document, applied):
                self._accept(self.open[edit.document], edit.applied(actor, self.open[edit.document].write(edit.ops)))
            document.refresh()  # before the next update is judged: what its author has seen follows from what is here
            return
        writer = self.ledger.writer_of(actor, self.now, self.at)
        ordinary = all(write.seen and write.wins and not write.orphan for write in writes)
        found = detect(self.wedding, document, writer, applied)
        again = {} if ordinary else confirmed(self.wedding, document, writes)
        rewritten = _rewritten(changes, writes)
        rewritten += [
            Change(*field[1:], value, value)
            for field, value in again.items()
            if writer.rank >= self.wedding.writer(*field).rank  # confirming a higher rank does not take its place
        ]
        if owners:
            self.ledger.pending(document.name).owners += owners
        self._record(document, changes, writer, rewritten=rewritten, settled=unseen is not None)
        if not ordinary:
            ops = [Op("set", *field, value) for field, value in again.items()]
            self.write([*document.outdone(actor, writes), *ops], actor)
        for finding, writers in found:
            self.resolver.add(finding, writers)
        for change in changes.fields:
            if change.root == "review" and change.key == "choice" and change.after is not None:
                self.resolver.decide(document.name, change.record)
            invariant = judged_alone(self.wedding, document.name, change)
            if invariant is not None:
                judge_alone(self.resolver, Field(document.name, *change[:3]), invariant)
        self.resolve(urgent=True)

    # -- recording and resolving

    def write(
        self,
        ops: Iterable[Op],
        actor: Actor = SERVER_ACTOR,
        *,
        cause: str | None = None,
        writers: Mapping[Field, Writer] | None = None,
        forgets: bool = False,
    ) -> None:
        """Write into open documents, without resolving. ``writers``: fields whose recorded writer is another;
        ``forgets``: nothing is recorded of what was there before."""
        by_document: dict[str, list[Op]] = {}
        for op in ops:
            by_document.setdefault(op.document, []).append(op)
        for name, those in by_document.items():
            document = self.open[name]
            self._written.add(name)
            written = document.write(those)
            changes = forgetting(written) if forgets else written
            writer = self.ledger.writer_of(actor, self.now, self.at)
            self._record(document, changes, writer, cause=cause, writers=writers)

    def resolve(self, *, urgent: bool = False) -> None:
        """Resolve until nothing is left, or the slice is used up. ``urgent``: only the part that must not wait for the
        end of a batch."""
        if not self._rules:
            self.resolver = Resolver(self.wedding, self.index, self.open.keys())
        resolver = self.resolver
        if resolver.urgent if urgent else resolver.has_work:
            self.on_resolve()
            if self.wedding.context.now != self.at:
                self.wedding.context = self.wedding.context.at(self.at)
            self._slices.begin(self)
            try:
                while (resolutions := resolver.step(self._slices, urgent=urgent)) is not None:
                    for ops, cause, actor, writers in resolutions:
                        self.write(ops, actor, cause=cause, writers=writers)
            finally:
                self._slices.end()
        bookings = self.bookings.take_changes() if "wedding" in self.open else ()
        if bookings:
            self.ledger.pending("wedding").bookings += bookings

    def _record(
        self,
        document: SchemaDocument,
        changes: Changes,
        writer: Writer,
        *,
        cause: str | None = None,
        writers: Mapping[Field, Writer] | None = None,
        rewritten: Sequence[Change] = (),
        settled: bool = False,
    ) -> None:
        """Record accepted changes, for the store and for the index. ``settled``: findings need not wait.

        The others: see `Ledger.record`.
        """
        if not (changes.fields or changes.added or changes.removed or rewritten):
            return
        name = document.name
        self.ledger.record(
            name, document.kind, changes, writer, now=self.now, cause=cause, writers=writers, rewritten=rewritten
        )
        if concerns_context(name, changes):
            self.on_resolve()
            self.resolver.evaluation.set_context(context_of(self.wedding, self.at))
        self.resolver.observe(name, changes, rewritten, settled=settled)
        self.derived.observe(name, changes)
        if document.kind.name == THREAD and changes.added:
            stamps, emptied = self._arrivals.ops(name, document.rows.roots, changes, self.at)
            self.write(stamps)
            self.write(emptied, writers=without_before(self._writers, emptied), forgets=True)


def _later(numbers: Iterable[int]) -> list[Judgement]:
    return [Judgement(number, Status.LATER, None, None) for number in numbers]


def _rewritten(changes: Changes, writes: Sequence[Write]) -> list[Change]:
    """Writes of the value that was there already: their writer is another."""
    if len(writes) == 1 and len(changes.fields) == 1 and writes[0][:3] == changes.fields[0][:3]:  # nearly always
        return []
    changed = {change[:3] for change in changes.fields}
    return [
        Change(write.root, write.record, write.key, write.value, write.value)
        for write in writes
        if write.wins
        and not write.orphan
        and type(write.value) is not Marker
        and (write.root, write.record, write.key) not in changed
    ]

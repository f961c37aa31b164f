"""One wedding inside a host: the rows of all its documents, their writers, and where its invariants do not hold.

This is the one orchestrator: a document returns what it applied, the ledger records it, concurrent writes are detected,
and the resolver is stepped until nothing is left. Invariants are looked up once per batch; a write that an invariant
judges by the value it replaced (`documents.invariants.guards`) is resolved before the next update is applied.

The documents that are open here bring their rows themselves; those of the others come from the store with the first
one that is opened, and stay valid: all documents of a wedding are in one host, which alone changes them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any

import orjson

from crdt_server.judge.applied import Applied, Judgement
from crdt_server.judge.bookings import Bookings
from crdt_server.judge.concurrency import confirmed, detect
from crdt_server.judge.context import concerns_context, context_of
from crdt_server.judge.ledger import SERVER_ACTOR, Ledger, Writers, instant
from crdt_server.judge.resolver import Resolver
from crdt_server.judge.schema_document import SchemaDocument, Signed
from crdt_server.judge.writes import Marker, Write
from crdt_server.pipe import MirrorRow, OtherBooking, ProgressMark
from crdt_server.protocol.update import Update
from crdt_server.records import BatchRecords, BookingChange
from documents.changes import Change, Changes, RowsByRoot, compare
from documents.events import Actor
from documents.fields import same
from documents.invariants import Field, Index, Op, Wedding, Writer, is_judged_alone
from documents.kind import Kind


class WeddingJudge:
    """One wedding. ``mirror``: its rows as the store has them; ``bookings`` and ``others``: see `Bookings`."""

    def __init__(
        self,
        name: str,
        mirror: Sequence[MirrorRow],
        bookings: Sequence[BookingChange] = (),
        others: Sequence[OtherBooking] = (),
    ) -> None:
        self.name = name
        self.now = 0.0
        self.at = ""
        self.open: dict[str, SchemaDocument] = {}
        writers = Writers()
        self.wedding = Wedding(_rows_of(mirror, writers), writers)  # type: ignore[arg-type]
        self.ledger = Ledger(self.wedding, writers)
        self.wedding.context = context_of(self.wedding, self.at)
        self.bookings = Bookings(name, self.wedding, bookings, others)
        self.index = Index(self.wedding, self.bookings)
        self.resolver = Resolver(self.wedding, self.index, self.open.keys())
        self.answered: dict[str, None] = {}  # keys of the newest commands
        self._written: set[str] = set()  # documents with updates of the server that were not taken yet

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
        due = min(self.ledger.texts.next_due(self.open), min(self.resolver.subjects.due.values(), default=inf))
        return None if due == inf else max(0.0, due - self.now)

    # -- documents

    def build_doc(self, document: SchemaDocument, budget: int = sys.maxsize) -> None:
        """Build a document from its stored bytes; see `Document.build`."""
        if not document.is_built:
            document.build(budget)
        if document.is_built and self.open.get(document.name) is not document:
            self._attach(document)

    def detach(self, document: SchemaDocument) -> None:
        """A document is closed; its rows stay known."""
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
        if not named:
            return []
        pending = self.ledger.documents()
        open_ones = [(name, document) for name, document in self.open.items() if name in named]
        return [document for name, document in open_ones if name in pending or document.pieces.has_news]

    def take_records(self, document: SchemaDocument) -> BatchRecords | None:
        """The records to store with the updates of an open document; None: there are none."""
        return self.ledger.take(document.name, document.rows.roots, self.at)

    def _attach(self, document: SchemaDocument) -> None:
        """A document is open now: its rows are those of the document, whatever the store has."""
        name = document.name
        known = self.wedding.documents.get(name, {})
        self.open[name] = document
        missed = _difference(document.kind, known, document.rows.roots)
        self.wedding.documents[name] = document.rows.roots
        self.ledger.resume_texts(name, document.kind, document.rows.roots, self.now)
        if missed.fields:
            writer = self.ledger.writer_of(SERVER_ACTOR, self.now, self.at)
            self.ledger.record(name, document.kind, missed, writer, now=self.now, cause="import")
            self.resolver.observe(name, missed)
            self.wedding.context = context_of(self.wedding, self.at)
            self.index.reload()
        if missed.fields or len(self.open) == 1:
            self.resolver.begin()
        else:
            self.resolver.resume()
        self.resolve()

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
        """Judge and apply updates of clients in order; see `SchemaDocument.judge`."""
        if document.needs_doc(updates):
            mark(ProgressMark.LOADING)
            self.build_doc(document)
        judgements = []
        for judgement in document.judge(updates, signed, mark, at=self.at, waiting=waiting):
            judgements.append(judgement)
            if judgement.applied is not None:
                self._accept(document, judgement.applied)
        self.resolve()
        return judgements

    def _accept(self, document: SchemaDocument, applied: Applied) -> None:
        """Record an update, and resolve the part that must not wait for the end of the batch."""
        actor, changes, writes, client_state_vector, owners = applied
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
        self._record(document, changes, writer, rewritten=rewritten, settled=client_state_vector is not None)
        if not ordinary:
            ops = [Op("set", *field, value) for field, value in again.items()]
            self.write([*document.outdone(writes), *ops], actor)
        for finding, writers in found:
            self.resolver.add(finding, writers)
        alone = False
        for change in changes.fields:
            if change.root == "review" and change.key == "choice" and change.after is not None:
                self.resolver.decide(document.name, change.record)
            alone = alone or is_judged_alone(self.wedding, document.name, change)
        if alone:
            self.resolve()
        elif self.resolver.urgent:
            self.resolve(urgent=True)

    # -- recording and resolving

    def write(
        self,
        ops: Iterable[Op],
        actor: Actor = SERVER_ACTOR,
        *,
        cause: str | None = None,
        writers: Mapping[Field, Writer] | None = None,
    ) -> None:
        """Write into open documents, without resolving. ``writers``: fields whose recorded writer is another."""
        by_document: dict[str, list[Op]] = {}
        for op in ops:
            by_document.setdefault(op.document, []).append(op)
        for name, those in by_document.items():
            document = self.open[name]
            self._written.add(name)
            changes = document.write(those)
            writer = self.ledger.writer_of(actor, self.now, self.at)
            self._record(document, changes, writer, cause=cause, writers=writers)

    def resolve(self, *, urgent: bool = False) -> None:
        """Resolve until nothing is left. ``urgent``: only the part that must not wait for the end of a batch."""
        if self.resolver.has_work and self.wedding.context.now != self.at:
            self.wedding.context = self.wedding.context.at(self.at)
        while (resolutions := self.resolver.step(urgent=urgent)) is not None:
            for ops, cause, actor, writers in resolutions:
                self.write(ops, actor, cause=cause, writers=writers)
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
            self.resolver.subjects.set_context(context_of(self.wedding, self.at))
        self.resolver.observe(name, changes, rewritten, settled=settled)


def _rows_of(mirror: Sequence[MirrorRow], writers: Writers) -> dict[str, RowsByRoot]:
    """The rows of each document; their writers go into `writers`."""
    documents: dict[str, RowsByRoot] = {}
    for document, root, record, fields, of_row in mirror:
        if fields is not None:
            documents.setdefault(document, {}).setdefault(root, {})[record] = orjson.loads(fields)
        writers.unpack((document, root, record), of_row)
    return documents


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


def _difference(kind: Kind, old: Mapping[str, Mapping[str, Any]], new: RowsByRoot) -> Changes:
    """The changes from the rows of the store to those of the document."""
    changes = Changes([], [], [])
    for root, rows in new.items():
        before = old.get(root, {})
        for record in sorted(rows.keys() | before.keys()):
            if not same(before.get(record), rows.get(record)):
                compare(kind.roots[root], record, before.get(record), rows.get(record), changes)
    return changes

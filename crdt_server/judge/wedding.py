"""One wedding inside a host: the rows of all its documents, who wrote them, and where its invariants do not hold.

The documents that are open here bring their rows themselves; those of the others come from the store with the first
one that is opened, and stay true because nobody else changes them: all documents of a wedding are in one host.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import Any

import orjson

from crdt_server.judge.applied import Applied, Judgement
from crdt_server.judge.bookings import BookingIndex
from crdt_server.judge.concurrency import concurrent, confirmed
from crdt_server.judge.context import context_of
from crdt_server.judge.ledger import RecordBuffer, Writers, instant
from crdt_server.judge.resolver import Resolver
from crdt_server.judge.schema_document import SchemaDocument, Signed
from crdt_server.judge.writes import Write, standing
from crdt_server.pipe import ProgressMark
from crdt_server.protocol.update import Update
from documents.changes import Change, Changes, RowsByRoot, compare
from documents.events import Actor, events_of
from documents.fields import same
from documents.invariants import (
    UNKNOWN,
    Field,
    Finding,
    Index,
    Op,
    Subject,
    Wedding,
    Writer,
    rank_of,
)
from documents.invariants.model import SERVER
from documents.invariants.model import Change as WeddingChange
from documents.kind import Kind, Shape

TEXT_SECONDS = 30.0  # edits of one text by one person within this are one event
SERVER_ACTOR = Actor(SERVER, SERVER)


class WeddingJudge:
    """``mirror``: rows of the store, each ``[document, root, record, fields, writers]`` with the last two as JSON.

    ``bookings`` and ``others``: see `BookingIndex`.
    """

    def __init__(
        self,
        name: str,
        mirror: Sequence[Sequence[Any]],
        bookings: Sequence[Sequence[Any]] = (),
        others: Sequence[Sequence[Any]] = (),
    ) -> None:
        self.name = name
        self.now = 0.0
        self.at = ""
        self.open: dict[str, SchemaDocument] = {}
        self._facts: dict[str, RecordBuffer] = {}
        self._changed: set[str] = set()  # names of documents with facts or writes of the server, not asked for yet
        self.writers = Writers()
        self.wedding = Wedding({}, self.writers)  # type: ignore[arg-type]
        for document, root, record, fields, writers in mirror:
            if fields is not None:
                rows = self.wedding.documents.setdefault(document, {}).setdefault(root, {})
                rows[record] = orjson.loads(fields)
            self.writers.unpack((document, root, record), writers)
        self.arrivals = self.writers.newest()  # whatever clock they were told by
        self.index: Index
        self.resolver = Resolver(self)
        self.answered: dict[str, None] = {}  # keys of the newest commands
        # Text -> since when, whose edits, what it was; the oldest first.
        self.untold: dict[Field, tuple[float, Actor, Any]] = {}
        self._read_context()
        self.bookings = BookingIndex(name, self.wedding, bookings, others)

    # -- time

    def tick(self, now: float) -> None:
        """It is ``now``, in seconds since 1970. A clock that was set back makes nothing wait longer."""
        back = self.now - now
        if back > 0:
            self.resolver.set_back(back)
            texts = self.untold.items()
            self.untold = {field: (since - back, actor, before) for field, (since, actor, before) in texts}
        self.now, self.at = now, instant(now)

    def tell_time(self) -> None:
        """The invariants are to know what time it is."""
        self.wedding.context = self.wedding.context.at(self.at)

    def tend(self) -> None:
        """Do what was to wait until now."""
        self.resolver.resume()
        for field, (since, _, _) in list(self.untold.items()):
            if self.now - since >= TEXT_SECONDS and field.document in self.open:
                self._tell_text(field)

    def next_due(self) -> float | None:
        """In how many seconds `tend` has something to do; None: nothing waits."""
        texts = (since + TEXT_SECONDS for field, (since, _, _) in self.untold.items() if field.document in self.open)
        due = min(next(texts, inf), min(self.resolver.due.values(), default=inf))
        return None if due == inf else max(0.0, due - self.now)

    # -- documents

    def warm_up(self, document: SchemaDocument, budget: int = sys.maxsize) -> None:
        """Build a document from its stored bytes; see `Document.warm_up`."""
        if not document.warm:
            document.warm_up(budget)
        if document.warm and self.open.get(document.name) is not document:
            self.attach(document)

    def attach(self, document: SchemaDocument) -> None:
        """A document is open now: its rows are those of the document, whatever the store has."""
        name = document.name
        known = self.wedding.documents.get(name, {})
        self.open[name] = document
        missed = _difference(document.kind, known, document.rows.roots)
        self.wedding.documents[name] = document.rows.roots
        self._resume_texts(document)
        if name == "wedding":
            self.facts_of(name).bookings += self.bookings.take_news()
        if missed.fields:
            self._read_context()
            self.note(document, missed, self.writer_of(SERVER_ACTOR), cause="import")
        if missed.fields or len(self.open) == 1:
            self.resolver.begin()
        else:
            self.resolver.resume()

    def detach(self, document: SchemaDocument) -> None:
        """A document is closed; what it held stays known."""
        if self.open.get(document.name) is document:
            del self.open[document.name]

    def facts_of(self, name: str) -> RecordBuffer:
        """For who adds to them."""
        self._changed.add(name)
        return self._facts.setdefault(name, RecordBuffer())

    def has_news(self, document: SchemaDocument) -> bool:
        """Whether anything of a document waits to be taken."""
        return document.has_news or bool(self._facts.get(document.name))

    def take_facts(self, document: SchemaDocument) -> list[Any] | None:
        """What is stored with the updates of a document that is open; None: nothing."""
        facts = self._facts.get(document.name)
        return None if facts is None else facts.take(document.name, document.rows.roots, self.writers, self.at)

    def take_changed(self) -> list[SchemaDocument]:
        """The documents that may have something to be taken, in the order in which they were opened."""
        changed, self._changed = self._changed, set()
        return [document for name, document in self.open.items() if name in changed]

    def hear_bookings(self, organization: str, others: Sequence[Sequence[Any]]) -> None:
        """These bookings of other weddings with an organization overlap those of this one, and no others."""
        self.resolver.queue(self.bookings.learn(organization, others), settled=True)
        self.resolver.run()

    def find(self, subject: Subject) -> Finding | None:
        """What is wrong with a subject, None where the invariant holds."""
        return self.bookings.find(subject) if subject.invariant == "W2" else self.index.find(subject)

    def broken(self, subject: Subject) -> bool:
        """Whether `find` would find something; costs less."""
        return self.find(subject) is not None if subject.invariant == "W2" else self.index.broken(subject)

    def subjects(self) -> set[Subject]:
        """Every subject that may have a finding."""
        return self.index.subjects() | self.bookings.subjects()

    def _read_context(self) -> None:
        """A new index over what is at hand, with the context that follows from it."""
        self.wedding.context = context_of(self.wedding, self.at)
        self.index = Index(self.wedding)

    # -- what happens

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
            self.warm_up(document)
        verdicts = []
        for verdict in document.judge(updates, signed, mark, waiting=waiting):
            if verdict.applied is not None:
                self._record(document, verdict.applied)
            verdicts.append(verdict)
        self.resolver.run()
        return verdicts

    def _record(self, document: SchemaDocument, applied: Applied) -> None:
        actor, changes, writes, knows, owners = applied
        writer = self.writer_of(actor)
        found = concurrent(self, document, writer, changes, writes, knows)
        again = confirmed(self, document, writes)
        rewritten = _rewritten(changes, writes) + self._confirmations(again, writer)
        if owners:
            self.facts_of(document.name).owners += owners
        self.note(document, changes, writer, rewritten=rewritten, settled=knows is not None)
        self.write(document.outdone(writes) + [Op("set", *field, value) for field, value in again.items()], actor)
        for finding, writers in found:
            self.resolver.enforce(finding, writers)
        for change in changes.fields:
            if change.root == "review" and change.key == "choice" and change.after is not None:
                self.resolver.decide(document.name, change.record)
        self.resolver.run()

    def _confirmations(self, again: Mapping[Field, Any], writer: Writer) -> list[Change]:
        """Who says the same as a higher rank does not take its place."""
        return [
            Change(*field[1:], value, value)
            for field, value in again.items()
            if writer.rank >= self.writers.get(field).rank
        ]

    def write(
        self,
        ops: Iterable[Op],
        actor: Actor = SERVER_ACTOR,
        *,
        cause: str | None = None,
        writers: Mapping[Field, Writer] | None = None,
    ) -> None:
        """Write into documents that are open. ``writers``: who is to count as the writer of a field."""
        by_document: dict[str, list[Op]] = {}
        for op in ops:
            by_document.setdefault(op.document, []).append(op)
        for name, those in by_document.items():
            document = self.open[name]
            self._changed.add(name)
            changes = document.write(those)
            self.note(document, changes, self.writer_of(actor), cause=cause, writers=writers)

    def note(
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
        """Take down accepted changes: writers, rows for the mirror, events, and what they may have broken.

        ``writer``: as `writer_of` gives it now; ``writers``: who else counts as the writer of a field; ``rewritten``:
        fields that were written with the value they had; ``settled``: whether what they have broken need not wait.
        """
        if not (changes.fields or changes.added or changes.removed or rewritten):
            return
        self.arrivals = writer.seq
        name, kind, facts = document.name, document.kind, self.facts_of(document.name)
        texts, others = _texts(kind, changes)
        for change in (*changes.fields, *rewritten):
            root, record, key, before, _ = change
            facts.rows.add((root, record))
            if kind.roots[root].server and key not in kind.roots[root].client_keys:
                continue
            by = writers.get(Field(name, root, record, key)) if writers else None
            if by is None:  # of a text: what was told of it last
                by = Writer(*writer[:5], UNKNOWN if _is_text(kind, change) else before)
            self.writers.put((name, root, record), key, by)
        facts.rows.update((*changes.added, *changes.removed))
        for change in changes.fields if changes.removed and self.untold else ():
            field = Field(name, *change[:3])
            if change[:2] in changes.removed and field in self.untold:
                self._tell_text(field, change.before)  # ahead of the removal, or folding would bring it back
        for change in texts:
            self._edit_text(document, change, Actor(writer.user, writer.role))
        facts.events += events_of(
            kind, name, others, Actor(writer.user, writer.role), self.at, live=self.wedding.live, cause=cause
        )
        self._hear_context(name, changes)
        seen = [WeddingChange(name, *change) for change in (*changes.fields, *rewritten)]
        seen += [WeddingChange(name, *row, None, None, None) for row in (*changes.added, *changes.removed)]
        self.resolver.queue(self.index.update(seen) | self.bookings.update(seen), settled=settled)
        facts.bookings += self.bookings.take_news()
        self.resolver.hear(name, changes)

    def writer_of(self, actor: Actor) -> Writer:
        """The actor as the writer of what arrives now."""
        rank = 0 if actor.user == SERVER else rank_of(actor.role, live=self.wedding.live)
        arrival = max(self.arrivals + 1, int(self.now * 1_000_000))
        return Writer(actor.user, actor.role, rank, arrival, self.at)

    def _hear_context(self, document: str, changes: Changes) -> None:
        kind = document.partition(".")[0]
        for change in changes.fields:
            if change.root == "meta" and kind == "wedding":
                relevant = change.key == "phase" or (change.key or "").startswith("strategy:")
            else:
                relevant = change.root == "tables" and kind == "seating" and change.key == "locked"
            if relevant:
                self.resolver.queue(self.index.set_context(context_of(self.wedding, self.at)), settled=False)
                return

    # -- texts: many small edits are one event

    def _edit_text(self, document: SchemaDocument, change: Change, actor: Actor) -> None:
        field = Field(document.name, *change[:3])
        untold = self.untold.get(field)
        if untold is not None and untold[1] != actor:
            self._tell_text(field, change.before)
            untold = None
        if untold is None:
            untold = self.untold[field] = (self.now, actor, change.before)
        row = (document.name, change.root, change.record)
        self.writers.put(row, change.key, self.writers.get(field)._replace(before=untold[2]))

    def _tell_text(self, field: Field, after: Any = UNKNOWN) -> None:
        _, actor, before = self.untold.pop(field)
        document = self.open[field.document]
        after = self.wedding.value(field) if after is UNKNOWN else after
        change = Change(*field[1:], before, after)
        facts = self.facts_of(field.document)
        facts.events += events_of(
            document.kind, field.document, Changes([change], [], []), Actor(actor.user, actor.role), self.at
        )
        self.writers.put(field[:3], field.key, self.writers.get(field)._replace(before=UNKNOWN))
        facts.rows.add((field.root, field.record))

    def _resume_texts(self, document: SchemaDocument) -> None:
        """Edits that were not told when the document was closed are to be told at once."""
        resumed: dict[Field, tuple[float, Actor, Any]] = {}
        for name, rows in document.rows.roots.items():
            root = document.kind.roots[name]
            for key in (None,) if root.shape is Shape.TEXT else root.text_keys:
                for record in rows:
                    field = Field(document.name, name, record, key)
                    writer = self.writers.get(field)
                    if writer.before is not UNKNOWN and field not in self.untold:
                        resumed[field] = (self.now - TEXT_SECONDS, Actor(writer.user, writer.role), writer.before)
        self.untold = resumed | self.untold


def _is_text(kind: Kind, change: Change) -> bool:
    root = kind.roots[change.root]
    return change.key in root.text_keys or root.shape is Shape.TEXT


def _texts(kind: Kind, changes: Changes) -> tuple[list[Change], Changes]:
    """Edits of texts that were there before, and everything else."""
    coming_or_going = {*changes.added, *changes.removed}
    texts = [each for each in changes.fields if _is_text(kind, each) and each[:2] not in coming_or_going]
    if not texts:
        return texts, changes
    fields = [change for change in changes.fields if change not in texts]
    return texts, Changes(fields, changes.added, changes.removed)


def _rewritten(changes: Changes, writes: Sequence[Write]) -> list[Change]:
    """Writes of the value that was there already: their writer is another."""
    changed = {change[:3] for change in changes.fields}
    return [
        Change(*row, key, value, value)
        for row, values in standing(writes).items()
        for key, value in values.items()
        if (*row, key) not in changed
    ]


def _difference(kind: Kind, old: Mapping[str, Mapping[str, Any]], new: RowsByRoot) -> Changes:
    """What turns the rows that the store has into those of the document."""
    changes = Changes([], [], [])
    for root, rows in new.items():
        before = old.get(root, {})
        for record in sorted(rows.keys() | before.keys()):
            if not same(before.get(record), rows.get(record)):
                compare(kind.roots[root], record, before.get(record), rows.get(record), changes)
    return changes

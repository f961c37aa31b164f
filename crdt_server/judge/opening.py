"""A document opens in its wedding: its rows are compared with those that the store has, in steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from crdt_server.judge.context import context_of
from crdt_server.judge.derived_document import ProjectedDocument
from crdt_server.judge.ledger import SERVER_ACTOR
from crdt_server.judge.schema_document import SchemaDocument
from documents.changes import Changes, RowsByRoot, compare
from documents.events.rules import IMPORT
from documents.fields import same
from documents.kind import Kind

if TYPE_CHECKING:
    from crdt_server.judge.wedding import WeddingJudge

RECORDS_AT_ONCE = 4

Where = tuple[str, str]
"""Root and record."""


def opened(judge: WeddingJudge, document: SchemaDocument) -> Iterator[None]:
    """Open a document that is built, in steps: its rows are those of the document, whatever the store has."""
    if isinstance(document, ProjectedDocument):
        yield from judge.derived.opened(document)
        return
    name, rows, resolver = document.name, document.rows.roots, judge.resolver
    known = judge.wedding.documents.get(name, {})
    missed: list[Where] = []
    yield from _differing(known, rows, missed)
    judge.wedding.documents[name] = rows
    yield from judge.ledger.resume_texts(name, document.kind, rows, judge.now)
    if missed:
        writer = judge.ledger.writer_of(SERVER_ACTOR, judge.now, judge.at)
        for changes in _changes_of(document.kind, known, rows, missed):
            yield
            judge.ledger.record(name, document.kind, changes, writer, now=judge.now, cause=IMPORT)
            resolver.observe(name, changes)
            judge.derived.observe(name, changes)
        judge.wedding.context = context_of(judge.wedding, judge.at)
        resolver.evaluation.read_again()
    if missed or not judge.open:
        yield from resolver.open_records.read(judge.wedding)
        resolver.evaluation.request(settled=True)
    for before in known.values():
        for record in list(before):
            yield
            del before[record]  # to free all of them at once takes 10 ms
    resolver.resume()
    document.is_open = True
    judge.open[name] = document


def _differing(old: Mapping[str, Mapping[str, Any]], new: RowsByRoot, found: list[Where]) -> Iterator[None]:
    """Add the rows that differ to ``found``: by root as declared, then by record."""
    for root, rows in new.items():
        before, here = old.get(root, {}), list[Where]()
        for record, row in rows.items():
            yield
            if not same(before.get(record), row):
                here.append((root, record))
        for record in before:
            yield
            if record not in rows:
                here.append((root, record))
        found += sorted(here)


def _changes_of(
    kind: Kind, old: Mapping[str, Mapping[str, Any]], new: RowsByRoot, differ: Sequence[Where]
) -> Iterator[Changes]:
    """The changes of rows, a few rows at a time."""
    for start in range(0, len(differ), RECORDS_AT_ONCE):
        changes = Changes([], [], [])
        for root, record in differ[start : start + RECORDS_AT_ONCE]:
            compare(kind.roots[root], record, old.get(root, {}).get(record), new[root].get(record), changes)
        yield changes

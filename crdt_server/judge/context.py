"""The context of the invariants, as the rows determine it.

The seats at a table when it was locked, and the starts of items when the wedding went live, are kept from then on.
After a restart they are those of now, except where an open conflict says what they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import replace
from functools import lru_cache
from typing import Any

from documents.changes import Changes
from documents.invariants import Context, Op, Subject, Wedding, assignments_by_table, operations, review_id

_ITEMS = ("timeline", "items")


def context_of(wedding: Wedding, at: str) -> Context:
    """The context of a wedding from now on, which keeps parts of the one before. ``at``: the instant."""
    strategies = {
        key.partition(":")[2]: value for key, value in wedding.meta("wedding").items() if key.startswith("strategy:")
    }
    before = wedding.context
    tables = set(_locked_tables(wedding))
    locked = {place: seats for place, seats in before.locked.items() if place in tables}
    locked |= _seats(wedding, tables - locked.keys())
    planned = (before.planned or _planned(wedding)) if wedding.live else {}
    return replace(before, now=at, strategies=strategies, locked=locked, planned=planned)


def concerns_context(document: str, changes: Changes) -> bool:
    """Whether another context may follow from changes of a document."""
    return any(_determines_context(document, root, key) for root, _, key, _, _ in changes.fields)


@lru_cache(maxsize=4096)
def _determines_context(document: str, root: str, key: str | None) -> bool:
    kind = document.partition(".")[0]
    if kind == "wedding" and root == "meta" and key is not None:
        return key == "phase" or key.startswith("strategy:")
    return kind == "seating" and root == "tables" and key == "locked"


def _locked_tables(wedding: Wedding) -> Iterator[tuple[str, str]]:
    for document in wedding.documents:
        if document.partition(".")[0] == "seating":
            for table, row in wedding.rows(document, "tables").items():
                if type(row) is dict and "locked" in row:
                    yield document, table


def _seats(wedding: Wedding, places: Set[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """(document, table) -> guest -> assignment, of these tables."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for document in {document for document, _ in places}:
        tables = assignments_by_table(wedding, document)
        table_of = {guest: table for table, seats in tables.items() for guest in seats}
        for row in wedding.rows(document, "review").values():
            op = _put_back(row) if row.get("_kind") == "S7" else None
            if op is not None:
                if op.record in table_of:
                    del tables[table_of.pop(op.record)][op.record]
                if op.kind == "set":
                    tables.setdefault(op.value["table"], {})[op.record] = op.value
        found |= {place: tables.get(place[1], {}) for place in places if place[0] == document}
    return found


def _planned(wedding: Wedding) -> dict[str, int]:
    questions = wedding.rows("timeline", "review")
    planned = {}
    for item, row in wedding.rows(*_ITEMS).items():
        if type(row) is dict and type(row.get("start")) is int:
            op = _put_back(questions.get(review_id(Subject("T5", (item, "moved"))), {}))
            planned[item] = row["start"] if op is None else op.value
    return planned


def _put_back(question: dict[str, Any]) -> Op | None:
    """The operation of the first option of an open conflict, which puts things back as they were."""
    ops = operations(question, 0) if question.get("_state") == "open" else None
    return ops[0] if ops else None

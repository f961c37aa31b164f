"""The worst that many small records can do, by family of invariants: bounded subjects, findings and work.

Work is counted in rows that are read, not in seconds. The contents are those of `adversary`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from documents.invariants import (
    Context,
    Field,
    Index,
    Subject,
    Wedding,
    budget,
    busy,
    guests,
    merging,
    review_row,
    seating,
    seats,
    vendors,
)
from documents.invariants.review import MAX_RECORD_BYTES
from tests.documents.invariants.adversary import CONTENTS
from tests.documents.invariants.planning import NOW

BOUNDS = {
    busy: "MAX_COMPARED", budget: "MAX_SORTED", guests: "MAX_SORTED", merging: "MAX_ROWS", seating: "MAX_AT_TABLE",
    seats: "MAX_TABLES", vendors: "MAX_MEMBERS",
}  # fmt: skip
BOUND, MANY, MOST_ROWS = 100, 1200, 1100
"""Those of the modules, scaled down. A row may be read for several reasons."""
MOST_OPERATIONS = 800
BROKEN_PER_RECORD = 4
LARGE_RECORDS = ("overlaps", "members")  # with 40 vendors and persons each; only the server writes members


class Rows(dict[str, Any]):
    """The rows of a root, which count how many are read."""

    read = 0

    def __getitem__(self, record: str) -> Any:
        Rows.read += 1
        return super().__getitem__(record)

    def get(self, record: str, default: Any = None) -> Any:
        Rows.read += 1
        return super().get(record, default)

    def __iter__(self) -> Iterator[str]:
        for record in super().__iter__():
            Rows.read += 1
            yield record

    def items(self) -> Any:
        return ((record, self[record]) for record in super().__iter__())

    def values(self) -> Any:
        return (self[record] for record in super().__iter__())


def rows_read(call: Any, *args: Any) -> tuple[Any, int]:
    Rows.read = 0
    result = call(*args)
    return result, Rows.read


@pytest.fixture(params=CONTENTS)
def index(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Index:
    for module, name in BOUNDS.items():
        monkeypatch.setattr(module, name, BOUND)
    documents, writers = CONTENTS[request.param](100 if request.param in LARGE_RECORDS else MANY)
    counted = {name: {root: Rows(rows) for root, rows in roots.items()} for name, roots in documents.items()}
    return Index(Wedding(counted, writers, Context(now=NOW)))  # type: ignore[arg-type]


def some(subjects: list[Subject]) -> list[Subject]:
    """The first of each invariant, and some more."""
    firsts = {subject.invariant: subject for subject in reversed(subjects)}
    return [*firsts.values(), *subjects[:: max(1, len(subjects) // 5)]]


def test_no_question_about_a_subject_reads_many_rows(index: Index) -> None:
    records = sum(len(rows) for roots in index.wedding.documents.values() for rows in roots.values())
    subjects = sorted(index.subjects())
    broken = [subject for subject in subjects if index.broken(subject)]
    assert len(broken) <= BROKEN_PER_RECORD * records
    for subject in some(subjects):
        is_broken, read = rows_read(index.broken, subject)
        assert read <= MOST_ROWS, f"broken({subject})"
        assert is_broken == (index.find(subject) is not None)
    for subject in some(broken):
        finding, read = rows_read(index.find, subject)
        assert read <= MOST_ROWS, f"find({subject})"
        assert finding is not None
        assert sum(len(option.ops) for option in finding.options) <= 12 * MOST_OPERATIONS
        assert len(finding.automatic or ()) <= MOST_OPERATIONS
        assert len(json.dumps(review_row(finding, NOW))) <= MAX_RECORD_BYTES
        ops, read = rows_read(index.derived, subject)
        assert read <= MOST_ROWS, f"derived({subject})"
        assert len(ops) <= MOST_OPERATIONS


KEYS = ("deleted", "capacity", "exclusive", "stage", "date", "limit", "mustApproveOver", "hardEnd", "rsvpBy", "phase")


def test_no_change_reads_many_rows(index: Index) -> None:
    for document, roots in index.wedding.documents.items():
        for root, rows in roots.items():
            for record in list(rows)[:2]:
                row = rows[record]
                keys = list(row) if type(row) is dict else []
                for key in (*keys, *KEYS, None):
                    _, read = rows_read(index.update, [Field(document, root, record, key)])
                    assert read <= MOST_ROWS, f"update of {document} {root} {record} {key}"

"""The records in `review` that wait for a person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from crdt_server.judge.review_limits import ReviewLimits, is_summary
from crdt_server.judge.reviews import record_of
from documents.changes import Changes
from documents.invariants import Field, Wedding


class OpenRecords:
    """See the head of the file: `documents` has the document of each. ``limits``: follow all records from here."""

    def __init__(self, limits: ReviewLimits) -> None:
        self._limits = limits
        self.documents: dict[str, str] = {}
        self.undecided: set[tuple[str, str]] = set()
        """Document and record of a choice that is not carried out yet."""
        self._of_field: dict[Field, str] = {}  # X1 -> its record

    def __contains__(self, record: str) -> bool:
        return record in self.documents

    def __bool__(self) -> bool:
        return bool(self.documents)

    def read(self, wedding: Wedding) -> Iterator[None]:
        """Read those of all documents, in steps."""
        for document, roots in list(wedding.documents.items()):
            for record in list(roots.get("review", ())):
                yield
                self._limits.refresh(document, record)
                row = record_of(wedding, document, record)
                if row is not None and row.get("_state") == "open" and not is_summary(row):
                    self._enter(document, record, row)

    def enter_field(self, field: Field, record: str) -> None:
        """A record is about the write of a field (X1)."""
        self._of_field[field] = record

    def decided(self, record: str) -> None:
        """A record is no open question about a field any more."""
        self._of_field = {field: each for field, each in self._of_field.items() if each != record}

    def observe(self, document: str, changes: Changes) -> list[str]:
        """Follow changes. Returns the records about fields that were written again: they are moot."""
        moot = []
        for each in {change.record for change in changes.fields if change.root == "review"}:
            self._limits.refresh(document, each)
        for change in changes.fields:
            if change.root == "review" and change.key == "_state":
                if change.after == "open" and change.record not in self._limits.summaries:
                    self.documents[change.record] = document
                else:
                    self.documents.pop(change.record, None)
            record = self._of_field.pop(Field(document, *change[:3]), None) if self._of_field else None
            if record is not None:
                moot.append(record)
        return moot

    def _enter(self, document: str, record: str, row: Mapping[str, Any]) -> None:
        self.documents[record] = document
        if "choice" in row:
            self.undecided.add((document, record))
        if row.get("_kind") == "X1":
            self.enter_field(Field(**{"key": None, **row["_subject"][0]}), record)

"""Edits of texts that are no event yet: those of one text by one person within `TEXT_SECONDS` are one event."""

from __future__ import annotations

from collections.abc import Container, Mapping
from math import inf
from typing import Any, NamedTuple

from documents.events import Actor
from documents.invariants import Field
from documents.kind import Kind

TEXT_SECONDS = 30.0


class TextEdit(NamedTuple):
    """The edits of one text by one person."""

    since: float
    """When the first was made, in seconds since 1970."""
    actor: Actor
    before: Any
    """The text before the first."""
    kind: Kind
    """Of the document."""


class TextEdits:
    """The pending edits of one wedding, by text."""

    def __init__(self) -> None:
        self._edits: dict[Field, TextEdit] = {}  # the oldest first

    def __bool__(self) -> bool:
        return bool(self._edits)

    def __contains__(self, field: Field) -> bool:
        return field in self._edits

    def __getitem__(self, field: Field) -> TextEdit:
        return self._edits[field]

    def fields(self) -> list[Field]:
        """The texts that have pending edits."""
        return list(self._edits)

    def add(self, field: Field, edit: TextEdit) -> TextEdit | None:
        """Add an edit to those of its writer. Returns the pending edits of another writer, which end with it."""
        pending = self._edits.get(field)
        if pending is not None and pending.actor == edit.actor:
            return None
        if pending is not None:
            del self._edits[field]
        self._edits[field] = edit
        return pending

    def pop(self, field: Field) -> TextEdit | None:
        """Remove the edits of a text."""
        return self._edits.pop(field, None)

    def due(self, now: float, documents: Container[str]) -> list[tuple[Field, TextEdit]]:
        """Remove the edits of these documents that are to be an event now."""
        found = [
            (field, edit)
            for field, edit in self._edits.items()
            if now - edit.since >= TEXT_SECONDS and field.document in documents
        ]
        for field, _ in found:
            del self._edits[field]
        return found

    def next_due(self, documents: Container[str]) -> float:
        """When `due` has something to return, in seconds since 1970; infinite where nothing is pending."""
        for field, edit in self._edits.items():
            if field.document in documents:
                return edit.since + TEXT_SECONDS
        return inf

    def resume(self, edits: Mapping[Field, TextEdit]) -> None:
        """Add edits from before a restart, which are due at once; those that are pending here stay as they are."""
        resumed = {field: edit._replace(since=edit.since - TEXT_SECONDS) for field, edit in edits.items()}
        self._edits = {field: edit for field, edit in resumed.items() if field not in self._edits} | self._edits

    def set_back(self, seconds: float) -> None:
        """The clock was set back by that much."""
        self._edits = {field: edit._replace(since=edit.since - seconds) for field, edit in self._edits.items()}

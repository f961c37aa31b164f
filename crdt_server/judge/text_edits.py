"""Edits of texts that are no event yet: those of one text within `TEXT_SECONDS` are one event, whoever makes them."""

from __future__ import annotations

from collections.abc import Container, Mapping
from math import inf
from typing import Any, Final

from documents.changes import Change, Changes
from documents.events import Actor, DocumentEvent, Splice, events_of
from documents.events.splices import ComposedSplices, cost, splice_of
from documents.invariants import Field
from documents.kind import Kind

TEXT_SECONDS: Final = 30.0
MOST_WRITERS: Final = 20
"""People that one event names; with the next one it is finished, and another begins."""


class TextEdit:
    """The edits of one text.

    ``since``: when the first was made, in seconds since 1970; ``before``: the text before it; ``kind``: of the
    document; ``others``: who joined ``actor``.
    """

    def __init__(self, since: float, actor: Actor, before: Any, kind: Kind, others: tuple[Actor, ...] = ()) -> None:
        self.since = since
        self.actor = actor
        self.before = before
        self.others = others
        self._kind = kind
        self._splices = ComposedSplices(before) if type(before) is str else None

    def add(self, before: Any, after: Any) -> None:
        """One edit, which makes ``after`` of ``before``."""
        if self._splices is not None and type(before) is str and type(after) is str:
            self._splices.add(splice_of(before, after))
        else:
            self._splices = None  # there was no text, or there is none any more

    def admit(self, actor: Actor) -> bool:
        """Name one more writer. False where there are too many."""
        if actor == self.actor or actor in self.others:
            return True
        if len(self.others) + 1 >= MOST_WRITERS:
            return False
        self.others += (actor,)
        return True

    def events(self, field: Field, after: Any, at: str) -> list[DocumentEvent]:
        """The event of all these edits; none where they have changed nothing."""
        if after == self.before:
            return []
        found = events_of(self._kind, field.document, Changes([Change(*field[1:], self.before, after)], [], []),
                          self.actor, at)  # fmt: skip
        edits: tuple[Splice, ...] = ()
        if self._splices is not None and type(after) is str:
            splices = self._splices.splices()
            if cost(splices) < len(self.before) + len(after):
                edits = tuple(splices)
        if edits:
            found = [each._replace(before=None, after=None, edits=edits) for each in found]
        return [each._replace(others=self.others) for each in found]


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
        """Begin with an edit, or add its writer to those of the pending ones. Returns the pending edits where they end
        because they have too many writers."""
        pending = self._edits.get(field)
        if pending is not None and pending.admit(edit.actor):
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
        for edit in edits.values():
            edit.since -= TEXT_SECONDS
        self._edits = {field: edit for field, edit in edits.items() if field not in self._edits} | self._edits

    def set_back(self, seconds: float) -> None:
        """The clock was set back by that much."""
        for edit in self._edits.values():
            edit.since -= seconds

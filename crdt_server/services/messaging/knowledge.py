"""The part of an event that a person may know: all of it, the part that a derived document shows them, or nothing.

The decision about the whole event is that of the event streams (`access.event_rights`). Of the others, whoever has a
derived document that shows the record, now or before the event, knows of the keys that it shows, if one has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from crdt_server.access.access import Action
from crdt_server.access.event_rights import may_read_event
from crdt_server.access.identity import Identity
from crdt_server.access.policy import Decides
from crdt_server.access.threads import THREAD
from crdt_server.services.messaging.event_facts import RoutedEvent, RowsWith, WeddingRows, row_before
from documents.categories import AccessCategory
from documents.derived import DerivedDocument, View, documents_for


class KnownEvent(NamedTuple):
    """An event as one person may know it."""

    before: Any
    after: Any
    row: Any
    """The record, as it is now or was before; None: nothing of it."""


class Knowledge:
    """Decides for all people of one wedding, by the rows and rights of one moment."""

    def __init__(self, access: Decides, wedding: str, rows: WeddingRows) -> None:
        self._access = access
        self._wedding = wedding
        self._rows = rows
        self._whole: dict[tuple[str, str, str], bool] = {}
        self._documents: dict[str, list[DerivedDocument]] = {}
        self._found: dict[str, dict[str, set[str]]] = {}  # of the views of each document

    def of(
        self,
        person: Identity,
        event: RoutedEvent,
        *,
        participants: Collection[str] = (),
        tells: Collection[str] | None = None,
    ) -> KnownEvent | None:
        """The event as a person may know it; None: not at all. ``participants``: of the conversation that it is about;
        ``tells``: keys that a rule tells those who may not read the document."""
        row = self._rows.rows(event.document, event.root).get(event.record)
        before = row_before(event, row)
        if event.document.startswith(THREAD):
            return KnownEvent(event.before, event.after, row) if self._takes_part(person, participants) else None
        if self._may_read(person, event):
            return KnownEvent(event.before, event.after, before if row is None else row)
        part = self._part(person, event, row, before)
        if part is None and tells is not None:
            told = row if isinstance(row, dict) else before
            return KnownEvent(None, None, _picked(told, tells))
        return part

    def _may_read(self, person: Identity, event: RoutedEvent) -> bool:
        part = person.user, event.document, event.root
        if part not in self._whole:
            self._whole[part] = may_read_event(self._access, person, self._wedding, event.document, event.root)
        return self._whole[part]

    def _takes_part(self, person: Identity, participants: Collection[str]) -> bool:
        denied = self._access.may(person, Action.READ_PART, self._wedding, AccessCategory.MESSAGES)
        return denied is None and person.user in participants

    def _part(self, person: Identity, event: RoutedEvent, row: Any, before: Any) -> KnownEvent | None:
        place = event.document, event.root, event.record
        for document in self._readable(person):
            found = self._found.setdefault(document.name, {})
            for projection in document.declaration.projections.values():
                if (projection.document, projection.source) != place[:2] or projection.records is not None:
                    continue
                shown = projection.row(View(self._rows, document.own, found=found), event.record)
                was = None
                if before is not None:
                    rows = RowsWith(self._rows, *place, before)
                    was = projection.row(View(rows, document.own, found=found), event.record)
                old, new = _picked(event.before, _keys(was)), _picked(event.after, _keys(shown))
                if old or new or (shown is None) is not (was is None):  # else nothing changes for this person
                    return KnownEvent(old, new, shown or was)
        return None

    def _readable(self, person: Identity) -> list[DerivedDocument]:
        """The derived documents that a person may read."""
        if person.user not in self._documents:
            documents = documents_for(person.role, person.vendor, person.guest, person.side)
            self._documents[person.user] = [
                each for each in documents if self._access.may(person, Action.READ, self._wedding, each.name) is None
            ]
        return self._documents[person.user]


def _keys(row: Any) -> Collection[str]:
    return row.keys() if isinstance(row, Mapping) else ()


def _picked(values: Any, keys: Collection[str]) -> dict[str, Any] | None:
    return {key: values[key] for key in values if key in keys} if isinstance(values, Mapping) else None

"""The index over one wedding: hears of changes, says which findings may be others now, and finds.

- `update` looks at the rows as they are after the changes. What a row was before, each family has noted; so the order
  of the changes, and changes named twice, do not matter. A row that comes or goes without any key is a change with the
  key None. A document that was not at hand before needs a new index.
- `all` and `find` are the same code: an index kept up to date finds what a new one finds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from documents.invariants.budget import Budget
from documents.invariants.care import Care
from documents.invariants.guests import Guests
from documents.invariants.messages import Messages
from documents.invariants.model import Change, Context, Finding, Subject, Wedding, document_kind
from documents.invariants.part import Part, Refresh
from documents.invariants.seating import Seating
from documents.invariants.timeline import Timeline
from documents.invariants.vendors import Vendors

PARTS: Final[tuple[type[Part], ...]] = (Timeline, Budget, Guests, Seating, Care, Vendors, Messages)
"""The families there are: the only list."""

_NO_REFRESH: Final[tuple[Refresh, ...]] = ()


class Index:
    """Where the invariants of one wedding do not hold."""

    def __init__(self, wedding: Wedding) -> None:
        self.wedding = wedding
        self._parts = tuple(part(wedding) for part in PARTS)
        self._by_invariant = {name: part for part in self._parts for name in part.invariants}
        # (kind, root) -> every refresh, and key or prefix -> refreshes
        self._every: dict[tuple[str, str], tuple[Refresh, ...]] = {}
        self._by_key: dict[tuple[str, str], dict[str, tuple[Refresh, ...]]] = {}
        self._known: dict[tuple[str, str], set[str]] = {}
        self._wire()
        self._read()

    def update(self, changes: Iterable[Change]) -> set[Subject]:
        """The subjects whose finding may be another after changes that the rows already have."""
        touched: set[Subject] = set()
        done: set[tuple[Any, str, str]] = set()
        for document, root, record, key, _, _ in changes:
            for refresh in self._refreshes(document, root, record, key):
                once = (refresh, document, record)
                if once not in done:
                    done.add(once)
                    refresh(document, record, touched)
        return touched

    def find(self, subject: Subject) -> Finding | None:
        """What is wrong with a subject, None where the invariant holds."""
        return self._by_invariant[subject.invariant].find(subject)

    def broken(self, subject: Subject) -> bool:
        """Whether `find` would find something; costs less."""
        return self._by_invariant[subject.invariant].broken(subject)

    def all(self) -> list[Finding]:
        """Everything that is wrong, by invariant and subject."""
        return [finding for subject in sorted(self.subjects()) if (finding := self.find(subject)) is not None]

    def subjects(self) -> set[Subject]:
        """Every subject that may have a finding."""
        return {subject for part in self._parts for subject in part.candidates()}

    def set_context(self, context: Context) -> set[Subject]:
        """Go on with another context: the subjects that may have another finding. Costs a whole evaluation."""
        before = self.subjects()
        self.wedding.context = context
        return before | self.subjects()

    def _wire(self) -> None:
        for part in self._parts:
            for route in part.routes():
                where = (route.kind, route.root)
                self._every[where] = (*self._every.get(where, ()), route.refresh)
        for part in self._parts:
            for route in part.routes():
                where = (route.kind, route.root)
                by_key = self._by_key.setdefault(where, {})
                for key in route.keys:
                    by_key[key] = (*by_key.get(key, ()), route.refresh)

    def _refreshes(self, document: str, root: str, record: str, key: str | None) -> tuple[Refresh, ...]:
        where = (document_kind(document), root)
        by_key = self._by_key.get(where)
        if by_key is None:
            return _NO_REFRESH
        known = self._known.setdefault((document, root), set())
        if (record in self.wedding.rows(document, root)) != (record in known):
            known ^= {record}
            return self._every[where]
        if key is None:
            return self._every[where]
        return by_key.get(key) or by_key.get(key.partition(":")[0], _NO_REFRESH)

    def _read(self) -> None:
        touched: set[Subject] = set()
        for document, roots in self.wedding.documents.items():
            for root, rows in roots.items():
                refreshes = self._every.get((document_kind(document), root), _NO_REFRESH)
                if refreshes:
                    self._known[document, root] = set(rows)
                for refresh in refreshes:
                    for record in rows:
                        refresh(document, record, touched)
                    touched.clear()

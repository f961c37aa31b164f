"""The index over one wedding: follows its changes, returns the subjects whose finding may be another, and finds.

- `update` reads the rows as they are after the changes. Each family has recorded the row as it was before; so the order
  of the changes, and changes named twice, do not matter. A row that comes or goes without any key is a change with the
  key None. A document that was not at hand before needs `reload`.
- `all` and `find` are the same code: an index kept up to date finds what a new one finds.
- Rows are read, and subjects listed, in steps between which rows may change: what changes meanwhile goes to `update`
  when the last step is done.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

from documents.invariants.budget import Budget
from documents.invariants.care import CareNeeds
from documents.invariants.guests import Guests
from documents.invariants.messages import Messages
from documents.invariants.model import Context, Field, Finding, Ops, Subject, Wedding, document_kind
from documents.invariants.part import KeyRefresh, KeyRoute, Part, Refresh
from documents.invariants.seating import Seating
from documents.invariants.timeline import Timeline
from documents.invariants.vendors import Vendors

PARTS: Final[tuple[type[Part], ...]] = (Timeline, Budget, Guests, Seating, CareNeeds, Vendors, Messages)
"""The families that follow from the documents of one wedding alone."""


class _Routes(NamedTuple):
    """Where changes of one root of one document go."""

    every: tuple[Refresh, ...]
    by_key: dict[str, tuple[Refresh, ...]]
    """Key or prefix -> refreshes of the record."""
    of_key: dict[str, tuple[KeyRefresh, ...]]
    """Key or prefix -> refreshes of that key."""
    known: set[str]
    """The records that were there at the last update."""


class Index:
    """Where the invariants of one wedding do not hold. ``others``: families that are kept by the caller; ``read``: read
    all rows now, rather than with `reading`."""

    def __init__(self, wedding: Wedding, *others: Part, read: bool = True) -> None:
        self.wedding = wedding
        self._others = others
        self._parts: tuple[Part, ...] = ()
        self._by_invariant: dict[str, Part] = {}
        # by kind of document and root
        self._every: dict[tuple[str, str], tuple[Refresh, ...]] = {}
        self._by_key: dict[tuple[str, str], dict[str, tuple[Refresh, ...]]] = {}
        self._of_key: dict[tuple[str, str], dict[str, tuple[KeyRefresh, ...]]] = {}
        self._routes: dict[tuple[str, str], _Routes] = {}  # by document and root
        self.reading = self.reload()
        """The steps in which the rows are read. Nothing else may be called before the last."""
        if read:
            for _ in self.reading:
                pass

    def reload(self) -> Iterator[None]:
        """Read all rows again, in steps."""
        self._parts = (*(part(self.wedding) for part in PARTS), *self._others)
        self._by_invariant = {name: part for part in self._parts for name in part.invariants}
        self._every, self._by_key, self._of_key, self._routes = {}, {}, {}, {}
        self._wire()
        for part in self._parts:
            yield from part.read()
        yield from self._read()

    def update(self, fields: Iterable[Field]) -> set[Subject]:
        """The subjects whose finding may be another after changes of these fields, or of their writers."""
        touched: set[Subject] = set()
        done: set[tuple[Any, str, str]] = set()
        routes, rows_of = self._routes, self.wedding.rows
        for document, root, record, key in fields:
            every, by_key, of_key, known = routes.get((document, root)) or self._routes_of(document, root)
            if not every:
                continue
            refreshes = every
            if (record in rows_of(document, root)) != (record in known):
                known ^= {record}
            elif key is not None:
                family = key.partition(":")[0]
                for refresh_key in of_key.get(key) or of_key.get(family, ()):
                    refresh_key(document, record, key, touched)
                refreshes = by_key.get(key) or by_key.get(family, ())
            for refresh in refreshes:
                once = (refresh, document, record)
                if once not in done:
                    done.add(once)
                    refresh(document, record, touched)
        return touched

    def find(self, subject: Subject) -> Finding | None:
        """The finding about a subject, None where the invariant holds."""
        return self._by_invariant[subject.invariant].find(subject)

    def broken(self, subject: Subject) -> bool:
        """Whether `find` would find something; costs less."""
        return self._by_invariant[subject.invariant].broken(subject)

    def derived(self, subject: Subject) -> Ops:
        """The operations that bring keys of the server up to date which follow from the rows about a subject."""
        return self._by_invariant[subject.invariant].derived(subject)

    def all(self) -> list[Finding]:
        """Everything that is wrong, by invariant and subject."""
        return [finding for subject in sorted(self.subjects()) if (finding := self.find(subject)) is not None]

    def subjects(self) -> set[Subject]:
        """Every subject that may have a finding."""
        return {subject for subject in self.candidates() if subject is not None}

    def candidates(self) -> Iterator[Subject | None]:
        """Every subject that may have a finding, some more than once, in steps, some without one. `update` may not be
        called before the last."""
        for part in self._parts:
            yield from part.candidates()

    def set_context(self, context: Context) -> set[Subject]:
        """Go on with another context. Returns the subjects that there were because of the one before; the finding of
        any subject may be another now."""
        before = {subject for part in self._parts for subject in part.of_context()}
        self.wedding.context = context
        return before

    def _wire(self) -> None:
        for part in self._parts:
            for route in part.routes():
                where = (route.kind, route.root)
                if isinstance(route, KeyRoute):
                    of_key = self._of_key.setdefault(where, {})
                    for key in route.keys:
                        of_key[key] = (*of_key.get(key, ()), route.refresh)
                    continue
                self._every[where] = (*self._every.get(where, ()), route.refresh)
                by_key = self._by_key.setdefault(where, {})
                for key in route.keys:
                    by_key[key] = (*by_key.get(key, ()), route.refresh)

    def _routes_of(self, document: str, root: str) -> _Routes:
        where = (document_kind(document), root)
        by_key, of_key = self._by_key.get(where, {}), self._of_key.get(where, {})
        found = _Routes(self._every.get(where, ()), by_key, of_key, set())
        self._routes[document, root] = found
        return found

    def _read(self) -> Iterator[None]:
        touched: set[Subject] = set()
        for document, roots in list(self.wedding.documents.items()):
            for root, rows in list(roots.items()):
                every, _, _, known = self._routes_of(document, root)
                records = list(rows)
                for record in records:
                    yield
                    if record in rows:
                        known.add(record)
                for refresh in every:
                    for record in records:
                        yield
                        refresh(document, record, touched)
                        touched.clear()

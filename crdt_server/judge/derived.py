"""The derived documents of one wedding that are open: kept equal to what the rows of the wedding show.

- `observe` receives every change of a row, and notes which records of which open document it concerns: a dictionary
  lookup, and for each document that shows such rows the targets of its dependency.
- `refresh` computes the rows of those records again and writes what differs, once in a batch and after its rules: what
  a source and its derived documents get of one edit is one commit, and a value that was put back is never shown.
- A document that was closed is brought up to date when it is opened, in slices (`opened`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from crdt_server.judge.derived_document import RECORDS_AT_ONCE, ProjectedDocument
from crdt_server.judge.schema_document import SchemaDocument
from documents.changes import Change, Changes
from documents.derived.model import Targets

REFRESHED_AT_ONCE = 16
_Place = tuple[str, str]
"""Document and root."""


class OpenDerived:
    """See the head of the file. ``on_refresh`` is called before work that no update answers for."""

    def __init__(self, on_refresh: Callable[[], None]) -> None:
        self.documents: dict[str, ProjectedDocument] = {}
        self._on_refresh = on_refresh
        self._followers: dict[_Place, list[tuple[ProjectedDocument, str, Targets]]] = {}
        self._stale: dict[ProjectedDocument, None] = {}

    def opened(self, document: ProjectedDocument) -> Iterator[None]:
        """Open a document that is built, in steps: its rows are those of the wedding, whatever it was stored with."""
        self._follow(document)
        document.touch_all()
        while document.stale:  # also with changes of its sources meanwhile
            yield
            document.refresh(RECORDS_AT_ONCE)
        document.is_open = True
        self.documents[document.name] = document

    def close(self, document: ProjectedDocument) -> None:
        """A document is closed."""
        for followers in self._followers.values():
            followers[:] = [each for each in followers if each[0] is not document]
        self._stale.pop(document, None)
        if self.documents.get(document.name) is document:
            del self.documents[document.name]

    def observe(self, document: str, changes: Changes) -> None:
        """Changes of a document that are in the rows already."""
        if not self._followers:
            return
        for change in changes.fields:
            self._touch(document, change)
        for where in (*changes.added, *changes.removed):
            self._touch(document, Change(*where, None, None, None))

    def refresh(self) -> None:
        """Write what has changed into the open documents that show it."""
        if self._stale:
            self._on_refresh()
        while self._stale:
            document, _ = self._stale.popitem()
            if document.is_open:
                document.refresh()

    def refreshed(self) -> Iterator[None]:
        """`refresh`, in steps between which no row may change and nothing is taken."""
        while self._stale:
            document = next(iter(self._stale))
            while document.is_open and document.stale:
                document.refresh(REFRESHED_AT_ONCE)
                yield
            self._stale.pop(document, None)
            if document.is_open:
                document.make_ready()
                yield

    def takes_edits(self, document: SchemaDocument, needed: set[str]) -> bool:
        """Whether updates of a document may be judged now. A derived one has to show all that its sources hold, so that
        it is known what their authors have not seen, and these have to be open: those that are not go to ``needed``."""
        if not isinstance(document, ProjectedDocument) or not document.is_open:
            return True
        document.refresh()
        writable = [each for each in document.derived.declaration.projections.values() if each.refuses is not None]
        rows = document.rows.roots
        used = {each.document for each in writable if each.adds or not each.root.server or rows[each.root.name]}
        missing = used - document.sources.keys()
        needed |= missing
        return not missing

    def with_news(self) -> list[ProjectedDocument]:
        """The open documents that have something to be taken."""
        return [document for document in self.documents.values() if document.has_news]

    def _follow(self, document: ProjectedDocument) -> None:
        for name, projection in document.derived.declaration.projections.items():
            for dependency in projection.all_dependencies():
                followers = self._followers.setdefault((dependency.document, dependency.root), [])
                followers.append((document, name, dependency.targets))

    def _touch(self, document: str, change: Change) -> None:
        for derived, name, targets in self._followers.get((document, change.root), ()):
            for record in targets(derived.view, change):
                derived.stale[name, record] = None
                self._stale[derived] = None

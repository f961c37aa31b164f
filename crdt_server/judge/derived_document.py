"""A derived document inside a host: `documents.derived` says what it shows, `derived` when it is brought up to date.

- Its rows are a function of those of the wedding, and are no rows of the wedding themselves: it has no events, no rows
  in the store, no invariants and no conflicts. These are of its sources.
- The server writes into it what has changed. Edits of its readers are checked like any other: what they may not is put
  back in the same step.
- A newcomer gets no byte of what is not shown any more. Deleted values are still in the raw updates, so differences,
  what a batch stores and sends, and what known ids are compared with, are taken from the Doc, which has collected it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from crdt_server.judge.clock_ranges import Span, encode_clocks
from crdt_server.judge.derived_edits import could_stand, counts, examined
from crdt_server.judge.doc_writer import changes_since
from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.schema_document import SchemaDocument, WriteRules
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, Update
from crdt_server.records import BatchRecords, ClientOwner
from documents.derived import DerivedDocument, View
from documents.derived.model import Source
from documents.fields import Reason, same
from documents.invariants import Op
from documents.kind import Root, Shape

RECORDS_AT_ONCE = 4
COMMANDING = 1 << 52
"""Client ids from here on are of people who write by commands: Yjs draws ids of 32 bits."""
DIFFS_KEPT = 4


def _shown_bytes(document: ProjectedDocument) -> Sequence[bytes]:
    """Not the raw updates: a client that guesses hidden content would learn which guess is right."""
    return document.diff(EMPTY_STATE_VECTOR) or ()


class ProjectedDocument(SchemaDocument):
    """See the head of the file. ``source``: the rows of its wedding; ``sources``: the documents of it that are open."""

    reads_doc = True
    update_rules = SchemaDocument.update_rules._replace(compared=_shown_bytes)
    write_rules = WriteRules(examined, could_stand, counts)

    def __init__(
        self,
        derived: DerivedDocument,
        source: Source,
        sources: Mapping[str, SchemaDocument],
        owners: Mapping[int, str],
        copies: ForkPool | None = None,
    ) -> None:
        super().__init__(derived.kind, derived.name, owners, copies)
        self.derived = derived
        self.sources = sources
        self.stale: dict[tuple[str, str], None] = {}
        """Root and record of rows that may not be those of the wedding any more."""
        self._source = source
        self._view: View | None = None
        self._new_owners: list[tuple[int, str]] = []
        self._differences: dict[bytes, list[bytes]] = {}  # that are still valid
        self._ready: list[bytes] = []  # taken, and not given away yet
        self._sent = EMPTY_STATE_VECTOR  # the state vector as of what was taken
        self._accepted: list[Sequence[Span]] = []  # the deletions of each update since

    @property
    def view(self) -> View:
        """The view that its rows follow from."""
        if self._view is None:
            self._view = View(self._source, self.derived.own, self.items.owners.values())
        return self._view

    def close(self) -> None:
        super().close()
        self._view = None
        self.stale.clear()

    def touch_all(self) -> None:
        """Any row may be another: the document is about to be opened."""
        self._sent = encode_clocks(self.clocks)
        for name, projection in self.derived.declaration.projections.items():
            self.stale.update(((name, record), None) for record in projection.all_records(self.view))
            self.stale.update(((name, record), None) for record in self.rows.roots[name])

    def refresh(self, most: int | None = None) -> None:
        """Bring stale rows up to date, so many at most. The document has to be built."""
        ops: list[Op] = []
        projections, view, roots = self.derived.declaration.projections, self.view, self.rows.roots
        for _ in range(len(self.stale) if most is None else min(most, len(self.stale))):
            where = next(iter(self.stale))
            del self.stale[where]
            name, record = where
            projection = projections[name]
            after, before = projection.row(view, record), roots[name].get(record)
            if after is not None or before is not None:
                ops += _difference(self.name, projection.root, record, before, after)
        if ops:
            self.write(ops)

    def diff(self, state_vector: bytes, batch: int | None = None) -> list[bytes] | None:
        """The update that a client with this state vector lacks; None: the document is not open yet."""
        if not self.is_open:
            return None
        self.flush()
        found = self._differences.get(state_vector)
        if found is None:
            assert self.doc is not None
            if len(self._differences) == DIFFS_KEPT:
                self._differences.clear()
            found = self._differences[state_vector] = [self.doc.get_update(state_vector)]
        return found

    def claim(self, owners: Sequence[tuple[int, str]]) -> None:
        """Client ids that were seen for the first time."""
        self._new_owners += owners
        for name, projection in self.derived.declaration.projections.items() if owners else ():
            if projection.follows_users:
                self.stale.update(((name, record), None) for record in self.rows.roots[name])

    def add_writer(self, user: str) -> None:
        """Somebody writes here by a command, and is known from then on as whoever writes by updates is."""
        owners = self.items.owners
        if user in owners.values():
            return
        client = COMMANDING + int.from_bytes(sha256(user.encode()).digest()[:6])
        while client in owners:  # whoever knows the name of a user may have claimed it by an update
            client += 1
        self._owners[client] = owners[client] = user
        self.claim([(client, user)])

    def take_records(self) -> BatchRecords | None:
        """The records to store with its updates; None: there are none."""
        owners, self._new_owners = self._new_owners, []
        return BatchRecords([], [], [ClientOwner(*each) for each in owners], [], []) if owners else None

    @property
    def has_news(self) -> bool:
        """Whether there is something to be taken."""
        return bool(self._ready) or self.pieces.has_news

    def make_ready(self) -> None:
        """Make the updates that `take_outgoing` returns of what is there now: of many rows that takes milliseconds."""
        self._ready = self.take_outgoing()

    def take_outgoing(self) -> list[bytes]:
        """See `Document.take_outgoing`. Values that were replaced or hidden since the last call are left out."""
        ready, self._ready = self._ready, []
        outgoing = super().take_outgoing()
        if len(self._accepted) > 1:
            assert self.doc is not None
            deletes = [span for spans in self._accepted for span in spans]
            outgoing = [changes_since(self.doc, self._sent, deletes)]
        if self._accepted:
            self._sent, self._accepted = encode_clocks(self.clocks), []
        return ready + outgoing

    def _accept(self, update: Update) -> None:
        self._differences.clear()
        self._accepted.append(update.deletes)
        super()._accept(update)


def _difference(document: str, root: Root, record: str, before: Any, after: Any) -> list[Op]:
    """The operations that make one row another. Values that the root does not allow are left out: the rows of a source
    may hold whatever was once written."""
    if root.shape is not Shape.RECORD and (before is None or after is None or root.record is None):
        if after is None:
            return [Op("delete", document, root.name, record)]
        allowed = _allowed(root, record, after)
        unchanged = allowed is None or same(before, allowed)
        return [] if unchanged else [Op("set", document, root.name, record, None, allowed)]
    old, new = before or {}, after or {}
    ops = [Op("delete", document, root.name, record, key) for key in old if key not in new]
    for key, value in new.items():
        if key in old and same(old[key], value):
            continue
        if type(root.check(record, key, value)) is not Reason:
            ops.append(Op("set", document, root.name, record, key, value))
        elif key in old:
            ops.append(Op("delete", document, root.name, record, key))
    return ops


def _allowed(root: Root, record: str, row: Any) -> Any:
    if root.record is None:
        return None if type(root.check(record, None, row)) is Reason else row
    return {key: value for key, value in row.items() if type(root.check(record, key, value)) is not Reason}

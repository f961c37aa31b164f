"""A document with a schema inside a host: every update is checked struct by struct, and row by row.

An update that breaks the structure of its kind, or uses the client id of another user, is refused as a whole. In any
other, values that the kind does not allow are written back in the same step: only the resulting difference is stored
and sent, so no client receives a value that was undone, and its sender converges with all others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from crdt_server.errors import ProtocolError
from crdt_server.judge.applied import Applied, Judgement, Unseen
from crdt_server.judge.clock_ranges import ClockRanges, Span, encode_clocks
from crdt_server.judge.doc_writer import carry_out, changes_since, without_content
from crdt_server.judge.document import Document
from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.integration_cost import passes_few
from crdt_server.judge.neighbours import as_collected
from crdt_server.judge.restorations import Restorations
from crdt_server.judge.role_rules import may_write
from crdt_server.judge.row_values import new_values
from crdt_server.judge.rules import MAX_NAME, Outcome, Reverted, examine, may_stand, unknown_root
from crdt_server.judge.shared_types import A_TEXT, UNKNOWN
from crdt_server.judge.size_limit import only_deletes_records
from crdt_server.judge.slices import Slices, Unlimited
from crdt_server.judge.stored_structs import StoredStructs
from crdt_server.judge.struct_index import Integrated, Step, StructIndex
from crdt_server.judge.writes import NESTED, Write
from crdt_server.protocol.structs import STRING
from crdt_server.protocol.update import (
    EMPTY_UPDATE,
    Update,
    decode_state_vector,
    decode_structs,
    is_empty,
    with_deletes,
)
from documents.changes import Changes
from documents.encoded_rows import EncodedRows
from documents.events import Actor
from documents.fields import normalised
from documents.invariants import Op
from documents.invariants.model import SERVER, user_id
from documents.kind import MAX_DOCUMENT_BYTES, Kind
from documents.rows import Rows

SERVER_CLIENT = 1
"""Client id of the server's own writes. The lowest id loses against every concurrent write, which is then checked."""

# Four times what it takes: the structs, rows, rules and events of a new wedding's 110 KB of guests take 0.4 s.
JUDGED_BYTES_PER_CPU_SECOND = 64 * 1024

Signed = tuple[Actor, bytes | None]
"""The sender of an update, and the state vector of its reconnection where it was away until now."""


def _examined(document: SchemaDocument, actor: Actor, changes: Changes, stamp: Mapping[str, Any]) -> Outcome:
    return examine(document.kind, document.name, document.rows.roots, changes, actor, stamp)


def _may_stand(document: SchemaDocument, actor: Actor, write: Write) -> bool:
    row = document.rows.roots[write.root].get(write.record)
    return may_stand(document.kind.roots[write.root], write) and may_write(actor, document.kind, write, row)


def _passes_few(document: SchemaDocument, stored: int) -> bool:
    return passes_few(document._steps, stored)


def _torn(items: StructIndex) -> ClockRanges:
    return ClockRanges((each.client, each.clock, each.clock + each.length) for each in items.torn)


def _without_torn(document: SchemaDocument, stored: bytes) -> bytes:
    return as_collected(stored, _torn(document.items)) if document.items.torn else stored


class WriteRules(NamedTuple):
    """How a class of documents judges writes."""

    examine: Callable[[Any, Actor, Changes, Mapping[str, Any]], Outcome]
    """(document, actor, changes, stamp): which changes of somebody stand; with the stamp rows are withdrawn."""
    may_stand: Callable[[Any, Actor, Write], bool]
    """(document, actor, write): whether a write of somebody could stand, if it were the newest."""
    counts: Callable[[Any, Actor, Write], bool]
    """(document, actor, write): whether a write of somebody that did not come to stand is one that was lost."""


class SchemaDocument(Document):
    """See the head of the file. ``owners``: client id -> user, as the store has them."""

    update_rules = Document.update_rules._replace(
        decode=decode_structs, frees=only_deletes_records, for_doc=_without_torn, passes_few=_passes_few
    )
    write_rules = WriteRules(_examined, _may_stand, _may_stand)
    judged_bytes_per_cpu_second = JUDGED_BYTES_PER_CPU_SECOND

    def __init__(self, kind: Kind, name: str, owners: Mapping[int, str], copies: ForkPool | None = None) -> None:
        super().__init__(MAX_DOCUMENT_BYTES, copies=copies, client_id=SERVER_CLIENT)
        self.kind = kind
        self.name = name
        self.loaded = []
        self.revision = 0
        """Counts the changes of its rows."""
        self.is_open = False
        """Whether its wedding has its rows; until then nothing is written to it."""
        self._owners = dict(owners)
        self._restored = Restorations()
        self._signed: Sequence[Signed] = ()
        self.at = ""
        """The instant of the newest update, RFC 3339 in UTC."""
        self._unseen: Unseen | None = None
        self._steps: list[Step] = []
        self._notice: bytes | None = None
        self._applied: Applied | None = None
        self._reset()

    def _reset(self) -> None:
        self.items = StructIndex(
            self.kind, server_client=SERVER_CLIENT, deleted=self.coverage.deleted, claims=self.owners.claims
        )
        self.items.owners.update(self._owners)
        self._stored = StoredStructs(self.kind, self.items)
        self._rows: Rows | None = None
        self.encoding: EncodedRows | None = None
        """The rows as they are being encoded for a reader, if there is one."""

    @property
    def rows(self) -> Rows:
        """The rows; the document has to be built."""
        assert self._rows is not None
        return self._rows

    @property
    def is_built(self) -> bool:
        return self.is_open

    def takes(self, size_bytes: int, *, frees: bool) -> bool:
        """Whether it may grow by that much. ``frees``: by what only deletes."""
        return self.limit.takes(self.pieces.whole_size, size_bytes, frees=frees)

    def build(self, slices: Slices | None = None) -> bool:
        slices = slices or Unlimited()
        if self.loaded is not None:
            self._stored.take(self.loaded, self.pieces)
            self.loaded = None
        if not (self._stored.index(self.pieces, slices) and super().build(slices)):
            return False
        if self._rows is None:
            assert self.doc is not None
            self._rows = self._stored.read(self.doc, slices)
            if self._rows is not None:
                _delete_torn(self)
        return self._rows is not None

    def close(self) -> None:
        super().close()
        self.is_open = False
        self._reset()

    # -- updates of clients

    def judge(
        self,
        updates: Sequence[tuple[bytes, Update | None]],
        signed: Sequence[Signed],
        mark: Callable[[int], None],
        *,
        at: str,
        waiting: bool = False,
    ) -> Iterator[Judgement]:
        """`apply`, with the sender of each update: the verdict on each, before the next one is judged. ``at``: the
        instant, RFC 3339 in UTC."""
        self._signed, self.at = signed, at
        for index, status in self.judge_each(updates, mark, waiting=waiting):
            judgement = Judgement(index, status, self._notice, self._applied)
            self._notice = self._applied = None  # before the caller, who may ask for no further judgement
            yield judgement

    def _forbids(self, index: int, update: Update) -> bool:
        actor, state_vector = self._signed[index]
        try:
            self._unseen = None if state_vector is None else _unseen_by(self.items, state_vector)
        except ProtocolError:
            return True
        if update.ranges and not update.structs:  # checked elsewhere: only its summary came
            update = decode_structs(update.data)
        found = self.items.check(update, actor.user, self.clocks)
        if isinstance(found, str):
            self._notice = _notice([], f"{found}: drop this copy and load the document again")
            return True
        self._steps = found
        return False

    def _take(self, index: int, update: Update) -> None:
        rules, (actor, _) = self.write_rules, self._signed[index]
        known = len(self.items.owners)
        done = self.items.integrate(self._steps, update.deletes, actor.user)
        owners: Sequence[tuple[int, str]] = ()
        if len(self.items.owners) > known:
            owners = list(self.items.owners.items())[known:]
            self._owners.update(owners)
        writes = self._restored.with_seen(done.writes, self._steps)
        stamp = {"at": self.at, "by": user_id(actor.user)}
        outcome = rules.examine(self, actor, self._update_rows(done, self._steps, update.deletes), stamp)
        stray = _in_unknown_roots(self._steps)
        losing = [write for write in writes if write.orphan or not write.wins]
        if outcome.ops or stray or any(not rules.may_stand(self, actor, write) for write in losing):
            # also of a value that did not come to stand, and could not, nobody is to receive a byte
            outcome.reverted.extend(unknown_root(self.kind, name) for name in stray)
            writes = self._undo(update, outcome, writes, [span for spans in stray.values() for span in spans])
            lost = {write.id for write in losing}
            writes = [write for write in writes if write.id not in lost or rules.counts(self, actor, write)]
        else:
            self._accept(update)
        if outcome.reverted:
            self._notice = _notice(outcome.reverted, self.name)
        self._applied = Applied(actor, outcome.legal, writes, self._unseen, owners)

    def _accept(self, update: Update) -> None:
        """Record an update that is in the Doc, the items and the rows."""
        self.coverage.add_structs(update)
        self.limit.count(update)
        self.pieces.accept(update.data)
        self._dry_run.changed(update.data)

    def _update_rows(self, done: Integrated, steps: Sequence[Step], deletes: Sequence[Span]) -> Changes:
        assert self._stored.texts is not None
        read = self._stored.texts.after(steps, deletes, done.texts, self.rows)
        values = new_values(self.items, done, read)
        changes = self.rows.update(values)
        self.revision += 1
        if self.encoding is not None:
            self.encoding.changed(values)
        return changes

    def outdone(self, actor: Actor, writes: Sequence[Write]) -> list[Op]:
        """Operations that repeat the writes of an actor which lost only against values that the server had put back."""
        rules = self.write_rules
        lost = [w for w in writes if w.seen and not (w.wins or w.orphan) and w.value is not NESTED]
        return [
            Op("set", self.name, w.root, w.record, w.key, normalised(w.value))
            for w in lost
            if self.items.newest(w.root, w.record, w.key) in self._restored and rules.may_stand(self, actor, w)
        ]

    def _undo(self, update: Update, outcome: Outcome, writes: Sequence[Write], deletes: Sequence[Span]) -> list[Write]:
        """Accept an update together with what undoes a part of it. Returns the writes that stand."""
        assert self.doc is not None
        ops, inserted = (outcome.ops, []) if update.deletes else _by_ids(outcome.ops, self._steps, self.items)
        if not ops and len(inserted) == len(self._steps):  # all of it; a difference of the Doc takes all its structs
            both = decode_structs(without_content([struct for struct, *_ in self._steps]))
            self.doc.apply_update(both.data)
        else:
            before, spans = encode_clocks(self.clocks), ClockRanges([*deletes, *inserted]).spans()
            undone = decode_structs(carry_out(self.kind, self.doc, ops, spans)).deletes
            both = decode_structs(changes_since(self.doc, before, [*update.deletes, *undone]))
        self.coverage.add_structs(update)
        steps = self.items.locate(both, self.clocks)
        done = self.items.integrate(steps, both.deletes, SERVER)
        self._update_rows(done, steps, both.deletes)
        self._accept(both)
        rows = {*outcome.withdrawn, *(each[:2] for each in outcome.reverted if each.key is None)}
        fields = {each[:3] for each in outcome.reverted}
        gone = [w for w in writes if (w.root, w.record) in rows or (w.root, w.record, w.key) in fields]
        self._restored.add(done.writes)
        self._restored.add(gone)
        ids = {write.id for write in gone}
        return [write for write in writes if write.id not in ids]

    # -- what the server writes

    def write(self, ops: Sequence[Op]) -> Changes:
        """One transaction of the server's own. Returns what it changed."""
        assert self.doc is not None
        update = decode_structs(carry_out(self.kind, self.doc, ops))
        if is_empty(update):
            return Changes([], [], [])
        steps = self.items.locate(update, self.clocks)
        done = self.items.integrate(steps, update.deletes, SERVER)
        self._accept(update)
        return self._update_rows(done, steps, update.deletes)


def _delete_torn(document: SchemaDocument) -> None:
    """Delete what stands between two places, for everybody: clients that are built on yrs show it."""
    covers = document.coverage.deleted.covers
    spans = [span for span in _torn(document.items).spans() if not covers(*span)]
    if spans:
        update = decode_structs(with_deletes(EMPTY_UPDATE, spans))
        document.items.integrate([], update.deletes, SERVER)
        document._accept(update)


def _unseen_by(items: StructIndex, state_vector: bytes) -> Unseen:
    """The items that a client with this state vector has not seen. Raises ProtocolError."""
    known = decode_state_vector(state_vector)

    def unseen(root: str, record: str, key: str) -> bool:
        newest = items.newest(root, record, key)
        return newest is not None and newest[1] >= known.get(newest[0], 0)

    return unseen


def _in_unknown_roots(steps: Sequence[Step]) -> dict[str, list[Span]]:
    """The structs in roots that the kind has not, by the names of those."""
    found: dict[str, list[Span]] = {}
    for struct, shared, _, _ in steps:
        if shared is not None and shared.use == UNKNOWN:
            spans = found.setdefault(shared.root.name, [])
            spans.append((struct.client, struct.clock, struct.clock + struct.length))
    return found


def _by_ids(ops: Sequence[Op], steps: Sequence[Step], items: StructIndex) -> tuple[list[Op], list[Span]]:
    """The operations that undo a part of an update which deletes nothing, without those that put a text back, and the
    structs to delete in their place: what was inserted. To compare the texts takes three more readings."""
    texts: dict[tuple[str, str, str | None], list[Span]] = {}
    opened = {opening for *_, opening in steps if opening is not None}
    for struct, shared, _, _ in steps:
        if shared is not None and shared.use == A_TEXT and shared not in opened and struct.content == STRING:
            key = None if shared.entries is None else shared.entries.key
            if items.is_current(shared):
                spans = texts.setdefault((shared.root.name, shared.record, key), [])
                spans.append((struct.client, struct.clock, struct.clock + struct.length))
    left, deletes = list[Op](), list[Span]()
    for op in ops:
        spans = texts.pop((op.root, op.record, op.key), []) if op.kind == "set" else []
        deletes += spans
        if not spans:
            left.append(op)
    return left, deletes


def _notice(reverted: Sequence[Reverted], why: str) -> bytes:
    listed = [
        {
            "root": each.root[:MAX_NAME],
            "record": each.record[:200],
            "key": each.key and each.key[:200],
            "code": each.reason.code,
        }
        for each in reverted[:50]
    ]
    messages = sorted({each.reason.message for each in reverted[:50]})
    return json.dumps({"reverted": listed, "why": "; ".join(messages) or why}, ensure_ascii=False).encode()

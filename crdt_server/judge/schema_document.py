"""A document with a schema inside a host: every update is looked at struct by struct, and row by row.

An update that breaks the structure of its kind, or uses somebody else's client id, is refused as a whole. Of any other,
what the kind does not allow is written back in the same step: only the difference that results is stored and sent, so
nobody ever receives what was undone, and whoever sent it converges with everybody else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pycrdt import Doc

from crdt_server.errors import ProtocolError
from crdt_server.judge.applied import Applied, Judgement
from crdt_server.judge.clock_ranges import ClockRanges, Span, encode_clocks
from crdt_server.judge.doc_writer import carry_out
from crdt_server.judge.document import Document
from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.places import Entries, Place
from crdt_server.judge.row_values import TextReader, new_values, rows_of
from crdt_server.judge.rules import Reverted, examine, may_stand
from crdt_server.judge.struct_index import Integrated, Step, StructIndex
from crdt_server.judge.writes import NESTED, Write
from crdt_server.protocol.structs import DELETED, GC, Id, Struct
from crdt_server.protocol.update import Update, decode_state_vector, decode_structs, is_empty, with_deletes
from documents.changes import Changes
from documents.events import Actor
from documents.fields import normalised
from documents.invariants import Op
from documents.invariants.model import SERVER
from documents.kind import MAX_DOCUMENT_BYTES, Kind
from documents.rows import Rows

SERVER_CLIENT = 1
"""Client id of what the server writes. The lowest loses against every concurrent write, which is then looked at."""

# Four times what it takes: the structs, rows, rules and events of a new wedding's 110 KB of guests take 0.4 s.
JUDGED_BYTES_PER_CPU_SECOND = 64 * 1024

Signed = tuple[Actor, bytes | None]
"""Who sent an update, and the state vector of their reconnection, where they were away until now."""


class SchemaDocument(Document):
    """See the head of the file. ``owners``: client id -> user, as the store has them."""

    def __init__(self, kind: Kind, name: str, owners: Mapping[int, str], copies: ForkPool | None = None) -> None:
        super().__init__(MAX_DOCUMENT_BYTES, copies=copies)
        self.kind = kind
        self.name = name
        self._owners = dict(owners)
        self._rows: Rows | None = None
        self._texts: TextReader | None = None
        self.items = self._new_items()
        self._indexed = 0  # how many pieces the items have seen
        self._newest: dict[Entries, Struct] = {}  # by those
        self._filled: dict[Place, None] = {}  # texts, by those
        self._signed: Sequence[Signed] = ()
        self._knows: Mapping[int, int] | None = None
        self._steps: list[Step] = []
        self._notice: bytes | None = None
        self._applied: Applied | None = None
        # what was put back -> what was undone -> what had been there: the same to those who have seen one of them
        self._restored: dict[Id, Id | None] = {}

    @property
    def rows(self) -> Rows:
        """The rows; the document has to be warm."""
        assert self._rows is not None
        return self._rows

    @property
    def warm(self) -> bool:
        return self._rows is not None

    @property
    def has_news(self) -> bool:
        """Whether anything waits to be taken."""
        return bool(self._accepted or self._outgoing)

    def takes(self, size_bytes: int) -> bool:
        """Whether it may grow by that much."""
        return self.size + self._accepted_bytes + size_bytes <= self.max_bytes

    # -- building it from the store

    def warm_up(self, budget: int) -> None:
        super().warm_up(budget)
        while self._indexed < self._warmed:
            self.items.load(decode_structs(self.pieces[self._indexed]).structs, self._newest, self._filled)
            self._indexed += 1
        if self._rows is None and self._warmed == len(self.pieces):
            assert self.doc is not None
            self._texts = TextReader(self.kind, self.doc)
            rows = rows_of(self.kind, self.items, self._newest, self._filled, self._texts.read)
            self._rows = Rows(self.kind, rows)
            self._newest, self._filled = {}, {}

    def cool_down(self) -> None:
        self.close()
        super().cool_down()

    def close(self) -> None:
        super().close()
        self._rows = self._texts = None
        self.items, self._indexed = self._new_items(), 0
        self._newest, self._filled = {}, {}

    def _new_doc(self) -> Doc[Any]:
        return Doc(client_id=SERVER_CLIENT)

    def _new_items(self) -> StructIndex:
        items = StructIndex(self.kind, server_client=SERVER_CLIENT, deleted=self.deleted)
        items.owners.update(self._owners)
        return items

    def flush(self) -> None:
        super().flush()
        if self.warm:  # the items have seen what was accepted, but of a cold document nothing yet
            self._indexed = len(self.pieces)

    def diff(self, state_vector: bytes, batch: int | None = None) -> list[bytes] | None:
        self.flush()
        return super().diff(state_vector, batch)

    # -- updates of clients

    def judge(
        self,
        updates: Sequence[tuple[bytes, Update | None]],
        signed: Sequence[Signed],
        mark: Callable[[int], None],
        *,
        waiting: bool = False,
    ) -> Iterator[Judgement]:
        """`apply`, with the sender of each update: the verdict on each, before the next one is judged."""
        self._signed = signed
        for index, status in self.judge_each(updates, mark, waiting=waiting):
            yield Judgement(index, status, self._notice, self._applied)
            self._notice = self._applied = None

    def cpu_limit_seconds(self, size_bytes: int) -> float:
        return super().cpu_limit_seconds(size_bytes) + size_bytes / JUDGED_BYTES_PER_CPU_SECOND

    def _forbids(self, index: int, update: Update) -> bool:
        actor, knows = self._signed[index]
        try:
            self._knows = None if knows is None else decode_state_vector(knows)
        except ProtocolError:
            return True
        if update.ranges and not update.structs:  # checked elsewhere: only its summary came
            update = decode_structs(update.data)
        found = self.items.check(update, actor.user, self.clocks)
        if isinstance(found, str):
            self._notice = _notice([], found)
            return True
        self._steps = found
        return False

    def _decode(self, data: bytes) -> Update:
        return decode_structs(data)

    def _account(self, update: Update) -> None:
        self._account_structs(update)
        if not self.warm:  # else the items have taken in what it deletes
            self._account_deletes(update)

    def _take(self, index: int, update: Update) -> None:
        actor, _ = self._signed[index]
        known = len(self.items.owners)
        done = self.items.integrate(self._steps, update.deletes, actor.user)
        owners = list(self.items.owners.items())[known:] if len(self.items.owners) > known else ()
        self._owners.update(owners)
        writes = self._with_seen(done.writes)
        outcome = examine(self.kind, self.name, self.rows.roots, self._update_rows(done))
        if outcome.ops or any(self._is_hidden(write) for write in writes):
            writes = self._undo(update, outcome.ops, outcome.reverted, writes)
        else:
            super()._take(index, update)
        if outcome.reverted:
            self._notice = _notice(outcome.reverted, self.name)
        self._applied = Applied(actor, outcome.legal, writes, self._knows, owners)

    def _update_rows(self, done: Integrated) -> Changes:
        assert self._texts is not None
        return self.rows.update(new_values(self.items, done, self._texts.read))

    def _with_seen(self, writes: list[Write]) -> list[Write]:
        if all(write.seen for write in writes):
            return writes
        origins = {(struct.client, struct.clock): struct.origin for struct, *_ in self._steps}
        return [w._replace(seen=w.seen or self._saw(w, origins)) for w in writes]

    def _saw(self, write: Write, origins: Mapping[Id, Id | None]) -> bool:
        """Whether nothing but the server's putting back lies between what it was written on and what was there."""
        origin = origins.get(write.id)
        while origin is not None and origin in origins:
            origin = origins[origin]
        return self._before_undoing(write.over) == self._before_undoing(origin)

    def _before_undoing(self, id: Id | None) -> Id | None:
        while id is not None and id in self._restored:
            id = self._restored[id]
        return id

    def _is_hidden(self, write: Write) -> bool:
        """Whether it did not come to stand, and could not: of such a value nobody is to receive a byte."""
        return not (write.wins and not write.orphan) and not may_stand(self.kind.roots[write.root], write)

    def outdone(self, writes: Sequence[Write]) -> list[Op]:
        """What lost against nothing but what the server had put back, as operations that write it once more."""
        lost = [w for w in writes if w.seen and not (w.wins or w.orphan) and w.value is not NESTED]
        return [
            Op("set", self.name, w.root, w.record, w.key, normalised(w.value))
            for w in lost
            if self.items.newest(w.root, w.record, w.key) in self._restored and may_stand(self.kind.roots[w.root], w)
        ]

    def _undo(
        self, update: Update, ops: Sequence[Op], reverted: Sequence[Reverted], writes: Sequence[Write]
    ) -> list[Write]:
        """Accept an update together with what undoes a part of it. Returns the writes that stand."""
        assert self.doc is not None
        before = encode_clocks(self.clocks)
        written = carry_out(self.kind, self.doc, ops)
        undone = decode_structs(written).deletes
        data = self._since(before, [*update.deletes, *undone])
        self._account(update)
        both = decode_structs(data)
        done = self.items.integrate(self.items.locate(both, self.clocks), both.deletes, SERVER)
        self._update_rows(done)
        self._restored.update((write.id, write.over) for write in done.writes)
        self._account(both)
        self._accept(data)
        rows = {each[:2] for each in reverted if each.key is None}
        fields = {each[:3] for each in reverted}
        standing = []
        for write in writes:
            if (write.root, write.record) in rows or (write.root, write.record, write.key) in fields:
                self._restored[write.id] = write.over
            else:
                standing.append(write)
        return standing

    # -- what the server writes

    def write(self, ops: Sequence[Op]) -> Changes:
        """One transaction of the server's own. Returns what it changed."""
        assert self.doc is not None
        data = carry_out(self.kind, self.doc, ops)
        update = decode_structs(data)
        if is_empty(update):
            return Changes([], [], [])
        done = self.items.integrate(self.items.locate(update, self.clocks), update.deletes, SERVER)
        self._account(update)
        self._accept(data)
        return self._update_rows(done)

    def _since(self, state_vector: bytes, deletes: Sequence[Span]) -> bytes:
        """What the Doc has more than the pieces, with these deletions and those of what is new and gone already:
        pycrdt gives all deletions there ever were."""
        assert self.doc is not None
        data = with_deletes(self.doc.get_update(state_vector), ())
        gone = [
            (s.client, s.clock, s.clock + s.length) for s in decode_structs(data).structs if s.content in (GC, DELETED)
        ]
        return with_deletes(data, ClockRanges([*deletes, *gone]).spans())


def _notice(reverted: Sequence[Reverted], why: str) -> bytes:
    listed = [
        {"root": each.root, "record": each.record[:200], "key": each.key and each.key[:200], "code": each.reason.code}
        for each in reverted[:50]
    ]
    messages = sorted({each.reason.message for each in reverted[:50]})
    return json.dumps({"reverted": listed, "why": "; ".join(messages) or why}, ensure_ascii=False).encode()

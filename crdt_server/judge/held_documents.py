"""The documents that a host holds, and the weddings of those with a schema: load steps in, documents out."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from crdt_server.errors import ProtocolError
from crdt_server.judge.document import Document
from crdt_server.judge.dry_run import ForkPool
from crdt_server.judge.making import make_document
from crdt_server.judge.schema_document import SchemaDocument
from crdt_server.judge.shared_types import take_apart
from crdt_server.judge.slices import Slices
from crdt_server.judge.wedding import WeddingJudge
from crdt_server.memory import trim_heap
from crdt_server.pipe import ContextMissing, LoadRefused, LoadStep

# Of documents that were forgotten; giving their memory back takes up to 60 ms. Little is worth that with the last of
# them: what edits had taken goes with it, which was 113 MB after hostile ones.
TRIM_BYTES, LAST_TRIM_BYTES = 1 << 20, 64 << 10
# A collection takes up to 0.4 s, during which everybody waits, and finds next to nothing: what is forgotten is taken
# apart. It is there for cycles that nobody knows of.
COLLECT_BYTES = 64 << 20
# The newest documents of a host keep the structs that they were loaded with, for edits that come at once, as long as
# those documents are no more, and have no more bytes: structs take twenty times as much memory, and reading them again
# takes a fifth of the time of opening a document.
STRUCTS_KEPT, STRUCTS_KEPT_BYTES = 32, 8 << 20


class HeldDocuments:
    """See the head of the file. ``slices`` are those of the host."""

    def __init__(self, max_document_bytes: int, slices: Slices) -> None:
        self.max_document_bytes = max_document_bytes
        self.documents: dict[int, Document] = {}
        """By room, as `judges`."""
        self.judges: dict[int, WeddingJudge] = {}
        self.weddings: dict[str, WeddingJudge] = {}
        self.rooms: dict[WeddingJudge, dict[str, int]] = {}  # by name of the document
        self.copies = ForkPool()
        self.slices = slices
        self._loaded: dict[Document, None] = {}  # they may have structs, see STRUCTS_KEPT_BYTES
        self._apart: deque[Iterator[None]] = deque()  # what is forgotten, as it is taken apart
        self._untrimmed = self._uncollected = 0  # bytes of documents that were forgotten since

    def load(self, room: int, load: LoadStep, reading: Callable[[int], None]) -> LoadRefused | ContextMissing | None:
        """Take a load step; ``reading`` is called with its size in bytes before. Returns the reason where that is not
        possible."""
        try:
            if room not in self.documents and not self._open(room, load):
                return ContextMissing(room)
            reading(sum(map(len, load.updates)))
            document = self.documents[room]
            judge = self.judges.get(room)
            if judge is not None and not judge.complete:
                judge.add_rows(load.rows, more=load.more_rows)
            document.load(load.updates)
            self._keep_structs(document)
        except ProtocolError as error:
            self._forget(room)
            return LoadRefused(room, str(error))
        return None

    def _open(self, room: int, load: LoadStep) -> bool:
        """Begin a document. False where the rest of its wedding is not known."""
        context = load.context
        if context is None:
            self.documents[room] = Document(
                self.max_document_bytes, bytes_only=load.bytes_only, copies=self.copies, owners=dict(load.owners)
            )
            return True
        if load.bytes_only:
            raise ProtocolError("bytes_only", "a document with a schema cannot be held without its Doc")
        judge = self.weddings.get(context.wedding)
        if judge is None:
            if context.rows is None:
                return False
            stored = context.rows, context.bookings, context.others
            rules = not context.without_rules
            judge = WeddingJudge(context.wedding, *stored, more=load.more_rows, slices=self.slices, rules=rules)
            self.weddings[context.wedding] = judge
        self.documents[room] = make_document(judge, context, self.copies)
        self.judges[room] = judge
        self.rooms.setdefault(judge, {})[context.document] = room
        return True

    def _keep_structs(self, document: Document) -> None:
        """Let a document keep its structs, if need be in place of others."""
        self._loaded = {each: None for each in (*self._loaded, document) if each.loaded is not None}
        size = sum(each.pieces.size for each in self._loaded)
        for each in list(self._loaded):
            if size <= STRUCTS_KEPT_BYTES and len(self._loaded) <= STRUCTS_KEPT:
                return
            size -= each.pieces.size
            each.loaded = None
            del self._loaded[each]

    def forget(self, rooms: Iterable[int]) -> None:
        """Drop documents. Their memory is free when `take_apart` returns True."""
        size = sum(map(self._forget, rooms))
        self._untrimmed += size
        self._uncollected += size

    def take_apart(self) -> bool:
        """The next slice of freeing what was forgotten. Returns whether nothing is left of it."""
        while self._apart:
            if not self.slices.run_last(self._apart[0]):
                return False
            self._apart.popleft()
        if self._uncollected > COLLECT_BYTES:
            self._uncollected = 0
            gc.unfreeze()
            gc.collect()
            gc.freeze()
        if self._untrimmed > (TRIM_BYTES if self.documents else LAST_TRIM_BYTES) and self.slices.is_idle():
            self._untrimmed = 0
            trim_heap()
        return True

    def _forget(self, room: int) -> int:
        """Drop a document; returns its size."""
        document = self.documents.pop(room, None)
        if document is None:
            return 0
        self._loaded.pop(document, None)
        if isinstance(document, SchemaDocument):
            self._apart.append(take_apart(document.items.clients))
            judge = self.judges.pop(room)
            judge.detach(document)
            rooms = self.rooms[judge]
            if rooms.get(document.name) == room:
                del rooms[document.name]
            if not rooms:
                del self.rooms[judge], self.weddings[judge.name]
        document.close()
        return document.pieces.size

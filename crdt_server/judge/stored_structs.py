"""The structs that a document with a schema was loaded with: its index and its rows are made of them, in slices."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pycrdt import Doc

from crdt_server.judge.followed_texts import FollowedTexts
from crdt_server.judge.pieces import Pieces
from crdt_server.judge.row_values import TextReader, read_rows
from crdt_server.judge.shared_types import Entries, SharedType
from crdt_server.judge.slices import Slices
from crdt_server.judge.struct_index import StructIndex
from crdt_server.protocol.structs import Struct
from crdt_server.protocol.update import decode_structs
from documents.changes import RowsByRoot
from documents.kind import Kind
from documents.rows import Rows


class StoredStructs:
    """See the head of the file. ``texts`` has the texts of the document once its rows are read."""

    def __init__(self, kind: Kind, items: StructIndex) -> None:
        self.texts: FollowedTexts | None = None
        self._kind = kind
        self._items = items
        self._decoded: deque[Sequence[Struct]] = deque()  # not in the items yet
        self._indexed = 0  # how many pieces the items have been built from
        self._newest: dict[Entries, Struct] = {}  # by those
        self._filled: dict[SharedType, None] = {}  # texts, by those
        self._reading: tuple[Rows, Iterator[None]] | None = None  # rows, and the steps in which they are read

    def take(self, decoded: Iterable[Sequence[Struct]], pieces: Pieces) -> None:
        """Take the structs of all pieces, which were decoded already."""
        self._decoded.extend(decoded)
        self._indexed = len(pieces)

    def index(self, pieces: Pieces, slices: Slices) -> bool:
        """Add the structs of all pieces to the index. Returns whether that is done."""
        while self._decoded or self._indexed < len(pieces):
            if not self._decoded:
                self._decoded.append(decode_structs(pieces[self._indexed]).structs)
                self._indexed += 1
            self._items.load(self._decoded.popleft(), self._newest, self._filled)
            if slices.used_up():
                break
        return not self._decoded and self._indexed == len(pieces)

    def read(self, doc: Doc[Any], slices: Slices) -> Rows | None:
        """Read the rows. None: the slice was used up before."""
        if self._reading is None:
            self.texts = FollowedTexts(TextReader(self._kind, doc).read)
            roots: RowsByRoot = {name: {} for name in self._kind.roots}
            steps = read_rows(roots, self._kind, self._items, self._newest, self._filled, self.texts.read)
            self._reading = Rows(self._kind, roots), steps
        rows, steps = self._reading
        if not slices.run(steps):
            return None
        self._reading, self._newest, self._filled = None, {}, {}
        return rows

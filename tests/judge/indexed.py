"""A kind with roots of every shape, an index of one of its documents, and updates made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pycrdt import Doc, Map

from crdt_server.judge.clock_ranges import encode_clocks
from crdt_server.judge.row_values import TextReader, new_values, read_rows
from crdt_server.judge.shared_types import Entries, SharedType
from crdt_server.judge.struct_index import StructIndex
from crdt_server.judge.writes import Write
from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from crdt_server.protocol.structs import Id, Struct
from crdt_server.protocol.update import Update, decode_structs
from documents.changes import Changes, RowsByRoot
from documents.fields import AnyJson, Note, String
from documents.kind import Kind, key, record, records, single, text, values
from documents.rows import Rows
from tests.support.slices import finish

SERVER_CLIENT = 99


@record
class Guest:
    name: str | None = key(String(), "Name.")
    note: str | None = key(Note(), "Remarks.")


KIND = Kind(
    "guests",
    "A kind with a root of every shape.",
    (
        records("guests", Guest, "Guests."),
        values("seats", AnyJson(100), "Seats."),
        single("meta", Guest, "About it."),
        text("remarks", "Remarks."),
    ),
)


class Server:
    """An index, and the clocks it has."""

    def __init__(self) -> None:
        self.items = StructIndex(KIND, server_client=SERVER_CLIENT)
        self.known: dict[int, int] = {}

    def violation(self, data: bytes, user: str = "ann") -> str | None:
        found = self.items.check(decode_structs(data), user, self.known)
        return found if isinstance(found, str) else None

    def integrate(self, data: bytes, user: str = "ann") -> list[Write]:
        update = decode_structs(data)
        steps = self.items.check(update, user, self.known)
        assert not isinstance(steps, str), steps
        done = self.items.integrate(steps, update.deletes, user)
        self._account(update)
        return done.writes

    def load(self, data: bytes) -> RowsByRoot:
        """The rows, of texts only whether there is something in them."""
        update = decode_structs(data)
        newest: dict[Entries, Struct] = {}
        texts: dict[SharedType, None] = {}
        self.items.load(update.structs, newest, texts)
        self._account(update)
        for deleted in update.deletes:
            self.items.deleted.add(*deleted)
        rows: RowsByRoot = {name: {} for name in KIND.roots}
        finish(read_rows(rows, KIND, self.items, newest, texts, lambda text: "some text"))
        return rows

    def _account(self, update: Update) -> None:
        for client, _, following in update.ranges:
            self.known[client] = max(following, self.known.get(client, 0))


def alive(items: StructIndex, id: Id) -> bool:
    """Whether what a struct holds is still there: neither it nor the record it lies in is deleted or replaced."""
    spot = items._lookup(id)
    if spot is None or items.deleted.covers(*id, id[1] + 1):
        return False
    shared, key, _ = spot
    if key is not None and shared.entries_of(key).newest != id:
        return False
    return items.is_current(shared)


class IndexedRows:
    """The rows of a Doc as its structs say them."""

    def __init__(self, kind: Kind, doc: Doc[Any]) -> None:
        self._doc = doc
        self._items = StructIndex(kind, server_client=SERVER_CLIENT)
        self._texts = TextReader(kind, doc)
        self._known: dict[int, int] = {}
        newest: dict[Entries, Struct] = {}
        texts: dict[SharedType, None] = {}
        update = self._news()
        self._items.load(update.structs, newest, texts)
        for deleted in update.deletes:
            self._items.deleted.add(*deleted)
        rows: RowsByRoot = {name: {} for name in kind.roots}
        finish(read_rows(rows, kind, self._items, newest, texts, self._texts.read))
        self._rows = Rows(kind, rows)

    @property
    def roots(self) -> RowsByRoot:
        return self._rows.roots

    def take(self) -> Changes:
        """What has changed since the last call."""
        known = dict(self._known)
        update = self._news()
        done = self._items.integrate(self._items.locate(update, known), update.deletes, "ann")
        return self._rows.update(new_values(self._items, done, self._texts.read))

    def _news(self) -> Update:
        update = decode_structs(self._doc.get_update(encode_clocks(self._known)))
        self._known.update((client, following) for client, _, following in update.ranges)
        return update


def alone(client: int, known: Doc[Any] | None = None, *, collects: bool = True) -> Doc[Any]:
    doc: Doc[Any] = Doc(client_id=client, skip_gc=not collects)
    if known is not None:
        doc.apply_update(known.get_update())
    return doc


def guests_of(doc: Doc[Any]) -> Map[Any]:
    guests: Map[Any] = doc.get("guests", type=Map)
    return guests


def last(doc: Doc[Any], edit: Callable[[], object]) -> bytes:
    state = doc.get_state()
    with doc.transaction():
        edit()
    return doc.get_update(state)


# Updates made by hand

ITEM, TEXT, EMBED, FORMAT, TYPE, DOC = 0x08, 0x04, 0x05, 0x06, 0x07, 0x09
KEYED, FOLLOWS, BEFORE = 0x20, 0x80, 0x40


def identified(client: int, clock: int) -> bytes:
    return write_var_uint(client) + write_var_uint(clock)


def count(*texts: str) -> bytes:
    """Plain strings as the content of an item."""
    return write_var_uint(len(texts)) + b"".join(b"\x77" + write_var_string(each) for each in texts)


def struct(where: bytes, info: int, content: bytes, *, key: str | None = None) -> bytes:
    return bytes((info,)) + where + (b"" if key is None else write_var_string(key)) + content


def section(client: int, *structs: bytes, clock: int = 0) -> bytes:
    return write_var_uint(len(structs)) + identified(client, clock) + b"".join(structs)


def update(*structs: bytes, client: int = 7, clock: int = 0) -> bytes:
    return b"\1" + section(client, *structs, clock=clock) + b"\0"


def root(name: str) -> bytes:
    """Parent: a root."""
    return b"\1" + write_var_string(name)

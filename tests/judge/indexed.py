"""A kind with roots of every shape, an index of one of its documents, and updates made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pycrdt import Doc, Map

from crdt_server.judge.struct_index import Held, StructIndex
from crdt_server.judge.writes import Write
from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from crdt_server.protocol.update import Update, decode_structs, decode_update
from documents.fields import AnyJson, Note, String
from documents.kind import Kind, key, record, records, single, text, values
from documents.rows import Known

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
        update = decode_update(data, max_bytes=len(data))
        return self.items.violation(update, decode_structs(data).structs, user, self.known)

    def hear(self, data: bytes, user: str = "ann") -> list[Write]:
        update = decode_update(data, max_bytes=len(data))
        structs = decode_structs(data).structs
        assert self.items.violation(update, structs, user, self.known) is None
        writes = self.items.integrate(structs, update.deletes, user, self.known)
        self._account(update)
        return writes

    def load(self, data: bytes) -> Known:
        update = decode_update(data, max_bytes=len(data))
        held: Held = {}
        self.items.load(decode_structs(data).structs, held)
        self._account(update)
        return self.items.values(update.deletes, held)

    def _account(self, update: Update) -> None:
        for client, _, following in update.ranges:
            self.known[client] = max(following, self.known.get(client, 0))


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

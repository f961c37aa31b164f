"""The shared types of a document to which its kind gives a meaning: the places of its structs.

A shared type where a plain value belongs is a wrong value, not a wrong structure. Structs inside it have no place, like
collected ones.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from crdt_server.judge.map_entries import IdRuns, MapEntries
from crdt_server.protocol.structs import (
    ANY,
    BINARY,
    DELETED,
    DOC,
    EMBED,
    FORMAT,
    STRING,
    TYPE,
    TYPE_MAP,
    TYPE_TEXT,
    Struct,
)
from documents.kind import WHOLE, Root, Shape, text

# The purpose of a shared type. STRAY: a map where a plain value belongs; UNKNOWN: a root that the kind has not.
RECORDS, VALUES, RECORD, A_TEXT, STRAY, UNKNOWN = range(6)

MAX_UNKNOWN_ROOTS = 32
"""In one document. Their names stay in every copy, though they are empty."""

MOST_UNSEEING = 2_000
"""Entries of one key by those who saw no other of it: each passes all before it. To open a document with as many takes
20 ms more, with 20,000 it took 2 s in one step. A page that writes a value before it has synced adds one each time."""

USE_OF_ROOT: Mapping[Shape, int] = {
    Shape.RECORDS: RECORDS,
    Shape.VALUES: VALUES,
    Shape.RECORD: RECORD,
    Shape.TEXT: A_TEXT,
}

_IN_MAP = frozenset((DELETED, BINARY, TYPE, ANY))
_IN_TEXT = frozenset((DELETED, STRING, FORMAT))
_EMBEDDED = frozenset((EMBED, TYPE))


class SharedType:
    """A shared type: a root, or the value of an entry of a map."""

    __slots__ = ("client", "clock", "entries", "keys", "record", "root", "use")

    def __init__(self, use: int, root: Root, record: str, entries: Entries | None, client: int, clock: int) -> None:
        self.use, self.root, self.record = use, root, record
        self.entries = entries  # those it is one of; None: a root
        self.client, self.clock = client, clock  # its own id
        self.keys: dict[str, Entries] = _NO_KEYS if use == A_TEXT else {}

    def entries_of(self, key: str) -> Entries:
        found = self.keys.get(key)
        if found is None:
            if self.use == RECORD:
                key = sys.intern(key)  # the same in every record
            found = self.keys[key] = MapEntries(self, key)
        return found


Entries: TypeAlias = MapEntries[SharedType]
Homes: TypeAlias = IdRuns[SharedType | Entries | None]

_NO_KEYS: dict[str, Entries] = {}  # of texts, which are many


class UnknownRoots:
    """The roots of one document that its kind has not. Their structs have their place in them, lists and texts too."""

    def __init__(self) -> None:
        self._roots: dict[str, SharedType] = {}

    def root(self, name: str) -> SharedType | None:
        """The root of a name; None: there are too many others."""
        found = self._roots.get(name)
        if found is None and len(self._roots) < MAX_UNKNOWN_ROOTS:
            found = self._roots[name] = SharedType(UNKNOWN, text(name, ""), WHOLE, None, -1, -1)
        return found


def take_apart(clients: Mapping[int, Homes]) -> Iterator[None]:
    """Free the places of structs in steps. Types and their entries name one another: else only a collection would."""
    for runs in clients.values():
        while runs.homes:
            home = runs.homes.pop()
            if isinstance(home, SharedType):
                home.keys.clear()
                home = home.entries
            if home is not None:
                home.parent.keys.clear()
            yield


def field_of(entries: Entries) -> tuple[str, str, str | None]:
    """Root, record and key."""
    shared = entries.parent
    if shared.use == RECORD:
        return shared.root.name, shared.record, entries.key
    return shared.root.name, entries.key, None


def opened(shared: SharedType, key: str | None, struct: Struct) -> SharedType | None:
    """The shared type that is the value of an entry, without its entries; None: its structs have no place."""
    if struct.content != TYPE or key is None or shared.use >= A_TEXT:
        return None
    use = _use_of(shared, key, struct.value)
    if use is None:
        return None
    record = shared.record if shared.use == RECORD else key
    return SharedType(use, shared.root, record, None, struct.client, struct.clock)


def _use_of(shared: SharedType, key: str, type_number: int) -> int | None:
    if type_number == TYPE_MAP:
        return RECORD if shared.use == RECORDS else STRAY
    is_text = type_number == TYPE_TEXT and shared.use == RECORD and key in shared.root.text_keys
    return A_TEXT if is_text else None


def fault(struct: Struct, shared: SharedType | None, key: str | None) -> str | None:
    """Why a struct may not be at its place; None where it may."""
    content = struct.content
    if content == DOC:
        return "a subdocument"
    if shared is None or shared.use == UNKNOWN:
        return None
    name = shared.root.name
    if shared.use == A_TEXT:
        if key is not None:
            return f"an item with a key in the text {name}"
        if content in _EMBEDDED:
            return f"an embed in the text {name}"
        return None if content in _IN_TEXT else f"list items in the text {name}"
    if key is None:
        return f"list items in the map {name}"
    if struct.right_origin is not None:
        return f"a map entry with a right origin in {name}"
    return None if content in _IN_MAP else f"a map entry that holds no value in {name}"


def too_many_unseeing(steps: Sequence[tuple[Struct, SharedType | None, str | None, SharedType | None]]) -> str | None:
    """Why entries may not be written whose writer has seen no other of their key."""
    many = len(steps) > MOST_UNSEEING  # else those of a key that is new are not
    unseeing = [
        (shared, key)
        for struct, shared, key, _ in steps
        if key is not None and struct.origin is None and shared is not None and (many or key in shared.keys)
    ]
    for (shared, key), count in Counter(unseeing).items():
        entries = shared.keys.get(key)
        if count + (entries.unseeing if entries is not None else 0) > MOST_UNSEEING:
            return f"a key of {shared.root.name} written {MOST_UNSEEING} times without its values"
    return None

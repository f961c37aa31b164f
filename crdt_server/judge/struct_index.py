"""What every item of one document is: where it lies, which entry of a key is the newest, whose client id it has.

- Read from the structs of updates alone: no Doc is asked, and nothing in it can be changed by being asked.
- Ids are kept as runs per client: what is typed into a text is one run, however many structs brought it.
- Entries of one key are ordered as Yjs orders them (`Item.integrate`); the last is the current one. Overwriting the
  newest one appends; only concurrent entries are compared.
- A shared type where a plain value belongs is a wrong value, not a wrong structure. Nothing is followed into it:
  what lies there is nowhere, like everything that was collected.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from crdt_server.judge.document import ClockRanges
from crdt_server.judge.map_entries import IdRuns, MapEntries
from crdt_server.judge.writes import GONE, NESTED, Write
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
    Id,
    Struct,
    in_order,
    new_structs,
)
from crdt_server.protocol.update import Update
from documents.invariants.model import SERVER
from documents.kind import WHOLE, Kind, Root, Shape
from documents.rows import Known

_IN_MAP = frozenset((DELETED, BINARY, TYPE, ANY))
_WITH_VALUE = frozenset((BINARY, TYPE, ANY))
_IN_TEXT = frozenset((DELETED, STRING, FORMAT))
_NAME_SHOWN = 80


# What a shared type is for; the last: a map where a plain value belongs.
_RECORDS, _VALUES, _RECORD, _A_TEXT, _STRAY = range(5)

_USE_OF_ROOT: Mapping[Shape, int] = {
    Shape.RECORDS: _RECORDS,
    Shape.VALUES: _VALUES,
    Shape.RECORD: _RECORD,
    Shape.TEXT: _A_TEXT,
}


class _Place:
    """A shared type: a root, or what an entry of a map holds."""

    __slots__ = ("client", "clock", "entries", "keys", "record", "root", "use")

    def __init__(self, use: int, root: Root, record: str, entries: _Entries | None, client: int, clock: int) -> None:
        self.use, self.root, self.record = use, root, record
        self.entries = entries  # those it is one of; None: a root
        self.client, self.clock = client, clock  # its own id
        self.keys: dict[str, _Entries] = _NO_KEYS if use == _A_TEXT else {}

    def entries_of(self, key: str) -> _Entries:
        found = self.keys.get(key)
        if found is None:
            if self.use == _RECORD:
                key = sys.intern(key)  # the same in every record
            found = self.keys[key] = MapEntries(self, key)
        return found

    def use_of(self, key: str, type_number: int) -> int | None:
        """What a shared type under this key is for; None: nothing."""
        if type_number == TYPE_MAP:
            return _RECORD if self.use == _RECORDS else _STRAY
        is_text = type_number == TYPE_TEXT and self.use == _RECORD and key in self.root.text_keys
        return _A_TEXT if is_text else None


_Entries: TypeAlias = MapEntries[_Place]

Held: TypeAlias = dict[_Entries, Struct]
"""The newest entry of each key while a document is loaded."""

_NO_KEYS: dict[str, _Entries] = {}  # of texts, which are many

_Spot: TypeAlias = tuple[_Place, str | None, _Place | None]
"""Where an item lies, its key, and the place it opens."""

_Look: TypeAlias = Callable[[Id], _Spot | None]


class _New(NamedTuple):
    """A new entry with a value."""

    entries: _Entries
    id: Id
    struct: Struct
    seen: bool
    over: Id | None


class _Coming:
    """What one update has brought so far."""

    __slots__ = ("before", "seen", "written")

    def __init__(self) -> None:
        self.before: dict[_Entries, Id | None] = {}  # what was newest
        self.seen: dict[Id, bool] = {}  # last id of each new entry
        self.written: list[_New] = []

    def enter(self, entries: _Entries, struct: Struct) -> None:
        """Take an entry to its place."""
        client, clock, length, content, origin = struct[:5]
        id = (client, clock + length - 1)
        over = self.before.setdefault(entries, entries.newest)
        seen = self.seen.get(origin) if origin is not None else None
        if seen is None:
            seen = origin == over
        self.seen[id] = seen
        if content in _WITH_VALUE:
            self.written.append(_New(entries, id, struct, seen, over))
        entries.add(client, clock, length, origin)


class StructIndex:
    """The items of one document. What it is given must have passed `decode_update` and leave no hole."""

    def __init__(self, kind: Kind, *, server_client: int) -> None:
        self.owners: dict[int, str] = {}
        """Client id -> user. The caller fills in what is stored; `integrate` adds to it."""
        self._server_client = server_client
        self._roots = {
            name: _Place(_USE_OF_ROOT[root.shape], root, WHOLE, None, -1, -1) for name, root in kind.roots.items()
        }
        self._clients: dict[int, IdRuns[_Place | _Entries | None]] = {}
        self._deleted = ClockRanges()
        # What was looked up last. The keys of a record follow one another; where an item lies never changes.
        self._last: tuple[Id | None, _Spot | None] = (None, None)

    def violation(self, update: Update, structs: Sequence[Struct], user: str, known: Mapping[int, int]) -> str | None:
        """Why nobody, or not this user, may write such an update; None: it may be integrated. Changes nothing.

        `structs` are those of the update. Of each client, those below its clock in `known` are not looked at.
        """
        for client, _, following in update.ranges:
            if following > known.get(client, 0):
                reason = self._claim(client, user)
                if reason is not None:
                    return reason
        fresh = new_structs(structs, known)
        ordered = in_order(fresh)
        if len(ordered) < len(fresh):
            return "structs that wait for one another"
        return self._misplaced(ordered)

    def integrate(
        self,
        structs: Sequence[Struct],
        deletes: Iterable[tuple[int, int, int]],
        user: str,
        known: Mapping[int, int],
    ) -> list[Write]:
        """Take in an update that `violation` has nothing against. Returns its map entries, each after those it
        follows."""
        coming = _Coming()
        for struct in in_order(new_structs(structs, known)):
            self.owners.setdefault(struct.client, user)
            self._take(struct, coming)
        for deleted in deletes:
            self._deleted.add(*deleted)
        covers = self._deleted.covers
        writes = [self._write(new) for new in coming.written if not covers(*new.id, new.id[1] + 1)]
        return writes if len(writes) == len(coming.seen) else writes + self._emptied(coming, writes)

    def load(self, structs: Sequence[Struct], held: Held) -> None:
        """Take in what is stored; its deletions come when there are no more structs. Keeps `held` up to date."""
        for struct in in_order(structs):
            entries = self._take(struct, None)
            if entries is not None and entries.newest == (struct.client, struct.clock + struct.length - 1):
                held[entries] = struct

    def values(self, deletes: Iterable[tuple[int, int, int]], held: Held) -> Known:
        """End of loading: the deletions. Returns the plain values."""
        for deleted in deletes:
            self._deleted.add(*deleted)
        covers, rows = self._deleted.covers, dict[tuple[str, str], dict[str | None, Any]]()
        place, current = None, False
        for entries, struct in held.items():
            if entries.place is not place:
                place = entries.place
                current = self._is_current(place)
            plain = struct.content == ANY or struct.content == BINARY
            if plain and current and not covers(entries.client, entries.clock, entries.clock + 1):
                root, record, key = _field(entries)
                rows.setdefault((root, record), {})[key] = _value(struct)
        return rows

    def alive(self, id: Id) -> bool:
        """Whether what an item holds is still there: neither it nor the record it lies in is deleted or replaced."""
        spot = self._look(id)
        if spot is None or self._deleted.covers(*id, id[1] + 1):
            return False
        place, key, _ = spot
        if key is not None and place.entries_of(key).newest != id:
            return False
        return self._is_current(place)

    def newest(self, root: str, record: str, key: str | None) -> Id | None:
        """The newest item of a key, deleted or not; of single values and of records as a whole with None as key."""
        place: _Place | None = self._roots.get(root)
        name = key
        if place is not None and place.use in (_RECORDS, _VALUES):
            name = record
            if key is not None:
                id = self.newest(root, record, None)
                spot = None if id is None else self._look(id)
                place, name = spot and spot[2], key
        entries = place.keys.get(name) if place is not None and name is not None else None
        return entries.newest if entries is not None else None

    def _claim(self, client: int, user: str) -> str | None:
        if client == self._server_client and user != SERVER:
            return "the server's client id"
        if self.owners.get(client, user) != user:
            return f"client id {client} belongs to somebody else"
        return None

    def _misplaced(self, structs: Sequence[Struct]) -> str | None:
        if len(structs) == 1:
            return self._fault(structs[0], self._look)[0]
        coming: dict[int, IdRuns[_Spot | None]] = {}

        def look(id: Id) -> _Spot | None:
            runs = coming.get(id[0])
            if runs is None or id[1] < runs.starts[0]:
                return self._look(id)
            return runs.at(id[1])

        for struct in structs:
            reason, where = self._fault(struct, look)
            if reason is not None:
                return reason
            runs = coming.setdefault(struct.client, IdRuns())
            runs.add(struct.clock, struct.clock + struct.length, where and (*where, _opened(*where, struct)))
        return None

    def _fault(self, struct: Struct, look: _Look) -> tuple[str | None, tuple[_Place, str | None] | None]:
        """What is wrong with a struct, and the place where it lies."""
        if isinstance(struct.parent, str) and struct.parent not in self._roots:
            return f"unknown root {struct.parent[:_NAME_SHOWN]!r}", None
        where = self._where(struct, look)
        return _fault(struct, where), where

    def _take(self, struct: Struct, coming: _Coming | None) -> _Entries | None:
        """Take a struct to its place. Returns the entries of its key, if it has one."""
        where = self._where(struct, self._look)
        home: _Place | _Entries | None = None
        entries: _Entries | None = None
        if where is not None:
            place, key = where
            if place.use == _A_TEXT:
                home = place
            elif key is not None and place.use != _STRAY:
                entries = place.entries_of(key)
                if coming is None:
                    entries.add(struct.client, struct.clock, struct.length, struct.origin)
                else:
                    coming.enter(entries, struct)
                home = _opened(place, key, struct) or entries
        runs = self._clients.get(struct.client)
        if runs is None:
            runs = self._clients[struct.client] = IdRuns()
        runs.add(struct.clock, struct.clock + struct.length, home)
        return entries

    def _emptied(self, coming: _Coming, writes: Iterable[Write]) -> list[Write]:
        """Keys of records that are there, without a value because of what the update brought and deleted unseen."""
        unseen = {id for id, seen in coming.seen.items() if not seen} - {write.id for write in writes}
        return [
            Write(*_field(entries), GONE, newest, False, True, False, over)
            for entries, over in coming.before.items()
            if (newest := entries.newest) in unseen and self._is_current(entries.place)
        ]

    def _write(self, new: _New) -> Write:
        entries, id, struct, seen, over = new
        orphan = not self._is_current(entries.place)
        return Write(*_field(entries), _value(struct), id, seen, entries.newest == id, orphan, over)

    def _is_current(self, place: _Place) -> bool:
        entries = place.entries
        if entries is None:
            return True
        if entries.clock != place.clock or entries.client != place.client:
            return False
        deleted = self._deleted.covers(place.client, place.clock, place.clock + 1)
        return not deleted and self._is_current(entries.place)

    def _where(self, struct: Struct, look: _Look) -> tuple[_Place, str | None] | None:
        """The place of a struct and its key; None: nowhere, or in a wrong value."""
        origin, right_origin, parent = struct.origin, struct.right_origin, struct.parent
        if origin is None and right_origin is None:
            if isinstance(parent, str):
                place = self._roots.get(parent)
            else:
                spot = look(parent) if parent is not None else None
                place = spot and spot[2]
            return (place, struct.key) if place is not None else None
        left = look(origin) if origin is not None else None
        right = look(right_origin) if right_origin is not None else None
        if (origin is not None and left is None) or (right_origin is not None and right is None):
            return None
        spot = left or right
        return spot and spot[:2]

    def _look(self, id: Id) -> _Spot | None:
        if id == self._last[0]:
            return self._last[1]
        client, clock = id
        runs = self._clients.get(client)
        home = None if runs is None else runs.at(clock)
        if home is None:
            return None
        spot: _Spot
        if isinstance(home, MapEntries):
            spot = home.place, home.key, None
        elif home.clock == clock and home.client == client and home.entries is not None:
            spot = home.entries.place, home.entries.key, home
        else:
            spot = home, None, None
        self._last = id, spot
        return spot


def _field(entries: _Entries) -> tuple[str, str, str | None]:
    """Root, record and key."""
    place = entries.place
    if place.use == _RECORD:
        return place.root.name, place.record, entries.key
    return place.root.name, entries.key, None


def _value(struct: Struct) -> Any:
    """The plain value of an entry, or `NESTED`."""
    if struct.content == ANY:
        return struct.value[-1]
    return NESTED if struct.content == TYPE else struct.value


def _opened(place: _Place, key: str | None, struct: Struct) -> _Place | None:
    """The place that an entry opens; None: nothing that is followed."""
    if key is None or struct.content != TYPE or place.use in (_A_TEXT, _STRAY):
        return None
    use = place.use_of(key, struct.value)
    if use is None:
        return None
    entries = place.keys.get(key)  # None as long as it is not integrated
    record = key if place.use in (_RECORDS, _VALUES) else place.record
    return _Place(use, place.root, record, entries, struct.client, struct.clock)


def _fault(struct: Struct, where: tuple[_Place, str | None] | None) -> str | None:
    """What is wrong with a struct in the place where it lies."""
    content = struct.content
    if content == DOC:
        return "a subdocument"
    if where is None:
        return None
    place, key = where
    name = place.root.name
    if place.use == _A_TEXT:
        if key is not None:
            return f"an item with a key in the text {name}"
        if content in (EMBED, TYPE):
            return f"an embed in the text {name}"
        return None if content in _IN_TEXT else f"list items in the text {name}"
    if key is None:
        return f"list items in the map {name}"
    if struct.right_origin is not None:
        return f"a map entry with a right origin in {name}"
    return None if content in _IN_MAP else f"a map entry that holds no value in {name}"

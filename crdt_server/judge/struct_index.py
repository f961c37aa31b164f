"""Every struct of one document: its place, the newest entry of each key, the owner of its client id.

- All of it follows from the structs of updates; no Doc is read.
- Ids are kept as runs per client: text typed in one go is one run, however many structs brought it.
- Entries of one key are ordered as Yjs orders them (`Item.integrate`); the last is the current one. Overwriting the
  newest one appends; only concurrent entries are compared.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

from crdt_server.judge.clock_ranges import ClockRanges, Span
from crdt_server.judge.map_entries import IdRuns, MapEntries
from crdt_server.judge.neighbours import Lookup, OnTorn, Place, Spot, TornError, accept_torn, place_between, refuse_torn
from crdt_server.judge.shared_types import (
    A_TEXT,
    MAX_UNKNOWN_ROOTS,
    RECORDS,
    STRAY,
    UNKNOWN,
    USE_OF_ROOT,
    VALUES,
    Entries,
    Homes,
    SharedType,
    UnknownRoots,
    fault,
    field_of,
    opened,
    too_many_unseeing,
)
from crdt_server.judge.surrogate_pairs import SurrogatePairs
from crdt_server.judge.writes import GONE, NESTED, Write
from crdt_server.protocol.structs import ANY, BINARY, DOC, STRING, TYPE, Id, Struct, in_order, new_structs
from crdt_server.protocol.update import Update
from documents.invariants.model import SERVER
from documents.kind import WHOLE, Kind

_WITH_VALUE = frozenset((BINARY, TYPE, ANY, DOC))
_NAME_SHOWN = 80

Step: TypeAlias = tuple[Struct, SharedType | None, str | None, SharedType | None]
"""A new struct, its place (None: it has none), its key, and the shared type that it opens."""


class Integrated(NamedTuple):
    """The effect of an update."""

    writes: list[Write]
    """Its map entries, each after those it follows."""
    standing: dict[Entries, Struct]
    """Keys that have a new value now."""
    emptied: list[Entries]
    """Keys that may have had a value before, and have none now."""
    texts: list[SharedType]
    """Texts that may have changed."""


class _New(NamedTuple):
    """A new entry with a value."""

    entries: Entries
    id: Id
    struct: Struct
    seen: bool
    over: Id | None


class _Coming:
    """The effect of one update so far."""

    __slots__ = ("before", "gone", "seen", "texts", "written")

    def __init__(self) -> None:
        self.before: dict[Entries, Id | None] = {}  # what was newest
        self.seen: dict[Id, bool] = {}  # last id of each new entry
        self.written: list[_New] = []
        self.gone: dict[Entries, None] = {}  # whose newest entry is deleted
        self.texts: dict[SharedType, None] = {}

    def enter(self, entries: Entries, struct: Struct) -> None:
        """Insert an entry at its place."""
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
    """The structs of one document. Updates must have passed `decode_structs` and leave no hole.

    ``deleted``: the deletions of the document, shared with it; `integrate` adds to them. ``claims``: client id -> user,
    of ids without an owner.
    """

    def __init__(
        self,
        kind: Kind,
        *,
        server_client: int,
        deleted: ClockRanges | None = None,
        claims: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self.owners: dict[int, str] = {}
        """Client id -> user. The caller adds the stored ones, `integrate` new ones."""
        self.deleted = ClockRanges() if deleted is None else deleted
        self._server_client = server_client
        self._claims = claims
        self.roots: Mapping[str, SharedType] = {
            name: SharedType(USE_OF_ROOT[root.shape], root, WHOLE, None, -1, -1) for name, root in kind.roots.items()
        }
        self.torn: list[Struct] = []
        """Stored ones between two places, which have none. Updates with such a struct are refused."""
        self._unknown = UnknownRoots()
        self._pairs = SurrogatePairs(self.deleted)
        self.clients: defaultdict[int, Homes] = defaultdict(IdRuns)
        """Client id -> the places of its structs."""
        # The latest lookup. The keys of a record follow one another; the place of a struct never changes.
        self._last: tuple[Id | None, Spot | None] = (None, None)

    def check(self, update: Update, user: str, known: Mapping[int, int]) -> list[Step] | str:
        """The new structs of an update and their places; or the reason why it may not be written, or not by this user.
        Changes nothing. Of each client, structs below its clock in ``known`` are not new.
        """
        for client, _, following in update.ranges:
            if following > known.get(client, 0):
                reason = self._claim(client, user)
                if reason is not None:
                    return reason
        structs = update.structs
        if len(structs) > 1 or (structs and structs[0].clock < known.get(structs[0].client, 0)):
            fresh = new_structs(structs, known)
            structs = in_order(fresh)
            if len(structs) < len(fresh):
                return "structs that wait for one another"
        try:
            steps = self._steps(structs, refuse_torn)
        except TornError:
            return "a struct between two places"
        if self._pairs.cut_by(structs, update.deletes):
            return "an edit inside of a character"
        for struct, shared, key, _ in steps:
            if shared is None and type(struct.parent) is str:
                return f"unknown root {struct.parent[:_NAME_SHOWN]!r}, and {MAX_UNKNOWN_ROOTS} others before"
            reason = fault(struct, shared, key)
            if reason is not None:
                return reason
        return too_many_unseeing(steps) or steps

    def locate(self, update: Update, known: Mapping[int, int]) -> list[Step]:
        """The new structs of an update that needs no check, and their places."""
        return self._steps(in_order(new_structs(update.structs, known)), accept_torn)

    def integrate(self, steps: Sequence[Step], deletes: Sequence[Span], user: str) -> Integrated:
        """Add an update, its structs as `check` or `locate` returned them."""
        if len(steps) == 1:
            done = self._overwrite(steps[0], deletes, user)
            if done is not None:
                return done
        coming = _Coming()
        owners = self.owners
        for struct, shared, key, opening in steps:
            client = struct.client
            if client not in owners:
                owners[client] = user
            if struct.content == STRING:
                self._pairs.add(struct)
            home: SharedType | Entries | None = None
            if shared is not None:
                if shared.use == A_TEXT:
                    home = shared
                    coming.texts[shared] = None
                elif shared.use == UNKNOWN:
                    home = shared
                elif key is not None and shared.use != STRAY:
                    entries = shared.entries_of(key)
                    coming.enter(entries, struct)
                    home = _home(entries, opening)
            self.clients[struct.client].add(struct.clock, struct.clock + struct.length, home)
        deleted = self.deleted
        for client, first, following in deletes:
            if not deleted.covers(client, first, following):  # Yjs sends all there ever were
                deleted.add(client, first, following)
                self._collect_deleted(client, first, following, coming)
        return self._integrated(coming)

    def _overwrite(self, step: Step, deletes: Sequence[Span], user: str) -> Integrated | None:
        """`integrate` for one new value on the newest entry, which is nearly every edit; None: it is another edit."""
        struct, shared, key, _ = step
        client, clock, length, content, origin, *_ = struct
        if shared is None or key is None or shared.use >= A_TEXT or content != ANY or length != 1:
            return None
        entries = shared.keys.get(key)
        over = None if entries is None else entries.newest
        if origin != over or len(deletes) > 1 or not self.is_current(shared):
            return None
        for deleted in deletes:
            if over is None or deleted != (*over, over[1] + 1):
                return None
            self.deleted.add(*deleted)
        entries = shared.entries_of(key)
        entries.add(client, clock, 1, origin)
        self.owners.setdefault(client, user)
        self.clients[client].add(clock, clock + 1, entries)
        write = Write(*field_of(entries), struct.value[0], (client, clock), True, True, False, over)
        return Integrated([write], {entries: struct}, [], [])

    def load(self, structs: Sequence[Struct], newest: dict[Entries, Struct], texts: dict[SharedType, None]) -> None:
        """Add stored structs. Keeps ``newest`` up to date, the newest entry of each key, and ``texts``, those that are
        not empty."""
        where, lookup, clients, pairs = self._where, self._lookup, self.clients, self._pairs
        last, shared = None, None  # the fields of a record follow one another
        for struct in in_order(structs):
            client, clock, length, content, origin, right_origin, parent, key, _ = struct
            if parent is None or parent != last or origin is not None or right_origin is not None:
                shared, key = where(struct, lookup, self.torn.append) or (None, None)
                last = parent
            home: SharedType | Entries | None = None
            if shared is not None:
                if shared.use == A_TEXT:
                    home = shared
                    texts[shared] = None
                elif shared.use == UNKNOWN:
                    home = shared
                elif key is not None and shared.use != STRAY:
                    home = entries = shared.entries_of(key)
                    entries.add(client, clock, length, origin)
                    if entries.clock == clock + length - 1 and entries.client == client:
                        newest[entries] = struct
                    if content == TYPE:
                        home = _home(entries, opened(shared, key, struct))
            if content == STRING:
                pairs.add(struct)
                if origin is not None or right_origin is not None:
                    pairs.forget_cut(struct)
            clients[client].add(clock, clock + length, home)

    def newest(self, root: str, record: str, key: str | None) -> Id | None:
        """The newest entry of a key, deleted or not; of single values and of records as a whole with None as key."""
        shared: SharedType | None = self.roots.get(root)
        name = key
        if shared is not None and shared.use in (RECORDS, VALUES):
            name = record
            if key is not None:
                whole = shared.keys.get(record)
                shared, name = None if whole is None else self.opened_by(whole), key
        entries = shared.keys.get(name) if shared is not None and name is not None else None
        return entries.newest if entries is not None else None

    def opened_by(self, entries: Entries) -> SharedType | None:
        """The shared type that the newest entry of a key opens."""
        id = entries.newest
        spot = None if id is None else self._lookup(id)
        return spot and spot[2]

    def is_current(self, shared: SharedType) -> bool:
        """Whether neither a shared type nor any that it lies in is deleted or replaced."""
        entries = shared.entries
        if entries is None:
            return True
        if entries.clock != shared.clock or entries.client != shared.client:
            return False
        deleted = self.deleted.covers(shared.client, shared.clock, shared.clock + 1)
        return not deleted and self.is_current(entries.parent)

    def _claim(self, client: int, user: str) -> str | None:
        if client == self._server_client and user != SERVER:
            return "the server's client id"
        owner = self.owners.get(client)
        if (self._claims.get(client, user) if owner is None else owner) != user:
            return f"client id {client} belongs to somebody else"
        return None

    def _steps(self, structs: Sequence[Struct], on_torn: OnTorn) -> list[Step]:
        if len(structs) == 1:
            struct = structs[0]
            shared, key = self._where(struct, self._lookup, on_torn) or (None, None)
            return [(struct, shared, key, None if shared is None else opened(shared, key, struct))]
        coming: dict[int, IdRuns[Spot | None]] = {}

        def lookup(id: Id) -> Spot | None:
            runs = coming.get(id[0])
            if runs is None or id[1] < runs.starts[0]:
                return self._lookup(id)
            return runs.at(id[1])

        steps: list[Step] = []
        for struct in structs:
            shared, key = self._where(struct, lookup, on_torn) or (None, None)
            opening = None if shared is None else opened(shared, key, struct)
            steps.append((struct, shared, key, opening))
            runs = coming.setdefault(struct.client, IdRuns())
            runs.add(struct.clock, struct.clock + struct.length, None if shared is None else (shared, key, opening))
        return steps

    def _collect_deleted(self, client: int, first: int, following: int, coming: _Coming) -> None:
        """Add the keys and texts that a deletion may have changed."""
        runs = self.clients.get(client)
        for begin, end, home in () if runs is None else runs.between(first, following):
            if home is None:
                continue
            if isinstance(home, MapEntries):
                if home.client == client and begin <= home.clock < end:
                    coming.gone[home] = None
                continue
            entries = home.entries
            if entries is not None and entries.client == client and begin <= entries.clock < end:
                coming.gone[entries] = None
            if home.use == A_TEXT:
                coming.texts[home] = None

    def _integrated(self, coming: _Coming) -> Integrated:
        covers = self.deleted.covers
        writes: list[Write] = []
        standing: dict[Entries, Struct] = {}
        for entries, id, struct, seen, over in coming.written:
            if covers(*id, id[1] + 1):
                continue
            wins = entries.newest == id
            orphan = not self.is_current(entries.parent)
            value = _value(struct)
            writes.append(Write(*field_of(entries), value, id, seen, wins, orphan, over))
            if wins and not orphan:
                standing[entries] = struct
        gone = coming.gone
        if len(standing) < len(coming.before):
            gone.update(dict.fromkeys(coming.before))
        emptied = [
            each
            for each in gone
            if each not in standing and covers(each.client, each.clock, each.clock + 1) and self.is_current(each.parent)
        ]
        if len(writes) < len(coming.seen):
            writes += _unseen(self, coming, writes)
        return Integrated(writes, standing, emptied, [each for each in coming.texts if self.is_current(each)])

    def _where(self, struct: Struct, lookup: Lookup, on_torn: OnTorn) -> Place | None:
        """The place of a struct; None: it has no place, or one in a wrong value."""
        if struct.origin is not None or struct.right_origin is not None:
            return place_between(struct, lookup, on_torn)
        parent = struct.parent
        if type(parent) is str:
            shared = self.roots.get(parent) or self._unknown.root(parent)
        else:
            spot = None if parent is None else lookup(parent)  # type: ignore[arg-type]
            shared = spot and spot[2]
        return None if shared is None else (shared, struct.key)

    def _lookup(self, id: Id) -> Spot | None:
        if id == self._last[0]:
            return self._last[1]
        client, clock = id
        runs = self.clients.get(client)
        home = None if runs is None else runs.at(clock)
        if home is None:
            return None
        spot: Spot
        if isinstance(home, MapEntries):
            spot = home.parent, home.key, None
        elif home.clock == clock and home.client == client and home.entries is not None:
            spot = home.entries.parent, home.entries.key, home
        else:
            spot = home, None, None
        self._last = id, spot
        return spot


def _unseen(index: StructIndex, coming: _Coming, writes: Iterable[Write]) -> list[Write]:
    """Keys of records that are there, without a value because of what the update brought and deleted unseen."""
    unseen = {id for id, seen in coming.seen.items() if not seen} - {write.id for write in writes}
    return [
        Write(*field_of(entries), GONE, newest, False, True, False, over)
        for entries, over in coming.before.items()
        if (newest := entries.newest) in unseen and index.is_current(entries.parent)
    ]


def _home(entries: Entries, opening: SharedType | None) -> SharedType | Entries:
    """The meaning of the ids of an entry."""
    if opening is None:
        return entries
    opening.entries = entries
    return opening


def _value(struct: Struct) -> object:
    """The plain value of an entry, or `NESTED`."""
    if struct.content == ANY:
        return struct.value[-1]
    return NESTED if struct.content == TYPE else struct.value

"""The entries of one key of a map in the order of Yjs, and the meaning of the ids of one client.

There are many of both: an overwritten entry takes 40 bytes, and the next character of a text takes none.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

from crdt_server.protocol.structs import Id

T = TypeVar("T")


class MapEntries(Generic[T]):
    """The entries of one key in one map. `client` and `clock` are the id of the newest."""

    __slots__ = ("client", "clock", "key", "order", "parent")

    def __init__(self, parent: T, key: str) -> None:
        self.parent, self.key = parent, key
        self.client = self.clock = -1
        # In Yjs' order, five numbers each: client, clock, length, client and clock of the origin (-1: none).
        # None while there is only one, of length one and without an origin, as for most keys.
        self.order: array[int] | None = None

    @property
    def newest(self) -> Id | None:
        return None if self.client < 0 else (self.client, self.clock)

    @property
    def unseeing(self) -> int:
        """How many have no origin: each passes all that are there before it, also when the document is opened."""
        if self.order is None:
            return int(self.client >= 0)
        return self.order[3::5].count(-1)

    def add(self, client: int, clock: int, length: int, origin: Id | None) -> None:
        """Insert an entry, or several that overwrite one another, at its place in the order."""
        if self.client < 0 and length == 1 and origin is None:
            self.client, self.clock = client, clock
            return
        order = self.order
        if order is None:
            first = () if self.client < 0 else (self.client, self.clock, 1, -1, -1)
            order = self.order = array("q", first)
        row = (client, clock, length, *(origin or (-1, -1)))
        if origin == (self.client, self.clock):
            order.extend(row)
        else:
            place = _position(order, client, origin)
            order[place:place] = array("q", row)
        self.client, self.clock = order[-5], order[-4] + order[-3] - 1


def _position(order: array[int], client: int, origin: Id | None) -> int:
    """The place of an entry that does not follow the newest: Yjs' rule for concurrent items, which is short because
    entries have no right origin."""
    place = 0 if origin is None else _after(order, origin)
    origin_client, origin_clock = origin or (-1, -1)
    passed: set[Id] = set()
    cells = iter(order[place:])
    rows = zip(cells, cells, cells, cells, cells, strict=True)
    for number, (other, clock, length, its_client, its_clock) in enumerate(rows):
        if its_clock == origin_clock and its_client == origin_client:
            if other >= client:
                return place + 5 * number
        elif (its_client, its_clock) not in passed:
            return place + 5 * number
        passed.add((other, clock + length - 1))
    return len(order)


def _after(order: array[int], origin: Id) -> int:
    """The place behind the entry `origin`. A run of several entries is split there."""
    client, clock = origin
    for start in range(len(order) - 5, -1, -5):
        first, length = order[start + 1], order[start + 2]
        if order[start] == client and first <= clock < first + length:
            head = clock + 1 - first
            if head < length:
                order[start + 2] = head
                order[start + 5 : start + 5] = array("q", (client, clock + 1, length - head, client, clock))
            return start + 5
    raise AssertionError("an origin of other entries")


class IdRuns(Generic[T]):
    """The meaning of the ids of one client, as runs of ids with one meaning."""

    __slots__ = ("following", "homes", "starts")

    def __init__(self) -> None:
        self.starts = array("I")
        self.homes: list[T] = []
        self.following = 0

    def add(self, first: int, following: int, home: T) -> None:
        if not self.homes or self.homes[-1] is not home:
            self.starts.append(first)
            self.homes.append(home)
        self.following = following

    def at(self, clock: int) -> T | None:
        return self.homes[bisect_right(self.starts, clock) - 1] if clock < self.following else None

    def between(self, first: int, following: int) -> Iterator[tuple[int, int, T]]:
        """The runs from one clock to another, cut to fit: first clock, next clock and meaning."""
        starts, homes = self.starts, self.homes
        for index in range(max(0, bisect_right(starts, first) - 1), len(starts)):
            begin = starts[index]
            if begin >= following:
                return
            end = starts[index + 1] if index + 1 < len(starts) else self.following
            if end > first:
                yield max(begin, first), min(end, following), homes[index]

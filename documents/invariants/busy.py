"""When vendors, persons and places are busy, and where items want one of them at once.

- The items of one vendor, person or place are in the order of their start, end and id. Those that overlap one after the
  other are a cluster. A vendor is in conflict where items of a cluster are at different places, all others where they
  overlap.
- Only the first pair of a cluster is reported. Once that is resolved, or left as it is, the next one is the first: so a
  cluster has one finding at a time, however many of its items overlap.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, TypeAlias

MAX_COMPARED: Final = 256
"""Of one vendor, person or place so many items are compared, the earliest ones: every step looks at all of them."""

Claim: TypeAlias = tuple[str, str]
"""Invariant, and the vendor, person or place whose time is taken."""

Pair: TypeAlias = tuple[Claim, str, str]
"""Two items of a claim, the earlier one first."""

_Slot: TypeAlias = tuple[int, int, str, str]
"""Start, end and item, and the place (items at one place are in no conflict); where the place does not matter, the item
once more."""


class TimelineEntry(NamedTuple):
    """The part of an item of the timeline that is indexed."""

    start: int
    end: int
    timed: bool
    """Whether it is known when it is; where not, start and end are 0."""
    vendors: tuple[str, ...]
    persons: tuple[str, ...]
    place: str | None
    after: tuple[str, ...]

    def slots(self, item: str) -> Iterator[tuple[Claim, _Slot]]:
        """The times it takes, by whose they are."""
        if self.start >= self.end:
            return
        slot = (self.start, self.end, item, item)
        if self.place is not None:
            there = (self.start, self.end, item, self.place)
            for vendor in self.vendors:
                yield ("T1", vendor), there
            yield ("T3", self.place), slot
        for person in self.persons:
            yield ("T2", person), slot


class _Cluster(NamedTuple):
    """Items of a claim that overlap one after the other, at least two of them in conflict."""

    slots: Sequence[_Slot]
    until: int
    one: str
    """The first item that is in conflict with an earlier one, and the one of those that ends last."""
    other: str


class BusyTimes:
    """The times of each claim, sorted, and its clusters. ``is_left``: whether a pair was left as it is by somebody."""

    def __init__(self, is_left: Callable[[Pair], bool]) -> None:
        self._is_left = is_left
        self._slots: dict[Claim, list[_Slot]] = {}
        self._clusters: dict[Claim, list[_Cluster]] = {}

    def add(self, item: str, entry: TimelineEntry) -> Iterator[Pair]:
        """Add an item. Returns the pairs whose conflict may begin, change or end."""
        for claim, slot in entry.slots(item):
            slots = self._slots.setdefault(claim, [])
            yield from self._around(claim, slots, slot)
            insort(slots, slot)
            if len(slots) > 1:
                self._clusters[claim] = self._read(claim, slots)
                yield from self._around(claim, slots, slot)

    def remove(self, item: str, entry: TimelineEntry) -> Iterator[Pair]:
        """Remove an item. Returns the same as `add`."""
        for claim, slot in entry.slots(item):
            slots = self._slots[claim]
            yield from self._around(claim, slots, slot)
            del slots[bisect_left(slots, slot)]
            if slots:
                self._clusters[claim] = self._read(claim, slots)
                yield from self._around(claim, slots, slot)
            else:
                del self._slots[claim]
                self._clusters.pop(claim, None)

    def refresh(self, claim: Claim) -> Iterator[Pair]:
        """Read the pairs of a claim again, of which one was left as it is, or is not any more. Returns as `add`."""
        slots = self._slots.get(claim, ())
        if slots:
            yield from self.pairs_of(claim)
            self._clusters[claim] = self._read(claim, slots)
            yield from self.pairs_of(claim)

    def pairs(self) -> Iterator[Pair]:
        """The pairs in conflict, of all claims."""
        for claim in self._clusters:
            yield from self.pairs_of(claim)

    def pairs_of(self, claim: Claim) -> Iterator[Pair]:
        """The pairs in conflict of one claim."""
        for cluster in self._clusters.get(claim, ()):
            yield claim, cluster.one, cluster.other

    def is_conflict(self, claim: Claim, one: str, other: str) -> bool:
        """Whether two items are the pair in conflict of a cluster."""
        return self._cluster(claim, one, other) is not None

    def others(self, claim: Claim, one: str, other: str) -> list[str]:
        """The other items that are in conflict in the cluster of a pair, in their order."""
        cluster = self._cluster(claim, one, other)
        if cluster is None or len(cluster.slots) == 2:
            return []
        backwards = sorted((-end, -start, item, place) for start, end, item, place in cluster.slots)
        concerned = {slot[2] for slots in (cluster.slots, backwards) for _, slot in _conflicts(slots)} - {one, other}
        return [slot[2] for slot in cluster.slots if slot[2] in concerned]

    def _cluster(self, claim: Claim, one: str, other: str) -> _Cluster | None:
        found = (each for each in self._clusters.get(claim, ()) if {each.one, each.other} == {one, other})
        return next(found, None)

    def _read(self, claim: Claim, slots: Sequence[_Slot]) -> list[_Cluster]:
        compared = slots if len(slots) <= MAX_COMPARED else slots[:MAX_COMPARED]
        found = []
        for cluster, until in _clusters(compared):
            pair = self._first(claim, cluster)
            if pair is not None:
                found.append(_Cluster(cluster, until, *pair[1:]))
        return found

    def _first(self, claim: Claim, slots: Sequence[_Slot]) -> Pair | None:
        """The first pair of a cluster that was not left as it is."""
        for rival, slot in _conflicts(slots):
            pair = (claim, rival[2], slot[2])
            if not self._is_left(pair):
                return pair
            for other in sorted((each for each in slots if each < slot), key=lambda each: (-each[1], each)):
                pair = (claim, other[2], slot[2])
                if other[1] > slot[0] and other[3] != slot[3] and not self._is_left(pair):
                    return pair
        return None

    def _around(self, claim: Claim, slots: Sequence[_Slot], slot: _Slot) -> Iterator[Pair]:
        """The pairs of the clusters that reach a slot, whether it is there or not. Of those compared, one that comes
        pushes the last one out."""
        last = slots[MAX_COMPARED - 1 : MAX_COMPARED]
        for cluster in self._clusters.get(claim, ()):
            reaches = cluster.slots[0][0] <= slot[1] and slot[0] <= cluster.until
            if reaches or (last and last[0][0] <= cluster.until):
                yield claim, cluster.one, cluster.other


def _clusters(slots: Sequence[_Slot]) -> Iterator[tuple[Sequence[_Slot], int]]:
    """Slots that overlap one after the other, and when the last of them ends."""
    begin, until = 0, slots[0][1]
    for index, slot in enumerate(slots):
        if slot[0] >= until:
            if index - begin > 1:
                yield slots[begin:index], until
            begin, until = index, slot[1]
        elif slot[1] > until:
            until = slot[1]
    if len(slots) - begin > 1:
        yield slots[begin:], until


def _conflicts(slots: Sequence[_Slot]) -> Iterator[tuple[_Slot, _Slot]]:
    """The slots that an earlier one at another place overlaps: of those the one that ends last, and the slot."""
    # Of all so far the slot that ends last, and of those at other places than that one.
    longest: _Slot | None = None
    second: _Slot | None = None
    for slot in slots:
        start, end, _, place = slot
        rival = longest if longest is not None and longest[3] != place else second
        if rival is not None and rival[1] > start:
            yield rival, slot
        if longest is None or end > longest[1]:
            second = longest if longest is not None and longest[3] != place else second
            longest = slot
        elif place != longest[3] and (second is None or end > second[1]):
            second = slot

"""When vendors, persons and places are busy."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from itertools import islice
from typing import Final, NamedTuple

MAX_OVERLAPS: Final = 32
"""Overlaps of one item with others of one vendor, person or place that are followed."""


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

    def claims(self) -> Iterator[tuple[str, str]]:
        """(invariant, whose time it takes)."""
        for vendor in self.vendors:
            yield "T1", vendor
        for person in self.persons:
            yield "T2", person
        if self.place is not None:
            yield "T3", self.place


class BusyTimes:
    """(invariant, vendor, person or place) -> (start, end, item), sorted."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
        self._longest: dict[tuple[str, str], int] = {}

    def add(self, item: str, entry: TimelineEntry) -> None:
        if entry.start < entry.end:
            for key in entry.claims():
                insort(self._slots.setdefault(key, []), (entry.start, entry.end, item))
                self._longest[key] = max(self._longest.get(key, 0), entry.end - entry.start)

    def remove(self, item: str, entry: TimelineEntry) -> None:
        if entry.start < entry.end:
            for key in entry.claims():
                slots = self._slots[key]
                del slots[bisect_left(slots, (entry.start, entry.end, item))]
                if not slots:
                    del self._slots[key], self._longest[key]

    def overlapping(self, key: tuple[str, str], item: str, entry: TimelineEntry) -> Iterator[str]:
        """Other items of a key that overlap one, at most `MAX_OVERLAPS`."""
        return islice(self._overlapping(key, item, entry), MAX_OVERLAPS)

    def pairs(self) -> Iterator[tuple[tuple[str, str], str, str]]:
        """Every two items of a key that overlap."""
        for key, slots in self._slots.items():
            for index, (_, end, item) in enumerate(slots):
                for start, _, other in islice(slots, index + 1, index + 1 + MAX_OVERLAPS):
                    if start >= end:
                        break
                    yield key, item, other

    def _overlapping(self, key: tuple[str, str], item: str, entry: TimelineEntry) -> Iterator[str]:
        slots = self._slots.get(key)
        if slots is None or entry.start >= entry.end:
            return
        # No slot that begins earlier than the longest is long can reach this one.
        index = bisect_left(slots, (entry.start - self._longest[key],))
        while index < len(slots) and slots[index][0] < entry.end:
            if slots[index][1] > entry.start and slots[index][2] != item:
                yield slots[index][2]
            index += 1

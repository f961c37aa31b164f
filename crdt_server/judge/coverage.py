"""The coverage of a document: the clocks and deletions of its updates, and the structs that may be parents."""

from __future__ import annotations

from collections.abc import Mapping

from crdt_server.judge.clock_ranges import ClockRanges
from crdt_server.protocol.structs import Id
from crdt_server.protocol.update import Update


class Coverage:
    """See the head of the file. It only grows."""

    __slots__ = ("_collected", "_types", "clocks", "count", "deleted")

    def __init__(self) -> None:
        self.clocks: dict[int, int] = {}
        """Client id -> next clock."""
        self.count = 0
        """The sum of the clocks: there are at most so many structs."""
        self.deleted = ClockRanges()
        self._types: set[Id] = set()
        self._collected = ClockRanges()

    def add(self, update: Update) -> None:
        """Add an update that is part of the document now."""
        self.add_structs(update)
        for client, first, following in update.deletes:
            self.deleted.add(client, first, following)

    def add_structs(self, update: Update) -> None:
        """Add the structs of an update; its deletions are in `deleted` already."""
        clocks = self.clocks
        for client, _, following in update.ranges:
            known = clocks.get(client, 0)
            if following > known:
                clocks[client] = following
                self.count += following - known
        for client, first, following in update.collected:
            self._collected.add(client, first, following)
        if update.types:
            self._types.update(update.types)

    def has_news(self, update: Update) -> bool:
        """Whether an update brings or deletes anything."""
        clocks = self.clocks
        for client, _, following in update.ranges:
            if following > clocks.get(client, 0):
                return True
        covers = self.deleted.covers
        return any(not covers(client, first, following) for client, first, following in update.deletes)

    def new_deletions(self, update: Update) -> int:
        """The number of ranges in an update's delete set that are not deleted as a whole yet."""
        covers = self.deleted.covers
        return sum(not covers(client, first, following) for client, first, following in update.deletes)

    def overlaps(self, update: Update) -> bool:
        """Whether some ids of an update are taken."""
        clocks = self.clocks
        for client, first, _ in update.ranges:  # noqa: SIM110 - for every edit: a generator costs as much as the rest
            if first < clocks.get(client, 0):
                return True
        return False

    def builds_on_itself(self, update: Update) -> bool:
        """Whether structs of one client refer to new structs of another."""
        clocks: Mapping[int, int] = self.clocks
        return any(following > clocks.get(client, 0) for client, following in update.requires.items())

    def lacks_parent(self, update: Update) -> bool:
        """Whether an item has a parent that is no shared type, such as a text's characters.

        pycrdt accepts it while that parent is deleted, and never once both come in one merged update: the document
        could not be read any more. A parent that came without its content may have been of any type.
        """
        if not update.parents:
            return False
        types, covers = self._types, self._collected.covers
        orphans = [p for p in update.parents if p not in types and not covers(p[0], p[1], p[1] + 1)]
        if not orphans:
            return False
        coming = ClockRanges(update.collected)
        new = frozenset(update.types)
        return any(p not in new and not coming.covers(p[0], p[1], p[1] + 1) for p in orphans)

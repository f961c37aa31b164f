"""What the updates of a document cover: clocks, deletions, and what may be a parent."""

from __future__ import annotations

from collections.abc import Mapping

from crdt_server.judge.clock_ranges import ClockRanges
from crdt_server.protocol.structs import Id
from crdt_server.protocol.update import Update


class Coverage:
    """See the head of the file. Nothing is ever taken away."""

    __slots__ = ("_collected", "_types", "clocks", "deleted")

    def __init__(self) -> None:
        self.clocks: dict[int, int] = {}
        """Client id -> next clock."""
        self.deleted = ClockRanges()
        self._types: set[Id] = set()
        self._collected = ClockRanges()

    def add(self, update: Update) -> None:
        """It is part of the document."""
        self.add_structs(update)
        for client, first, following in update.deletes:
            self.deleted.add(client, first, following)

    def add_structs(self, update: Update) -> None:
        """Its structs are part of the document, and what it deletes is among `deleted`."""
        clocks = self.clocks
        for client, _, following in update.ranges:
            if following > clocks.get(client, 0):
                clocks[client] = following
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
        """How many ranges of what an update deletes are not all deleted yet."""
        covers = self.deleted.covers
        return sum(not covers(client, first, following) for client, first, following in update.deletes)

    def overlaps(self, update: Update) -> bool:
        """Whether some of its ids are taken."""
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

        pycrdt takes it while that parent is deleted, and never again once both come in one merged update: the document
        could not be read any more. A parent that came without its content may have been anything.
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

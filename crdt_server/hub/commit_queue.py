"""The batches that wait to be stored: which of them the next transaction takes.

All of them, unless they have more than `COMMIT_BYTES`. Then the smallest come first, and what has waited longest is
stored behind them, by itself where it is large: nobody waits for more than one large update of others.
"""

from __future__ import annotations

from crdt_server.rooms.batch import RoomBatch

COMMIT_BYTES = 1 << 20
"""Of the updates in a transaction, unless one is larger: each megabyte holds SQLite's writer for 4 to 8 ms."""


class CommitQueue:
    """See the head of the file."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, RoomBatch]] = []
        self._added = 0
        self._oldest_next = False

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def reached(self) -> int:
        """How many of the batches, in the order in which they were added, wait no more, and none before them does."""
        return self._waiting[0][0] if self._waiting else self._added

    def add(self, batch: RoomBatch) -> None:
        """Let a batch wait."""
        self._waiting.append((self._added, batch))
        self._added += 1

    def take(self) -> list[RoomBatch]:
        """The batches of the next transaction, in order; at least one where any waits."""
        total = sum(len(batch.update) for _, batch in self._waiting if batch.update is not None)
        if total <= COMMIT_BYTES:
            everything, self._waiting, self._oldest_next = self._waiting, [], False
            return [batch for _, batch in everything]
        units = self._next_units()
        taken = [batch for _, batch in self._waiting if _unit(batch) in units]
        self._waiting = [each for each in self._waiting if _unit(each[1]) not in units]
        return taken

    def _next_units(self) -> set[object]:
        """As many of the units as fit into a transaction, the smallest first; every second time, behind the oldest."""
        sizes: dict[object, int] = {}
        for _, batch in self._waiting:
            unit = _unit(batch)
            sizes[unit] = sizes.get(unit, 0) + len(batch.update or b"")
        takes_oldest = self._oldest_next or min(sizes.values()) > COMMIT_BYTES
        self._oldest_next = not takes_oldest
        found = {next(iter(sizes))} if takes_oldest else set[object]()
        left = COMMIT_BYTES - sum(sizes.pop(unit) for unit in found)
        for unit, size in sorted(sizes.items(), key=lambda each: each[1]):
            left -= size
            if left < 0:
                break
            found.add(unit)
        return found


def _unit(batch: RoomBatch) -> object:
    """The unit that is stored together, and in order: all of a wedding, since a command is stored in all its documents
    or in none; a document without a schema by itself."""
    return batch.room.wedding if batch.room.hosted.has_schema else batch.room

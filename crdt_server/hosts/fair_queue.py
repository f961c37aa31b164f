"""A queue in which senders take turns, and the smallest item of a sender is its next one."""

from __future__ import annotations

import itertools
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """``most_bytes`` may wait in all, ``most_per_sender`` of one sender; 0: no limit. One item may always wait."""

    def __init__(self, most_bytes: int = 0, most_per_sender: int = 0) -> None:
        self.waiting_bytes = 0
        self._most = most_bytes
        self._most_per_sender = most_per_sender
        self._numbers = itertools.count()
        self._items: dict[str, list[tuple[int, int, T]]] = {}  # heaps of size and number, in the order of the turns
        self._bytes: dict[str, int] = {}

    def put(self, sender: str, size_bytes: int, item: T) -> list[T]:
        """Add an item. Returns those that have to go for it, the largest of the sender with the most bytes first: this
        item itself, where that is its own sender."""
        own = self._bytes.get(sender, 0)
        if own and 0 < self._most_per_sender < own + size_bytes:
            return [item]
        heappush(self._items.setdefault(sender, []), (size_bytes, next(self._numbers), item))
        self._count(sender, size_bytes)
        dropped: list[T] = []
        while 0 < self._most < self.waiting_bytes > size_bytes:
            largest = max(self._bytes, key=self._bytes.__getitem__)
            dropped.append(self._drop_largest(largest))
            if dropped[-1] is item:
                break
        return dropped

    def take(self, most_bytes: int | None = None) -> T | None:
        """The next item, of those up to this size; None: there is none."""
        for sender, heap in self._items.items():
            if most_bytes is None or heap[0][0] <= most_bytes:
                size_bytes, _, item = heappop(heap)
                del self._items[sender]
                if heap:
                    self._items[sender] = heap  # behind all others
                self._count(sender, -size_bytes)
                return item
        return None

    def _drop_largest(self, sender: str) -> T:
        heap = self._items[sender]
        size_bytes, _, item = largest = max(heap, key=lambda each: each[:2])
        heap.remove(largest)
        heapify(heap)
        if not heap:
            del self._items[sender]
        self._count(sender, -size_bytes)
        return item

    def _count(self, sender: str, size_bytes: int) -> None:
        self.waiting_bytes += size_bytes
        left = self._bytes[sender] = self._bytes.get(sender, 0) + size_bytes
        if not left:
            del self._bytes[sender]

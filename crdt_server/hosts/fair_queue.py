"""A queue in which addresses take turns, at each address its senders, and the smallest item of a sender is its next."""

from __future__ import annotations

import itertools
from collections import Counter
from heapq import heapify, heappop, heappush
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class RequestSender(NamedTuple):
    """A person at an address."""

    address: str
    person: str


class FairQueue(Generic[T]):
    """``most_bytes`` may wait in all, ``most_per_sender`` of one sender; 0: no limit. One item may always wait."""

    def __init__(self, most_bytes: int = 0, most_per_sender: int = 0) -> None:
        self.waiting_bytes = 0
        self._most = most_bytes
        self._most_per_sender = most_per_sender
        self._numbers = itertools.count()
        # Address -> sender -> heap of size, number and item; both in the order of their turns.
        self._items: dict[str, dict[RequestSender, list[tuple[int, int, T]]]] = {}
        self._bytes: Counter[RequestSender | str] = Counter()  # of senders and of addresses

    def put(self, sender: RequestSender, size_bytes: int, item: T) -> list[T]:
        """Add an item. Returns those that have to go for it: the largest of the sender with the most bytes, at the
        address with the most bytes. This item itself may be one of them."""
        own = self._bytes[sender]
        if own and 0 < self._most_per_sender < own + size_bytes:
            return [item]
        heap = self._items.setdefault(sender.address, {}).setdefault(sender, [])
        heappush(heap, (size_bytes, next(self._numbers), item))
        self._count(sender, size_bytes)
        dropped: list[T] = []
        while 0 < self._most < self.waiting_bytes > size_bytes:
            address = max(self._items, key=self._bytes.__getitem__)
            dropped.append(self._drop_largest(max(self._items[address], key=self._bytes.__getitem__)))
            if dropped[-1] is item:
                break
        return dropped

    def take(self, most_bytes: int | None = None) -> T | None:
        """The next item, of those up to this size; None: there is none."""
        for address, senders in self._items.items():
            for sender, heap in senders.items():
                if most_bytes is None or heap[0][0] <= most_bytes:
                    size_bytes, _, item = heappop(heap)
                    del self._items[address], senders[sender]
                    if heap:
                        senders[sender] = heap  # behind all others
                    if senders:
                        self._items[address] = senders
                    self._count(sender, -size_bytes)
                    return item
        return None

    def _drop_largest(self, sender: RequestSender) -> T:
        senders = self._items[sender.address]
        heap = senders[sender]
        size_bytes, _, item = largest = max(heap, key=lambda each: each[:2])
        heap.remove(largest)
        heapify(heap)
        if not heap:
            del senders[sender]
        if not senders:
            del self._items[sender.address]
        self._count(sender, -size_bytes)
        return item

    def _count(self, sender: RequestSender, size_bytes: int) -> None:
        self.waiting_bytes += size_bytes
        for each in (sender, sender.address):
            self._bytes[each] += size_bytes
            if not self._bytes[each]:
                del self._bytes[each]

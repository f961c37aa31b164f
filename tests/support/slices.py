"""Slices of CPU time under the control of a test: none depends on how fast the machine is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

from crdt_server.judge.slices import BATCH_SECONDS, Slices


class _OfLooks(Slices):
    """Each look at the clock takes the same time; batches have no end of their own."""

    def __init__(self, seconds: float, others_wait: Callable[[], bool] = lambda: True) -> None:
        clock = count()
        super().__init__(lambda: seconds * next(clock), others_wait)

    def batch_is_long(self) -> bool:
        return False


def shortest() -> Slices:
    """Every turn ends at the first look at the clock."""
    return _OfLooks(1.0)


def of_looks(looks: int, others_wait: Callable[[], bool] = lambda: True) -> Slices:
    """A turn that has the shared slice to itself ends with so many looks at the clock, and any other at the first.

    ``others_wait``: see `Slices`."""
    return _OfLooks(0.00601 / looks, others_wait)  # a little more than the slice, whatever is rounded


def of_runs(runs: int) -> Slices:
    """The requests of a batch have the time of so many runs of updates."""
    clock = count()
    return Slices(lambda: (BATCH_SECONDS / runs) * next(clock))


def finish(steps: Iterator[None]) -> None:
    """Run steps to their end."""
    for _ in steps:
        pass

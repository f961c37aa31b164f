"""Which tests run when, where several workers share the machine, and how long the files took."""

from __future__ import annotations

import fcntl
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

SLOWEST = 10
# What takes longest begins first, so that at the end no worker waits for another.
FIRST = (
    "tests/cluster/test_failures.py",
    "tests/browser/planner/test_planner.py",
    "tests/cluster/test_clocks.py",
    "tests/cluster/test_workers.py",
    "tests/crash/test_store.py",
    "tests/browser/planner/test_session.py",
    "tests/crash/test_shutdown.py",
    "tests/crash/test_hosts.py",
    "tests/scenarios/test_crash.py",
    "tests/transport/test_lanes.py",
    "tests/hostile/test_violations.py",
    "tests/browser/planner/test_tokens.py",
    "tests/contract/test_storage.py",
)


def in_order(items: Sequence[pytest.Item], root: Path) -> list[pytest.Item]:
    """The long files first, those with serial tests last, the tests of a file in their order."""
    serial = {item.path for item in items if item.get_closest_marker("serial")}

    def place(item: pytest.Item) -> tuple[bool, int]:
        name = item.path.relative_to(root).as_posix()
        return item.path in serial, FIRST.index(name) if name in FIRST else len(FIRST)

    return sorted(items, key=place)


class Turns:
    """Lets any number of workers run ordinary tests, or one of them a serial one.

    By locks of a process: those of `flock` go on in the processes that a worker has forked, after it was ended.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._gate = directory / "gate"
        self._floor = directory / "floor"

    @contextmanager
    def turn(self, item: pytest.Item) -> Iterator[None]:
        """Wait until the test may run."""
        serial = item.get_closest_marker("serial") is not None
        with self._floor.open("a+") as floor:
            with self._gate.open("a+") as gate:  # held while waiting: a serial test is not overtaken for ever
                fcntl.lockf(gate, fcntl.LOCK_EX)
                fcntl.lockf(floor, fcntl.LOCK_EX if serial else fcntl.LOCK_SH)
            yield


def slowest_files(reports: Iterable[pytest.TestReport]) -> list[str]:
    """A line for each of the files that took longest, set-up included."""
    seconds: dict[str, float] = defaultdict(float)
    for report in reports:
        seconds[report.nodeid.partition("::")[0]] += report.duration
    longest = sorted(seconds.items(), key=lambda each: -each[1])[:SLOWEST]
    return [f"{duration:7.1f} s  {name}" for name, duration in longest]

"""The pace at which weddings are measured and shrunk: one at a time, with rests that leave the store to others."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from crdt_server.hub import quotas as quotas_module
from crdt_server.hub import shrinking as shrinking_module
from crdt_server.hub.hub import Hub
from crdt_server.hub.quotas import (
    LONGEST_REST,
    MEASURE_SECONDS,
    OTHERS_REST,
    REST,
    SHRINKING_REST,
    UNMEASURED,
    Limits,
    Quotas,
)
from crdt_server.hub.shrinking import Shrinking, collect
from storage import Append, DocumentKey, Storage, WeddingUsage


class Clock:
    """The clock of the loop, in which sleeping takes no time."""

    Lock = asyncio.Lock

    def __init__(self) -> None:
        self.now = 0.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Timed:
    """Quotas of a real store. Measurements and shrinking take some time by the clock; `done` has when they were."""

    def __init__(self, hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch, limits: Limits) -> None:
        self.measuring, self.shrinking = 1.0, 100.0
        self.done: list[tuple[str, float, float]] = []
        self._clock = clock
        self._usage = hub.storage.usage
        self._tasks = set[asyncio.Task[None]]()
        monkeypatch.setattr(hub.storage, "usage", self._measure)
        self.quotas = Quotas(hub.storage, limits, self._spawn, lambda: clock.now)
        shrinking = Shrinking(hub.storage, hub.hosts.jobs)
        self._shrink_all = shrinking.shrink
        monkeypatch.setattr(shrinking, "shrink", self._shrink)
        self.quotas.connect(shrinking)

    def write(self, wedding: str) -> None:
        """So much that the wedding has to be measured."""
        self.quotas.open(wedding)
        self.quotas.stored([Append(DocumentKey(wedding, "notes.a"), 1, b"\0" * UNMEASURED.size_bytes)], [])

    async def settle(self) -> None:
        while self._tasks:
            await asyncio.gather(*self._tasks)

    async def _measure(self, wedding: str) -> WeddingUsage:
        began = self._clock.now
        self._clock.now += self.measuring
        found = await self._usage(wedding)
        self.done.append(("measured", began, self._clock.now))
        return found

    async def _shrink(self, wedding: str) -> None:
        began = self._clock.now
        self._clock.now += self.shrinking
        await self._shrink_all(wedding)
        self.done.append(("shrunk", began, self._clock.now))

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(quotas_module, "asyncio", found)
    return found


@pytest.mark.parametrize("seconds", [0.01, 1.0])
async def test_weddings_that_are_due_together_are_measured_with_rests(
    hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    timed = Timed(hub, clock, monkeypatch, Limits(1 << 30, 0, 0))
    timed.measuring = seconds
    for number in range(5):
        timed.write(f"w_{number}")
    await timed.settle()
    rests = [after[1] - before[2] for before, after in pairwise(timed.done)]
    assert rests == pytest.approx([min(LONGEST_REST, OTHERS_REST * seconds)] * 4)


@pytest.mark.parametrize(
    ("measuring", "shrinking", "rests"),
    [
        (0.01, 0.01, [MEASURE_SECONDS, MEASURE_SECONDS]),
        (1.0, 0.01, [REST, REST]),
        (1.0, 100.0, [REST, 100 * SHRINKING_REST]),
    ],
)
async def test_a_full_wedding_is_shrunk_and_measured_again_after_a_rest(
    hub: Hub, clock: Clock, monkeypatch: pytest.MonkeyPatch, measuring: float, shrinking: float, rests: list[float]
) -> None:
    await hub.storage.append([Append(DocumentKey("w", "notes.a"), 1, b"\0\0")])
    timed = Timed(hub, clock, monkeypatch, Limits(1, 0, 0))
    timed.measuring, timed.shrinking = measuring, shrinking
    timed.write("w")
    await timed.settle()
    timed.quotas.open("w")  # something may have been freed
    await timed.settle()
    assert [what for what, _, _ in timed.done] == ["measured", "shrunk", "measured", "shrunk", "measured"]
    (_, _, first), (_, second, _), (_, _, third), (_, fourth, _), _ = timed.done
    assert [second - first, fourth - third] == pytest.approx(rests)


async def test_weddings_take_turns_at_shrinking(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    weddings, order, under_way = ("w_1", "w_2"), list[str](), set[DocumentKey]()
    for key in [DocumentKey(wedding, f"notes.{number}") for wedding in weddings for number in range(3)]:
        await hub.storage.append([Append(key, 1, b"\0\0")])

    async def alone(storage: Storage, jobs: Any, key: DocumentKey, most_bytes: float) -> int:
        assert not under_way
        under_way.add(key)
        order.append(key.wedding)
        found = await collect(storage, jobs, key, most_bytes)
        under_way.remove(key)
        return found

    monkeypatch.setattr(shrinking_module, "collect", alone)
    shrinking = Shrinking(hub.storage, hub.hosts.jobs)
    await asyncio.gather(*map(shrinking.shrink, weddings))
    assert sorted(order) == ["w_1"] * 3 + ["w_2"] * 3
    assert all(one != following for one, following in pairwise(order)), order

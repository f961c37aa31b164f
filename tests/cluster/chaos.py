"""Chaos: clients write at every node of a cluster while its parts are killed, stopped, cut off and restarted.

    python -m tests.cluster.chaos --seconds 1800 --seed 1 --clients 200 --weddings 50 [--nodes 3] [--keep DIRECTORY]

Prints a line every ten seconds and a report as JSON, and exits 1 where something is broken: a replica that differs, an
edit that a client had received and the store does not have, a conflict recorded twice, two owners under one number.
The seed decides which acts follow one another, not how the processes interleave.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from storage import Storage, StorageError, open_storage
from tests.cluster.crowd import Crowd, Room
from tests.cluster.field import Field, Node
from tests.support.proxy import CuttingProxy

Act = tuple[str, str, Callable[[], Awaitable[None]]]
"""Its name, its target, and the work."""

KINDS = 12  # of acts
PAUSE_SECONDS = (2.0, 5.0)  # between two acts
STOP_SECONDS = (1.0, 8.0)
AWAY_SECONDS = (0.5, 6.0)
CUT_SECONDS = (0.5, 10.0)
PROGRESS_SECONDS = 10.0
AUDIT_SECONDS = 0.5


@dataclass(frozen=True)
class Plan:
    """One run. ``edits_per_second`` is that of all clients together."""

    seconds: float = 60.0
    seed: int = 1
    clients: int = 24
    weddings: int = 6
    nodes: int = 3
    edits_per_second: float = 60.0


@dataclass
class Report:
    """The result of a run. ``closes`` by close code; ``takeovers`` counts every change of an owner."""

    seed: int
    acts: dict[str, int] = field(default_factory=dict)
    written: int = 0
    closes: dict[int, int] = field(default_factory=dict)
    takeovers: int = 0
    audits: int = 0
    converged_seconds: float = 0.0
    conflicts: int = 0
    most_megabytes: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Chaos:
    """One act after the other, some while others last; never two on the same thing."""

    def __init__(self, where: Field, seed: int) -> None:
        self._where = where
        self._chance = random.Random(seed)
        self._busy: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()
        self._script: list[Act] = []
        self.done: Counter[str] = Counter()
        self.broken: list[str] = []

    async def run(self, seconds: float) -> None:
        """Every act once, then any, until the time is over; return when everything works again."""
        end = asyncio.get_running_loop().time() + seconds
        self._script = self._all_kinds()
        while self._script or asyncio.get_running_loop().time() < end:
            await asyncio.sleep(self._chance.uniform(*PAUSE_SECONDS))  # the pace of the acts
            self._begin()
        await asyncio.gather(*self._running)

    def _begin(self) -> None:
        candidates = self._script or self._all_kinds()
        for act in candidates:
            name, target, work = act
            if target not in self._busy:
                if act in self._script:
                    self._script.remove(act)
                task = asyncio.create_task(self._perform(name, target, work))
                self._running.add(task)
                task.add_done_callback(self._running.discard)
                return

    async def _perform(self, name: str, target: str, work: Callable[[], Awaitable[None]]) -> None:
        print(f"      {name}: {target}" if "node" in target or " of " in target else f"      {name}", flush=True)
        with self._holding(target):
            try:
                await work()
            except AssertionError as error:
                self.broken.append(f"{name} of {target}: {error}")
        self.done[name] += 1

    @contextmanager
    def _holding(self, target: str) -> Iterator[None]:
        self._busy.add(target)
        try:
            yield
        finally:
            self._busy.discard(target)

    def _all_kinds(self) -> list[Act]:
        """Every kind of act, in random order, each for some target."""
        where, node = self._where, self._any_node
        kinds: list[Act] = [
            ("pause redis", "redis", partial(self._pause, where.redis)),
            ("kill redis", "redis", partial(self._kill, where.redis)),
            ("pause postgres", "postgres", partial(self._pause, where.postgres)),
            ("kill postgres", "postgres", partial(self._kill, where.postgres)),
            ("restart postgres", "postgres", self._restart_postgres),
        ]
        for name, act in (("kill", self._kill_node), ("stop", self._stop_node), ("restart", self._restart_node)):
            one = node()
            kinds.append((f"{name} a node", f"node {one.number}", partial(act, one)))
        for way in ("cut", "freeze"):
            for one in (node(), node()):
                kinds.append((f"{way} redis off", f"redis of {one.number}", partial(self._cut, one.redis_wire, way)))
                kinds.append(
                    (f"{way} postgres off", f"postgres of {one.number}", partial(self._cut, one.postgres_wire, way))
                )
        self._chance.shuffle(kinds)
        return kinds

    def _any_node(self) -> Node:
        return self._chance.choice(self._where.nodes)

    def _for_node(
        self, node: Node, act: Callable[[Node], Awaitable[None]]
    ) -> tuple[str, Callable[[], Awaitable[None]]]:
        return f"node {node.number}", lambda: act(node)

    async def _pause_for(self, seconds: tuple[float, float]) -> None:
        await asyncio.sleep(self._chance.uniform(*seconds))  # how long it lasts

    # -- acts

    async def _cut(self, wire: CuttingProxy, way: str) -> None:
        getattr(wire, way)()
        await self._pause_for(CUT_SECONDS)
        await wire.heal()

    async def _kill_node(self, node: Node) -> None:
        await asyncio.to_thread(node.kill9)
        await self._pause_for(AWAY_SECONDS)
        await node.begin()

    async def _stop_node(self, node: Node) -> None:
        node.stop()
        await self._pause_for(STOP_SECONDS)
        node.wake()

    async def _restart_node(self, node: Node) -> None:
        code = await asyncio.to_thread(node.terminate)
        assert code == 0, f"ended with {code}"
        await node.begin()

    async def _pause(self, server: Any) -> None:
        server.pause()
        await self._pause_for(STOP_SECONDS)
        server.resume()

    async def _kill(self, server: Any) -> None:
        await asyncio.to_thread(server.kill)
        await self._pause_for(AWAY_SECONDS)
        await asyncio.to_thread(server.start)

    async def _restart_postgres(self) -> None:
        await asyncio.to_thread(self._where.postgres.stop)
        await asyncio.to_thread(self._where.postgres.start)


class Watch:
    """Checks continuously that the store has everything that clients have received, and prints the progress."""

    def __init__(self, where: Field, crowd: Crowd, storage: Storage, chaos: Chaos) -> None:
        self._where, self._crowd, self._storage, self._chaos = where, crowd, storage, chaos
        self.broken: list[str] = []
        self.most_megabytes: dict[str, int] = {}

    async def keep_auditing(self) -> None:
        while True:
            for room in self._crowd.rooms:
                await asyncio.sleep(AUDIT_SECONDS)  # the pace of the checks
                await self._audit(room)

    async def _audit(self, room: Room) -> None:
        try:
            self.broken += await self._crowd.audit(room, self._storage)
        except StorageError:
            return  # the database is down

    async def keep_reporting(self) -> None:
        begin = time.monotonic()
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            there = sum(client.connected for client in self._crowd.clients)
            unsaved = sum(not client.saved for client in self._crowd.clients)
            self._measure_memory()
            print(
                f"{time.monotonic() - begin:5.0f} s  {self._crowd.written} written, {there} connected, {unsaved} wait,"
                f" {self._chaos.done.total()} acts, {self._crowd.audits} audits, {len(self.broken)} faults,"
                f" {self.most_megabytes} MB",
                flush=True,
            )

    def _measure_memory(self) -> None:
        pids = {f"node {node.number}": node.pid for node in self._where.nodes if node.running} | {"clients": "self"}
        for name, pid in pids.items():
            status = Path(f"/proc/{pid}/statm")
            if status.exists():
                megabytes = int(status.read_text().split()[1]) * 4096 >> 20
                self.most_megabytes[name] = max(megabytes, self.most_megabytes.get(name, 0))


async def chaos(plan: Plan, directory: Path) -> Report:
    """A whole run; logs are kept in ``directory``."""
    print(f"seed {plan.seed}, {plan.clients} clients, {plan.weddings} weddings, {plan.nodes} nodes", flush=True)
    report = Report(plan.seed)
    async with Field(directory, nodes=plan.nodes) as where:
        storage = await open_storage(where.database_url)
        crowd = Crowd(
            [node.port for node in where.nodes],
            weddings=plan.weddings,
            clients=plan.clients,
            seed=plan.seed,
            pace_seconds=plan.clients / plan.edits_per_second,
        )
        try:
            async with crowd.connected():
                await _run(plan, where, crowd, storage, report)
        finally:
            await storage.close()
        report.written, report.closes, report.audits = crowd.written, dict(crowd.closes), crowd.audits
        report.takeovers = where.takeovers
        report.broken += crowd.refused + where.broken()
    return report


async def _run(plan: Plan, where: Field, crowd: Crowd, storage: Storage, report: Report) -> None:
    acts = Chaos(where, plan.seed)
    watch = Watch(where, crowd, storage, acts)
    watching = [asyncio.create_task(work) for work in (watch.keep_auditing(), watch.keep_reporting())]
    try:
        crowd.start_writing()
        await acts.run(plan.seconds)
        await crowd.stop_writing()
        begin = time.monotonic()
        report.broken += await crowd.converged(storage)
        report.converged_seconds = round(time.monotonic() - begin, 1)
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    report.conflicts = crowd.conflicts
    report.acts, report.most_megabytes = dict(acts.done), watch.most_megabytes
    report.broken += acts.broken + watch.broken


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.cluster.chaos")
    parser.add_argument("--seconds", type=float, default=Plan.seconds)
    for name in ("seed", "clients", "weddings", "nodes"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Plan, name))
    parser.add_argument("--edits-per-second", type=float, default=Plan.edits_per_second)
    parser.add_argument("--keep", type=Path, help="where the logs of the nodes stay")
    arguments = vars(parser.parse_args())
    keep = arguments.pop("keep")
    with tempfile.TemporaryDirectory() as temporary:
        directory = keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            parser.error(f"{directory} is not empty: the logs of two runs would be read as one")
        report = asyncio.run(chaos(Plan(**arguments), directory))
    print(json.dumps(asdict(report), indent=1))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())

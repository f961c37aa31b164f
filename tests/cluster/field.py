"""A real cluster: nodes, a PostgreSQL with fsync, a Redis, and from each node to each of the two a wire that can be cut
and frozen."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.support.postgres import PostgresServer
from tests.support.proxy import CuttingProxy
from tests.support.redis import RedisServer
from tests.support.server import ServerProcess

SKEWED = Path(__file__).parents[1] / "support" / "skewed"
START_TRIES = 60
TRY_AGAIN_SECONDS = 0.5
ENVIRONMENT = {
    "CRDT_SERVER_DOCUMENT_HOSTS": "1",
    "CRDT_SERVER_HANDSHAKES_PER_SECOND": "0",
    "CRDT_SERVER_HOST_TIMEOUT_SECONDS": "60",  # the machine is busy, and a slow host is not what is tested
}
DEFECTS = (
    "task_failed",
    "batch_failed",
    "node_message_failed",
    "node_message_malformed",
    "presence_message_malformed",
    "Traceback",
)

CLOSING = "Exception closing connection"  # logged by the pool, about a connection that is broken anyway
AWAY = "StorageUnavailable"  # the reason why a document cannot be read without a database
NOT_STARTED = "Application startup failed"


class Node(ServerProcess):
    """One node and its two wires."""

    def __init__(self, directory: Path, number: int, urls: tuple[str, str], env: Mapping[str, str]) -> None:
        database_url, redis_url = urls
        super().__init__(
            directory,
            flags=["--redis-url", redis_url],
            env={**ENVIRONMENT, **env},
            database_url=database_url,
            log_name=f"node-{number}.log",
        )
        self.number = number
        self.postgres_wire: CuttingProxy
        self.redis_wire: CuttingProxy

    def stop(self) -> None:
        """SIGSTOP: it does nothing, and its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def wake(self) -> None:
        """SIGCONT after `stop`."""
        os.kill(self.pid, signal.SIGCONT)

    async def begin(self) -> None:
        """Start, repeatedly while the database is down, as a service manager does."""
        for _ in range(START_TRIES):
            try:
                await asyncio.to_thread(self.start)
            except AssertionError:
                await asyncio.sleep(TRY_AGAIN_SECONDS)  # the pace of restarts
            else:
                return
        raise AssertionError(f"node {self.number} does not start:\n{self.log[-3000:]}")

    def lines(self, event: str) -> list[dict[str, Any]]:
        """Its log lines of this event, over all restarts."""
        found = [json.loads(line) for line in self.log.splitlines() if f'"{event}"' in line and line.startswith("{")]
        return [line for line in found if line["event"] == event]


class Field:
    """``async with Field(directory)``: everything runs; at the end only the logs remain.

    ``skews``: the error of each node's clock, in seconds.
    """

    def __init__(
        self, directory: Path, *, nodes: int = 3, env: Mapping[str, str] | None = None, skews: Sequence[float] = ()
    ) -> None:
        self._directory = directory
        self._count = nodes
        self._env = env or {}
        self._skews = skews
        self._stack = AsyncExitStack()
        self.nodes: list[Node] = []

    async def __aenter__(self) -> Field:
        self.postgres = await asyncio.to_thread(PostgresServer, fsync=True)
        self._stack.callback(self.postgres.close)
        await asyncio.to_thread(self.postgres.start)
        self.redis = self._stack.enter_context(RedisServer())
        self.nodes = [await self._make_node(number) for number in range(self._count)]
        await self.nodes[0].begin()  # migrates
        await asyncio.gather(*(node.begin() for node in self.nodes[1:]))
        return self

    async def _make_node(self, number: int) -> Node:
        postgres_wire = await self._stack.enter_async_context(CuttingProxy(self.postgres.port))
        redis_wire = await self._stack.enter_async_context(CuttingProxy(self.redis.port))
        urls = (
            self.postgres.url.replace(f":{self.postgres.port}/", f":{postgres_wire.port}/"),
            f"redis://127.0.0.1:{redis_wire.port}/0",
        )
        skew = {"PYTHONPATH": str(SKEWED), "SKEW_SECONDS": str(self._skews[number])} if self._skews else {}
        node = Node(self._directory, number, urls, {**self._env, **skew})
        node.postgres_wire, node.redis_wire = postgres_wire, redis_wire
        self._stack.push_async_callback(asyncio.to_thread, _end, node)
        return node

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def database_url(self) -> str:
        """Past the wires."""
        return self.postgres.url

    def owner(self, wedding: str) -> Node | None:
        """The newest owner of the wedding, according to the logs."""
        taken = [(line["fence"], node.number) for node in self.nodes for line in _taken(node, wedding)]
        return self.nodes[max(taken)[1]] if taken else None

    def broken(self) -> list[str]:
        """Faults in the logs: two owners under one fence, fences that decrease, defects."""
        found = [f"node {node.number} logged {line[:2000]}" for node in self.nodes for line in _defects(node)]
        holders: dict[tuple[str, int], set[str]] = defaultdict(set)
        for node in self.nodes:
            unreadable = [line for line in node.lines("document_unreadable") if AWAY not in line["why"]]
            found += [f"node {node.number} could not read a document: {line}" for line in unreadable]
            newest: dict[str, int] = {}
            for line in node.lines("wedding_owned"):
                wedding, fence = line["wedding"], line["fence"]
                holders[wedding, fence].add(line["node"])
                # Equal: the node released it, and the release did not reach the database.
                if fence < newest.get(wedding, 0):
                    found.append(f"node {node.number} took {wedding} under {fence} after {newest[wedding]}")
                newest[wedding] = fence
        found += [f"{wedding} had two owners under {fence}" for (wedding, fence), of in holders.items() if len(of) > 1]
        return found

    @property
    def takeovers(self) -> int:
        """How often a wedding changed its owner."""
        return sum(len(node.lines("wedding_owned")) for node in self.nodes)


def _taken(node: Node, wedding: str) -> list[dict[str, Any]]:
    return [line for line in node.lines("wedding_owned") if line["wedding"] == wedding]


def _defects(node: Node) -> list[str]:
    """Lines that no failure around the node explains. A start may fail without a database: see `Node.begin`."""
    lines = [*node.log.splitlines(), ""]
    return [
        line
        for line, following in itertools.pairwise(lines)
        if any(word in line for word in DEFECTS)
        and CLOSING not in line
        and not (AWAY in line and NOT_STARTED in following)
    ]


def _end(node: Node) -> None:
    if node.running:
        node.kill9()

"""Several nodes of this server on a PostgreSQL that waits for its disk and a Redis, all started for one measurement."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from benchmarks import persons, processes
from benchmarks.config import OUR_ENVIRONMENT, OURS
from benchmarks.servers import Server, ServerError
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.server import ServerProcess

Store = Literal["sqlite", "postgresql"]
POSTGRES_SETTINGS = {"autovacuum": "on", "shared_buffers": "256MB", "shared_preload_libraries": ""}
FSYNC_BYTES = 8 * 1024
FSYNCS = 50


class Cluster:
    """``with`` starts everything and ends it. Its CPU time is charged to ``server``, whose directory it uses."""

    name = OURS
    protocol = "y-websocket"

    def __init__(
        self,
        server: Server,
        nodes: int,
        *,
        store: Store = "postgresql",
        redis: bool = True,
        with_tokens: bool = False,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._server = server
        self.query = persons.token_query if with_tokens else None
        self._postgres = PostgresServer(fsync=True, settings=POSTGRES_SETTINGS) if store == "postgresql" else None
        self.redis = RedisServer("valkey-9") if redis else None
        server.directory.mkdir(parents=True, exist_ok=True)
        flags = ["--redis-url", self.redis.url] if self.redis else []
        flags += persons.flags(server.directory) if with_tokens else ()
        settings = {**OUR_ENVIRONMENT, "CRDT_SERVER_DOCUMENT_HOSTS": "1", **environment}
        url = self._postgres.url if self._postgres else None
        self.nodes = [
            ServerProcess(
                server.directory,
                flags=flags,
                env=settings,
                database_url=url,
                log_name=f"node-{n}.log",
                dev=not with_tokens,
            )
            for n in range(nodes)
        ]

    @property
    def spent_seconds(self) -> float:
        return self._server.spent_seconds

    @spent_seconds.setter
    def spent_seconds(self, seconds: float) -> None:
        self._server.spent_seconds = seconds

    @property
    def ports(self) -> list[int]:
        return [node.port for node in self.nodes]

    def __enter__(self) -> Cluster:
        with ExitStack() as stack:
            if self._postgres is not None:
                stack.callback(self._postgres.close)
                self._postgres.start()
            if self.redis is not None:
                stack.enter_context(self.redis)
                self._redis_pid = self.redis.pid
            for node in self.nodes:  # not at once: the first makes the tables
                stack.callback(node.close)
                _start(node)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.spent_seconds += sum(self.cpu_parts().values())
        self._stack.close()

    def restart(self, end: Callable[[ServerProcess], object]) -> None:
        """End all nodes at once and start all at once."""
        self.spent_seconds += self.cpu_seconds()
        _at_once(end, self.nodes)
        _at_once(_start, self.nodes)

    def kill(self, number: int) -> None:
        """SIGKILL to a node."""
        self.spent_seconds += processes.cpu_seconds(self.nodes[number].pid)
        self.nodes[number].kill9()

    def cpu_seconds(self) -> float:
        return sum(processes.cpu_seconds(pid) for pid in self._pids())

    def cpu_parts(self) -> dict[str, float]:
        """Of the serving processes, their hosts, Redis, PostgreSQL; and of each node alone."""
        serving = sum(processes.own_cpu_seconds(pid) for pid in self._pids())
        parts = {"serving": serving, "hosts": self.cpu_seconds() - serving}
        if self.redis is not None:
            parts["redis"] = processes.own_cpu_seconds(self._redis_pid)
        if self._postgres is not None:
            parts["postgres"] = processes.cpu_seconds(self._postgres.pid)
        return parts

    def node_seconds(self) -> list[float]:
        """CPU time of each node's serving process and hosts."""
        return [processes.cpu_seconds(pid) for pid in self._pids()]

    def rss_bytes(self) -> list[int]:
        """Of each node."""
        return [processes.rss_bytes(pid) for pid in self._pids()]

    def _pids(self) -> Iterable[int]:
        return [node.pid for node in self.nodes if node.running]


def _start(node: ServerProcess) -> None:
    try:
        node.start()
    except AssertionError as error:
        raise ServerError(str(error)) from error


def _at_once(act: Callable[[ServerProcess], object], nodes: list[ServerProcess]) -> None:
    with ThreadPoolExecutor(len(nodes)) as threads:
        list(threads.map(act, nodes))


def fsync_ms(directory: Path) -> float:
    """Milliseconds to write a page to this disk with fsync, as each commit does."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "page").open("wb") as file:
        begun = time.perf_counter()
        for _ in range(FSYNCS):
            file.write(bytes(FSYNC_BYTES))
            file.flush()
            os.fdatasync(file.fileno())
        return (time.perf_counter() - begun) * 1000 / FSYNCS

"""Several real nodes on a real PostgreSQL and a real Redis, behind a balancer that sends sockets anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.support.balancer import RoundRobin
from tests.support.databases import postgres_template
from tests.support.postgres import PostgresServer, shared_server
from tests.support.programs import PROGRAM
from tests.support.redis import RedisServer
from tests.support.server import Lane, ServerProcess

NODES = 3


class ClusterProcess:
    """Where a `ServerProcess` does: `start`, `restart` (one node after the other), `kill9`, `terminate`, `close`.

    ``postgres`` and ``redis`` are servers that run; without them it uses the shared PostgreSQL and a Redis of its own.
    Addresses for nodes that differ from those of the servers (of a proxy between) come as URLs. Without ``dev`` the
    flags or the environment name a key for tokens.
    """

    def __init__(
        self,
        directory: Path,
        *,
        nodes: int = NODES,
        lane: Lane = "fast",
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        postgres: PostgresServer | None = None,
        redis: RedisServer | None = None,
        database_urls: Sequence[str] = (),
        redis_urls: Sequence[str] = (),
        dev: bool = True,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self._stack = ExitStack()
        if not database_urls:
            template = postgres_template("demo" if dev else "tables")  # as the first start would leave it
            database = postgres.database() if postgres else shared_server().database(template)
            database_urls = [self._stack.enter_context(database)]
        if not redis_urls:
            redis_urls = [(redis or self._stack.enter_context(RedisServer())).url]
        self.database_url = database_urls[0]
        self.nodes = [
            ServerProcess(
                directory,
                lane=lane,
                flags=[*flags, "--redis-url", redis_urls[n % len(redis_urls)]],
                env={"CRDT_SERVER_DOCUMENT_HOSTS": "1", **(env or {})},
                database_url=database_urls[n % len(database_urls)],
                log_name=f"node-{n}.log",
                dev=dev,
                program=program,
            )
            for n in range(nodes)
        ]
        self._balancer = RoundRobin()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._balancer.port}"

    @property
    def node_url(self) -> str:
        return self.nodes[0].url

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._balancer.port}/ws"

    @property
    def log(self) -> str:
        return "".join(node.log for node in self.nodes)

    def start(self) -> None:
        """Return when all nodes listen."""
        for node in self.nodes:
            if not node.running:
                node.start()
        self._balancer.ports = [node.port for node in self.nodes]

    def kill9(self) -> None:
        """SIGKILL to all nodes."""
        for node in self.nodes:
            node.kill9()

    def terminate(self) -> int:
        """SIGTERM to one node after the other; the worst exit code."""
        return max(node.terminate() for node in self.nodes)

    def restart(self) -> None:
        """A rolling restart: one node after the other."""
        for node in self.nodes:
            node.restart()

    def close(self) -> None:
        """Everything ends, and the database is removed."""
        for node in self.nodes:
            node.close()
        self._balancer.close()
        self._stack.close()

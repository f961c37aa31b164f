"""The server under test: what most end-to-end tests run against.

`CRDT_TEST_BACKEND` says which: `sqlite` (the default), `postgres`, or `cluster`: three nodes on PostgreSQL and Redis,
where each connection goes to another one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from tests.support.cluster import ClusterProcess
from tests.support.databases import BACKEND
from tests.support.server import Lane, ServerProcess


class Server(Protocol):
    """What such tests may rely on."""

    database_url: str

    @property
    def url(self) -> str: ...

    @property
    def node_url(self) -> str: ...

    @property
    def ws_url(self) -> str: ...

    @property
    def log(self) -> str: ...

    def start(self) -> None: ...

    def kill9(self) -> None: ...

    def terminate(self) -> int: ...

    def restart(self) -> None: ...

    def close(self) -> None: ...


def make_server(
    directory: Path, *, lane: Lane = "fast", flags: Sequence[str] = (), env: Mapping[str, str] | None = None
) -> Server:
    """A server that is not started yet."""
    kinds = {"sqlite": ServerProcess, "postgres": ServerProcess, "cluster": ClusterProcess}
    if BACKEND not in kinds:
        raise ValueError(f"CRDT_TEST_BACKEND is one of {', '.join(kinds)}, not {BACKEND!r}")
    server: Server = kinds[BACKEND](directory, lane=lane, flags=flags, env=env)
    return server

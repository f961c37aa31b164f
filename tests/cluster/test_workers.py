"""`serve --workers`: several nodes behind one socket, under people who write."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from storage import open_storage
from tests.cluster.conftest import logged, until
from tests.cluster.crowd import Crowd
from tests.cluster.field import ENVIRONMENT
from tests.support.effort import EVERYTHING, timed
from tests.support.postgres import shared_server
from tests.support.redis import RedisServer
from tests.support.server import ServerProcess

pytestmark = pytest.mark.slow

WORKERS = 3 if EVERYTHING else 2
SECONDS = 120.0
TRY_AGAIN = 1013


class Workers(ServerProcess):
    """The process that keeps the workers, which are its children."""

    def workers(self) -> list[int]:
        """Their process ids."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(child) for child in children]

    def closes(self, code: int) -> set[int]:
        """The codes with which clients may be closed. On a busy machine a worker that is not run for seconds loses its
        weddings, and their clients come again."""
        return {code, TRY_AGAIN} if self.count("weddings_lost") else {code}

    def count(self, event: str) -> int:
        """How often this was logged."""
        return self.log.count(f'"event": "{event}"')


@asynccontextmanager
async def written_to(directory: Path) -> AsyncIterator[tuple[Workers, Crowd]]:
    """A running server with several workers, and a crowd that writes; in the end everybody has everything."""
    with shared_server().database() as database_url, RedisServer() as redis:
        flags = ["--workers", str(WORKERS), "--redis-url", redis.url, "--probes-port", "0"]
        server = Workers(directory, flags=flags, env=ENVIRONMENT, database_url=database_url)
        await asyncio.to_thread(server.start)
        storage = await open_storage(database_url)
        try:
            probes = (await asyncio.to_thread(server.next_line)).split()[-1]
            async with httpx.AsyncClient(trust_env=False, timeout=SECONDS) as client, asyncio.timeout(SECONDS):
                while (await client.get(f"{probes}/readyz")).status_code != 200:  # noqa: ASYNC110 - late on a busy machine
                    await asyncio.sleep(0.1)
                assert (await client.get(f"{server.url}/readyz")).status_code == 404
            crowd = Crowd([server.port], weddings=3, clients=12, seed=1, pace_seconds=0.2)
            async with crowd.connected():
                crowd.start_writing()
                await until(lambda: all(client.own_clock_received for client in crowd.clients), SECONDS)
                yield server, crowd
                await crowd.stop_writing()
                assert await crowd.converged(storage) == []
        finally:
            await storage.close()
            assert await asyncio.to_thread(server.terminate) == 0
        assert "Traceback" not in server.log


@timed
async def test_workers_are_replaced_one_by_one(tmp_path: Path) -> None:
    async with written_to(tmp_path) as (server, crowd):
        before = server.workers()
        os.kill(server.pid, signal.SIGHUP)
        await logged(lambda: server.count("worker_replaced") == WORKERS, SECONDS)
        assert len(server.workers()) == WORKERS
        assert not set(before) & set(server.workers())
        assert crowd.closes.keys() <= server.closes(1012), server.log


@timed
async def test_a_worker_that_is_killed_is_started_again(tmp_path: Path) -> None:
    async with written_to(tmp_path) as (server, crowd):
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        await logged(lambda: server.count("worker_died") == 1, SECONDS)
        await logged(lambda: server.count("node_started") == WORKERS + 1, SECONDS)
        assert len(server.workers()) == WORKERS
        assert crowd.closes.keys() <= server.closes(1006), server.log


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        pytest.param(["--redis-url", "redis://127.0.0.1"], "PostgreSQL", id="on SQLite"),
        pytest.param(["--database-url", "postgresql://somebody@127.0.0.1/w"], "Redis", id="without Redis"),
    ],
)
def test_several_workers_need_both(tmp_path: Path, flags: list[str], why: str) -> None:
    command = [sys.executable, "-m", "crdt_server", "serve", "--dev", "--workers", "2", *flags]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert why in line

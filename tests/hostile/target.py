"""The server that a soak attacks: one node or several, on SQLite or PostgreSQL, with either implementation of sockets.

Several nodes share a real PostgreSQL and a real Redis. Everybody connects to the nodes themselves: behind a balancer
all would have its address.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal

import httpx
from sqlalchemy import make_url

from crdt_server.sample import plant
from storage import open_storage
from tests.hostile.watch import alive, children, rss_bytes
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer
from tests.support.server import ROOT, Lane, ServerProcess

Store = Literal["sqlite", "postgresql"]

GRACE_SECONDS = 2
COMMAND_SECONDS = 900
REST_SECONDS = 60
QUIET_SECONDS = 6


class Target:
    """`start`, `kill9`, `start` again, `terminate`, `close`."""

    def __init__(self, directory: Path, *, store: Store, lane: Lane, nodes: int, max_strikes: int) -> None:
        self._stack = ExitStack()
        self.database_url = f"sqlite:///{directory}/wedding.db"
        flags = []
        self._postgres = PostgresServer(settings={"autovacuum": "on"}) if store == "postgresql" else None
        if self._postgres is not None:
            self._stack.callback(self._postgres.close)
            self._postgres.start()
            self.database_url = self._stack.enter_context(self._postgres.database())
        env = {
            "CRDT_SERVER_MAX_STRIKES": str(max_strikes),
            "CRDT_SERVER_ROOM_GRACE_SECONDS": str(GRACE_SECONDS),
            "CRDT_SERVER_LOG_LEVEL": "info",
            "CRDT_SERVER_MAX_LOOP_LAG_SECONDS": "1",  # as in production: who comes to a busy server has to come again
        }
        if nodes > 1:
            flags = ["--redis-url", self._stack.enter_context(RedisServer()).url]
            env["CRDT_SERVER_DOCUMENT_HOSTS"] = "1"
        self.nodes = [
            ServerProcess(
                directory,
                lane=lane,
                flags=flags,
                env=env,
                database_url=self.database_url,
                log_name=f"node-{number}.log",
            )
            for number in range(nodes)
        ]

    @property
    def urls(self) -> list[str]:
        return [node.url for node in self.nodes]

    @property
    def pids(self) -> list[int]:
        """The serving processes."""
        return [node.pid for node in self.nodes]

    @property
    def logs(self) -> list[Path]:
        return [node.log_file for node in self.nodes]

    async def start(self) -> None:
        """Return when all nodes listen."""
        for node in self.nodes:
            await asyncio.to_thread(node.start)

    async def kill9(self) -> None:
        """SIGKILL to every node."""
        for node in self.nodes:
            await asyncio.to_thread(node.kill9)

    async def terminate(self) -> int:
        """SIGTERM to one node after the other; the worst exit code."""
        return max([await asyncio.to_thread(node.terminate) for node in self.nodes])

    def close(self) -> None:
        """Nothing is left of it but its directory."""
        for node in self.nodes:
            if node.running:
                node.kill9()
            node.close()
        self._stack.close()

    def same(self, pids: list[int]) -> bool:
        """Whether these processes still serve."""
        return self.pids == pids and all(alive(pid) for pid in pids)

    async def command(self, *arguments: str) -> tuple[int, list[str]]:
        """Exit code and lines of a command of the program on the same database."""
        command = [sys.executable, "-m", "crdt_server", *arguments, "--database-url", self.database_url]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=ROOT, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=False
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()

    async def plant(self, weddings: Sequence[str], guests: int, seed: int) -> None:
        """Sample weddings, before the start."""
        storage = await open_storage(self.database_url, migrate=True)
        try:
            for number, wedding in enumerate(weddings):
                await plant(storage, wedding, guests=guests, seed=seed + number)
        finally:
            await storage.close()

    async def state(self, room: str) -> bytes:
        """The whole document over HTTP."""
        wedding, document = room.split("/")
        async with httpx.AsyncClient(base_url=self.urls[0], timeout=60) as client:
            answer = await client.get(f"/api/weddings/{wedding}/documents/{document}/state")
            return answer.raise_for_status().content

    def disk_bytes(self) -> int:
        """What the store holds. The log of SQLite, which is bounded by itself, is left out, as are free pages."""
        address = make_url(self.database_url)
        if self._postgres is not None:
            return int(self._postgres.psql("SELECT pg_database_size(current_database())", str(address.database)))
        with closing(sqlite3.connect(f"file:{address.database}?mode=ro", uri=True)) as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def log_bytes(self) -> int:
        """Size of the logs of all nodes."""
        return sum(log.stat().st_size for log in self.logs)

    def hosts(self) -> int:
        """How many processes there are below the serving ones."""
        return sum(len(children(pid)) - 1 for pid in self.pids)

    def resident(self) -> list[int]:
        """Resident memory of each serving process and of each below it, in bytes."""
        return [size for pid in self.pids for size in rss_bytes(pid)]

    async def rest(self) -> int:
        """Wait until no room was open for QUIET_SECONDS, for REST_SECONDS at most; how many are open then. The server
        opens a document itself once more where a conflict has waited out, and a host that holds one is not replaced."""
        left = 0
        for url in self.urls:
            quiet_since = begun = time.monotonic()
            async with httpx.AsyncClient(base_url=url, timeout=30) as client:
                while True:
                    rooms, now = _rooms((await client.get("/metrics")).text), time.monotonic()
                    quiet_since = now if rooms else quiet_since
                    if now - quiet_since >= QUIET_SECONDS or now - begun >= REST_SECONDS:
                        break
                    await asyncio.sleep(0.2)
            left += rooms
        return left

    async def least_resident(self) -> list[int]:
        """The smallest `resident` of eight seconds: hosts that have grown are replaced within five."""
        seen = []
        for _ in range(40):
            await asyncio.sleep(0.2)
            seen.append(self.resident())
        return min(seen, key=sum)


def _rooms(metrics: str) -> int:
    """How many rooms are open."""
    return next(int(float(line.split()[1])) for line in metrics.splitlines() if line.startswith("crdt_rooms "))

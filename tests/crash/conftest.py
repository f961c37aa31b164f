"""Server processes for the tests of this folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.crash.process import CrashServer, StartServer


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[StartServer]:
    """``await start(setting=value, …)``: a running server, ended with the test."""
    servers: list[CrashServer] = []

    async def start(**settings: object) -> CrashServer:
        server = CrashServer(tmp_path, **{"handshakes_per_second": 0, **settings})
        servers.append(server)
        await server.start()
        return server

    yield start
    for server in servers:
        await server.stop()

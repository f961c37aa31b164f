"""One server for all scenarios, and for each module Node with its clients; one with tokens where asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from tests.scenarios.people import SECONDS, node
from tests.scenarios.signed import Guarded, guarded_server
from tests.scenarios.weddings import VOUCHED, Stage
from tests.support.backend import Server, make_server
from tests.support.server import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server, on which all clients have one address."""
    directory = tmp_path_factory.mktemp("server")
    vouched = directory / "organizations"
    vouched.write_text("\n".join(f"{VOUCHED}{number}" for number in range(100)))
    unlimited = ("HANDSHAKES_PER_SECOND", "MAX_READS_PER_PERSON", "MAX_READS_PER_ADDRESS")
    env = {f"CRDT_SERVER_{name}": "0" for name in unlimited} | {"CRDT_SERVER_VOUCHED_ORGANIZATIONS": str(vouched)}
    server = make_server(directory, env=env)
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(server: Server) -> AsyncIterator[Stage]:
    async with node() as process, httpx.AsyncClient(base_url=server.url, timeout=SECONDS) as http:
        yield Stage(server, process, http)


@pytest.fixture(scope="module")
def guarded_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server with tokens and without limits."""
    running = guarded_server(tmp_path_factory.mktemp("server"))
    running.start()
    try:
        yield running
    finally:
        running.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(guarded_process: ServerProcess) -> AsyncIterator[Guarded]:
    async with node() as process:
        yield Guarded(guarded_process, process, "w")

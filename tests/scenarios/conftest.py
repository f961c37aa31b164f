"""One server for all scenarios, and Node with the clients of one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.scenarios.people import node
from tests.scenarios.weddings import Stage
from tests.support.server import ServerProcess


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A running server, on which all clients have one address."""
    server = ServerProcess(tmp_path_factory.mktemp("server"), env={"CRDT_SERVER_HANDSHAKES_PER_SECOND": "0"})
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
async def stage(server: ServerProcess) -> AsyncIterator[Stage]:
    async with node() as process:
        yield Stage(server, process)

"""A server and an HTTP client for the tests of this folder, and the check of a problem document."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.with_members import WEDDING, server_with_members
from tests.support.backend import Server, make_server
from tests.support.gate import LocalServer


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    env = {
        "CRDT_SERVER_DOCUMENT_HOSTS": "1",
        "CRDT_SERVER_MAX_STREAMS_PER_ADDRESS": "4",
        "CRDT_SERVER_MAX_STRIKES": "0",
    }
    running = make_server(tmp_path_factory.mktemp("server"), env=env)
    running.start()
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{server.url}/api/weddings", trust_env=False, timeout=60) as open_client:
        yield open_client


@pytest.fixture
async def node_client(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """All its requests go to one node, which counts them."""
    async with httpx.AsyncClient(base_url=f"{server.node_url}/api/weddings", trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
async def with_members(tmp_path: Path, database_url: str) -> AsyncIterator[LocalServer]:
    async with server_with_members(tmp_path, database_url) as running:
        yield running


@pytest.fixture
async def members(with_members: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    """Requests to wedding ``w`` of `with_members`."""
    url = with_members.url + WEDDING
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=60) as open_client:
        yield open_client


@pytest.fixture
def is_problem() -> Callable[..., None]:
    """A function that fails unless an answer is a problem document of a status and code."""

    def check(answer: httpx.Response, status: int, code: str) -> None:
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert (answer.json()["status"], answer.json()["code"]) == (status, code)

    return check

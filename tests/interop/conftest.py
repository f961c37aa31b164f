"""A server for each lane, one Node process with clients for all tests, and a document of its own for each test."""

import re
from collections.abc import Iterator

import pytest

from tests.interop.clients import NodeRunner, Room
from tests.support.backend import Server, make_server
from tests.support.effort import and_repeated
from tests.support.server import Lane


@pytest.fixture(scope="session", params=and_repeated("fast", "asgi"))
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A running server on the lane the test is run for."""
    lane: Lane = request.param
    # All clients have one address: neither their number nor the malformed frames of all tests together may shut it out.
    limits = {"CRDT_SERVER_HANDSHAKES_PER_SECOND": "0", "CRDT_SERVER_MAX_STRIKES": "1000"}
    server = make_server(tmp_path_factory.mktemp(lane), lane=lane, env=limits)
    server.start()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def node_process() -> Iterator[NodeRunner]:
    node = NodeRunner()
    try:
        yield node
    finally:
        node.close()


@pytest.fixture
def node(node_process: NodeRunner) -> Iterator[NodeRunner]:
    """The Node process, without clients of earlier tests."""
    try:
        yield node_process
    finally:
        node_process.call("closeAll")


@pytest.fixture
def room(request: pytest.FixtureRequest, node: NodeRunner, server: Server) -> Room:
    """A document nobody else uses."""
    slug = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return Room(node, server, f"notes.{slug[:60]}")

"""Health and metrics at an address of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.server import ServerProcess

PROBES = ("/healthz", "/readyz", "/metrics")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    flags = ("--probes-port", "0", "--probes-host", "127.0.0.2")
    running = ServerProcess(tmp_path, flags=flags, env={"CRDT_SERVER_DOCUMENT_HOSTS": "1"})
    running.start()
    yield running
    running.close()


def test_probes_have_an_address_of_their_own(server: ServerProcess) -> None:
    line = server.next_line()
    assert line.startswith("probes on http://127.0.0.2:")
    url = line.split()[-1]
    with httpx.Client(trust_env=False) as client:
        assert [client.get(url + path).status_code for path in PROBES] == [200, 200, 200]
        assert [client.get(server.url + path).status_code for path in PROBES] == [404, 404, 404]
        for path in ("/", "/api/openapi.json", "/api/weddings/demo/events", "/ws/demo/guests"):
            assert client.get(url + path).status_code == 404, path
        assert "crdt_rooms" in client.get(url + "/metrics").text


def test_they_end_with_the_server(server: ServerProcess) -> None:
    url = server.next_line().split()[-1]
    assert server.terminate() == 0
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as client:
        client.get(url + "/healthz")

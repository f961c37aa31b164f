"""A stock client in a wedding over its quota: it stays, and what was refused is stored once there is room."""

from __future__ import annotations

import time
from pathlib import Path

import httpx

from tests.interop.clients import NodeRunner, Room
from tests.support.server import ServerProcess

SMALL, LARGE = "--max-wedding-bytes=100000", "--max-wedding-bytes=1000000"


def test_a_stock_client_outlives_a_full_wedding(node: NodeRunner, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, flags=[SMALL])
    server.start()
    try:
        room = Room(node, server, "notes.full")
        ann, bob = room.join("ann"), room.join("bob")
        ann.run("doc.getText('text').insert(0, 'x'.repeat(110_000))")
        bob.wait("doc.getText('text').length === 110_000")
        deadline = time.monotonic() + 20
        while "crdt_weddings_over_quota 1.0" not in httpx.get(f"{server.url}/metrics").text:
            assert time.monotonic() < deadline
        ann.run("for (const letter of 'more') doc.getText('text').insert(0, letter)")
        ann.run("doc.getText('text').delete(10_000, 50_000)")
        bob.wait("doc.getText('text').length === 60_000")  # deletions are taken
        assert ann.run("return [provider.wsconnected, client.closes]") == [True, []]
        server.terminate()
        server.flags = [LARGE]
        server.start()
        text = room.settle()["text"]
        assert text == [{"insert": "erom" + "x" * 60_000}]
        assert 4409 not in ann.run("return client.closes")
    finally:
        server.close()

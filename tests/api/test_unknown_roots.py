"""A misspelt root is a typo: what is written there is undone, and the client goes on, connected or over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pycrdt import Doc, Map

from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from tests.api.test_http import body, parts, path
from tests.support.server import ServerProcess
from tests.support.yclient import YClient


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("server"), env={"CRDT_SERVER_DOCUMENT_HOSTS": "1"})
    running.start()
    try:
        yield running
    finally:
        running.close()


def write(doc: Doc[Any], root: str, record: str) -> None:
    shared: Map[Any] = doc.get(root, type=Map)
    shared[record] = Map({"firstName": "Ann"})


async def test_a_client_that_misspelt_a_root_goes_on(server: ServerProcess) -> None:
    async with YClient(f"{server.ws_url}/w/guests", "ann") as ann, YClient(f"{server.ws_url}/w/guests", "ben") as ben:
        write(ann.doc, "guest", "g_1")
        await ann.flush()
        write(ann.doc, "guests", "g_2")
        await ann.flush()
        await ben.until(lambda: "g_2" in ben.doc.get("guests", type=Map))
        await ann.until(lambda: len(ann.doc.get("guest", type=Map)) == 0)
        assert len(ben.doc.get("guest", type=Map)) == 0
        assert (ann.closes, ben.closes) == ([], [])


async def test_http_sync_of_a_copy_with_a_misspelt_root_is_answered(server: ServerProcess) -> None:
    doc: Doc[Any] = Doc()
    write(doc, "guest", "g_3")
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        for record in ("g_4", "g_5"):
            write(doc, "guests", record)
            answer = await client.post(path("guests"), content=body(EMPTY_STATE_VECTOR, doc.get_update()))
            _, update = parts(answer)
            doc.apply_update(update)
            assert len(doc.get("guest", type=Map)) == 0
        rows = (await client.get("/api/weddings/w/documents/guests")).json()["guests"]
    assert {"g_4", "g_5"} <= rows.keys()

"""A document with a schema that is full is repaired by its people, over HTTP and with a Yjs client."""

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

STAMP = {"at": "2026-05-01T12:00:00Z", "by": "ann"}
GUESTS = path("guests")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {"CRDT_SERVER_DOCUMENT_HOSTS": "1"}
    running = ServerProcess(tmp_path_factory.mktemp("server"), env=env)
    running.start()
    try:
        yield running
    finally:
        running.close()


def record(kilobytes: int) -> Map[Any]:
    return Map({f"x:a.{i}": "y" * 1000 for i in range(kilobytes)})


async def filled(client: httpx.AsyncClient) -> None:
    """Sync records until the document takes no more."""
    for kilobytes, together in ((60, 4), (10, 1), (2, 1)):
        doc: Doc[Any] = Doc()
        guests: Map[Any] = doc.get("guests", type=Map)
        _, update = parts(await client.post(GUESTS, content=body(EMPTY_STATE_VECTOR, b"\0\0")))
        doc.apply_update(update)
        for number in range(200):
            state_vector = doc.get_state()
            with doc.transaction():
                for one in range(together):
                    guests[f"g_{kilobytes}_{number}{one}"] = record(kilobytes)
            answer = await client.post(GUESTS, content=body(doc.get_state(), doc.get_update(state_vector)))
            if answer.status_code != 200:
                break
        else:
            raise AssertionError("it is never full")


async def test_a_full_document_is_repaired(server: ServerProcess) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        await filled(client)
        ops = path("guests", "ops")
        large = {f"x:a.{i}": "y" * 1000 for i in range(9)}
        answer = await client.post(
            ops, json={"operations": [{"op": "insert", "root": "guests", "record": "g_new", "value": large}]}
        )
        assert answer.status_code == 422
        doc: Doc[Any] = Doc()
        _, update = parts(await client.post(GUESTS, content=body(EMPTY_STATE_VECTOR, b"\0\0")))
        doc.apply_update(update)
        guests: Map[Any] = doc.get("guests", type=Map)
        records = sorted(guests.keys())
        deletions = [
            {"op": "set", "root": "guests", "record": each, "key": "deleted", "value": STAMP} for each in records[:30]
        ]
        answer = await client.post(ops, json={"operations": deletions})
        assert answer.status_code == 200, answer.text
        state_vector = doc.get_state()
        with doc.transaction():
            for each in records[30:60]:
                guests[each]["deleted"] = STAMP
        parts(await client.post(GUESTS, content=body(doc.get_state(), doc.get_update(state_vector))))
        async with YClient(f"{server.ws_url}/w/guests", "ann") as person:
            await person.until(lambda: len(person.doc.get("guests", type=Map)) == len(records), seconds=30)
            with person.doc.transaction():
                for each in records[60:]:
                    del person.doc.get("guests", type=Map)[each]["x:a.0"]
            await person.flush()
            await person.until(lambda: "x:a.0" not in person.received.get("guests", type=Map)[records[-1]])
            assert person.closes == []
        rows = (await client.get("/api/weddings/w/documents/guests")).json()["guests"]
        assert [each for each in records if "deleted" in rows[each]] == records[:60]
        assert [each for each in records if "x:a.0" not in rows[each]] == records[60:]

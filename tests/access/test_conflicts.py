"""Conflicts over HTTP: only those in documents that the caller may read, and no name of another document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from crdt_server import Settings
from crdt_server.api import conflicts
from storage import Append, DerivedRecords, DocumentKey, StoredRow
from tests.access.people import WEDDING, people
from tests.support.gate import LocalServer, local_server

DOCUMENTS = ("budget", "notes.secret", "seating", "thread.secret", "wedding")


@pytest.fixture
async def server(database_url: str) -> AsyncIterator[LocalServer]:
    settings = Settings(port=0, document_hosts=1, database_url=database_url)
    async with local_server(settings, people()[0]) as running:
        for document in DOCUMENTS:
            key = DocumentKey(WEDDING, document)
            fields = json.dumps({"_state": "open", "_summary": f"about {document}", "_options": []})
            rows = [StoredRow("review", f"c_{document}_{n}", fields, "{}") for n in range(3)]
            await running.hub.storage.append([Append(key, 1, b"\0\0")], [DerivedRecords(key, rows=rows)])
        yield running


async def pages(client: httpx.AsyncClient, token: str) -> list[str]:
    """The texts of all pages."""
    found, after = [], ""
    for _ in range(50):
        answer = await client.get("/conflicts", params={"token": token, "after": after})
        assert answer.status_code == 200
        found.append(answer.text)
        after = answer.json()["next"]
        if after is None:
            return found
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("characters", [1, 150, 400, 1_000_000])
async def test_pages_show_nothing_of_other_documents(
    server: LocalServer, monkeypatch: pytest.MonkeyPatch, characters: int
) -> None:
    monkeypatch.setattr(conflicts, "PAGE_CHARACTERS", characters)
    base = f"{server.url}/api/weddings/{WEDDING}"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as client:
        for role, readable in (("couple", DOCUMENTS), ("family", ("seating", "wedding")), ("guest", ())):
            texts = await pages(client, f"t_{role}")
            ids = [each["id"] for text in texts for each in json.loads(text)["conflicts"]]
            assert ids == [f"c_{document}_{n}" for document in readable for n in range(3)]
            for document in set(DOCUMENTS) - set(readable):
                assert not any(document in text for text in texts), (role, document)


async def test_a_conflict_that_may_not_be_read_is_not_found(server: LocalServer) -> None:
    async with httpx.AsyncClient(base_url=f"{server.url}/api/weddings/{WEDDING}", trust_env=False) as client:
        answers = [
            await client.post(f"/conflicts/{conflict}/resolve", params={"token": "t_family"}, json={"choice": 0})
            for conflict in ("c_budget_0", "c_thread.secret_0", "c_there_is_none")
        ]
        assert [each.status_code for each in answers] == [404] * 3
        assert len({each.text for each in answers}) == 1
        readable = await client.post("/conflicts/c_wedding_0/resolve", params={"token": "t_family"}, json={"choice": 0})
        assert readable.status_code == 422  # it has no options

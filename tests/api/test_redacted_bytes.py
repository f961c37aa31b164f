"""Of a message that was taken back no byte is in the files of a whole server, its index of search included."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from crdt_server import Settings
from crdt_server.access.access import DevAccess
from crdt_server.maintenance import compact_store
from storage import SearchRecord
from tests.support.databases import about_sqlite, sqlite_database
from tests.support.gate import SECONDS, local_server

WORD = "underneaththeoak"
AT = "2026-06-20T13:30:00Z"
ADA = {"user": "ada"}


def holding(directory: Path) -> list[str]:
    """The files that have the word in them."""
    return [path.name for path in directory.rglob("*") if path.is_file() and WORD.encode() in path.read_bytes()]


@about_sqlite
async def test_nothing_is_left_after_a_compaction(tmp_path: Path) -> None:
    settings = Settings(port=0, database_url=sqlite_database(tmp_path), document_hosts=1)
    async with local_server(settings, DevAccess()) as server:
        storage = server.hub.storage
        base = f"{server.url}/api/weddings/w"
        async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=SECONDS) as client:

            async def put(root: str, value: object) -> None:
                body = {"operations": [{"op": "set", "root": root, "record": "m1", "value": value}]}
                answer = await client.post("/documents/thread.t/ops", params=ADA, json=body)
                assert answer.status_code == 200, answer.text

            async def indexed() -> bool:
                return await storage.searched_records("w", SearchRecord("", "", ""), 1) != []

            made = await client.post(
                "/documents/thread.t/attachments", params={**ADA, "filename": f"{WORD}.txt"}, content=WORD.encode()
            )
            file = made.json()
            text = f"The ring is {WORD}."
            await put("messages", {"from": "ada", "at": AT, "kind": "text", "body": text, "attachments": [file]})
            async with asyncio.timeout(SECONDS):
                while not await indexed():
                    await storage.event_head("w")
            await put("redactions", {"by": "ada", "at": AT})
            async with asyncio.timeout(SECONDS):
                while await indexed() or await storage.attachment_bytes("w"):
                    await storage.event_head("w")
    assert "wedding.db" in holding(tmp_path)
    assert await compact_store(settings, None, print) == 0
    assert holding(tmp_path) == [file["sha256"]]  # which is removed a day later

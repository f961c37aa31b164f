"""The sample wedding in the store, and the demo of a server with an empty one."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from pycrdt import Doc, Map

from crdt_server.judge.ledger import Writers
from crdt_server.sample import DEMO, WRONG, WeddingExists, plant, plant_demo
from documents.sample import sample_wedding
from storage import Append, DocumentKey, Storage, ThreadFilter, open_storage
from tests.support.databases import new_database
from tests.support.server import ServerProcess
from tests.support.stored_rows import wedding_rows


async def documents(storage: Storage) -> list[str]:
    return [str(key) async for key in storage.keys()]  # noqa: SIM118 - no dict


async def test_what_is_planted_is_the_sample(database_url: str) -> None:
    storage = await open_storage(database_url, migrate=True)
    count = await plant(storage, "w", guests=300, seed=3)
    sample = sample_wedding(guests=300, seed=3, only=WRONG)
    assert len(await documents(storage)) == count == len(sample.documents)
    assert {each.invariant for each in sample.planted} == WRONG
    doc: Doc[Map[object]] = Doc()
    for row in (await storage.load(DocumentKey("w", "guests"))).updates:
        doc.apply_update(row.update)
    assert doc.get("guests", type=Map).to_py() == sample.documents["guests"]["guests"]
    await storage.close()


async def test_its_rows_and_their_writers_are_known_before_anybody_opens_it(database_url: str) -> None:
    storage = await open_storage(database_url, migrate=True)
    await plant(storage, "w")
    sample = sample_wedding(only=WRONG)
    rows: dict[str, dict[str, dict[str, object]]] = {document: {} for document in sample.documents}
    writers = Writers()
    for document, row in await wedding_rows(storage, "w"):
        assert row.fields is not None
        rows[document].setdefault(row.root, {})[row.record] = json.loads(row.fields)
        writers.unpack((document, row.root, row.record), row.writers)
    assert rows == {
        document: {root: records for root, records in roots.items() if records}
        for document, roots in sample.documents.items()
    }
    assert {field: writers.get(field) for field in sample.writers} == sample.writers
    await storage.close()


async def test_a_wedding_with_a_document_is_left_alone(database_url: str) -> None:
    storage = await open_storage(database_url, migrate=True)
    await storage.append([Append(DocumentKey("w", "notes.a"), 1, b"\x00\x00")])
    with pytest.raises(WeddingExists, match="notes"):
        await plant(storage, "w")
    assert await documents(storage) == ["w/notes.a"]
    await storage.close()


async def test_the_demo_is_only_for_an_empty_database(database_url: str) -> None:
    storage = await open_storage(database_url, migrate=True)
    await storage.append([Append(DocumentKey("w", "notes.a"), 1, b"\x00\x00")])
    await plant_demo(database_url)
    assert await documents(storage) == ["w/notes.a"]
    await storage.close()


def test_a_server_with_an_empty_database_has_the_demo(tmp_path: Path) -> None:
    with new_database(tmp_path, "nothing") as url:
        server = ServerProcess(tmp_path, env={"CRDT_SERVER_DOCUMENT_HOSTS": "1"}, database_url=url)
        server.start()
        try:
            answer = httpx.get(f"{server.url}/api/weddings/{DEMO}/documents/timeline/state", timeout=60)
        finally:
            server.close()
    doc: Doc[Map[object]] = Doc()
    doc.apply_update(answer.content)
    assert len(doc.get("items", type=Map)) == 70


async def test_everybody_who_can_sign_in_is_a_member(database_url: str) -> None:
    storage = await open_storage(database_url, migrate=True)
    try:
        await plant(storage, "w", guests=200)
        sample = sample_wedding(guests=200, only=WRONG)
        found = [(each.user, each.role, each.name) for each in await storage.members("w")]
        assert found == sorted((each.user, each.role, each.name) for each in sample.people)
    finally:
        await storage.close()


async def test_its_conversations_are_threads_in_which_their_authors_take_part(database_url: str) -> None:
    storage = await open_storage(database_url, migrate=True)
    try:
        await plant(storage, "w", guests=200)
        found = await storage.threads("w", ThreadFilter("", True, ()), None, 10)
        assert {thread.id: thread.type for thread in found} == {"planning": "planning", "day": "vendor"}
        for thread in found:
            users = {each.user for each in await storage.participants("w", [thread.id])}
            messages = [
                json.loads(row.fields or "")
                for row in await storage.document_rows(DocumentKey("w", f"thread.{thread.id}"))
                if row.root == "messages"
            ]
            assert users == {message["from"] for message in messages}
            assert sum(message["body"] == "" for message in messages) == 1, "the one that was taken back"
    finally:
        await storage.close()

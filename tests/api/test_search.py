"""Search over HTTP: only what the caller may read now, only as long as it is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from crdt_server import Settings
from crdt_server.access.access import Action, Decision, Denied, DevAccess, Target
from crdt_server.access.identity import Identity
from crdt_server.cli import cli
from crdt_server.services.search import INDEXER, PAGE, SEARCHED
from crdt_server.services.search_rebuild import rebuild
from documents.categories import category_of
from storage import SearchRecord, project_attachments
from tests.support.gate import SECONDS, LocalServer, local_server

ADA, BOB = {"user": "ada"}, {"user": "bob"}
Write = Callable[[str, str, str, object], Awaitable[None]]


class Doors(DevAccess):
    """`--dev`, but for the documents that the test shuts for Bob."""

    def __init__(self) -> None:
        self.shut: set[str] = set()

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        if identity.user == "bob" and target in self.shut:
            return Denied("not_found", "no such document")
        return super().may(identity, action, wedding, target)


@pytest.fixture
def access() -> Doors:
    return Doors()


@pytest.fixture
async def server(tmp_path: Path, database_url: str, access: Doors) -> AsyncIterator[LocalServer]:
    settings = Settings(
        port=0,
        database_url=database_url,
        document_hosts=1,
        files=str(tmp_path),
        role_limits="none",
    )
    async with local_server(settings, access) as running:
        yield running


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    base = f"{server.url}/api/weddings/w"
    async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=SECONDS) as open_client:
        yield open_client


@pytest.fixture
def write(client: httpx.AsyncClient) -> Write:
    async def put(document: str, root: str, record: str, value: object) -> None:
        operation = {"op": "set", "root": root, "record": record, "value": value}
        answer = await client.post(f"/documents/{document}/ops", params=ADA, json={"operations": [operation]})
        assert answer.status_code == 200, answer.text

    return put


@pytest.fixture
def route(server: LocalServer) -> Callable[[], Awaitable[None]]:
    """Have the consumers of events read what has happened, twice: each is idempotent."""

    async def project() -> None:
        storage = server.hub.storage
        events = await storage.events("w")
        for _ in range(2):
            await storage._executor.write(lambda connection: INDEXER.project(connection, "w", events))
            await storage._executor.write(lambda connection: project_attachments(connection, "w", events))

    return project


def message(body: str, *, by: str = "ada") -> dict[str, Any]:
    return {"from": by, "at": "2026-06-20T13:30:00Z", "kind": "text", "body": body}


async def search(client: httpx.AsyncClient, q: str, by: dict[str, str] = ADA, **page: int) -> dict[str, Any]:
    answer = await client.get("/search", params={"q": q, **by, **page})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_messages_and_notes_with_what_is_highlighted(
    client: httpx.AsyncClient, server: LocalServer, write: Write
) -> None:
    await write("thread.t_1", "messages", "01J0M1", message("Ask Zoë about the string quartet, ZOE knows"))
    guest = {"op": "insert", "root": "guests", "record": "g_1", "value": {"firstName": "Ada"}}
    note = {"op": "text", "root": "guests", "record": "g_1", "key": "note", "index": 0, "insert": "zoë, a neighbour"}
    for operation in (guest, note):
        answer = await client.post("/documents/guests/ops", params=ADA, json={"operations": [operation]})
        assert answer.status_code == 200, answer.text
    await rebuild(server.hub.storage, "w")
    page = await search(client, "zoe")
    assert page["next"] is None
    sent, noted = sorted(page["hits"], key=lambda hit: str(hit["key"]))  # the router indexes them beside this
    assert sent == {
        "document": "thread.t_1",
        "root": "messages",
        "record": "01J0M1",
        "key": "body",
        "excerpt": "Ask Zoë about the string quartet, ZOE knows",
        "start": 0,
        "highlights": [[4, 7], [34, 37]],
        "from": "ada",
        "at": "2026-06-20T13:30:00Z",
    }
    assert (noted["document"], noted["key"], noted["highlights"]) == ("guests", "note", [[0, 3]])
    assert "from" not in noted


async def test_only_what_one_may_read_now(
    client: httpx.AsyncClient, server: LocalServer, write: Write, access: Doors
) -> None:
    """Neither hits nor a next page show that there is more."""
    for number in range(PAGE + 5):
        await write("thread.t_1", "messages", f"01J0M{number}", message("our secret cake"))
    await write("thread.t_2", "messages", "01J0N1", message("their cake"))
    await rebuild(server.hub.storage, "w")
    access.shut = {"thread.t_1"}
    page = await search(client, "cake", BOB)
    assert ([hit["record"] for hit in page["hits"]], page["next"]) == (["01J0N1"], None)
    assert "secret" not in str(page)
    assert await search(client, "secret", BOB) == {"hits": [], "next": None}
    access.shut = set()
    page = await search(client, "secret", BOB)
    assert len(page["hits"]) == PAGE
    rest = await search(client, "secret", BOB, after=page["next"])
    assert (len(rest["hits"]), rest["next"]) == (5, None)


async def test_what_is_taken_back_disappears_with_the_answer(
    client: httpx.AsyncClient, server: LocalServer, write: Write
) -> None:
    await write("thread.t_1", "messages", "01J0M1", message("the surprise"))
    await rebuild(server.hub.storage, "w")
    assert len((await search(client, "surprise"))["hits"]) == 1
    await write("thread.t_1", "redactions", "01J0M1", {"by": "ada", "at": "2026-06-20T13:31:00Z"})
    assert (await search(client, "surprise"))["hits"] == []


async def test_the_index_follows_the_events(
    client: httpx.AsyncClient, server: LocalServer, write: Write, route: Callable[[], Awaitable[None]]
) -> None:
    """Of records that come with their note, are deleted and restored; of messages that are sent and taken back."""

    async def change(**operation: object) -> None:
        body = {"operations": [{"root": "vendors", "record": "v_1", **operation}]}
        answer = await client.post("/documents/wedding/ops", params=ADA, json=body)
        assert answer.status_code == 200, answer.text

    async def indexed(q: str) -> set[str]:
        """What is found; it is all that the index has."""
        await route()
        known = {each.record for each in await server.hub.storage.searched_records("w", SearchRecord("", "", ""), 10)}
        assert {hit["record"] for hit in (await search(client, q))["hits"]} == known
        return known

    assert await indexed("roses") == set()
    await change(op="insert", value={"name": "Peonies", "note": "delivers roses"})
    await write("thread.t_1", "messages", "01J0M1", message("roses for table 4"))
    assert await indexed("roses") == {"v_1", "01J0M1"}
    await change(op="set", key="deleted", value={"at": "2026-06-20T13:31:00Z", "by": "ada"})
    assert await indexed("roses") == {"01J0M1"}
    await change(op="delete", key="deleted")
    assert await indexed("roses") == {"v_1", "01J0M1"}
    await write("thread.t_1", "redactions", "01J0M1", {"by": "ada", "at": "2026-06-20T13:31:00Z"})
    assert await indexed("roses") == {"v_1"}


async def test_the_server_keeps_the_index_by_itself(
    client: httpx.AsyncClient, server: LocalServer, write: Write
) -> None:
    """From the message that is sent with a file to the one that is taken back, with the router of the server."""
    storage = server.hub.storage
    files = "/documents/thread.t_1/attachments"
    made = await client.post(files, params={**ADA, "filename": "menu.txt"}, content=b"cake")
    sent = {**message("the Café is open"), "attachments": [made.json()]}
    await write("thread.t_1", "messages", "01J0M1", sent)

    async def follow(done: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(SECONDS):
            while not await done():
                await storage.event_head("w")

    async def is_found() -> bool:
        return len((await search(client, "cafe", BOB))["hits"]) == 1

    async def is_bound() -> bool:
        found = await storage.attachment("w", "thread.t_1", made.json()["id"])
        return found is not None and found.message == "01J0M1"

    async def is_forgotten() -> bool:
        nothing = await storage.searched_records("w", SearchRecord("", "", ""), 10) == []
        return nothing and await storage.attachment_bytes("w") == 0

    await follow(is_found)
    await follow(is_bound)
    await write("thread.t_1", "redactions", "01J0M1", {"by": "ada", "at": "2026-06-20T13:31:00Z"})
    assert not await is_found()
    assert (await client.get(f"{files}/{made.json()['id']}", params=BOB)).status_code == 404
    await follow(is_forgotten)


async def test_a_long_text_shows_where_the_word_is(
    client: httpx.AsyncClient, server: LocalServer, write: Write
) -> None:
    body = "🎂 " * 900 + "the Straße is closed " + "x " * 900
    await write("thread.t_1", "messages", "01J0M1", message(body))
    await rebuild(server.hub.storage, "w")
    (hit,) = (await search(client, "strasse closed"))["hits"]
    assert len(hit["excerpt"]) <= 240
    assert [hit["excerpt"][start:stop] for start, stop in hit["highlights"]] == ["Straße", "closed"]
    assert body[hit["start"] :].startswith(hit["excerpt"])


@pytest.mark.parametrize("q", ["", '"', "*", '" OR 1=1 --', "words:*", "a" * 200, "NEAR(cake)", "\u202e", "%27", "((("])
async def test_any_query_has_an_answer(client: httpx.AsyncClient, q: str) -> None:
    assert await search(client, q) == {"hits": [], "next": None}


async def test_a_query_that_is_too_long(client: httpx.AsyncClient) -> None:
    for parameters in ({"q": "a" * 201}, {}, {"q": "a", "after": 0}, {"q": "a", "after": 1 << 63}):
        answer = await client.get("/search", params={**ADA, **parameters})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


async def test_the_command_makes_the_index_beside_a_server(
    client: httpx.AsyncClient, server: LocalServer, write: Write
) -> None:
    await write("thread.t_1", "messages", "01J0M1", message("the cake"))
    url = server.hub.settings.database_url
    done = await asyncio.to_thread(CliRunner().invoke, cli, ["search", "rebuild", "--database-url", url])
    assert done.exit_code == 0, done.output
    assert "w: 1 records with texts" in done.output.splitlines()  # the server logs into it
    assert len((await search(client, "cake"))["hits"]) == 1
    wrong = await asyncio.to_thread(CliRunner().invoke, cli, ["search", "rebuild", "../w", "--database-url", url])
    assert wrong.exit_code == 2


def test_a_document_decides_about_all_its_texts() -> None:
    """`find` is asked about documents: no text is in a root of another category than that of its document."""
    assert SEARCHED
    for kind, root in SEARCHED:
        assert category_of(kind, root) is category_of(kind)

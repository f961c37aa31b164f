"""All cells of the table of roles and categories: over WebSockets with stock Yjs clients, over HTTP, and in events."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends

from crdt_server import Settings
from crdt_server.access.access import Action
from crdt_server.access.identity import SERVER, Identity
from crdt_server.api.requests import authorize
from crdt_server.api.rights import requires
from crdt_server.editing import Editor
from crdt_server.errors import ForbiddenError, NotFoundError
from crdt_server.hub.commands import OperationsRefusedError
from documents.categories import AccessCategory
from storage import DerivedRecords, DocumentKey, NewEvent
from tests.access.people import WEDDING, people
from tests.access.roles import CATEGORIES, CELLS, ROLES, TABLE
from tests.support.gate import LocalServer, local_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

READS, WRITES = {"R", "W", "A"}, {"W", "A"}
AT = "2026-05-01T10:00:00Z"


class Sample(NamedTuple):
    """A document of a category, and a record to be added to it."""

    document: str
    root: str
    fields: dict[str, Any]
    id: str = "x"
    is_value: bool = False


DOCUMENTS = {
    AccessCategory.WEDDING: Sample("wedding", "places", {"name": "Barn"}),
    AccessCategory.TIMELINE: Sample("timeline", "items", {"title": "Dinner", "start": 900}),
    AccessCategory.BUDGET: Sample("budget", "categories", {"name": "Flowers"}),
    AccessCategory.GUESTS: Sample("guests", "guests", {"firstName": "Ann"}),
    AccessCategory.CARE: Sample("care", "care", {"diet:vegan": True}),
    AccessCategory.SEATING: Sample("seating", "tables", {"label": "1"}),
    AccessCategory.MESSAGES: Sample(
        "thread.t_1", "messages", {"from": "", "at": AT, "kind": "text", "body": "Hello"}, is_value=True
    ),
}
# The settings are the coordinator's to write but for everything except the status of vendors.
LIMITED = {("coordinator", AccessCategory.WEDDING)}


def sample(role: str, category: AccessCategory, way: str) -> tuple[Sample, str]:
    """The record that a role tries to add, and its id."""
    found = DOCUMENTS[category]
    fields = {key: f"u_{role}" if key == "from" else value for key, value in found.fields.items()}
    return found._replace(fields=fields), f"{role.replace('_', '')}-{way}"


def expected_code(role: str, category: AccessCategory, document: str) -> int:
    """The HTTP status for a document that a role may not read."""
    return 404 if "." in document else 403


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(settings: Settings) -> AsyncIterator[LocalServer]:
    async with local_server(settings, people()[0]) as running:
        running.app.include_router(probes(), dependencies=[Depends(authorize)])
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"{server.url}/api/weddings/{WEDDING}", trust_env=False, timeout=60
    ) as opened:
        yield opened


METHODS = {"GET": Action.READ, "POST": Action.WRITE, "PUT": Action.ADMINISTER}


def probes() -> APIRouter:
    """A call for each category and action."""
    router = APIRouter(prefix="/api/weddings/{wedding}/probe")
    for category in AccessCategory:
        for method, action in METHODS.items():

            async def call(wedding: str) -> str:
                return wedding

            router.add_api_route(f"/{category.value}", requires(category, action)(call), methods=[method])
    return router


@pytest.mark.parametrize(("role", "category", "rights"), CELLS)
async def test_calls_about_a_category(
    client: httpx.AsyncClient, role: str, category: AccessCategory, rights: str
) -> None:
    allowed = {"GET": READS, "POST": WRITES, "PUT": {"A"}}
    for method in METHODS:
        answer = await client.request(method, f"/probe/{category.value}", params={"token": f"t_{role}"})
        assert answer.status_code == (200 if rights in allowed[method] else 403), method


async def test_stock_clients_of_every_role_in_every_document(server: LocalServer) -> None:
    visits, cells = [], []
    for role, category, rights in CELLS:
        if category not in DOCUMENTS:
            continue  # what decides about no document as a whole: members, and the day
        found, record = sample(role, category, "socket")
        value = json.dumps(found.fields)
        made = value if found.is_value else f"new Y.Map(Object.entries({value}))"
        cells.append((role, category, rights, found.document))
        visits.append(
            {
                "url": f"{server.ws_url}/{WEDDING}",
                "room": found.document,
                "params": {"token": f"t_{role}"},
                "edit": f"doc.getMap('{found.root}').set('{record}', {made})",
                "present": f"doc.getMap('{found.root}').has('{record}')",
            }
        )
    assert len(cells) == len(ROLES) * len(DOCUMENTS)
    node = await asyncio.to_thread(
        subprocess.run,
        ["node", Path(__file__).with_name("cells.mjs")],
        input=json.dumps(visits),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    for (role, category, rights, document), result in zip(cells, json.loads(node.stdout), strict=True):
        if rights not in READS:
            expected: dict[str, Any] = {"closed": 4000 + expected_code(role, category, document)}
        else:
            expected = {"synced": True, "stands": rights in WRITES and (role, category) not in LIMITED}
        assert result == expected, (role, document)


@pytest.mark.parametrize("role", ROLES)
async def test_rows_and_operations_over_http(client: httpx.AsyncClient, role: str) -> None:
    for category in DOCUMENTS:
        rights = TABLE[role][CATEGORIES.index(category)]
        found, record = sample(role, category, "http")
        url, token = f"/documents/{found.document}", {"token": f"t_{role}"}
        refused = expected_code(role, category, found.document)
        for path in ("", "/digest", "/state"):
            answer = await client.get(url + path, params=token)
            assert answer.status_code == (200 if rights in READS else refused), (path, answer.text)
        op = {"op": "set" if found.is_value else "insert", "root": found.root, "record": record, "value": found.fields}
        answer = await client.post(f"{url}/ops", params=token, json={"operations": [op]})
        may_write = 422 if (role, category) in LIMITED else 200
        assert answer.status_code == (may_write if rights in WRITES else 403 if rights in READS else refused), (
            answer.text
        )
        parts = [{"document": found.document, "operations": [op | {"record": f"{record}-2"}]}]
        answer = await client.post("/ops", params=token, json={"parts": parts})
        assert answer.status_code == (may_write if rights in WRITES else 403 if rights in READS else refused), (
            answer.text
        )


async def test_a_coordinator_writes_the_status_of_vendors_and_no_other_setting(client: httpx.AsyncClient) -> None:
    insert = {"op": "insert", "root": "vendors", "record": "v_9", "value": {"name": "Peonies & Co"}}
    answer = await client.post("/documents/wedding/ops", params={"token": "t_couple"}, json={"operations": [insert]})
    assert answer.status_code == 200, answer.text
    for key, value, status in (("dayStatus", "on_site", 200), ("name", "Mine", 422)):
        change = {"op": "set", "root": "vendors", "record": "v_9", "key": key, "value": value}
        json_ = {"operations": [change]}
        answer = await client.post("/documents/wedding/ops", params={"token": "t_coordinator"}, json=json_)
        assert answer.status_code == status, answer.text


@pytest.mark.parametrize("role", ROLES)
async def test_edits_of_programs_in_the_same_process(server: LocalServer, role: str) -> None:
    editor: Editor = server.app.state.server
    actor = Identity(f"u_{role}", role)
    for category in DOCUMENTS:
        rights = TABLE[role][CATEGORIES.index(category)]
        found, record = sample(role, category, "edit")
        if rights not in READS:
            with pytest.raises(NotFoundError if "." in found.document else ForbiddenError):
                await editor.read(WEDDING, found.document, actor)
            continue
        await editor.read(WEDDING, found.document, actor)
        limited = (role, category) in LIMITED
        refused = (
            nullcontext()
            if rights in WRITES and not limited
            else pytest.raises(OperationsRefusedError if limited else ForbiddenError)
        )
        with refused:
            async with editor.edit(WEDDING, found.document, actor) as rows:
                if found.is_value:
                    rows[found.root][record] = found.fields
                else:
                    rows[found.root].insert(record, found.fields)


async def test_programs_edit_as_the_server(server: LocalServer) -> None:
    async with server.app.state.server.edit(WEDDING, "wedding", SERVER) as rows:
        rows["places"].insert("p_server", {"name": "Barn"})


PARTS = {category: (found.document, found.root) for category, found in DOCUMENTS.items()} | {
    AccessCategory.MEMBERS: ("wedding", "members"),
    AccessCategory.DAY: ("timeline", "emergencies"),
}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def first(server: LocalServer) -> int:
    """The number of the first of nine events, one of each category in the order of the categories."""
    derived = []
    for category in AccessCategory:
        document, root = PARTS[category]
        body = json.dumps({"type": category.value, "document": document, "root": root, "record": "r"})
        event = NewEvent(category.value, AT, "r", body)
        derived.append(DerivedRecords(DocumentKey("events", document), events=[event]))
    numbers = [(await server.hub.storage.append([], [each]))["events"] for each in derived]
    assert numbers == list(range(1, 10))
    return numbers[0]


@pytest.mark.parametrize("role", ROLES)
async def test_events_in_pages_and_streams(server: LocalServer, first: int, role: str) -> None:
    readable = {"members": TABLE[role][1] in READS and TABLE[role][0] in READS}
    readable |= {"day": TABLE[role][8] in READS and TABLE[role][2] in READS}
    expected = [
        category.value for n, category in enumerate(CATEGORIES) if readable.get(category.value, TABLE[role][n] in READS)
    ]
    token = {"token": f"e_{role}"}
    async with httpx.AsyncClient(base_url=f"{server.url}/api/weddings/events", trust_env=False, timeout=60) as client:
        page = (await client.get("/events", params=token)).json()
        assert [each["type"] for each in page["events"]] == expected
        assert (page["head"], page["next"]) == (9, 9)
        assert [each["type"] for each in await pages_of_two(client, token)] == expected
        assert await streamed(client, token, after=0) == expected
        later = [name for name in expected if CATEGORIES.index(AccessCategory(name)) >= 4]
        assert await streamed(client, token, after=4) == later


async def pages_of_two(client: httpx.AsyncClient, token: dict[str, str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after = 0
    while after < 9:
        page = (await client.get("/events", params={**token, "after": after, "limit": 2})).json()
        assert after < page["next"] <= after + 2
        found, after = found + page["events"], page["next"]
    return found


async def streamed(client: httpx.AsyncClient, token: dict[str, str], after: int) -> list[str]:
    """The types of the events of a stream up to number 9, which comes as an id to everybody."""
    types, last = [], ""
    async with client.stream("GET", "/events/stream", params={**token, "after": after}) as stream:
        assert stream.status_code == 200
        async for line in stream.aiter_lines():
            if line.startswith("event: "):
                types.append(line.removeprefix("event: "))
            if line == "" and last == "id: 9":
                return types
            if line.startswith("id: "):
                last = line
    raise AssertionError("the stream has ended")

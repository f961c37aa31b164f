"""The weddings that a person may open, by what a token names, by memberships, and with `--dev`."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from crdt_server import Settings, create_app
from crdt_server.access.access import Action, Credentials, Decision, Target
from crdt_server.access.identity import Identity
from crdt_server.api import weddings
from storage import Append, DerivedRecords, DocumentKey, StoredRow
from tests.support.databases import sqlite_database
from tests.support.rights import put_member
from tests.support.tokens import SECRET, token

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMBER, OF_NOBODY = {"sub": "u_mia", "wedding": None, "role": None}, {"sub": "u_nobody", "wedding": None, "role": None}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[httpx.AsyncClient]:
    """Requests to a server with tokens and `--dev`: of the weddings `a`, `b` and `c` with documents, Mia takes part in
    `b`, `c` and `d`, and was removed from `a`."""
    directory = tmp_path_factory.mktemp("server")
    (directory / "secret").write_bytes(SECRET)
    settings = Settings(
        dev=True,
        document_hosts=1,
        database_url=sqlite_database(directory),
        jwt_secret_file=f"{directory}/secret",
        requests_per_second=0,
        requests_per_address=0,
    )
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        storage = app.state.hub.storage
        for wedding in ("a", "b", "c"):
            key, title = DocumentKey(wedding, "wedding"), json.dumps({"title": f"{wedding} & co"})
            row = StoredRow("meta", "", title, "{}")
            await storage.append([Append(key, 1, b"\0\0")], [DerivedRecords(key, rows=[row])])
        for wedding, role in (("b", "planner"), ("c", "guest"), ("d", "couple")):
            await put_member(storage, "u_mia", role, wedding=wedding)
        await put_member(storage, "u_mia", "planner", wedding="a", removed=True)
        await put_member(storage, "u_ada", "couple", wedding="e")
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as open_client:
            yield open_client


async def listed(client: httpx.AsyncClient, claims: dict[str, str | None] | None, **query: str) -> dict[str, Any]:
    headers = {} if claims is None else {"Authorization": f"Bearer {token(**claims)}"}
    answer = await client.get("/api/weddings", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("claims", "query", "expected"),
    [
        (MEMBER, {}, {"b": "planner", "c": "guest", "d": "couple"}),
        (MEMBER, {"after": "b"}, {"c": "guest", "d": "couple"}),
        (MEMBER | {"wedding": "c"}, {}, {"c": "guest"}),
        (MEMBER | {"wedding": "a"}, {}, {}),
        (MEMBER | {"wedding": "b", "role": "vendor", "vendor": "v_1"}, {}, {"b": "vendor"}),
        (MEMBER | {"wedding": "nowhere yet", "role": "couple"}, {}, {}),
        (MEMBER | {"wedding": "new", "role": "couple"}, {}, {"new": "couple"}),
        (MEMBER | {"wedding": "new", "role": "couple"}, {"after": "new"}, {}),
        (OF_NOBODY, {}, {}),
        (None, {}, {"a": "couple", "b": "couple", "c": "couple"}),
        (None, {"user": "u_kit", "role": "guest", "enforce": "1"}, {"a": "guest", "b": "guest", "c": "guest"}),
    ],
)
async def test_weddings_of_somebody(
    client: httpx.AsyncClient, claims: dict[str, str | None] | None, query: dict[str, str], expected: dict[str, str]
) -> None:
    found = await listed(client, claims, **query)
    assert {each["wedding"]: each["role"] for each in found["weddings"]} == expected
    assert found["next"] is None


async def test_titles_are_for_those_who_may_read_them(client: httpx.AsyncClient) -> None:
    found = await listed(client, MEMBER)
    assert [each["title"] for each in found["weddings"]] == ["b & co", "c & co", None]  # nothing is written in d
    scoped = await listed(client, MEMBER | {"scope": "timeline:read"})
    assert {each["title"] for each in scoped["weddings"]} == {None}


async def test_weddings_come_in_pages(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weddings, "MOST_EXAMINED", 2)
    for claims, expected in ((MEMBER, ["b", "c", "d"]), (None, ["a", "b", "c"])):
        first = await listed(client, claims)
        second = await listed(client, claims, after=first["next"])
        assert [each["wedding"] for each in (*first["weddings"], *second["weddings"])] == expected
        assert (len(first["weddings"]), second["next"]) == (2, None)


class WithoutReach:
    """An `Access` that identifies nobody without a wedding."""

    def identify(self, credentials: Credentials, wedding: str) -> Identity:
        return Identity("ada", "couple")

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        return None


async def test_an_access_without_reach_lists_none(tmp_path: Path) -> None:
    app = create_app(Settings(document_hosts=1, database_url=sqlite_database(tmp_path)), WithoutReach())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        answer = await client.get("/api/weddings")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_refusals(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/weddings", headers={"Authorization": "Bearer nonsense"})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    answer = await client.get("/api/weddings", params={"role": "queen"})
    assert (answer.status_code, answer.json()["field"]) == (400, "role")

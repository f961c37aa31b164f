"""Every way into the server asks the one `Access`: here it denies everything."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Route, Router

from crdt_server import Settings, create_app
from crdt_server.access.access import Action, Credentials, Decision, Denied, DevAccess, Reach, Target
from crdt_server.access.identity import Identity
from crdt_server.editing import Editor
from crdt_server.errors import ForbiddenError
from documents.categories import AccessCategory
from storage import Append, DocumentKey

PUBLIC = {"/", "/planner", "/worker.js", "/static/{name}"}
PUBLIC |= {"/healthz", "/readyz", "/metrics", "/api/openapi.json"}
SESSIONS = {"/api/sessions", "/api/sessions/refresh", "/api/unsubscribe"}  # these give tokens, or have their own
SESSIONS |= {"/api/sentences/{language}", "/api/errors/{code}"}  # the same for everybody
OF_CALLER = {"/api/weddings"}  # about no wedding in particular: lists those that `Access` opens
ADA = Identity("ada", "couple")
NAMES = {"wedding": "w", "document": "guests", "conflict": "c_1", "user": "u_1", "invitation": "i_1"}
NAMES |= {"device": "d_1", "role": "guest", "category": "care", "grant": "gr_1", "message": "1", "rule": "vendor"}
NAMES |= {"webhook": "wh_1"}
NAMES |= {"attachment": "at_1"}
NAMES |= {"contact": "c_1"}
NAMES |= {"thread": "t_1"}
FORBIDDEN, UNAUTHENTICATED = Denied("forbidden", "no"), Denied("unauthenticated", "no token")


class Nobody(DevAccess):
    """Denies everything, or answers as the test says. ``asked`` keeps the questions."""

    def __init__(self) -> None:
        self.requested: list[tuple[Action, str, Target]] = []
        self.unknown = False
        self.forbidden: set[tuple[Action, Target]] | None = None  # None: everything

    def identify(self, credentials: Credentials, wedding: str) -> Identity | Denied:  # type: ignore[override]
        return UNAUTHENTICATED if self.unknown else super().identify(credentials, wedding)

    def reach(self, credentials: Credentials) -> Reach | Denied:
        return UNAUTHENTICATED if self.unknown else Reach("ada", is_everywhere=True)

    def may(self, identity: Identity, action: Action, wedding: str, target: Target) -> Decision:
        self.requested.append((action, wedding, target))
        return FORBIDDEN if self.forbidden is None or (action, target) in self.forbidden else None


class Silent(DevAccess):
    """Never decides."""

    def identify(self, credentials: Credentials, wedding: str) -> asyncio.Future[Identity | Denied]:  # type: ignore[override]
        return asyncio.get_running_loop().create_future()

    def reach(self, credentials: Credentials) -> asyncio.Future[Reach | Denied]:
        return asyncio.get_running_loop().create_future()


@pytest.fixture
def access() -> Nobody:
    return Nobody()


@pytest.fixture
async def app(database_url: str, access: Nobody) -> AsyncIterator[FastAPI]:
    app = create_app(Settings(document_hosts=1, database_url=database_url), access)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


def routes(router: Router) -> Iterator[BaseRoute]:
    """All routes, those of included routers too."""
    for route in router.routes:
        included: Router | None = getattr(route, "original_router", None)
        if included is None:
            yield route
        else:
            yield from routes(included)


def calls(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Method and path of every route that is not public."""
    for route in routes(app.router):
        if isinstance(route, APIRoute | Route) and route.path not in PUBLIC | SESSIONS:
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, route.path.format(**NAMES)


def check_refusal(answer: httpx.Response, access: Nobody, method: str, path: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)
    document = "guests" if "guests" in path else None
    about_members = [(action, "w", AccessCategory.MEMBERS) for action in (Action.READ, Action.ADMINISTER)]
    assert len(access.requested) == 1
    assert access.requested[0] in [(Action.READ, "w", document), *about_members], (method, path)


async def test_every_route_asks(app: FastAPI, client: httpx.AsyncClient, access: Nobody) -> None:
    await app.state.hub.storage.append([Append(DocumentKey("w", "guests"), 1, b"\0\0")], [])
    found = list(calls(app))
    assert len(found) >= 10
    for method, path in found:
        access.requested.clear()
        answer = await client.request(method, path)
        if path in OF_CALLER:
            assert (answer.status_code, answer.json()["weddings"]) == (200, [])
            assert access.requested == [(Action.READ, "w", None)]
        else:
            check_refusal(answer, access, method, path)
        access.unknown = True
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), (method, path)
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        access.unknown = False


async def test_writing_takes_another_right_than_reading(
    app: FastAPI, client: httpx.AsyncClient, access: Nobody
) -> None:
    access.forbidden = {(Action.WRITE, None), (Action.WRITE, "guests"), (Action.ADMINISTER, AccessCategory.MEMBERS)}
    for method, path in calls(app):
        if method != "GET":
            answer = await client.request(method, path, content=b"")
            assert answer.status_code == 403, (method, path)
    assert (await client.get("/api/weddings/w/documents/guests")).status_code == 200


async def test_a_command_takes_the_right_to_each_of_its_documents(client: httpx.AsyncClient, access: Nobody) -> None:
    access.forbidden = {(Action.WRITE, "budget")}
    operation = {"op": "set", "root": "guests", "record": "g_1", "key": "meal", "value": "fish"}
    parts = [{"document": name, "operations": [operation]} for name in ("guests", "budget")]
    answer = await client.post("/api/weddings/w/ops", json={"parts": parts})
    assert answer.status_code == 403
    assert (Action.WRITE, "w", "guests") in access.requested


async def test_a_name_that_cannot_be_stored_is_nobody(client: httpx.AsyncClient, access: Nobody) -> None:
    access.forbidden = set()
    for query in ("user=a%00", "user=ada&guest=%C2%9B"):
        answer = await client.get(f"/api/weddings/w/documents/guests?{query}")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), query
    answer = await client.get("/api/weddings/w/documents/guests?user=ada&role=%0A")
    assert (answer.status_code, answer.json()["field"]) == (400, "role")
    assert access.requested == []
    assert Identity("Zoë 🌿", "couple").fault is None
    assert Identity("a" * 256, "couple").fault is not None


async def test_names_that_cannot_be_come_before_rights(client: httpx.AsyncClient, access: Nobody) -> None:
    assert (await client.get("/api/weddings/-/documents/guests")).status_code == 404
    assert (await client.get("/api/weddings/w/documents/nothing")).status_code == 404
    assert (await client.get("/api/weddings/-/events")).status_code == 404
    assert access.requested == []


async def test_no_call_waits_for_ever_for_a_decision(database_url: str) -> None:
    app = create_app(Settings(document_hosts=1, database_url=database_url, admission_seconds=0.1), Silent())
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client,
    ):
        for method, path in calls(app):
            async with asyncio.timeout(60):
                answer = await client.request(method, path)
            assert (answer.status_code, answer.json()["code"]) == (503, "admission"), (method, path)


async def test_public_pages_do_not_ask(client: httpx.AsyncClient, access: Nobody) -> None:
    for path in PUBLIC - {"/static/{name}"}:
        assert (await client.get(path)).status_code in (200, 307, 503), path  # 503: the page is not built, or busy
    assert access.requested == []


async def test_embedded_edits_ask(app: FastAPI, access: Nobody) -> None:
    editor: Editor = app.state.server
    with pytest.raises(ForbiddenError):
        await editor.read("w", "guests", ADA)
    access.forbidden = {(Action.WRITE, "guests")}
    await editor.read("w", "guests", ADA)
    with pytest.raises(ForbiddenError):
        async with editor.edit("w", "guests", ADA):
            pass


async def test_a_refusal_is_in_the_audit_log(app: FastAPI, client: httpx.AsyncClient, access: Nobody) -> None:
    assert (await client.get("/api/weddings/w/documents/guests", params={"user": "u_kit"})).status_code == 403
    await app.state.hub.audit.flush()
    (entry,) = await app.state.hub.storage.audit("w")
    assert (entry.actor, entry.action) == ("u_kit", "request.refused")
    call = "/api/weddings/{wedding}/documents/{document}"
    assert json.loads(entry.detail) == {"method": "GET", "call": call, "document": "guests"}

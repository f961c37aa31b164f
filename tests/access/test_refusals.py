"""Every call and every document, asked by people who have no right to it.

Generated from the OpenAPI description and the list of documents: a new call or a new kind of document is asked too.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter
from websockets.asyncio.client import connect

from crdt_server import Settings, create_app
from crdt_server.access.policy import default_policy
from crdt_server.api.rights import ROLES as ROLES_OF_CALL
from crdt_server.api.rights import UndeclaredCall, describe_roles
from documents.derived import DECLARATIONS, find
from documents.registry import FAMILIES, NAMES
from tests.access.people import WEDDING, people
from tests.access.roles import ROLES
from tests.support.gate import LocalServer, ended, local_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = {"vendor": "v_1", "guest": "g_1", "side": "a"}
DERIVED = {f"{each.name}.{OWN[each.own]}" if each.own else each.name: each for each in DECLARATIONS}
DOCUMENTS = (*sorted(NAMES), *sorted(f"{family}.x" for family in FAMILIES), *DERIVED)
WITHOUT_TOKEN = {"/healthz", "/readyz", "/metrics"}  # of balancers and monitors: states and counts of the process
PUBLIC = {  # path -> the secret of its own that a call takes in the place of a token; these give tokens, or end mails
    "/api/sessions": "code",
    "/api/sessions/refresh": "refresh_token",
    "/api/unsubscribe": "token",
}
OF_EVERYBODY = {"/api/sentences/{language}", "/api/errors/{code}"}  # the same for everybody, about nobody

OF_CALLER = {"/api/weddings"}  # about no wedding: lists those of the caller, to whoever is identified

# Token -> status over HTTP and close code of a WebSocket.
STRANGERS = {
    "": (401, 4401),
    "t_nonsense": (401, 4401),
    "t_expired": (401, 4401),
    "t_elsewhere": (403, 4403),
    "t_removed": (403, 4403),
    "t_unknown": (403, 4403),
    "t_no_such_role": (403, 4403),
    "t_server": (403, 4403),
}


class Call(NamedTuple):
    """A call of the description. ``roles``: document or category -> the roles that may make it."""

    method: str
    path: str
    roles: dict[str, list[str]]

    def urls(self) -> Iterator[tuple[str, str]]:
        """The document, and the path with it; of a call without a document, once."""
        names = {"wedding": WEDDING, "conflict": "c_1"}
        for document in DOCUMENTS if "{document}" in self.path else ("",):
            yield document, self.path.format_map(_Filled(names | {"document": document}))


class _Filled(dict[str, str]):
    """Any other parameter of a path is ``x``."""

    def __missing__(self, name: str) -> str:
        return "x"


def calls(description: dict[str, Any]) -> list[Call]:
    """Every call that takes a token."""
    found = []
    for path, methods in description["paths"].items():
        for method, call in methods.items():
            if path not in WITHOUT_TOKEN:
                assert ROLES_OF_CALL in call, f"{method} {path} does not say who may make it"
                if call[ROLES_OF_CALL]:
                    found.append(Call(method.upper(), path, call[ROLES_OF_CALL]))
                else:
                    assert path in {*PUBLIC, *OF_EVERYBODY}, f"{method} {path} takes no token"
    return found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(settings: Settings) -> AsyncIterator[LocalServer]:
    async with local_server(settings, people(find_derived=find)[0]) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def client(server: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as open_client:
        yield open_client


@pytest_asyncio.fixture(loop_scope="module")
async def described(client: httpx.AsyncClient) -> list[Call]:
    return calls((await client.get("/api/openapi.json")).json())


@pytest.mark.parametrize("token", STRANGERS)
async def test_strangers_are_refused_by_every_call(
    client: httpx.AsyncClient, described: list[Call], token: str
) -> None:
    assert len(described) >= 10
    for call in described:
        for _, url in call.urls():
            for headers, query in (({"Authorization": f"Bearer {token}".strip()}, {}), ({}, {"token": token})):
                answer = await client.request(call.method, url, params=query, headers=headers)
                if call.path in OF_CALLER and STRANGERS[token][0] == 403:
                    assert WEDDING not in [each["wedding"] for each in answer.json()["weddings"]], token
                    continue
                assert answer.status_code == STRANGERS[token][0], (call.method, url, answer.text)
                assert "text/event-stream" not in answer.headers["content-type"]


@pytest.mark.parametrize("token", STRANGERS)
async def test_strangers_enter_no_room(server: LocalServer, token: str) -> None:
    for document in DOCUMENTS:
        url = f"{server.ws_url}/{WEDDING}/{document}?token={token}"
        async with connect(url, compression=None, proxy=None) as websocket:
            code, _ = await ended(websocket)
        assert code == STRANGERS[token][1], document
    assert not any(room.members.sessions for room in server.hub.rooms.values())


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_makes_the_calls_that_name_it_and_no_other(
    client: httpx.AsyncClient, described: list[Call], role: str
) -> None:
    for call in described:
        for document, url in call.urls():
            answer = await asked(client, call.method, url, f"t_{role}")
            names = {listed_as(document)} if document else set(call.roles)
            allowed = any(role in call.roles.get(name, ()) for name in names)
            if allowed:
                assert answer.status_code not in (401, 403), (call.method, url)
            else:
                hidden = "." in document and role not in readers(described, document)
                assert answer.status_code == (404 if hidden else 403), (call.method, url)


async def asked(client: httpx.AsyncClient, method: str, url: str, token: str) -> httpx.Response:
    """The answer; of a stream that is open, and never ends, its beginning."""
    async with client.stream(method, url, params={"token": token}) as answer:
        if "text/event-stream" not in answer.headers.get("content-type", ""):
            await answer.aread()
    return answer


def readers(described: list[Call], document: str) -> list[str]:
    """The roles that read a document, as the call says that reads its rows."""
    (roles,) = [call.roles for call in described if call.path.endswith("{document}") and call.method == "GET"]
    return roles[listed_as(document)]


def listed_as(document: str) -> str:
    """The name of a document in a description."""
    head, dot, _ = document.partition(".")
    return f"{head}.*" if dot else document


async def test_derived_documents_are_described_with_those_they_are_for(described: list[Call]) -> None:
    for call in described:
        if "{document}" not in call.path:
            continue
        listed = {name: set(roles) for name, roles in call.roles.items() if "@" in name}
        assert listed == {listed_as(name): set(each.roles) for name, each in DERIVED.items()}


async def test_calls_without_a_token_take_a_secret_of_their_own(client: httpx.AsyncClient) -> None:
    paths = (await client.get("/api/openapi.json")).json()["paths"]
    for path, secret in PUBLIC.items():
        for method in paths[path]:
            for token in (*STRANGERS, "t_couple"):
                query = {"token": token} if token else {}
                answer = await client.request(method.upper(), path, params=query, json={secret: token})
                assert answer.status_code >= 400, (method, path, token, answer.text)


async def test_calls_that_forget_the_gate_or_their_right_are_found() -> None:
    app = create_app(Settings(dev=True))
    router = APIRouter()
    router.add_api_route("/api/weddings/{wedding}/secrets", lambda: "all of them", methods=["GET"])
    app.include_router(router)
    with pytest.raises(AssertionError, match="secrets does not say"):
        calls(app.openapi())
    with pytest.raises(UndeclaredCall, match="secrets"):
        describe_roles(app.openapi(), [router], default_policy())
    described = app.openapi()
    for method in described["paths"]["/api/weddings/{wedding}/secrets"].values():
        method[ROLES_OF_CALL] = {}
    with pytest.raises(AssertionError, match="secrets takes no token"):
        calls(described)

"""The scope of a token narrows what a role may, over the socket and over HTTP, and never widens it."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import httpx
import pytest
from pycrdt import Map
from websockets.asyncio.client import connect

from crdt_server import Settings
from crdt_server.access.access import Action, Credentials, Denied
from crdt_server.access.identity import Authenticated, Identity
from crdt_server.access.keys import KeySet, secret_key
from crdt_server.access.members import HeldGrant, WeddingRights
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.access.scopes import UnknownScope, narrowed, parse_scope
from crdt_server.access.tokens import TokenRules, TokenVerifier
from crdt_server.services.members import MemberService
from documents.categories import AccessCategory
from documents.derived import find
from tests.access.people import TableMembers
from tests.access.roles import ROLES
from tests.support.codec import encode_update
from tests.support.gate import ended, local_server
from tests.support.tokens import SECRET, token
from tests.support.wire import Replica

KEYS = KeySet([secret_key(SECRET)])
SCOPES = ("timeline:read", "timeline:write", "guests:read care:write", "members:read", "wedding:write members:write")
UNKNOWN = ("cake:read", "timeline:eat", "timeline", "read", "timeline:read,write", " ", "timeline:read  care:read", "")


def access_of(members: TableMembers | None = None) -> PolicyAccess:
    verify = TokenVerifier(KEYS, TokenRules(), time.time).verify_credentials
    return PolicyAccess(verify, members, find_derived=find)


def person(access: PolicyAccess, **claims: object) -> Identity:
    found = access.identify(Credentials({"token": token(**claims)}, {}), "w")
    assert isinstance(found, Authenticated), found
    return found.identity


@pytest.mark.parametrize("scope", UNKNOWN)
def test_an_unknown_scope_is_refused(scope: str) -> None:
    found = access_of().identify(Credentials({"token": token(scope=scope)}, {}), "w")
    assert isinstance(found, Denied)
    assert found.code == "unauthenticated"
    with pytest.raises(UnknownScope):
        parse_scope(scope)


@pytest.mark.parametrize("role", ROLES)
def test_a_scope_never_adds_a_right(role: str) -> None:
    access = access_of()
    own = {"role": role, "vendor": "v_1", "guest": "g_1", "side": "a"}
    targets = (*AccessCategory, "budget", "timeline", "notes.a", "guests@coord", "timeline@v.v_1", "budget@contrib.g_1")
    whole = person(access, **own)
    for scope in SCOPES:
        held = person(access, scope=scope, **own)
        assert held.rights == narrowed(whole.rights, scope)
        assert all(new in ("-", old) for new, old in zip(held.rights, whole.rights, strict=True))
        for action, target in itertools.product(Action, targets):
            if access.may(held, action, "w", target) is None:
                assert access.may(whole, action, "w", target) is None, (scope, action, target)
                category = target if isinstance(target, AccessCategory) else None
                assert category is None or category in parse_scope(scope), (scope, action, target)


def test_a_scope_to_read_does_not_write_in_derived_documents_nor_follow_grants() -> None:
    members = TableMembers()
    members.grants.add(("w", "ada", "guests@phones"))
    access = access_of(members)
    lens = person(access, role="vendor", vendor="v_1", scope="timeline:read")
    assert access.may(lens, Action.READ, "w", "timeline@v.v_1") is None
    assert isinstance(access.may(lens, Action.WRITE, "w", "timeline@v.v_1"), Denied)
    coordinator = person(access, role="coordinator")
    assert access.may(coordinator, Action.READ, "w", "guests@phones") is None
    narrow = person(access, role="coordinator", scope="timeline:write")
    assert isinstance(access.may(narrow, Action.READ, "w", "guests@phones"), Denied)
    rights = WeddingRights(2, grants=(HeldGrant("ada", "guests", 2_000_000_000.0),))
    again = access.recheck(Authenticated(narrow, 2_000_000_000.0), "w", rights)
    assert again == narrow, "rights that are newer are narrowed as well"


async def test_over_the_socket_and_over_http(tmp_path: Path, database_url: str) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    settings = Settings(
        port=0,
        database_url=database_url,
        document_hosts=1,
        jwt_secret_file=f"{tmp_path}/secret",
    )
    reads = token(scope="timeline:read seating:write")
    async with (
        local_server(settings) as server,
        httpx.AsyncClient(base_url=f"{server.url}/api/weddings/w", trust_env=False, timeout=60) as client,
    ):
        members: MemberService = server.app.state.members
        await members.add("w", Identity("operator", "couple"), Identity("u_mia", "planner"))
        for document, code in (("budget", 4403), ("thread.a", 4404)):
            url = f"{server.ws_url}/w/{document}?token={reads}"
            async with connect(url, compression=None, proxy=None) as websocket:
                assert (await ended(websocket))[0] == code
        async with connect(f"{server.ws_url}/w/budget?token={token(scope='cake:read')}", proxy=None) as websocket:
            assert (await ended(websocket))[0] == 4401
        headers = {"Authorization": f"Bearer {reads}"}
        insert = {"op": "insert", "root": "items", "record": "i_1", "value": {"title": "Cake"}}
        table = {"op": "insert", "root": "tables", "record": "t_1", "value": {"label": "1"}}
        replica = Replica(7)
        replica.doc.get("items", type=Map)["i_2"] = Map({"title": "Cake"})
        async with connect(f"{server.ws_url}/w/timeline?token={reads}", compression=None, proxy=None) as websocket:
            await websocket.send(encode_update(replica.doc.get_update()))
            frame = b""
            while not frame.startswith(b"\2\1"):
                frame = bytes(await websocket.recv())
            assert json.loads(frame[frame.index(b"{") :])["reverted"][0]["code"] == "not_allowed"
        assert (await client.get("/documents/timeline", headers=headers)).json().get("items", {}) == {}
        for method, path, body, status in (
            ("GET", "/documents/budget", None, 403),
            ("POST", "/documents/timeline/ops", {"operations": [insert]}, 403),
            ("POST", "/documents/seating/ops", {"operations": [table]}, 200),
            ("GET", "/members", None, 403),
            ("DELETE", "/members/u_mia", None, 403),
            ("GET", "/audit", None, 403),
            ("DELETE", "/grants/gr_1", None, 403),
            ("DELETE", "/devices/d_1", None, 403),
            ("GET", "/devices", None, 403),
            ("GET", "/grants", None, 403),
            ("GET", "/contacts", None, 403),
            ("GET", "/preferences", None, 403),
        ):
            answer = await client.request(method, path, json=body, headers=headers)
            assert answer.status_code == status, (method, path, answer.text)
        unknown = {"Authorization": f"Bearer {token(scope='cake:read')}"}
        assert (await client.get("/documents/timeline", headers=unknown)).status_code == 401

"""What each role is told that it may open and do, compared with what the server then lets it do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from crdt_server import Settings
from crdt_server.access.policy_access import PolicyAccess
from crdt_server.api import join
from documents.derived import DECLARATIONS, find
from storage import Append, DerivedRecords, DocumentKey, StoredRow
from tests.access.people import WEDDING, people, verify
from tests.access.roles import CATEGORIES, ROLES, TABLE
from tests.support.databases import sqlite_database
from tests.support.gate import LocalServer, local_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

STORED = ("notes.a", "notes.b", "notes.c", "seating.brunch", "thread.t_1", "wedding")
SERVICE = ["wedding@service", "timeline@v.v_1"]
DERIVED = {
    "coordinator": ["guests@coord"],
    "venue": [*SERVICE, "guests@service", "care@venue", "seating@service"],
    "caterer": [*SERVICE, "guests@service", "care@cater", "seating@service"],
    "photographer": [*SERVICE, "guests@party"],
    "vendor": SERVICE,
    "family": ["timeline@team", "guests@side.a", "budget@contrib.g_1"],
    "wedding_party": ["timeline@team", "guests@party"],
    "guest": ["wedding@public", "timeline@public", "guests@self.g_1"],
}
OTHERS = {"vendor": ("v_1", "v_2"), "guest": ("g_1", "g_2"), "side": ("a", "b")}
ALL_DERIVED = [
    f"{each.name}{own}" for each in DECLARATIONS for own in [f".{own}" for own in OTHERS.get(each.own, ())] or [""]
]
FAMILIES = {"notes.*", "seating.*", "thread.*"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalServer]:
    store = sqlite_database(tmp_path_factory.mktemp("server"))
    settings = Settings(
        port=0,
        document_hosts=1,
        database_url=store,
        handshakes_per_second=0,
        requests_per_second=0,
        requests_per_address=0,
    )
    access = PolicyAccess(verify, people()[1], find_derived=find)
    async with local_server(settings, access) as running:
        for document in STORED:
            key = DocumentKey(WEDDING, document)
            meta = json.dumps({"title": "Ada & Bo", "phase": "live"} if document == "wedding" else {"title": "Brunch"})
            rows = [] if document.startswith("notes") else [StoredRow("meta", "", meta, "{}")]
            await running.hub.storage.append([Append(key, 1, b"\0\0")], [DerivedRecords(key, rows=rows)])
        yield running


async def joined(server: LocalServer, token: str, **query: str) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=60) as client:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = await client.post(f"/api/weddings/{WEDDING}/join", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def names(documents: list[dict[str, Any]]) -> list[str]:
    return [each["name"] for each in documents]


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_is_told_its_rights_and_its_documents_and_can_open_exactly_those(
    server: LocalServer, role: str
) -> None:
    found = await joined(server, f"t_{role}")
    person = {
        "user": f"u_{role}",
        "id": f"u_{role}",
        "name": "",
        "role": role,
        "vendor": "v_1",
        "guest": "g_1",
        "side": "a",
    }
    assert (found["person"], found["title"], found["phase"]) == (person, "Ada & Bo", "live")
    assert found["expires_at"] == 2_000_000_000
    for category, rights in zip(CATEGORIES, TABLE[role], strict=True):
        told = set(found["permissions"][category.value])
        assert ("read" in told) == bool(set("RWA") & set(rights)), (category, told)
        assert ("read_part" in told) == (rights != "N" and rights != "")
        assert ("write" in told) == bool(set("WA") & set(rights))
        assert ("write_own" in told) == bool(set("OWA") & set(rights))
        assert ("administer" in told) == ("A" in rights)
    listed = names(found["documents"])
    assert [name for name in listed if "@" in name] == DERIVED.get(role, [])
    assert {each["name"] for each in found["families"]} <= FAMILIES
    opened = []
    for document in ("budget", "care", "guests", "seating", "timeline", "wedding", *ALL_DERIVED, *STORED[:-1]):
        url = f"{server.url.replace('http', 'ws')}{found['websocket']}/{document}?token=t_{role}"
        async with connect(url, compression=None, proxy=None) as websocket:
            with suppress(ConnectionClosed):
                await websocket.recv()
                opened.append(document)
    assert listed == opened


async def test_what_is_writable_is_told_by_its_parts(server: LocalServer) -> None:
    told = {role: await joined(server, f"t_{role}") for role in ("couple", "coordinator", "family")}
    write = {
        role: {each["name"]: (each["write"], each["writable"]) for each in found["documents"]}
        for role, found in told.items()
    }
    assert all(each == ("all", []) for each in write["couple"].values())
    assert write["coordinator"]["wedding"] == ("own", ["vendors.dayStatus"])
    assert write["coordinator"]["care"] == ("none", [])
    assert write["coordinator"]["timeline"] == ("all", [])
    assert write["coordinator"]["notes.a"] == ("all", [])
    whole = {name: told for name, told in write["family"].items() if "@" not in name}
    assert whole == {"seating": ("all", []), "seating.brunch": ("all", []), "wedding": ("none", [])}


async def test_with_another_right_only_own_things_are_writable(database_url: str) -> None:
    access, members = people()
    members.set_overrides[WEDDING] = {("vendor", "timeline"): "R+O", ("guest", "timeline"): "R"}
    async with local_server(Settings(port=0, document_hosts=1, database_url=database_url), access) as server:
        told = {role: (await joined(server, f"t_{role}"))["documents"] for role in ("vendor", "guest")}
    (timeline,) = told["vendor"]
    assert (timeline["name"], timeline["write"]) == ("timeline", "own")
    assert {"items.status", "items.vendorNote:", "emergencies.acknowledgedBy:"} <= set(timeline["writable"])
    assert "items.title" not in timeline["writable"]
    (timeline,) = told["guest"]
    assert (timeline["write"], timeline["writable"]) == ("own", ["emergencies.acknowledgedBy:"])


async def test_documents_of_families_come_in_pages(server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(join, "MOST_LISTED", 2)
    first = await joined(server, "t_couple")
    assert names(first["documents"])[-2:] == ["notes.a", "notes.b"]
    assert first["next"] == "notes.b"
    second = await joined(server, "t_couple", after="notes.b")
    assert (names(second["documents"]), second["next"]) == (["notes.c", "seating.brunch"], "seating.brunch")
    third = await joined(server, "t_couple", after="seating.brunch")
    assert (names(third["documents"]), third["next"]) == (["thread.t_1"], None)
    of_family = await joined(server, "t_family")
    assert (names(of_family["documents"])[-1], of_family["next"]) == ("seating.brunch", None)


async def test_the_writable_parts_of_derived_documents_are_those_declared(server: LocalServer) -> None:
    found = {role: (await joined(server, f"t_{role}"))["documents"] for role in ("vendor", "guest", "family")}
    parts = {each["name"]: each["writable"] for listed in found.values() for each in listed if each["write"] == "own"}
    assert parts["wedding@service"] == ["vendors.dayStatus", "emergencies.acknowledgedBy:"]
    assert "items.vendorNote:" in parts["timeline@v.v_1"]
    assert "items.title" not in parts["timeline@v.v_1"]
    assert parts["timeline@public"] == ["emergencies.acknowledgedBy:"]
    assert {"guests.meal", "guests.rsvp:", "care.diet:"} <= set(parts["guests@self.g_1"])
    assert "contributions" in parts["budget@contrib.g_1"]


async def test_in_dev_everything_is_told_unless_a_role_is_to_be_enforced(database_url: str) -> None:
    async with local_server(Settings(dev=True, port=0, document_hosts=1, database_url=database_url), None) as server:
        free = await joined(server, "", role="guest", guest="g_1")
        held = await joined(server, "", role="guest", guest="g_1", enforce="1")
    written = {each["name"]: each["write"] for each in free["documents"] if "@" not in each["name"]}
    assert len(written) >= 6
    assert set(written.values()) == {"all"}
    assert (free["title"], free["phase"], free["expires_at"]) == (None, None, None)
    assert all("administer" in verbs for verbs in free["permissions"].values())
    assert held["families"] == []
    assert not {"budget", "guests", "timeline"} & set(names(held["documents"]))

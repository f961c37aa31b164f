"""Threads over HTTP, with tokens and members: who makes, finds and opens them, and sockets of those who are removed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from pycrdt import Map
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crdt_server import Settings
from storage import open_storage
from tests.api.test_revocation import closed
from tests.support.codec import encode_update
from tests.support.gate import LocalServer, local_server
from tests.support.rights import put_member
from tests.support.tokens import SECRET, token
from tests.support.wire import Replica

WEDDING = "/api/weddings/w"
ROLES = {
    "u_aroha": "couple",
    "u_mia": "planner",
    "u_dj": "vendor",
    "u_bo": "vendor",
    "u_ann": "family",
    "u_zoe": "wedding_party",
    "u_chloe": "guest",
}
AT = "2026-06-20T13:30:00.000Z"


@pytest.fixture
async def server(tmp_path: Path, database_url: str) -> AsyncIterator[LocalServer]:
    (tmp_path / "secret").write_bytes(SECRET)
    storage = await open_storage(database_url, migrate=True)
    for user, role in ROLES.items():
        await put_member(storage, user, role)
    await put_member(storage, "u_gone", "guest", removed=True)
    await storage.close()
    settings = Settings(
        port=0,
        database_url=database_url,
        document_hosts=1,
        jwt_secret_file=f"{tmp_path}/secret",
        role_limits="none",
        requests_per_second=0,
        requests_per_address=0,
        max_loop_lag_seconds=3600.0,
    )
    async with local_server(settings) as running:
        yield running


@pytest.fixture
async def client(server: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url + WEDDING, trust_env=False, timeout=60) as open_client:
        yield open_client


def as_user(user: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(sub=user, role=None)}"}


async def make(client: httpx.AsyncClient, user: str, *others: str, status: int = 201, **more: object) -> dict[str, Any]:
    body = {"title": "Flowers", "participants": list(others), **more}
    answer = await client.post("/threads", json=body, headers=as_user(user))
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def enter(server: LocalServer, user: str, document: str) -> ClientConnection:
    url = f"{server.ws_url}/w/{document}?token={token(sub=user, role=None)}"
    return await connect(url, compression=None, proxy=None)


def message(user: str, body: str, name: str = "m1") -> Mapping[str, object]:
    value = {"from": user, "at": AT, "kind": "text", "body": body}
    return {"op": "set", "root": "messages", "record": name, "value": value}


async def say(client: httpx.AsyncClient, user: str, document: str, body: str, name: str = "m1") -> int:
    json_ = {"operations": [message(user, body, name)]}
    answer = await client.post(f"/documents/{document}/ops", json=json_, headers=as_user(user))
    return answer.status_code


async def test_a_thread_is_for_those_who_take_part_and_for_organizers(
    server: LocalServer, client: httpx.AsyncClient
) -> None:
    thread = await make(client, "u_aroha", "u_dj", type="vendor", context={"document": "budget", "record": "b_1"})
    assert [each["user"] for each in thread["participants"]] == ["u_aroha", "u_dj"]
    assert thread["context"] == {"document": "budget", "record": "b_1"}
    document, path = thread["document"], f"/threads/{thread['id']}"
    for user in ("u_dj", "u_mia", "u_aroha"):
        assert (await client.get(path, headers=as_user(user))).status_code == 200
        assert await say(client, user, document, "Hello", user) == 200
        listed = (await client.get("/threads", headers=as_user(user))).json()
        assert [each["id"] for each in listed["threads"]] == [thread["id"]]
    answer = await client.get(f"/documents/{document}", headers=as_user("u_dj"))
    assert set(answer.json()["messages"]) == {"u_dj", "u_mia", "u_aroha"}
    for user in ("u_bo", "u_ann", "u_chloe"):
        assert (await client.get(path, headers=as_user(user))).status_code == 404
        assert (await client.get(f"/documents/{document}", headers=as_user(user))).status_code == 404
        assert await say(client, user, document, "Hello", user) == 404
        assert (await client.get("/threads", headers=as_user(user))).json() == {"threads": [], "next": ""}
        events = (await client.get("/events", headers=as_user(user))).json()["events"]
        assert [each for each in events if each["document"] == document] == []
        websocket = await enter(server, user, document)
        assert (await closed(websocket))[0] == 4404


async def test_a_thread_of_the_family_is_for_those_alone_who_take_part(
    server: LocalServer, client: httpx.AsyncClient
) -> None:
    thread = await make(client, "u_ann", "u_aroha", "u_zoe", type="family")
    document, path = thread["document"], f"/threads/{thread['id']}"
    for user, status in {"u_ann": 200, "u_aroha": 200, "u_zoe": 200, "u_mia": 404, "u_chloe": 404}.items():
        assert (await client.get(path, headers=as_user(user))).status_code == status, user
        assert (await client.get(f"/documents/{document}", headers=as_user(user))).status_code == status
        listed = (await client.get("/threads", headers=as_user(user))).json()["threads"]
        assert len(listed) == (status == 200)
    assert (await client.put(f"{path}/participants/u_mia", headers=as_user("u_mia"))).status_code == 404
    assert (await client.put(f"{path}/participants/u_mia", headers=as_user("u_aroha"))).status_code == 200
    assert (await client.get(f"/documents/{document}", headers=as_user("u_mia"))).status_code == 200


async def test_one_that_is_removed_is_closed_and_receives_nothing_more(
    server: LocalServer, client: httpx.AsyncClient
) -> None:
    thread = await make(client, "u_aroha", "u_dj", "u_bo")
    document, path = thread["document"], f"/threads/{thread['id']}"
    gone, stays = await enter(server, "u_dj", document), await enter(server, "u_bo", document)
    for websocket in (gone, stays):
        await websocket.recv()
    assert (await client.delete(f"{path}/participants/u_dj", headers=as_user("u_bo"))).status_code == 403
    assert (await client.delete(f"{path}/participants/u_dj", headers=as_user("u_aroha"))).status_code == 204
    received = bytearray()
    with suppress(ConnectionClosed):
        while True:
            received += bytes(await gone.recv())
    assert gone.close_code == 4403
    assert await say(client, "u_aroha", document, "Behind their back") == 200
    while b"Behind their back" not in bytes(await stays.recv()):
        pass
    assert b"Behind" not in received
    assert (await closed(await enter(server, "u_dj", document)))[0] == 4404
    assert (await client.get(path, headers=as_user("u_dj"))).status_code == 404
    again = await client.put(f"{path}/participants/u_dj", headers=as_user("u_aroha"))
    assert [each["user"] for each in again.json()["participants"]] == ["u_aroha", "u_bo", "u_dj"]
    assert (await client.get(path, headers=as_user("u_dj"))).status_code == 200
    assert (await client.delete(f"{path}/participants/u_bo", headers=as_user("u_bo"))).status_code == 204
    assert (await closed(stays))[0] == 4403


async def test_a_participant_writes_its_own_messages_and_no_other(
    server: LocalServer, client: httpx.AsyncClient
) -> None:
    document = (await make(client, "u_aroha", "u_dj"))["document"]
    websocket = await enter(server, "u_dj", document)
    await websocket.recv()
    replica = Replica(7)
    value = {"from": "u_aroha", "at": AT, "kind": "text", "body": "I pay double"}
    replica.doc.get("messages", type=Map)["m1"] = value
    await websocket.send(encode_update(replica.doc.get_update()))
    while not bytes(await websocket.recv()).startswith(b"\2\0"):
        pass
    rows = (await client.get(f"/documents/{document}", headers=as_user("u_aroha"))).json()
    assert rows.get("messages", {}) == {}
    await websocket.close()


async def test_threads_are_changed_listed_and_muted(client: httpx.AsyncClient) -> None:
    made = [await make(client, "u_dj", "u_mia", title=f"Thread {n}") for n in range(3)]
    path = f"/threads/{made[0]['id']}"
    answer = await client.patch(path, json={"title": "Band", "status": "closed"}, headers=as_user("u_dj"))
    assert (answer.status_code, answer.json()["title"], answer.json()["status"]) == (200, "Band", "closed")
    found, after = [], ""
    while True:
        query = {"limit": 2, "after": after}
        page = (await client.get("/threads", params=query, headers=as_user("u_dj"))).json()
        found += [each["id"] for each in page["threads"]]
        after = page["next"]
        if not after:
            break
    assert sorted(found) == sorted(each["id"] for each in made)
    for query, count in (({"status": "closed"}, 1), ({"type": "general"}, 3), ({"type": "vendor"}, 0)):
        page = (await client.get("/threads", params=query, headers=as_user("u_mia"))).json()
        assert len(page["threads"]) == count
    muted = await client.put(f"{path}/muted", json={"muted": True}, headers=as_user("u_dj"))
    assert muted.status_code == 204
    assert (await client.put(f"{path}/muted", json={"muted": True}, headers=as_user("u_aroha"))).status_code == 404
    assert (await client.get("/threads", params={"after": "x"}, headers=as_user("u_dj"))).status_code == 400


async def test_what_cannot_be(client: httpx.AsyncClient) -> None:
    refused = await make(client, "u_chloe", "u_ann", status=403)
    assert refused["code"] == "forbidden"
    assert (await make(client, "u_chloe", type="planning", status=403))["code"] == "forbidden"
    assert (await make(client, "u_aroha", "u_gone", status=409))["code"] == "not_a_member"
    assert (await make(client, "u_aroha", "a\nb", status=400))["code"] == "invalid_request"
    assert (await make(client, "u_dj", context={"document": "budget"}, status=403))["code"] == "forbidden"
    too_many = [f"u_{n}" for n in range(200)]
    assert (await make(client, "u_aroha", *too_many, status=409))["code"] == "too_many"
    assert (await client.get("/threads", headers=as_user("u_aroha"))).json()["threads"] == []
    log = (await client.get("/audit", headers=as_user("u_aroha"))).json()["entries"]
    assert [each for each in log if each["action"].startswith("thread.")] == []


async def test_what_happens_to_threads_is_an_event_for_those_who_may_open_them(client: httpx.AsyncClient) -> None:
    thread = await make(client, "u_aroha", "u_dj")
    await client.delete(f"/threads/{thread['id']}/participants/u_dj", headers=as_user("u_dj"))
    for user, types in (("u_mia", ["thread.created", "thread.left"]), ("u_bo", [])):
        events = (await client.get("/events", headers=as_user(user))).json()["events"]
        assert [each["type"] for each in events if each["document"] == thread["document"]] == types
    log = (await client.get("/audit", headers=as_user("u_aroha"))).json()["entries"]
    assert [each["action"] for each in log][-2:] == ["thread.created", "thread.left"]

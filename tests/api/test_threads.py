"""Threads over HTTP, with tokens and members: who makes, finds and opens them, and sockets of those who are removed."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from contextlib import suppress

import httpx
import pytest
from pycrdt import Map
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from crdt_server.services import threads
from tests.api.test_revocation import closed
from tests.api.with_members import AT, as_user, make
from tests.support.codec import encode_update
from tests.support.gate import LocalServer
from tests.support.tokens import token
from tests.support.wire import Replica


async def enter(server: LocalServer, user: str, document: str) -> ClientConnection:
    url = f"{server.ws_url}/w/{document}?token={token(sub=user, role=None)}"
    return await connect(url, compression=None, proxy=None)


def message(user: str, body: str, name: str = "m1") -> Mapping[str, object]:
    value = {"from": user, "at": AT, "kind": "text", "body": body}
    return {"op": "set", "root": "messages", "record": name, "value": value}


async def say(members: httpx.AsyncClient, user: str, document: str, body: str, name: str = "m1") -> int:
    json_ = {"operations": [message(user, body, name)]}
    answer = await members.post(f"/documents/{document}/ops", json=json_, headers=as_user(user))
    return answer.status_code


async def test_a_thread_is_for_those_who_take_part_and_for_organizers(
    with_members: LocalServer, members: httpx.AsyncClient
) -> None:
    thread = await make(members, "u_aroha", "u_dj", type="vendor", context={"document": "budget", "record": "b_1"})
    assert [each["user"] for each in thread["participants"]] == ["u_aroha", "u_dj"]
    assert thread["context"] == {"document": "budget", "record": "b_1"}
    assert (thread["by"], "created_by" in thread) == ("u_aroha", False)
    document, path = thread["document"], f"/threads/{thread['id']}"
    for user in ("u_dj", "u_mia", "u_aroha"):
        assert (await members.get(path, headers=as_user(user))).status_code == 200
        assert await say(members, user, document, "Hello", user) == 200
        listed = (await members.get("/threads", headers=as_user(user))).json()
        assert [each["id"] for each in listed["threads"]] == [thread["id"]]
    answer = await members.get(f"/documents/{document}", headers=as_user("u_dj"))
    assert set(answer.json()["messages"]) == {"u_dj", "u_mia", "u_aroha"}
    for user in ("u_bo", "u_ann", "u_chloe"):
        assert (await members.get(path, headers=as_user(user))).status_code == 404
        assert (await members.get(f"/documents/{document}", headers=as_user(user))).status_code == 404
        assert await say(members, user, document, "Hello", user) == 404
        assert (await members.get("/threads", headers=as_user(user))).json() == {"threads": [], "next": None}
        events = (await members.get("/events", headers=as_user(user))).json()["events"]
        assert [each for each in events if each["document"] == document] == []
        websocket = await enter(with_members, user, document)
        assert (await closed(websocket))[0] == 4404


async def test_a_thread_is_made_once_under_a_key(members: httpx.AsyncClient, is_problem: Callable[..., None]) -> None:
    body = {"title": "Flowers", "participants": ["u_dj"]}
    headers = as_user("u_aroha") | {"Idempotency-Key": "k 1"}

    async def post(**more: object) -> httpx.Response:
        return await members.post("/threads", json=body | more, headers=headers)

    several = await asyncio.gather(*(post() for _ in range(5)))
    assert [each.status_code for each in several] == [201] * 5, several[0].text
    assert sorted(each.headers.get("Idempotency-Replayed", "") for each in several) == ["", *["true"] * 4]
    (id_,) = {each.json()["id"] for each in several}
    is_problem(await post(title="Cake"), 422, "idempotency_key_reused")
    await members.patch(f"/threads/{id_}", json={"title": "Peonies"}, headers=headers)
    assert (await post()).json()["title"] == "Peonies", "as it is by now"
    other = await members.post("/threads", json=body, headers=as_user("u_mia") | {"Idempotency-Key": "k 1"})
    assert other.json()["id"] != id_, "a key is that of its person"
    ends = await members.post("/threads", json=body | {"type": "family"}, headers=headers | {"Idempotency-Key": ""})
    assert ends.status_code == 400
    listed = (await members.get("/threads", headers=headers)).json()["threads"]
    assert len(listed) == 2
    refused = {"Idempotency-Key": "k 2"} | as_user("u_dj")
    for _ in range(2):  # what is refused is not remembered
        answer = await members.post("/threads", json=body | {"type": "planning"}, headers=refused)
        is_problem(answer, 403, "forbidden")
    assert (await members.post("/threads", json={"title": "Songs"}, headers=refused)).status_code == 201


async def test_a_thread_of_the_family_is_for_those_alone_who_take_part(
    with_members: LocalServer, members: httpx.AsyncClient
) -> None:
    thread = await make(members, "u_ann", "u_aroha", "u_zoe", type="family")
    document, path = thread["document"], f"/threads/{thread['id']}"
    for user, status in {"u_ann": 200, "u_aroha": 200, "u_zoe": 200, "u_mia": 404, "u_chloe": 404}.items():
        assert (await members.get(path, headers=as_user(user))).status_code == status, user
        assert (await members.get(f"/documents/{document}", headers=as_user(user))).status_code == status
        listed = (await members.get("/threads", headers=as_user(user))).json()["threads"]
        assert len(listed) == (status == 200)
    assert (await members.put(f"{path}/participants/u_mia", headers=as_user("u_mia"))).status_code == 404
    assert (await members.put(f"{path}/participants/u_mia", headers=as_user("u_aroha"))).status_code == 200
    assert (await members.get(f"/documents/{document}", headers=as_user("u_mia"))).status_code == 200


async def test_one_that_is_removed_is_closed_and_receives_nothing_more(
    with_members: LocalServer, members: httpx.AsyncClient
) -> None:
    thread = await make(members, "u_aroha", "u_dj", "u_bo")
    document, path = thread["document"], f"/threads/{thread['id']}"
    gone, stays = await enter(with_members, "u_dj", document), await enter(with_members, "u_bo", document)
    for websocket in (gone, stays):
        await websocket.recv()
    assert (await members.delete(f"{path}/participants/u_dj", headers=as_user("u_bo"))).status_code == 403
    assert (await members.delete(f"{path}/participants/u_dj", headers=as_user("u_aroha"))).status_code == 204
    received = bytearray()
    with suppress(ConnectionClosed):
        while True:
            received += bytes(await gone.recv())
    assert (gone.close_code, gone.close_reason) == (4403, "you may not open this document any more")
    assert await say(members, "u_aroha", document, "Behind their back") == 200
    while b"Behind their back" not in bytes(await stays.recv()):
        pass
    assert b"Behind" not in received
    assert (await closed(await enter(with_members, "u_dj", document)))[0] == 4404
    assert (await members.get(path, headers=as_user("u_dj"))).status_code == 404
    again = await members.put(f"{path}/participants/u_dj", headers=as_user("u_aroha"))
    assert [each["user"] for each in again.json()["participants"]] == ["u_aroha", "u_bo", "u_dj"]
    assert (await members.get(path, headers=as_user("u_dj"))).status_code == 200
    assert (await members.delete(f"{path}/participants/u_bo", headers=as_user("u_bo"))).status_code == 204
    assert (await closed(stays))[0] == 4403


async def test_a_participant_writes_its_own_messages_and_no_other(
    with_members: LocalServer, members: httpx.AsyncClient
) -> None:
    document = (await make(members, "u_aroha", "u_dj"))["document"]
    websocket = await enter(with_members, "u_dj", document)
    await websocket.recv()
    replica = Replica(7)
    for number, forged in enumerate(({"from": "u_aroha", "kind": "text"}, {"from": "u_dj", "kind": "system"})):
        value = {"at": AT, "body": "I pay double", **forged}
        replica.doc.get("messages", type=Map)[f"m{number}"] = value
        await websocket.send(encode_update(replica.doc.get_update()))
        while not bytes(await websocket.recv()).startswith(b"\2\1"):
            pass
    rows = (await members.get(f"/documents/{document}", headers=as_user("u_aroha"))).json()
    assert rows.get("messages", {}) == {}
    await websocket.close()


async def test_threads_are_changed_listed_and_muted(members: httpx.AsyncClient) -> None:
    made = [await make(members, "u_dj", "u_mia", title=f"Thread {n}") for n in range(3)]
    path = f"/threads/{made[0]['id']}"
    answer = await members.patch(path, json={"title": "Band", "status": "closed"}, headers=as_user("u_dj"))
    assert (answer.status_code, answer.json()["title"], answer.json()["status"]) == (200, "Band", "closed")
    found, after = [], ""
    while True:
        query = {"limit": 2, "after": after}
        page = (await members.get("/threads", params=query, headers=as_user("u_dj"))).json()
        found += [each["id"] for each in page["threads"]]
        after = page["next"]
        if not after:
            break
    assert sorted(found) == sorted(each["id"] for each in made)
    for query, count in (({"status": "closed"}, 1), ({"type": "general"}, 3), ({"type": "vendor"}, 0)):
        page = (await members.get("/threads", params=query, headers=as_user("u_mia"))).json()
        assert len(page["threads"]) == count
    muted = await members.put(f"{path}/muted", json={"muted": True}, headers=as_user("u_dj"))
    assert muted.status_code == 204
    for user, is_muted in (("u_dj", True), ("u_mia", False)):
        assert (await members.get(path, headers=as_user(user))).json()["muted"] is is_muted
    assert (await members.put(f"{path}/muted", json={"muted": True}, headers=as_user("u_aroha"))).status_code == 404
    reads = {"Authorization": f"Bearer {token(sub='u_mia', role=None, scope='messages:read')}"}
    for what, body in (("muted", {"muted": True}), ("read", {"message": "m_1"})):
        assert (await members.put(f"{path}/{what}", json=body, headers=reads)).status_code == 403
    for wrong in ("x", "0001-01-01T00:00:00+23:00~t_1", "9999-12-31T23:59:59-23:00~t_1", "2026-06-20T00:00:00Z~t\0"):
        answer = await members.get("/threads", params={"after": wrong}, headers=as_user("u_dj"))
        assert answer.status_code == 400, wrong


async def test_what_cannot_be(members: httpx.AsyncClient) -> None:
    refused = await make(members, "u_chloe", "u_ann", status=403)
    assert refused["code"] == "forbidden"
    assert (await make(members, "u_chloe", type="planning", status=403))["code"] == "forbidden"
    assert (await make(members, "u_aroha", "u_gone", status=409))["code"] == "not_a_member"
    assert (await make(members, "u_aroha", "a\nb", status=400))["code"] == "invalid_request"
    assert (await make(members, "u_dj", context={"document": "budget"}, status=403))["code"] == "forbidden"
    too_many = [f"u_{n}" for n in range(200)]
    assert (await make(members, "u_aroha", *too_many, status=409))["code"] == "too_many"
    assert (await members.get("/threads", headers=as_user("u_aroha"))).json()["threads"] == []
    log = (await members.get("/audit", headers=as_user("u_aroha"))).json()["entries"]
    assert [each for each in log if each["action"].startswith("thread.")] == []


async def test_the_audit_log_does_not_say_who_takes_part_in_a_closed_thread(members: httpx.AsyncClient) -> None:
    """A planner, to whom a thread of the family is not there, read there who is in it."""
    thread = await make(members, "u_aroha", "u_ann", type="family")
    for user, shown in (("u_aroha", True), ("u_mia", False)):
        log = (await members.get("/audit", headers=as_user(user))).json()["entries"]
        (made,) = [each for each in log if each["action"] == "thread.created"]
        assert (made["detail"] != {}) == shown
        assert (thread["id"] in str(log), "u_ann" in str(made)) == (shown, shown)


async def test_nobody_uses_up_the_threads_of_all(members: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "MOST_OWN", 2)
    for _ in range(2):
        await make(members, "u_chloe")
    assert (await make(members, "u_chloe", status=409))["code"] == "too_many_own_threads"
    await make(members, "u_zoe")
    for _ in range(3):
        await make(members, "u_mia")


async def test_whoever_leaves_has_nothing_left_to_read(members: httpx.AsyncClient) -> None:
    """Items were counted as unread that no list of theirs shows."""
    thread = await make(members, "u_aroha", "u_dj")
    assert await say(members, "u_aroha", thread["document"], "Hello") == 200

    async def unread() -> int:
        found = (await members.get("/inbox/unread", headers=as_user("u_dj"))).json()["unread"]
        return int(found)

    async with asyncio.timeout(30):
        while await unread() < 2:
            await members.get("/events", headers=as_user("u_dj"))
    path = f"/threads/{thread['id']}/participants/u_dj"
    assert (await members.delete(path, headers=as_user("u_aroha"))).status_code == 204
    assert (await members.get("/inbox", headers=as_user("u_dj"))).json()["items"] == []
    assert await unread() == 0


async def test_a_member_who_was_removed_begins_anew(members: httpx.AsyncClient) -> None:
    """They stayed listed, and saw the conversation again as soon as they were added, with all that was written in the
    meantime."""
    couple, dj = as_user("u_aroha"), as_user("u_dj")
    thread = await make(members, "u_aroha", "u_dj")
    document, path = thread["document"], f"/threads/{thread['id']}"
    assert await say(members, "u_aroha", document, "Hello") == 200
    async with asyncio.timeout(30):
        while (await members.get("/inbox/unread", headers=dj)).json()["unread"] < 2:
            await members.get("/events", headers=dj)
    assert (await members.delete("/members/u_dj", headers=couple)).status_code == 204
    assert [each["user"] for each in (await members.get(path, headers=couple)).json()["participants"]] == ["u_aroha"]
    assert await say(members, "u_aroha", document, "Behind their back", "m2") == 200
    person = {"user": "u_dj", "role": "vendor", "vendor": "v_1"}
    assert (await members.post("/members", json=person, headers=couple)).status_code == 201
    for answer in [await members.get(each, headers=dj) for each in (path, f"/documents/{document}")]:
        assert answer.status_code == 404
    assert (await members.get("/threads", headers=dj)).json()["threads"] == []
    assert (await members.get("/inbox", headers=dj)).json()["items"] == []
    assert (await members.get("/inbox/unread", headers=dj)).json()["unread"] == 0
    assert (await members.put(f"{path}/participants/u_dj", headers=couple)).status_code == 200
    assert (await members.get(path, headers=dj)).status_code == 200


async def test_a_member_in_another_role_leaves_threads_that_are_not_for_it(
    with_members: LocalServer, members: httpx.AsyncClient
) -> None:
    couple, mia = as_user("u_aroha"), as_user("u_mia")
    made = {each: await make(members, "u_aroha", "u_mia", type=each) for each in ("general", "planning", "family")}
    websocket = await enter(with_members, "u_mia", made["planning"]["document"])
    await websocket.recv()
    changed = {"role": "guest", "guest": "g_1"}
    assert (await members.patch("/members/u_mia", json=changed, headers=couple)).status_code == 200
    assert (await closed(websocket))[0] == 4403
    for type_, status in (("general", 200), ("planning", 404), ("family", 404)):
        answer = await members.get(f"/documents/{made[type_]['document']}", headers=mia)
        assert answer.status_code == status, type_
    listed = (await members.get("/threads", headers=mia)).json()["threads"]
    assert [each["type"] for each in listed] == ["general"]
    renamed = await members.patch("/members/u_mia", json={"name": "Mia"}, headers=couple)
    assert (renamed.status_code, (await members.get("/threads", headers=mia)).json()["threads"]) == (200, listed)


async def test_what_happens_to_threads_is_an_event_for_those_who_may_open_them(members: httpx.AsyncClient) -> None:
    thread = await make(members, "u_aroha", "u_dj")
    await members.delete(f"/threads/{thread['id']}/participants/u_dj", headers=as_user("u_dj"))
    for user, types in (("u_mia", ["thread.created", "thread.left"]), ("u_bo", [])):
        events = (await members.get("/events", headers=as_user(user))).json()["events"]
        assert [each["type"] for each in events if each["document"] == thread["document"]] == types
    log = (await members.get("/audit", headers=as_user("u_aroha"))).json()["entries"]
    assert [each["action"] for each in log][-2:] == ["thread.created", "thread.left"]


MOMENT = re.compile(r'"(?:at|\w+_at|until|expires\w*|timestamp)":\s*"([^"]*)"')
LISTS = (
    *("threads", "webhooks", "contacts", "preferences", "members", "invitations", "devices", "grants", "audit"),
    *("inbox", "outbox?state=waiting", "events", "presence", "search?q=hello"),
)


async def test_every_moment_ends_with_z(members: httpx.AsyncClient) -> None:
    couple = as_user("u_aroha")
    thread = await make(members, "u_mia", "u_dj", "u_aroha")
    assert await say(members, "u_mia", thread["document"], "Hello") == 200
    contact = {"channel": "mail", "address": "aroha@example.org"}
    assert (await members.put("/contacts", json=contact, headers=couple)).status_code == 200
    assert (await members.post("/webhooks", json={"url": "https://x.example"}, headers=couple)).status_code == 201
    person = {"user": "u_new", "role": "planner"}
    assert (await members.post("/invitations", json=person, headers=couple)).status_code == 201
    found: dict[str, list[str]] = {}
    for name in (*LISTS, f"threads/{thread['id']}", f"threads/{thread['id']}/messages"):
        answer = await members.get(f"/{name}", headers=couple)
        if answer.status_code == 200:
            found[name] = MOMENT.findall(answer.text)
    with_moments = {name for name, each in found.items() if each}
    assert with_moments >= {"threads", "webhooks", "contacts", "members", "invitations", "events"}
    assert {name: each for name, each in found.items() if not all(at.endswith("Z") for at in each)} == {}

"""Messages over HTTP: a phone without Yjs writes, reads, and marks as read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from crdt_server.api.messages import _ulid, _written_at
from crdt_server.errors import ProtocolError
from tests.api.with_members import AT, as_user, make
from tests.support.gate import LocalServer
from tests.support.mirrored import Mirror
from tests.support.stored_bytes import tables_with
from tests.support.tokens import token

ULID, WRITTEN = "01JY3Z8Q7M4T2V6W8X9Y0ZABCD", "2025-06-19T11:30:28.212Z"


@pytest.fixture
async def mirror(with_members: LocalServer) -> Mirror:
    return Mirror(with_members.hub.storage)


@pytest.fixture
async def thread(members: httpx.AsyncClient) -> str:
    return str((await make(members, "u_aroha", "u_dj", "u_mia"))["id"])


async def post(
    members: httpx.AsyncClient,
    user: str,
    thread: str,
    body: str = "Hello",
    status: int = 201,
    **more: object,
) -> dict[str, Any]:
    answer = await members.post(f"/threads/{thread}/messages", json={"body": body, **more}, headers=as_user(user))
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def unread(members: httpx.AsyncClient, user: str, thread: str) -> tuple[int, int]:
    found = (await members.get(f"/threads/{thread}", headers=as_user(user))).json()
    return found["read"], found["unread"]


async def test_a_message_that_is_sent_again_is_sent_once(
    members: httpx.AsyncClient,
    mirror: Mirror,
    thread: str,
) -> None:
    first = await post(members, "u_dj", thread, "Is the oak standing? 🌳", id=ULID)
    assert first == await post(members, "u_dj", thread, "Is the oak standing? 🌳", id=ULID)
    assert (first["sequence"], first["from"], first["id"], first["at"]) == (1, "u_dj", ULID, WRITTEN)
    assert (await post(members, "u_dj", thread, "Another", id=ULID, status=422))["code"] == "idempotency_key_reused"
    reply = await post(members, "u_mia", thread, "It is.", inReplyTo=ULID, at=AT)
    assert (reply["sequence"], reply["inReplyTo"], reply["at"], len(reply["id"])) == (2, ULID, AT, 26)
    await mirror.follow()
    page = (await members.get(f"/threads/{thread}/messages", headers=as_user("u_aroha"))).json()["messages"]
    assert page == [reply, first]


async def inbox(members: httpx.AsyncClient, user: str) -> list[tuple[str, bool]]:
    """The messages in somebody's inbox, the oldest first, and whether they are unread."""
    items = (await members.get("/inbox", params={"after": 0}, headers=as_user(user))).json()["items"]
    return [(each["params"]["text"], each["read_at"] is None) for each in items if each["type"] == "message.sent"]


async def test_messages_are_in_inboxes_and_read_there_with_the_thread(members: httpx.AsyncClient, thread: str) -> None:
    url = "/inbox/stream"
    async with members.stream("GET", url, params={"after": 0}, headers=as_user("u_aroha")) as response:
        lines = response.aiter_lines()
        sent = [await post(members, "u_dj", thread, body) for body in ("One", "Two", "Three")]
        for body in ("One", "Two", "Three"):
            async for line in lines:
                if f'"text": "{body}"' in line:
                    break
        answer = await members.put(
            f"/threads/{thread}/read", json={"message": sent[1]["id"]}, headers=as_user("u_aroha")
        )
        assert answer.status_code == 200, answer.text
        async for line in lines:  # as other devices are informed
            if line == "event: unread":
                break
    assert await inbox(members, "u_aroha") == [("One", False), ("Two", False), ("Three", True)]
    assert await inbox(members, "u_dj") == await inbox(members, "u_bo") == []


async def test_a_message_that_is_taken_back_is_unread_nowhere(members: httpx.AsyncClient, thread: str) -> None:
    """There is nothing left to be read: the inbox counts as the thread does, and devices are informed."""
    async with members.stream("GET", "/inbox/stream", params={"after": 0}, headers=as_user("u_aroha")) as response:
        lines = response.aiter_lines()
        await post(members, "u_dj", thread, "Two", id=ULID)
        async for line in lines:
            if '"text": "Two"' in line:
                break
        operation = {"op": "set", "root": "redactions", "record": ULID, "value": {"at": AT, "by": "u_dj"}}
        url = f"/documents/thread.{thread}/ops"
        answer = await members.post(url, json={"operations": [operation]}, headers=as_user("u_dj"))
        assert answer.status_code == 200, answer.text
        async with asyncio.timeout(20):
            while '{"unread": 0, "more": false}' not in (await anext(lines)):
                pass
    assert (await members.get("/inbox/unread", headers=as_user("u_aroha"))).json()["unread"] == 0
    assert (await unread(members, "u_aroha", thread))[1] == 0


async def test_whoever_may_not_open_a_thread_any_more_has_none_of_it_in_the_inbox(
    members: httpx.AsyncClient, thread: str
) -> None:
    for user, shown in (("u_dj", 0), ("u_mia", 1)):  # a planner may open it though she takes no part
        async with members.stream("GET", "/inbox/stream", params={"after": 0}, headers=as_user(user)) as response:
            await post(members, "u_aroha", thread, f"Hello {user}")
            async for line in response.aiter_lines():
                if f'"text": "Hello {user}"' in line:
                    break
        url = f"/threads/{thread}/participants/{user}"
        assert (await members.delete(url, headers=as_user("u_aroha"))).status_code == 204
        assert bool(await inbox(members, user)) is bool(shown)


async def test_what_was_read_is_read_on_all_devices(
    members: httpx.AsyncClient,
    mirror: Mirror,
    thread: str,
) -> None:
    sent = [await post(members, user, thread) for user in ("u_dj", "u_mia", "u_dj")]
    await mirror.follow()
    assert [await unread(members, user, thread) for user in ("u_aroha", "u_dj", "u_mia")] == [(0, 3), (0, 1), (0, 2)]

    async def read(user: str, message: str) -> dict[str, int]:
        json = {"message": message}
        return (await members.put(f"/threads/{thread}/read", json=json, headers=as_user(user))).json()  # type: ignore[no-any-return]

    assert await read("u_aroha", sent[1]["id"]) == {"read": 2, "unread": 1}
    assert await read("u_aroha", sent[0]["id"]) == {"read": 2, "unread": 1}, "a second device that is behind"
    assert await unread(members, "u_aroha", thread) == (2, 1)
    (listed,) = (await members.get("/threads", headers=as_user("u_aroha"))).json()["threads"]
    assert (listed["read"], listed["unread"]) == (2, 1)
    assert await unread(members, "u_mia", thread) == (0, 2)
    assert (await read("u_dj", "nothing"))["code"] == "not_found"


async def test_what_is_read_in_the_inbox_is_read_in_the_thread(members: httpx.AsyncClient, thread: str) -> None:
    async with members.stream("GET", "/inbox/stream", params={"after": 0}, headers=as_user("u_aroha")) as response:
        for body in ("One", "Two", "Three"):
            await post(members, "u_dj", thread, body)
        async for line in response.aiter_lines():
            if '"text": "Three"' in line:
                break
    items = (await members.get("/inbox", headers=as_user("u_aroha"))).json()["items"]
    (two,) = [each["id"] for each in items if each["params"].get("text") == "Two"]
    answer = await members.post("/inbox/read", json={"ids": [two]}, headers=as_user("u_aroha"))
    assert (answer.status_code, answer.json()["unread"]) == (200, 1)
    assert await unread(members, "u_aroha", thread) == (2, 1)
    answer = await members.post("/inbox/read", json={"up_to": items[0]["id"]}, headers=as_user("u_aroha"))
    assert (answer.json()["unread"], await unread(members, "u_aroha", thread)) == (0, (3, 0))


async def test_pages_go_both_ways(members: httpx.AsyncClient, mirror: Mirror, thread: str) -> None:
    for number in range(5):
        await post(members, "u_dj", thread, str(number))
    await mirror.follow()

    async def page(**query: int) -> list[str]:
        answer = await members.get(f"/threads/{thread}/messages", params=query, headers=as_user("u_mia"))
        return [each["body"] for each in answer.json()["messages"]]

    assert await page(limit=2) == ["4", "3"]
    assert await page(limit=2, before=4) == ["2", "1"]
    assert await page(limit=2, after=0) == ["0", "1"]
    assert await page(after=3) == ["3", "4"]
    assert await page(after=5) == []


async def test_nobody_else_reads_or_writes(members: httpx.AsyncClient, thread: str) -> None:
    await post(members, "u_dj", thread)
    for user in ("u_bo", "u_ann", "u_chloe"):
        assert (await members.get(f"/threads/{thread}/messages", headers=as_user(user))).status_code == 404
        assert (await post(members, user, thread, status=404))["code"] == "not_found"
        answer = await members.put(f"/threads/{thread}/read", json={"message": "x"}, headers=as_user(user))
        assert answer.status_code == 404


async def test_where_there_is_no_thread_nothing_is_written(members: httpx.AsyncClient) -> None:
    """The couple may open a document of any name, and a message there reaches nobody."""
    headers = as_user("u_aroha")
    assert (await post(members, "u_aroha", "t_of_another_wedding", status=404))["code"] == "not_found"
    assert (await members.get("/threads/t_of_another_wedding/messages", headers=headers)).status_code == 404
    answer = await members.put("/threads/t_of_another_wedding/read", json={"message": "x"}, headers=headers)
    assert answer.status_code == 404
    assert "Hello" not in (await members.get("/documents/thread.t_of_another_wedding", headers=headers)).text


async def test_long_ones_and_what_cannot_be(members: httpx.AsyncClient, thread: str) -> None:
    body = "مرحبا 👰🏽‍♀️ <b>&amp;\r\n" * 200
    assert (await post(members, "u_dj", thread, body[:4000]))["body"] == body[:4000]
    for wrong in (
        {"body": ""},
        {"body": "x" * 4001},
        {"kind": "system"},
        {"id": "a b"},
        {"from": "u_aroha"},
        {"at": 1},
    ):
        await post(members, "u_dj", thread, status=400, **{"body": "Hello", **wrong})
    assert (await post(members, "u_dj", thread, at="yesterday", status=422))["code"] == "operations_refused"
    assert (await post(members, "u_aroha", "a.b", status=404))["code"] == "not_found"


async def test_a_redacted_message_is_empty_everywhere(
    members: httpx.AsyncClient,
    mirror: Mirror,
    thread: str,
) -> None:
    await post(members, "u_dj", thread, "the ring is under the oak", id=ULID)
    operation = {"op": "set", "root": "redactions", "record": ULID, "value": {"at": AT, "by": "u_dj"}}
    path = f"/documents/thread.{thread}/ops"
    answer = await members.post(path, json={"operations": [operation]}, headers=as_user("u_dj"))
    assert answer.status_code == 200, answer.text
    again = await post(members, "u_dj", thread, "the ring is under the oak", id=ULID)
    assert (again["body"], again["redacted"]) == ("", True)
    await mirror.follow()
    (message,) = (await members.get(f"/threads/{thread}/messages", headers=as_user("u_aroha"))).json()["messages"]
    assert message == {"id": ULID, "sequence": 1, "redacted": True, "reactions": []} | {
        name: again[name] for name in ("from", "at", "kind", "body")
    }
    assert await unread(members, "u_aroha", thread) == (0, 0)
    events = (await members.get("/events", headers=as_user("u_aroha"))).text
    assert "the ring" not in events


def test_a_ulid_says_when_it_was_made() -> None:
    at = datetime(2026, 6, 20, 13, 30, tzinfo=UTC)
    assert (_written_at(_ulid(at)), _written_at(ULID)) == ("2026-06-20T13:30:00.000Z", WRITTEN)
    with pytest.raises(ProtocolError):
        _written_at("7" + "Z" * 25)


async def test_of_a_redacted_message_no_byte_is_left_in_any_table(
    with_members: LocalServer, members: httpx.AsyncClient, thread: str
) -> None:
    """Also where people were informed of it, and where it can be searched for."""
    storage, text = with_members.hub.storage, "Zwetschgenknoedel"
    await post(members, "u_dj", thread, text, id=ULID)
    while "inbox" not in await tables_with(storage, text):  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0.02)
    found = set(await tables_with(storage, text))
    assert found >= {"events", "inbox", "messages", "rows", "updates"}
    operation = {"op": "set", "root": "redactions", "record": ULID, "value": {"at": AT, "by": "u_dj"}}
    answer = await members.post(
        f"/documents/thread.{thread}/ops", json={"operations": [operation]}, headers=as_user("u_dj")
    )
    assert answer.status_code == 200, answer.text
    while not await storage.pending_purges(1):  # noqa: ASYNC110 - nothing signals it
        await asyncio.sleep(0.02)
    await with_members.hub.purger.purge_pending()
    while await storage.purge_search():  # as its sweep does
        pass
    assert await tables_with(storage, text) == []
    assert await tables_with(storage, text.casefold()) == []


async def test_a_person_whose_name_is_a_mail_address(members: httpx.AsyncClient, mirror: Mirror, thread: str) -> None:
    ada, files = {"Authorization": f"Bearer {token(sub='ada@example.org')}"}, f"/documents/thread.{thread}/attachments"
    file = (await members.post(files, params={"filename": "a.txt"}, content=b"hello", headers=ada)).json()
    sent = {"body": "Hello", "attachments": [file]}
    answer = await members.post(f"/threads/{thread}/messages", json=sent, headers=ada)
    assert answer.status_code == 201, answer.text
    await mirror.follow()
    (listed,) = (await members.get(files, headers=as_user("u_mia"))).json()["attachments"]
    assert (listed["message"], listed["by"]) == (answer.json()["id"], answer.json()["from"])
    assert (await members.get(f"/threads/{thread}", headers=ada)).json()["unread"] == 0

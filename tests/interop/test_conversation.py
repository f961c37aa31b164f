"""A conversation of two stock Yjs clients and a phone that speaks HTTP only, and what others get of it: nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from storage.messaging_tables import contacts
from tests.api.with_members import AT, WEDDING, as_user, make, server_with_members
from tests.interop.clients import NodeRunner
from tests.support.gate import LocalServer, until
from tests.support.sinks import MailSink, mail_sink
from tests.support.tokens import token

SECONDS = 60.0
SECRET = "under the oak"  # noqa: S105 - of the messages
TAKE_PART = ("u_aroha", "u_dj", "u_ann")
OUTSIDE = ("u_bo", "u_zoe", "u_chloe")
WRITE = "doc.getMap('messages').set(args.id, { from: args.user, at: args.at, kind: 'text', body: args.body })"
NUMBERS = (
    "JSON.stringify(Object.entries(doc.getMap('stamps').toJSON()).map(([id, each]) => [each.sequence, id]).sort())"
)


@pytest.fixture
def node() -> Iterator[NodeRunner]:
    runner = NodeRunner()
    yield runner
    runner.close()


@pytest.fixture
async def sink() -> AsyncIterator[MailSink]:
    async with mail_sink() as sink:
        yield sink


@pytest.fixture
async def server(
    tmp_path: Path, database_url: str, sink: MailSink, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LocalServer]:
    monkeypatch.setenv("CRDT_SERVER_SMTP_URL", f"smtp://127.0.0.1:{sink.port}")
    monkeypatch.setenv("CRDT_SERVER_MAIL_FROM", "wedding@example.org")
    async with server_with_members(tmp_path, database_url) as running:
        await put_addresses(running)
        yield running


@pytest.fixture
async def http(server: LocalServer) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server.url + WEDDING, trust_env=False, timeout=60) as client:
        yield client


async def put_addresses(server: LocalServer) -> None:
    """Everybody has a mailbox."""
    now = datetime.now(UTC)
    same = {"wedding": "w", "channel": "mail", "id": "c_1", "secret": "", "at": now, "confirmed_at": now}
    rows = [same | {"user": user, "address": f"{user}@example.org"} for user in TAKE_PART + OUTSIDE]
    await server.hub.storage._executor.write(lambda connection: connection.execute(insert(contacts), rows))


class Browser:
    """A stock client of a person."""

    def __init__(self, node: NodeRunner, user: str) -> None:
        self._node, self.user = node, user

    async def _call(self, command: str, **arguments: Any) -> Any:
        return await asyncio.to_thread(self._node.call, command, client=self.user, seconds=SECONDS, **arguments)

    async def open(self, server: LocalServer, document: str) -> None:
        params = {"token": token(sub=self.user, role=None)}
        await self._call("open", url=f"{server.ws_url}/w", room=document, params=params)
        await self.wait("provider.synced")

    async def wait(self, expression: str) -> Any:
        return await self._call("wait", expression=expression, args={})

    async def write(self, id_: str) -> None:
        args = {"id": id_, "user": self.user, "at": AT, "body": f"{id_} {SECRET}"}
        await self._call("run", code=WRITE, args=args)

    async def leave(self) -> None:
        await self._call("run", code="provider.disconnect()", args={})
        await self.wait("provider.ws === null")

    async def come_back(self) -> None:
        await self._call("run", code="provider.connect()", args={})
        await self.wait("provider.synced")

    async def numbers(self) -> str:
        found: str = await self._call("run", code=f"return {NUMBERS}", args={})
        return found


async def get(http: httpx.AsyncClient, user: str, path: str, **query: Any) -> Any:
    answer = await http.get(path, params=query, headers=as_user(user))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def unread(http: httpx.AsyncClient, user: str, thread: str) -> tuple[int, int]:
    """Messages that a person has not read, as the thread counts them and as the inbox does."""
    items = (await get(http, user, "/inbox", after=0))["items"]
    new = [each for each in items if each["type"] == "message.sent" and each["read_at"] is None]
    return (await get(http, user, f"/threads/{thread}"))["unread"], len(new)


async def read(http: httpx.AsyncClient, user: str, thread: str, message: dict[str, Any]) -> None:
    """A person reads up to a message on one device."""
    answer = await http.put(f"/threads/{thread}/read", json={"message": message["id"]}, headers=as_user(user))
    assert answer.json()["read"] == message["sequence"], answer.text


async def until_unread(http: httpx.AsyncClient, thread: str, **expected: int) -> None:
    """Wait for the router: then the counts agree everywhere."""
    async with asyncio.timeout(SECONDS):
        while {user: await unread(http, user, thread) for user in expected} != {
            user: (count, count) for user, count in expected.items()
        }:
            pass


async def test_it_is_one_conversation_across_offline_times(
    server: LocalServer, http: httpx.AsyncClient, node: NodeRunner, sink: MailSink
) -> None:
    at_once = {"send": ["in-app", "mail"]}
    assert (await http.put("/routing/message", json=at_once, headers=as_user("u_aroha"))).status_code == 200
    thread = await make(http, "u_aroha", "u_dj", "u_ann")
    id_, document = thread["id"], thread["document"]
    aroha, dj = Browser(node, "u_aroha"), Browser(node, "u_dj")
    await aroha.open(server, document)
    await dj.open(server, document)
    await aroha.write("m1")
    await dj.wait("doc.getMap('messages').size === 1")
    await until_unread(http, id_, u_aroha=0, u_dj=1, u_ann=1)
    for browser in (aroha, dj):
        await browser.leave()
    await dj.write("m2")
    await aroha.write("m3")
    body = {"id": "01JY3Z8Q7M4T2V6W8X9Y0ZABCD", "body": f"from the phone, {SECRET}"}
    for _ in range(2):  # its network went away before the answer came
        answer = await http.post(f"/threads/{id_}/messages", json=body, headers=as_user("u_ann"))
        assert answer.status_code == 201, answer.text
    await aroha.come_back()
    await dj.come_back()
    for browser in (aroha, dj):
        await browser.wait("doc.getMap('messages').size === 4 && doc.getMap('stamps').size === 4")
    assert await aroha.numbers() == await dj.numbers()
    await until_unread(http, id_, u_aroha=2, u_dj=3, u_ann=3)
    page = (await get(http, "u_ann", f"/threads/{id_}/messages", after=0))["messages"]
    assert [each["sequence"] for each in page] == [1, 2, 3, 4]
    assert [(each["sequence"], each["from"]) for each in page[:2]] == [(1, "u_aroha"), (2, "u_ann")]
    assert {each["id"] for each in page} == {"m1", "m2", "m3", body["id"]}
    await read(http, "u_ann", id_, page[3])
    await read(http, "u_dj", id_, page[1])
    of_others = sum(each["from"] != "u_dj" for each in page[2:])
    await until_unread(http, id_, u_aroha=2, u_dj=of_others, u_ann=0)
    await until(lambda: len(sink.mail) == 8)  # two are informed of each
    assert set(sink.recipients) == {f"{user}@example.org" for user in TAKE_PART}
    await nothing_outside(server, http, id_, document)


async def nothing_outside(server: LocalServer, http: httpx.AsyncClient, thread: str, document: str) -> None:
    """Not a byte of the conversation is for those who take no part."""
    for user in OUTSIDE:
        frames: list[bytes] = []
        url = f"{server.ws_url}/w/{document}?token={token(sub=user, role=None)}"
        async with asyncio.timeout(SECONDS), connect(url, compression=None, proxy=None) as socket:
            with suppress(ConnectionClosed):
                while True:
                    frame = await socket.recv()
                    frames.append(frame if isinstance(frame, bytes) else frame.encode())
            assert socket.close_code == 4404
        texts = [b"".join(frames)]
        for path in (f"/threads/{thread}", f"/threads/{thread}/messages", f"/documents/{document}"):
            answer = await http.get(path, headers=as_user(user))
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), path
            texts.append(answer.content)
        for path, query in (("/inbox", {"after": "0"}), ("/events", {}), ("/threads", {}), ("/search", {"q": "oak"})):
            answer = await http.get(path, params=query, headers=as_user(user))
            assert answer.status_code == 200, answer.text
            texts.append(answer.content)
        for text in texts:
            assert SECRET.encode() not in text
            assert thread.encode() not in text
    async with asyncio.timeout(SECONDS):  # whereas those who take part find it
        while len((await get(http, "u_dj", "/search", q="oak"))["hits"]) < 4:
            pass

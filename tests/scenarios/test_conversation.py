"""Two stock Yjs clients and a phone that only speaks HTTP hold a conversation across offline times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from crdt_server import Settings
from documents import kind_of
from storage import open_storage
from tests.api.with_members import settings_with_tokens
from tests.scenarios.people import Node, equal, node
from tests.scenarios.signed import Person, SignedClient
from tests.support.gate import LocalServer, local_server
from tests.support.mirrored import Mirror
from tests.support.rights import put_member

AROHA, DJ, MIA, CHLOE = (Person(user) for user in ("u_aroha", "u_dj", "u_mia", "u_chloe"))
ROLES = {AROHA: "couple", DJ: "vendor", MIA: "planner", CHLOE: "guest"}
SAY = (
    "doc.getMap('messages').set(args.id, {from: args.user, at: '2026-06-20T13:30:00Z', kind: 'text', body: args.body})"
)
ULID = "01JY3Z8Q7M4T2V6W8X9Y0ZABCD"
PRIVATE = "the ring is under the oak"


class Conversation:
    """A thread, with clients and phones."""

    def __init__(self, server: LocalServer, there: Node) -> None:
        self.server, self.node = server, there
        self.mirror = Mirror(server.hub.storage)
        self.thread = ""

    def phone(self, person: Person) -> httpx.AsyncClient:
        headers = {"Authorization": f"Bearer {person.token('w')}"}
        base_url = f"{self.server.url}/api/weddings/w"
        return httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60, trust_env=False)

    async def enter(self, person: Person, name: str) -> SignedClient:
        document = f"thread.{self.thread}"
        kind = kind_of(document)
        assert kind is not None
        await self.node.call(
            "join",
            client=name,
            url=f"{self.server.ws_url}/w",
            room=document,
            params={"token": person.token("w")},
            clientID=None,
            roots={root: declared.shape.value for root, declared in kind.roots.items()},
            record=True,
        )
        return SignedClient(self.node, name, person, document)

    async def unread(self, person: Person) -> tuple[int, int]:
        """How far somebody has read and how many messages are unread, which two of their devices agree about."""
        await self.mirror.follow()
        async with self.phone(person) as one, self.phone(person) as other:
            listed = (await one.get("/threads")).json()["threads"]
            single = (await other.get(f"/threads/{self.thread}")).json()
        assert [each["unread"] for each in listed] == [single["unread"]]
        return single["read"], single["unread"]

    async def messages(self, person: Person) -> list[dict[str, Any]]:
        await self.mirror.follow()
        async with self.phone(person) as phone:
            return (await phone.get(f"/threads/{self.thread}/messages", params={"after": 0})).json()["messages"]  # type: ignore[no-any-return]


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return settings_with_tokens(tmp_path, database_url)


async def say(client: SignedClient, id_: str, body: str) -> None:
    await client.run(SAY, id=id_, user=client.who.user, body=body)


async def test_two_yjs_clients_and_a_phone(settings: Settings) -> None:
    storage = await open_storage(settings.database_url, migrate=True)
    for person, role in ROLES.items():
        await put_member(storage, person.user, role)
    await storage.close()
    async with local_server(settings) as server, node() as there:
        talk = Conversation(server, there)
        async with talk.phone(AROHA) as http:
            made = await http.post("/threads", json={"title": "Band", "participants": ["u_dj", "u_mia"]})
            talk.thread = made.json()["id"]
        aroha, dj = await talk.enter(AROHA, "aroha"), await talk.enter(DJ, "dj")
        await say(aroha, "m1", "Which song first?")
        await dj.wait("doc.getMap('stamps').has('m1')")
        await dj.disconnect()
        await say(dj, "m2", "Ours, of course.")
        await say(dj, "m3", PRIVATE)
        async with talk.phone(MIA) as phone:
            body = {"id": ULID, "body": "Ten past eight."}
            for _ in range(2):  # the answer of the first was lost
                (await phone.post(f"/threads/{talk.thread}/messages", json=body)).raise_for_status()
        await aroha.wait("doc.getMap('stamps').has(args.id)", id=ULID)
        assert [each["id"] for each in await talk.messages(MIA)] == ["m1", ULID]
        assert await talk.unread(AROHA) == (0, 1)
        await dj.connect()
        await dj.wait("doc.getMap('stamps').has('m3')")
        await aroha.wait("doc.getMap('stamps').has('m3')")
        rows = await equal([aroha, dj])
        order = {message: stamp["sequence"] for message, stamp in rows["stamps"].items()}
        assert order == {"m1": 1, ULID: 2, "m2": 3, "m3": 4}
        assert {each["id"]: each["sequence"] for each in await talk.messages(MIA)} == order
        assert [await talk.unread(person) for person in (AROHA, DJ, MIA)] == [(0, 3), (0, 2), (0, 3)]
        async with talk.phone(MIA) as phone:
            answer = await phone.put(f"/threads/{talk.thread}/read", json={"message": "m2"})
            assert answer.json() == {"read": 3, "unread": 1}
        assert [await talk.unread(person) for person in (AROHA, DJ, MIA)] == [(0, 3), (0, 2), (3, 1)]
        stranger = await talk.enter(CHLOE, "stranger")
        await stranger.wait("client.closes.length > 0")
        assert await stranger.closes() == [4404]
        assert await stranger.found([b"song", b"course", PRIVATE.encode(), b"Ten past"]) == set()
        async with talk.phone(CHLOE) as phone:
            for path in ("", "/messages"):
                assert (await phone.get(f"/threads/{talk.thread}{path}")).status_code == 404
            paths = ("/threads", "/events", "/inbox", "/search?q=song", "/search?q=oak")
            listed = [(await phone.get(path)).json() for path in paths]
            assert talk.thread not in json.dumps(listed)
        await say(aroha, "m4", "Thank you all.")
        assert (await talk.messages(DJ))[:4] == (await talk.messages(MIA))[:4]

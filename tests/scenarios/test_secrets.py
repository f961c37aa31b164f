"""Scenario 6: strings planted in every document of a wedding, and everything that leaves the server searched for them:
all frames of stock clients in each role and document, and the bodies of all GET calls that the OpenAPI description
names. Each string comes to the roles that may read it, and to no other: live, after a restart with compaction, to
newcomers and to clients that return, also with fewer rights than before.

Zones in presence are not among them: they are stamped and filtered elsewhere.
"""

from __future__ import annotations

import asyncio
import struct
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import httpx
import pytest

from crdt_server import Settings
from crdt_server.maintenance import compact_store
from documents.derived import DECLARATIONS
from documents.registry import FAMILIES, NAMES
from tests.scenarios.signed import Guarded, Person, SignedClient
from tests.support.server import ServerProcess

pytestmark = pytest.mark.asyncio(loop_scope="module")

COUPLE, PLANNER = Person("u_ada", "couple"), Person("u_pia", "planner")
FLORIST = Person("u_flora", "vendor", vendor="v_flora")
PEOPLE = (
    COUPLE,
    PLANNER,
    Person("u_kit", "coordinator"),
    Person("u_barn", "venue", vendor="v_barn"),
    Person("u_cook", "caterer", vendor="v_cook"),
    Person("u_lens", "photographer", vendor="v_lens"),
    FLORIST,
    Person("u_mum", "family", guest="g_3", side="a"),
    Person("u_bo", "wedding_party"),
    Person("u_cleo", "guest", guest="g_1"),
)
MIA = Person("u_mia")
"""A member, in the role that she has at a moment."""

AUDIENCES = {"vendor": [each.vendor for each in PEOPLE if each.vendor], "guest": ["g_1", "g_2", "g_3"], "side": "ab"}
DERIVED = [
    name
    for each in DECLARATIONS
    for name in ([f"{each.name}.{own}" for own in AUDIENCES[each.own]] if each.own else [each.name])
]
DOCUMENTS = [*sorted(NAMES), "notes.n", "seating.e", "thread.t", *DERIVED]

SUM = 874_512_963
PLANTED = {
    "wedding": """
      add('vendors', 'v_flora', { name: 'Peonies', stage: 'booked', note: 'VENDORNOTE' })
      add('events', 'e_1', { name: 'PUBLICEVENT', visibility: 'public' })
      add('tasks', 'k_1', { title: 'TASKTITLE', note: '' })""",
    "timeline": """
      add('items', 'i_1', { title: 'PRIVATEITEM', visibility: 'private', 'vendor:v_flora': true, note: '' })
      add('items', 'i_2', { title: 'Arch', visibility: 'public', 'vendor:v_flora': true, note: 'TEAMNOTE' })
      add('items', 'i_3', { title: 'FLORISTITEM', 'vendor:v_flora': true, note: '' })""",
    "guests": """
      add('guests', 'g_1', { firstName: 'Cleo', side: 'a', phone: 'PHONEOFA', note: '' })
      add('guests', 'g_2', { firstName: 'Bo', side: 'b', phone: 'PHONEOFB', email: 'MAILOFB', note: 'GUESTNOTE' })""",
    "care": "add('care', 'g_1', { 'allergy:nuts': 'severe', note: 'MEDICALNOTE' })",
    "budget": f"""
      add('items', 'b_1', {{ name: 'BUDGETITEM', actual: {SUM}, note: 'BUDGETNOTE' }})
      doc.getMap('contributions').set('c_1', {{ contributor: 'GIVERNAME', amount: 5, guest: 'g_3' }})""",
    "seating": "add('rules', 'r_1', { reason: 'FEUDREASON' })",
    "thread.t": """
      const message = { from: 'u_ada', at: '2026-05-01T10:00:00Z', kind: 'text', body: 'MESSAGEBODY' }
      doc.getMap('messages').set('m_1', message)""",
    "notes.n": "doc.getMap('text').set('x', 'NOTESTEXT')",
}
ORGANIZERS = {"couple", "planner"}
TEAM = {*ORGANIZERS, "coordinator"}
INNER = {*TEAM, "family", "wedding_party"}
ALL = {each.role for each in PEOPLE}
READERS: Mapping[str, set[str]] = {
    "BUDGETITEM": ORGANIZERS,
    "BUDGETNOTE": ORGANIZERS,
    "SUM": ORGANIZERS,
    "GIVERNAME": {*ORGANIZERS, "family"},
    "MEDICALNOTE": TEAM,
    "PRIVATEITEM": TEAM,
    "TEAMNOTE": INNER,
    "FLORISTITEM": {*INNER, "vendor"},
    "PHONEOFA": {*ORGANIZERS, "family", "guest"},
    "PHONEOFB": ORGANIZERS,
    "MAILOFB": ORGANIZERS,
    "GUESTNOTE": ORGANIZERS,
    "VENDORNOTE": INNER,
    "TASKTITLE": INNER,
    "PUBLICEVENT": ALL,
    "FEUDREASON": {*TEAM, "family"},
    "MESSAGEBODY": TEAM,
    "NOTESTEXT": TEAM,
}


def var_int(value: int) -> bytes:
    """A positive integer as lib0 writes it."""
    found, value = [value & 0x3F | 0x80], value >> 6
    while value:
        found.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
    return bytes(found)


ENCODED: dict[bytes, str] = {
    **{word.encode(): word for word in READERS},
    **dict.fromkeys((str(SUM).encode(), var_int(SUM), struct.pack(">d", SUM), struct.pack(">q", SUM)), "SUM"),
}


class Everything:
    """All that came to people, as the planted words in it."""

    def __init__(self, guarded: Guarded, calls: Iterable[str]) -> None:
        self.guarded, self.calls = guarded, list(calls)
        self.clients: dict[Person, list[SignedClient]] = defaultdict(list)
        self.admitted: dict[Person, list[str]] = {}
        self.swept: frozenset[Person] = frozenset()

    async def each(self, work: Any) -> None:
        async with asyncio.TaskGroup() as group:
            for person in PEOPLE:
                group.create_task(work(person))

    async def enter(self, person: Person) -> None:
        """Open every document, or those that were open to the person before."""
        found = [await self.guarded.enter(person, name) for name in self.admitted.get(person, DOCUMENTS)]
        let_in = [client for client in found if not await client.closes()]
        self.admitted[person] = [client.document for client in let_in]
        self.clients[person] += let_in

    def requested(self, person: Person) -> list[str]:
        """All documents for the first time, and then those that were open to the person."""
        first, self.swept = person not in self.swept, self.swept | {person}
        return DOCUMENTS if first else self.admitted[person]

    async def bodies(self, person: Person) -> bytes:
        """The bodies of all GET calls."""
        found = []
        async with self.guarded.http(person) as http:
            for call in self.calls:
                names = self.requested(person) if "{document}" in call else [""]
                for name in names:
                    known = {"wedding": self.guarded.wedding, "document": name, "thread": "t"}
                    path = call.format_map(defaultdict(lambda: "none", known))
                    url = f"{self.guarded.server.url}{path}"
                    found.append(await (stream if call.endswith("/stream") else get)(http, url))
        return b"".join(found)

    async def search(self, person: Person) -> None:
        """Compare what came to a person with what they may read."""
        expected = {word for word, readers in READERS.items() if person.role in readers}
        for client in self.clients[person]:
            await client.wait("provider.wsconnected && provider.synced")
        frames = {word for client in self.clients[person] for word in await client.found(ENCODED)}
        assert {ENCODED[word] for word in frames} == expected, person

    async def request(self, person: Person) -> None:
        """Compare what HTTP answers to a person with what they may read."""
        expected = {word for word, readers in READERS.items() if person.role in readers}
        bodies = await self.bodies(person)
        assert {word for encoded, word in ENCODED.items() if encoded in bodies} == expected, person


async def get(http: httpx.AsyncClient, url: str) -> bytes:
    return (await http.get(url)).content


async def stream(http: httpx.AsyncClient, url: str) -> bytes:
    """A stream from its first event, or item of an inbox, to the newest, whether or not the person may read that."""
    page = (await http.get(url.removesuffix("/stream"))).json()
    newest = page["head"] if "head" in page else max((each["id"] for each in page["items"]), default=0)
    found = []
    async with http.stream("GET", url, params={"after": 0}) as answer:
        async for line in answer.aiter_lines():
            found.append(line)
            if line == f"id: {newest}":
                return "\n".join(found).encode()
    raise AssertionError(f"the stream ended before event {newest}: {found}")


async def calls(server: ServerProcess) -> list[str]:
    """The paths of all GET calls; of those in paths only the wedding and the document are parameters."""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        described = (await http.get("/api/openapi.json")).json()["paths"]
    return [path for path, operations in described.items() if "get" in operations]


async def plant(guarded: Guarded) -> list[SignedClient]:
    writers = [await guarded.enter(COUPLE, document) for document in PLANTED]
    for client in writers:
        await client.run(PLANTED[client.document])
    for client in writers:
        await client.wait("client.sent.length === 0")
    return writers


async def test_each_string_comes_to_those_who_may_read_it(guarded: Guarded) -> None:
    assert {name for name in DOCUMENTS if "@" not in name} >= NAMES
    assert {name.partition(".")[0] for name in DOCUMENTS if "." in name and "@" not in name} == FAMILIES
    everything = Everything(guarded, await calls(guarded.server))
    await everything.each(everything.enter)  # before there is anything: what is planted comes live
    await plant(guarded)
    await everything.each(everything.search)
    await everything.each(everything.request)
    await asyncio.to_thread(guarded.server.terminate)
    settings = Settings(dev=True, database_url=guarded.server.database_url)
    assert await compact_store(settings, None, lambda _: None) == 0
    await asyncio.to_thread(guarded.server.start)
    await everything.each(everything.search)  # those who return
    for clients in everything.clients.values():
        for client in clients:
            await client.leave()
        clients.clear()
    await everything.each(everything.enter)
    await everything.each(everything.search)
    await everything.each(everything.request)


async def test_nothing_new_comes_to_a_client_that_returns_with_fewer_rights(guarded: Guarded) -> None:
    guarded = Guarded(guarded.server, guarded.node, "w_2")
    writers = {client.document: client for client in await plant(guarded)}
    florist = await guarded.enter(FLORIST, "timeline@v.v_flora")
    await florist.wait("get('items', 'i_3') !== undefined")
    async with guarded.http(COUPLE) as http:
        (await http.post("/members", json={"user": MIA.user, "role": "planner"})).raise_for_status()
        mine = [await guarded.enter(MIA, document) for document in PLANTED]
        assert [await client.closes() for client in mine] == [[]] * len(mine)
        for client in (*mine, florist):
            await client.disconnect()
            await client.run("client.frames.length = client.closes.length = 0")
        changed = {"role": "wedding_party"}
        (await http.patch(f"/members/{MIA.user}", json=changed)).raise_for_status()
    await writers["timeline"].run("get('items', 'i_3').delete('vendor:v_flora')")
    await writers["timeline"].run("get('items', 'i_3').set('title', 'NEWTITLE')")
    await writers["budget"].run("get('items', 'b_1').set('name', 'NEWBUDGET')")
    await writers["guests"].run("get('guests', 'g_2').set('phone', 'NEWPHONE')")
    await writers["care"].run("get('care', 'g_1').get('note').insert(0, 'NEWMEDICAL')")
    for writer in writers.values():
        await writer.wait("client.sent.length === 0")
    for client in (*mine, florist):
        await client.run("provider.connect()")
        await client.wait("provider.synced || client.closes.length > 0")
    await florist.wait("get('items', 'i_3') === undefined")
    for client in mine:
        assert await client.closes() == (
            [] if client.document == "wedding" else [4404 if "." in client.document else 4403]
        )
    for client in (*mine, florist):
        assert await client.found([b"NEWTITLE", b"NEWBUDGET", b"NEWPHONE", b"NEWMEDICAL"]) == set(), client.name

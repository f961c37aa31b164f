"""Twenty people write into the documents of one wedding while the server is killed, and while its disk is full."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from pycrdt import Doc, Map, Text

from documents import kind_of
from documents.events import fold
from documents.kind import Shape
from documents.readers import canonical_json
from storage import open_storage
from tests.crash.process import CrashServer
from tests.scenarios.people import Client, Node, Who, equal, node
from tests.support.databases import ON_SQLITE
from tests.support.effort import EVERYTHING, promised, timed

KILLS = 5 if EVERYTHING else 2
SEED = 7
EACH = 5  # clients of each document
CONVERGE_SECONDS = promised(10.0)
SMALLEST_FILE = 4096
TRY_AGAIN = 1013
LOST = 1006
OVERLOADED = 4503  # nothing else is answered by a server that the machine leaves no time

BEGIN = {
    "guests": "for (let n = 0; n < 40; n++) add('guests', `g_${n}`, { firstName: `${n}`, order: 'a0', note: '' })",
    "seating": "for (let n = 0; n < 5; n++) add('tables', `t_${n}`, { label: `${n}`, capacity: 10, order: 'a0' })",
    "timeline": "for (let n = 0; n < 10; n++) add('items', `i_${n}`, { title: `${n}`, start: 600, note: '' })",
    "budget": "for (let n = 0; n < 10; n++) add('items', `b_${n}`, { name: `${n}`, quoted: 50000000, note: '' })",
}
EDIT = {
    "guests": """
        const guest = get('guests', `g_${pick(40)}`)
        if (n % 4 === 0) add('guests', `g_${args.name}_${n}`, { firstName: args.name, order: 'a0', note: '' })
        else if (n % 4 === 1) guest.get('note').insert(pick(guest.get('note').length + 1), `${args.name} ${n} `)
        else guest.set('meal', pick(2) ? 'fish' : 'beef')
    """,
    "seating": """
        const assignments = doc.getMap('assignments')
        const guest = `g_${pick(40)}`
        if (n % 5 === 0) assignments.delete(guest)
        else assignments.set(guest, { table: `t_${pick(5)}`, seat: pick(2) ? null : pick(10) })
    """,
    "timeline": "get('items', `i_${pick(10)}`).set('start', 5 * pick(288))",
    "budget": """
        if (n % 2) get('items', `b_${pick(10)}`).set('quoted', 50000000 + pick(1000))
        else {
          const payment = { item: `b_${pick(10)}`, amount: 1 + pick(1000), on: '2026-01-15', kind: 'deposit' }
          doc.getMap('payments').set(`pay_${args.name}_${n}`, payment)
        }
    """,
}
WRITE = """
client.n ??= 0
client.chance ??= args.seed
const pick = bound => (client.chance = client.chance * 48271 % 2147483647) % bound
client.timer = setInterval(() => {{ const n = ++client.n; {edit} }}, 200)
"""
OWN_RECEIVED = "Y.getState(client.received.store, doc.clientID)"


class Crowd:
    """Clients of one wedding's documents, and the server they write to."""

    def __init__(self, server: CrashServer, rooms: dict[str, list[Client]]) -> None:
        self.server = server
        self.rooms = rooms
        self.clients = [client for room in rooms.values() for client in room]

    @classmethod
    async def gather(cls, server: CrashServer, node: Node) -> Crowd:
        rooms: dict[str, list[Client]] = {document: [] for document in EDIT}
        for document, members in rooms.items():
            for number in range(EACH):
                user = f"{document}{number}"
                who = Who(user, ("couple", "planner", "family")[number % 3])
                members.append(await Client.join(node, user, who, f"{server.ws_url}/w", document, None))
            await members[0].run(BEGIN[document])
            await equal(members)
        return cls(server, rooms)

    async def start_writing(self) -> None:
        for number, client in enumerate(self.clients, 1):
            code = WRITE.format(edit=EDIT[client.document])
            await client.run(code, name=client.who.user, seed=SEED * 1_000 + number)

    async def stop_writing(self) -> None:
        await self._all("clearInterval(client.timer)")

    async def heard(self, each: int) -> None:
        """Wait until everybody has got so many more of their own writes back."""
        before = await self._all(f"return {OWN_RECEIVED}")
        async with asyncio.TaskGroup() as group:
            for client, clock in zip(self.clients, before, strict=True):
                group.create_task(client.wait(f"{OWN_RECEIVED} >= args.clock", clock=clock + each))

    async def cut_off(self) -> None:
        await asyncio.gather(*(client.wait("!provider.wsconnected") for client in self.clients))

    async def sent_away(self) -> None:
        """Wait until everybody was told to try again."""
        await asyncio.gather(
            *(client.wait("client.closes.includes(args.code)", code=TRY_AGAIN) for client in self.clients)
        )

    async def _all(self, code: str) -> list[Any]:
        return await asyncio.gather(*(client.run(code) for client in self.clients))

    async def nothing_missing(self) -> None:
        """What anybody has received lies on the disk. Ask while the server cannot write."""
        for document, members in self.rooms.items():
            stored: Doc[Any] = Doc()
            for row in await self.server.stored(document):
                stored.apply_update(row)
            for client in members:
                update = await client.node.call("received", client=client.name)
                assert_holds(stored, document, base64.b64decode(update), client.name)

    async def converged(self, since: float) -> dict[str, dict[str, Any]]:
        """Wait until all clients of each document hold the same; what they hold."""
        held = await asyncio.gather(*(equal(members) for members in self.rooms.values()))
        assert monotonic() - since < CONVERGE_SECONDS
        return dict(zip(self.rooms, held, strict=True))


def assert_holds(doc: Doc[Any], document: str, update: bytes, whose: str) -> None:
    """A document already has every insertion and every deletion of an update."""
    vector, content = doc.get_state(), contents(doc, document)
    doc.apply_update(update)
    assert doc.get_state() == vector, f"insertions that {whose} had received are missing"
    assert contents(doc, document) == content, f"deletions that {whose} had received are missing"


def contents(doc: Doc[Any], document: str) -> dict[str, Any]:
    kind = kind_of(document)
    assert kind is not None
    return {
        name: str(doc.get(name, type=Text)) if root.shape is Shape.TEXT else json.loads(str(doc.get(name, type=Map)))
        for name, root in kind.roots.items()
    }


async def told(server: CrashServer) -> dict[str, Any]:
    """The rows of all documents as the events tell them, from the first one on."""
    storage = await open_storage(server.database_url)
    try:
        bodies: list[dict[str, Any]] = []
        seq = 0
        while page := await storage.events("w", after=seq):
            assert [event.seq for event in page] == list(range(seq + 1, seq + 1 + len(page)))
            seq = page[-1].seq
            bodies += [json.loads(event.body) for event in page]
        return fold(bodies)
    finally:
        await storage.close()


def same_rows(one: dict[str, Any], other: dict[str, Any], documents: Sequence[str]) -> bool:
    return all(canonical_json(one[document]) == canonical_json(other[document]) for document in documents)


@timed
@pytest.mark.slow
async def test_killed_again_and_again_and_out_of_space_once(tmp_path: Path) -> None:
    server = CrashServer(tmp_path, handshakes_per_second=0, compact_after_updates=40, room_grace_seconds=1)
    await server.start()
    try:
        async with node() as process:
            crowd = await Crowd.gather(server, process)
            await kill_again_and_again(server, crowd)
            if ON_SQLITE:  # whose disk is that of the server; of PostgreSQL's: tests/storage
                await fill_the_disk(server, crowd)
            held = await settle_and_restart(server, crowd)
            async with asyncio.timeout(CONVERGE_SECONDS):
                while not same_rows(await told(server), held, list(EDIT)):
                    held = await crowd.converged(monotonic())  # edits of texts are told when their document is opened
        assert await server.terminate() == 0
        code, output = await server.command("verify")
        assert code == 0, output
    finally:
        await server.stop()


async def kill_again_and_again(server: CrashServer, crowd: Crowd) -> None:
    chance = random.Random(SEED)
    for _ in range(KILLS):
        await crowd.start_writing()
        await crowd.heard(each=chance.randint(1, 6))
        await server.kill()
        await crowd.cut_off()
        await crowd.nothing_missing()
        await server.start()
        since = monotonic()
        await crowd.heard(each=1)
        await crowd.stop_writing()
        await crowd.converged(since)
    for client in crowd.clients:
        assert set(await client.run("return client.closes")) - {OVERLOADED} == {LOST}


async def fill_the_disk(server: CrashServer, crowd: Crowd) -> None:
    await crowd.start_writing()
    await crowd.heard(each=1)
    with server.log_file.open("a") as log:
        log.write("#" * SMALLEST_FILE + "\n")
    server.limit_files(SMALLEST_FILE)  # the log cannot be written either: it is on the same disk
    await crowd.sent_away()
    assert await server.status("/readyz") == 503
    await crowd.nothing_missing()
    server.limit_files(-1)
    since = monotonic()
    await crowd.heard(each=1)
    await crowd.stop_writing()
    await crowd.converged(since)


async def settle_and_restart(server: CrashServer, crowd: Crowd) -> dict[str, dict[str, Any]]:
    assert await server.terminate() == 0
    await crowd.cut_off()
    await crowd.nothing_missing()
    await server.start()
    since = monotonic()
    await asyncio.gather(*(client.wait("provider.synced") for client in crowd.clients))
    return await crowd.converged(since)

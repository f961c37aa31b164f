"""Twenty clients that write into several rooms while something breaks, and the one question asked afterwards:
is anything missing that a client had received?"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pycrdt import Array, Doc

from crdt_server.protocol.update import decode_state_vector
from tests.crash.process import CrashServer
from tests.support.effort import promised
from tests.support.yclient import YClient

PACE_SECONDS = 0.05
CONVERGE_SECONDS = promised(10.0)


class Fleet:
    """Clients of several rooms of one server, and one writing task for each."""

    def __init__(self, server: CrashServer, rooms: dict[str, list[YClient]], seed: int) -> None:
        self.server = server
        self.rooms = rooms
        self.clients = [client for clients in rooms.values() for client in clients]
        self._random = random.Random(seed)
        self._writers: list[asyncio.Task[None]] = []

    def start_writing(self) -> None:
        self._writers = [asyncio.create_task(self._keep_writing(client)) for client in self.clients]

    async def _keep_writing(self, client: YClient) -> None:
        while True:
            await asyncio.sleep(PACE_SECONDS * self._random.uniform(0.5, 1.5))  # the pace of the load, not a wait
            await client.write()

    async def stop_writing(self) -> None:
        for writer in self._writers:
            writer.cancel()
        for outcome in await asyncio.gather(*self._writers, return_exceptions=True):
            if not isinstance(outcome, asyncio.CancelledError):
                raise AssertionError("a writer ended by itself") from outcome
        self._writers = []

    async def heard(self, each: int, seconds: float = 60.0) -> None:
        """Wait until every client has got ``each`` more of its own edits back."""
        targets = {client: client.own_clock_received + each for client in self.clients}
        await asyncio.gather(
            *(c.until(lambda c=c, t=target: c.own_clock_received >= t, seconds) for c, target in targets.items())  # type: ignore[misc]
        )

    async def cut_off(self) -> None:
        """Wait until every client has read all that it got, and noticed that the connection is gone."""
        await asyncio.gather(*(c.until(lambda c=c: not c.connected, 60) for c in self.clients))  # type: ignore[misc]

    def receipts(self) -> dict[str, list[bytes]]:
        """What each room's clients have received so far, as updates: none of it may ever be missing again."""
        return {room: [c.received.get_update() for c in clients] for room, clients in self.rooms.items()}

    async def nothing_missing(self, receipts: dict[str, list[bytes]]) -> None:
        """Compare with the disk. Ask while the server is down or cannot write: who comes back brings copies."""
        for room, updates in receipts.items():
            stored: Doc[Any] = Doc()
            for row in await self.server.stored(room):
                stored.apply_update(row)
            for update in updates:
                assert_holds(stored, update, room)

    async def converged(self, seconds: float = CONVERGE_SECONDS) -> float:
        """Wait until everybody (nobody writes any more) has everything; the seconds it took."""
        begin = asyncio.get_running_loop().time()
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(c.until(lambda c=c: c.saved, seconds) for c in self.clients))  # type: ignore[misc]
            for clients in self.rooms.values():
                everything = set().union(*(c.own for c in clients))
                for client in clients:
                    await client.until(lambda c=client, e=everything: set(c.tokens(c.received)) == e, seconds)  # type: ignore[misc]
        for room, clients in self.rooms.items():
            stored: Doc[Any] = Doc()
            stored.apply_update(await self.server.state(room))
            expected = clients[0].tokens(stored)
            for client in clients:
                assert client.tokens() == client.tokens(client.received) == expected, f"{room}: {client.name} differs"
        return asyncio.get_running_loop().time() - begin


@asynccontextmanager
async def fleet(server: CrashServer, *, rooms: int = 4, clients: int = 20, seed: int = 0) -> AsyncIterator[Fleet]:
    """A fleet that is connected and synced, and gone at the end."""
    members: dict[str, list[YClient]] = {f"notes.room{n}": [] for n in range(rooms)}
    for number, name in enumerate(sorted(members) * clients):
        if number == clients:
            break
        members[name].append(YClient(server.socket_url(name), f"c{number}", seed))
    everybody = [client for room in members.values() for client in room]
    async with _all(everybody):
        await asyncio.gather(*(client.until(lambda c=client: c.synced) for client in everybody))  # type: ignore[misc]
        yield Fleet(server, members, seed)


@asynccontextmanager
async def _all(clients: Sequence[YClient]) -> AsyncIterator[None]:
    await asyncio.gather(*(client.__aenter__() for client in clients))
    try:
        yield
    finally:
        await asyncio.gather(*(client.__aexit__(None, None, None) for client in clients))


def assert_holds(doc: Doc[Any], update: bytes, room: str) -> None:
    """A document already holds an update: every insertion and every deletion of it."""
    edits = doc.get("edits", type=Array)
    before, clocks = str(edits), decode_state_vector(doc.get_state())
    doc.apply_update(update)
    after = str(edits)
    assert decode_state_vector(doc.get_state()) == clocks, f"{room}: insertions are missing"
    assert after == before, f"{room}: missing {set(json.loads(before)) ^ set(json.loads(after))}"

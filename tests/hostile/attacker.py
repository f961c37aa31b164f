"""What all attacks are made of: sockets and requests from an address of the attack's own, and a tally.

Rates are bounded: what is to be measured is the server, not the generator.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from crdt_server.hub.ticks import ANSWER_SECONDS
from crdt_server.protocol.lib0 import write_var_bytes
from tests.hostile.contents import small_edit
from tests.hostile.link import Answer, Link, Refused, http

STEP_1, STEP_2, UPDATE = b"\0\0", b"\0\1", b"\0\2"
MAX_FRAME_BYTES = 16 << 20
KEPT_BYTES = 1 << 20
MARGIN_SECONDS = 5.0
JSON = "Content-Type: application/json\r\n"
HOCUSPOCUS_SHARE = 0.4
"""Of the sockets of attacks that both wires can carry."""

FINAL = range(4400, 4500)
"""Close codes after which a stock client does not connect again."""


def message(kind: bytes, payload: bytes) -> bytes:
    """One sync message."""
    return kind + write_var_bytes(payload)


def exchange(update: bytes, state_vector: bytes = b"\0") -> bytes:
    """The body of an offline sync."""
    return write_var_bytes(state_vector) + write_var_bytes(update)


@dataclass
class Tally:
    """What an attack did and what became of its connections."""

    connections: int = 0
    messages: int = 0
    sent_bytes: int = 0
    closes: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    http: Counter[int] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    """What the server must never do, as the attack itself has found it."""
    seconds: list[float] = field(default_factory=list)
    """How long an honest act within the attack took, where it has one: opening a document, a small paste."""

    def stopped(self) -> int:
        """How often the server closed, refused or postponed something."""
        closed = sum(count for code, count in self.closes.items() if code > 1006)
        return closed + self.refused.total() + sum(count for status, count in self.http.items() if status >= 400)


@dataclass
class Attacker:
    """One attack's place in the world."""

    host: str
    port: int
    source: str
    room: str
    honest_ids: list[int]
    killer_seconds: float
    large_bytes_in_room: int
    random: Random
    tally: Tally

    @property
    def wedding(self) -> str:
        """That in which honest people are attacked."""
        return self.room.split("/")[0]

    def weddings(self, name: str) -> Callable[[int], str]:
        """Where the n-th round happens: first where the honest are, then in weddings of the attack's own."""
        return lambda number: f"w_{name}{number}" if number else self.wedding

    @asynccontextmanager
    async def link(
        self, room: str | None = None, *, source: str | None = None, path: str | None = None
    ) -> AsyncIterator[Link]:
        """An open WebSocket to a document, on either wire; it is cut at the end, and what it ended with is counted.
        ``room`` may have a query. With a ``path`` it is that address, and nothing is said yet."""
        shared = path is None and self.random.random() < HOCUSPOCUS_SHARE
        room = room or self.room
        name, _, query = room.partition("?")
        if path is None:
            path = f"/hocuspocus?{query}" if shared else f"/ws/{room}"
        link = await self._open(path, source or self.source)
        self.tally.connections += 1
        if shared:
            link.open_document(name)
        try:
            yield link
        finally:
            if link.closed.done():
                self.tally.closes[link.closed.result()] += 1
            link.abort()

    async def _open(self, path: str, source: str) -> Link:
        while True:
            try:
                return await Link.open(self.host, self.port, path, source)
            except Refused as refused:
                self.tally.refused[refused.status] += 1
            except (OSError, TimeoutError):
                self.tally.refused[-1] += 1
            await asyncio.sleep(0.5)

    async def send(self, link: Link, payload: bytes, **frame: Any) -> None:
        """One frame, when the server has taken most of the earlier ones."""
        self.tally.messages += 1
        self.tally.sent_bytes += len(payload)
        link.send(payload, **frame)
        await link.drained()

    async def verdict(self, link: Link, seconds: float) -> None:
        """Give the server some time to close the connection."""
        # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the result.
        await asyncio.wait((link.closed,), timeout=seconds)

    async def post(self, path: str, body: bytes, *, source: str | None = None, headers: str = "") -> Answer:
        """A request that writes; status -1 where the connection failed."""
        return await self._http("POST", path, body, source, headers)

    async def get(self, path: str, *, source: str | None = None) -> Answer:
        """A request that reads."""
        return await self._http("GET", path, b"", source, "")

    async def _http(self, method: str, path: str, body: bytes, source: str | None, headers: str) -> Answer:
        self.tally.sent_bytes += len(body)
        try:
            answer = await http(self.host, self.port, source or self.source, method, path, body, headers=headers)
        except (OSError, TimeoutError):
            answer = Answer(-1, b"")
        self.tally.http[answer.status] += 1
        return answer

    async def sync(self, room: str, update: bytes, *, user: str = "mallory", source: str | None = None) -> Answer:
        """An update by HTTP. Comes again where the server has no room for it now."""
        while True:
            path = f"{self.document(room)}/sync?user={user}"
            answer = await self.post(path, exchange(update), source=source)
            if answer.status not in (-1, 429, 503):
                return answer
            await asyncio.sleep(1)

    async def operations(self, room: str, operations: Sequence[dict[str, Any]], *, user: str = "mallory") -> Answer:
        """A command by HTTP. Comes again where the server has no room for it now."""
        body = json.dumps({"operations": operations}, separators=(",", ":")).encode()
        while True:
            answer = await self.post(f"{self.document(room)}/ops?user={user}", body, headers=JSON)
            if answer.status not in (-1, 429, 503):
                return answer
            await asyncio.sleep(1)

    async def opens(self, room: str, *, source: str | None = None, user: str = "opener") -> None:
        """Open a document and edit it, as y-websocket does: a receipt comes, or a close that is not final."""
        begun = asyncio.get_running_loop().time()
        mark, update = small_edit(room, self.random)
        async with self.link(source=source, path=f"/ws/{room}?user={user}") as link:
            link.kept_bytes = KEPT_BYTES
            await self.send(link, message(STEP_1, b"\0"))
            await self.send(link, message(UPDATE, update))
            if await link.receives(mark, ANSWER_SECONDS + MARGIN_SECONDS):
                self.tally.seconds.append(asyncio.get_running_loop().time() - begun)
            elif not link.closed.done():
                self.tally.faults["a document was not opened, and its socket was not closed"] += 1
            elif link.closed.result() in FINAL:
                self.tally.faults[f"an honest edit was closed with {link.closed.result()}"] += 1

    def document(self, room: str | None = None) -> str:
        """The room's place in the HTTP API."""
        wedding, name = (room or self.room).split("/")
        return f"/api/weddings/{wedding}/documents/{name}"

    def fresh_id(self) -> int:
        """A Yjs client id that nobody honest has."""
        return self.random.randrange(1, 600_000_000)


async def stream(attacker: Attacker, rate: float, make: Callable[[], bytes]) -> None:
    """Messages at a rate; a new connection whenever the server ended the last."""
    while True:
        async with attacker.link() as link:
            while not link.closed.done():
                await attacker.send(link, make())
                await attacker.verdict(link, 1 / rate)

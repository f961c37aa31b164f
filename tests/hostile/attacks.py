"""The attackers: one process, many attacks, each from a loopback address of its own.

Run by `soak.py`, with low priority: `python -m tests.hostile.attacks '{"url": …}'` ends after `seconds` and prints a
tally as JSON. An attack is a coroutine that goes on until it is cancelled; whatever the server does to its
connection, it comes again. Rates are bounded: what is to be measured is the server, not the generator.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any
from urllib.parse import urlsplit

from crdt_server.protocol.lib0 import write_var_bytes, write_var_uint
from tests.hostile.link import CLOSE, CONTINUATION, PONG, TEXT, Link, Refused, client_frame, handshake, http
from tests.protocol.corpus import hostile_sequences, real_updates, state_vectors
from tests.protocol.grammar import damaged, random_update
from tests.support.wire import Typist

STEP_1, STEP_2, UPDATE = b"\0\0", b"\0\1", b"\0\2"
NICENESS = 10
LARGE_BYTES = (33_000, 100_000, 400_000, 1_000_000, 4_000_000)
MAX_FRAME_BYTES = 16 << 20
PARENT_IS_TEXT = bytes.fromhex(
    "010395ea9bae0f00040105c3bc6ec3af095f5f70726f746f5f5f040095ea9bae0f06026162a495ea9bae0f010661f09f928d6200"
)
"""Passes every check in front; pycrdt 0.14.13 fails half-way through it, and its host ends. Found by `grammar`."""

QUADRATIC_ITEMS = 3000


def message(kind: bytes, payload: bytes) -> bytes:
    """One sync message."""
    return kind + write_var_bytes(payload)


@dataclass
class Tally:
    """What an attack did and what became of its connections."""

    connections: int = 0
    messages: int = 0
    sent_bytes: int = 0
    closes: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    http: Counter[int] = field(default_factory=Counter)


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

    @asynccontextmanager
    async def link(self, room: str | None = None) -> AsyncIterator[Link]:
        """An open WebSocket, cut at the end; what it ended with is counted."""
        link = await self._open(f"/ws/{room or self.room}")
        self.tally.connections += 1
        try:
            yield link
        finally:
            if link.closed.done():
                self.tally.closes[link.closed.result()] += 1
            link.abort()

    async def _open(self, path: str) -> Link:
        while True:
            try:
                return await Link.open(self.host, self.port, path, self.source)
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

    async def post(self, path: str, body: bytes) -> None:
        await self._http("POST", path, body)

    async def get(self, path: str) -> None:
        await self._http("GET", path, b"")

    async def _http(self, method: str, path: str, body: bytes) -> None:
        try:
            self.tally.http[await http(self.host, self.port, self.source, method, path, body)] += 1
        except (OSError, TimeoutError):
            self.tally.http[-1] += 1

    def document(self, room: str | None = None) -> str:
        """The room's place in the HTTP API."""
        wedding, name = (room or self.room).split("/")
        return f"/api/weddings/{wedding}/documents/{name}"

    def fresh_id(self) -> int:
        """A Yjs client id that nobody honest has."""
        return self.random.randrange(1, 600_000_000)


async def _stream(attacker: Attacker, rate: float, make: Callable[[], bytes]) -> None:
    """Messages at a rate; a new connection whenever the server ended the last."""
    while True:
        async with attacker.link() as link:
            while not link.closed.done():
                await attacker.send(link, make())
                await attacker.verdict(link, 1 / rate)


# -- known killers


def quadratic(attacker: Attacker) -> list[bytes]:
    """Two clients that each put letters before their own: every letter of the second passes all of the first's."""
    first, second = Typist(2), Typist(attacker.fresh_id() + 3)
    return [first.many_items(QUADRATIC_ITEMS), second.many_items(QUADRATIC_ITEMS)]


async def killers(attacker: Attacker) -> None:
    """Every kept sequence as updates, as sync step 2 and by HTTP; the deadly ones in turn with a pause."""
    deadly = {"parent_is_text": [PARENT_IS_TEXT], "quadratic": quadratic(attacker)}
    sequences = deadly | hostile_sequences()
    (vector,) = sequences.pop("amplify_state_vector")
    while True:
        for name, updates in sequences.items():
            for kind in (UPDATE, STEP_2):
                async with attacker.link() as link:
                    for update in updates:
                        await attacker.send(link, message(kind, update))
                    await attacker.verdict(link, 2.0)
            for update in updates:
                await attacker.post(attacker.document() + "/sync", write_var_bytes(b"\0") + write_var_bytes(update))
            await asyncio.sleep(attacker.killer_seconds if name in deadly else 0.1)
        async with attacker.link() as link:
            await attacker.send(link, message(STEP_1, vector))
            await attacker.verdict(link, 2.0)
        await attacker.post(attacker.document() + "/sync", write_var_bytes(vector) + write_var_bytes(b"\0\0"))


# -- bytes that nearly are updates


async def vectors(attacker: Attacker) -> None:
    """State vectors: damaged, huge, never the same twice."""
    real = [data for data, _ in state_vectors()]
    random = attacker.random

    def make() -> bytes:
        match random.randrange(5):
            case 0:
                data = damaged(random, random.choice(real), real)
            case 1:
                data = random.randbytes(random.randrange(200))
            case 2:
                count = random.randrange(3000)
                clients = b"".join(write_var_uint(attacker.fresh_id()) + b"\5" for _ in range(count))
                data = write_var_uint(count) + clients
            case 3:
                data = write_var_uint(random.choice((1 << 30, (1 << 53) - 1, 1 << 40))) + b"\1\1"
            case _:
                data = b"\0"
        return message(STEP_1, data)

    await _stream(attacker, 20, make)


async def mutants(attacker: Attacker) -> None:
    """Updates of real clients with some bytes changed."""
    real = [update for update in real_updates() if len(update) < 4096]
    random = attacker.random

    def make() -> bytes:
        update = random.choice(real)
        if random.random() < 0.9:
            update = damaged(random, update, real)
        return message(random.choice((UPDATE, UPDATE, STEP_2)), update)

    await _stream(attacker, 40, make)


async def grammar(attacker: Attacker) -> None:
    """Updates by the grammar of the format: well-formed, mostly impossible."""
    random = attacker.random
    await _stream(attacker, 40, lambda: message(UPDATE, random_update(random)))


async def grammar_by_http(attacker: Attacker) -> None:
    """The same, damaged too, and bodies of no form, in exchanges."""
    random = attacker.random
    while True:
        update = random_update(random)
        if random.random() < 0.3:
            update = damaged(random, update)
        body = write_var_bytes(b"\0") + write_var_bytes(update)
        if random.random() < 0.1:
            body = random.randbytes(random.randrange(50))
        await attacker.post(attacker.document() + "/sync", body)
        name = random.choice(("notes.attacked", "nothing", "notes.", "%2e%2e", "notes.a%00b"))
        await attacker.get(f"/api/weddings/w_attacked/documents/{name}/state?state_vector={'A' * random.randrange(40)}")
        await asyncio.sleep(0.2)


# -- presence


def _presence(*states: tuple[int, int, bytes]) -> bytes:
    body = write_var_uint(len(states))
    body += b"".join(write_var_uint(id_) + write_var_uint(clock) + write_var_bytes(text) for id_, clock, text in states)
    return b"\1" + write_var_bytes(body)


async def presence(attacker: Attacker) -> None:
    """States of honest clients, of 100,000 clients, of none; clocks and JSON that break readers."""
    random = attacker.random
    texts = (
        b'{"user":{"name":"Mallory"}}',
        b'{"x":NaN}',
        b'{"x":Infinity}',
        b"null",
        b"",
        b"[" * 100_000,
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b'"\xff\xfe"',
        b'{"x":"\\ud83d"}',
        b'{"x":1e999}',
        b'{"x":' + b"9" * 3000 + b"}",
        b'{"__proto__":{"x":1}}',
        b"x" * 900_000,
    )
    clocks = (0, 1, 2**31, 2**32, 2**53 - 1)

    def make() -> bytes:
        match random.randrange(6):
            case 0:
                return _presence((random.choice(attacker.honest_ids), random.choice(clocks), random.choice(texts[:4])))
            case 1:
                ids = range(random.choice((100, 4096, 100_000)))
                return _presence(*((id_, 1, b"{}") for id_ in ids))
            case 2:
                return _presence(*((id_, 2**53 - 1, b"null") for id_ in attacker.honest_ids))
            case 3:
                return b"\1" + write_var_bytes(write_var_uint(random.choice((1 << 40, 5))) + random.randbytes(20))
            case 4:
                return b"\3" * random.choice((1, 1000))
            case _:
                return _presence((attacker.fresh_id(), random.choice(clocks), random.choice(texts)))

    await _stream(attacker, 15, make)


# -- frames


async def frames(attacker: Attacker) -> None:
    """What RFC 6455 forbids, what this server forbids, and the edges of both."""
    random = attacker.random
    tiny = message(UPDATE, b"\0\0")
    query = b"\3"
    oversize = client_frame(b"")[:1] + b"\xff" + (MAX_FRAME_BYTES + 1).to_bytes(8, "big") + b"\0\0\0\0"
    shapes: tuple[bytes, ...] = (
        client_frame(b"hello", opcode=TEXT),
        client_frame(b"\xff\xff", opcode=TEXT),
        client_frame(b""),
        client_frame(query * 1001),
        client_frame(tiny * 1000),
        client_frame(tiny, rsv=4),
        client_frame(tiny, rsv=1),
        client_frame(tiny, masked=False),
        client_frame(tiny, opcode=3),
        client_frame(tiny, opcode=CONTINUATION),
        client_frame(tiny[:1], fin=False) + client_frame(tiny[1:], opcode=CONTINUATION),
        client_frame(tiny[:1], fin=False) + client_frame(tiny),
        client_frame(tiny, fin=False) + client_frame(b"", opcode=CONTINUATION, fin=False) * 5000,
        client_frame(b"x" * 126, opcode=PONG),
        client_frame(b"p", opcode=9, fin=False),
        client_frame(b"p" * 125, opcode=9) * 200,
        client_frame(b"\3", opcode=CLOSE),
        client_frame((999).to_bytes(2, "big"), opcode=CLOSE),
        client_frame(b"\0\2\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
        client_frame(b"\0\7\0"),
        client_frame(b"\2\0\4nope"),
        client_frame(b"\x80\x01"),
        oversize + b"x" * 4096,
        client_frame(tiny)[:3],
        b"\x82\xff" + b"\xff" * 8 + b"\0\0\0\0",
        random.randbytes(400),
    )
    half_sent: list[Link] = []
    while True:
        for shape in shapes:
            async with attacker.link() as link:
                attacker.tally.messages += 1
                attacker.tally.sent_bytes += len(shape)
                link.raw(shape)
                await attacker.verdict(link, 0.2)
        async with attacker.link() as link:
            await attacker.send(link, message(UPDATE, b"\xff" * (MAX_FRAME_BYTES - 9)))
            await attacker.verdict(link, 2.0)
        async with attacker.link() as link:
            for _ in range(18):  # 18 MB in fragments
                await attacker.send(link, b"x" * (1 << 20), opcode=CONTINUATION if _ else 2, fin=False)
            await attacker.verdict(link, 2.0)
        with suppress(OSError, TimeoutError, Refused):
            link = await Link.open(attacker.host, attacker.port, f"/ws/{attacker.room}", attacker.source)
            link.raw(client_frame(b"\0\2" + b"\0" * 100_000)[:50_000])
            half_sent.append(link)
            if len(half_sent) > 20:
                half_sent.pop(0).abort()


# -- floods of what is well-formed


def many_clients(random: Random, count: int) -> bytes:
    """One letter each of as many clients."""
    ids = random.sample(range(1 << 20, 1 << 29), count)
    sections = b"".join(b"\1" + write_var_uint(id_) + b"\0\4\1\1f\1a" for id_ in ids)
    return write_var_uint(count) + sections + b"\0"


def large_update(random: Random, id_: int) -> bytes:
    """33 KB to 4 MB in one of several shapes."""
    size = random.choice(LARGE_BYTES)
    match random.randrange(6):
        case 0:
            return Typist(id_).many_items(size // 9)
        case 1:
            return Typist(id_).many_deletions(size // 6)
        case 2:
            return many_clients(random, size // 11)
        case _:
            return Typist(id_).text(b"x" * size)


async def large(attacker: Attacker) -> None:
    """Large updates: a bounded share into the attacked room, the rest into ever new rooms."""
    left = attacker.large_bytes_in_room
    for number in range(1 << 30):
        room = f"w_flood{attacker.random.randrange(1 << 30)}/notes.flood{number}"
        async with attacker.link(room) as link:
            sent = 0
            while sent < 6_000_000 and not link.closed.done():
                update = large_update(attacker.random, attacker.fresh_id())
                sent += len(update)
                await attacker.send(link, message(UPDATE, update))
                await attacker.verdict(link, len(update) / 1_000_000)
        update = Typist(attacker.fresh_id()).text(b"x" * attacker.random.choice(LARGE_BYTES))
        if len(update) < left:
            left -= len(update)
            async with attacker.link() as link:
                await attacker.send(link, message(UPDATE, update))
                await attacker.verdict(link, len(update) / 1_000_000)


async def tiny(attacker: Attacker) -> None:
    """Small edits in the attacked room, some hundred a second, in bursts and many to a frame."""
    typist = Typist(attacker.fresh_id())
    while True:
        async with attacker.link() as link:
            while not link.closed.done():
                burst = [message(UPDATE, typist.text(b"t")) for _ in range(20)]
                if attacker.random.random() < 0.5:
                    burst = [b"".join(burst)]
                for payload in burst:
                    await attacker.send(link, payload)
                await attacker.verdict(link, 0.1)
        typist = Typist(attacker.fresh_id())


async def torrent(attacker: Attacker) -> None:
    """Now and then one second of edits as fast as the server reads them, in a room of its own wedding."""
    for number in range(1 << 30):
        typist = Typist(attacker.fresh_id())
        async with attacker.link(f"w_torrent{number}/notes.torrent") as link:
            until = time.monotonic() + 1
            while time.monotonic() < until and not link.closed.done():
                for _ in range(50):
                    await attacker.send(link, message(UPDATE, typist.text(b"t")))
                await asyncio.sleep(0)
            await attacker.verdict(link, 6.0)


# -- connections


async def churn(attacker: Attacker) -> None:
    """Connect and go, in every rude way."""
    while True:
        with suppress(OSError, TimeoutError, Refused):
            match attacker.random.randrange(5):
                case 0:
                    link = await Link.connect(attacker.host, attacker.port, attacker.source)
                    link.raw(handshake(attacker.host, f"/ws/{attacker.room}")[: attacker.random.randrange(150)])
                case 1:
                    link = await Link.open(attacker.host, attacker.port, "/ws/w_1/no-such", attacker.source)
                    await attacker.verdict(link, 1.0)
                    attacker.tally.closes[link.closed.result() if link.closed.done() else 0] += 1
                case 2:
                    link = await Link.open(attacker.host, attacker.port, f"/ws/{attacker.room}", attacker.source)
                    link.send(message(STEP_1, b"\0"))
                case _:
                    room = f"w_churn/notes.n{attacker.random.randrange(50)}"
                    link = await Link.open(attacker.host, attacker.port, f"/ws/{room}", attacker.source)
            attacker.tally.connections += 1
            await asyncio.sleep(0.01)
            link.abort()
        await asyncio.sleep(0.02)


async def mute(attacker: Attacker) -> None:
    """Ask for everything again and again, and never read."""
    while True:
        async with attacker.link() as link:
            link.stop_reading()
            until = time.monotonic() + 20
            while time.monotonic() < until and not link.transport.is_closing():
                attacker.tally.messages += 1
                link.send(message(STEP_1, b"\0"))
                await asyncio.sleep(0.05)


ATTACKS: dict[str, Callable[[Attacker], Coroutine[Any, Any, None]]] = {
    attack.__name__: attack
    for attack in (
        *(killers, vectors, mutants, grammar, grammar_by_http, presence, frames),
        *(large, tiny, torrent, churn, mute),
    )
}


def source(name: str) -> str:
    """The address an attack comes from: never 127.0.0.1, where the honest live."""
    return f"127.0.0.{list(ATTACKS).index(name) + 2}"


async def _attack(names: list[str], seconds: float, seed: int, url: str, where: dict[str, Any]) -> dict[str, Any]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    tallies = {name: Tally() for name in names}
    tasks = [
        asyncio.create_task(
            ATTACKS[name](
                Attacker(
                    host=parts.hostname,
                    port=parts.port,
                    source=source(name),
                    random=Random(f"{seed} {name}"),
                    tally=tally,
                    **where,
                )
            ),
            name=name,
        )
        for name, tally in tallies.items()
    ]
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()  # an attack never ends by itself: this raises what ended it
    return {name: vars(tally) for name, tally in tallies.items()}


def main() -> None:
    arguments = json.loads(sys.argv[1])
    os.nice(NICENESS)
    tallies = asyncio.run(_attack(**arguments))
    used = os.times()
    print(json.dumps({"tallies": tallies, "cpu_seconds": used.user + used.system}))


if __name__ == "__main__":
    main()

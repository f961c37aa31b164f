"""Attacks on the wire of Hocuspocus: the bytes of the other attacks on sockets with many documents, and bytes that only
this wire has.

An attack is a coroutine that goes on until it is cancelled; whatever the server does to its connection, it comes again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from crdt_server.protocol.lib0 import write_var_bytes, write_var_string, write_var_uint
from tests.hostile.attacker import STEP_1, STEP_2, UPDATE, Attacker, message
from tests.hostile.floods import large_update, many_clients
from tests.protocol.corpus import real_updates, state_vectors
from tests.protocol.grammar import damaged, random_update

WIRE = "/hocuspocus?user=mallory"
MOST_DOCUMENTS = 80  # more than a socket may have
LARGE_SHARE, UNREAD_SHARE = 0.02, 0.2
STRANGE_NAMES = (
    "w_shared",
    "w_shared/",
    "/notes.a",
    "../notes.a",
    "w_shared/no-such",
    "w_shared/notes.a\0\0",
    "\0",
    "é" * 256,
)


def token(name: str, text: str = "") -> bytes:
    """The request to open a document."""
    return write_var_string(name) + b"\2\0" + write_var_string(text)


class Payloads:
    """Payloads for the documents of one socket, none of which an honest client would send."""

    def __init__(self, random: Random, names: Sequence[str]) -> None:
        self._random = random
        self._names = names
        self._updates = [update for update in real_updates() if len(update) < 4096]
        self._vectors = [data for data, _ in state_vectors()]

    def body(self) -> bytes:
        """A message behind an address."""
        random = self._random
        match random.randrange(9):
            case 0:
                return message(random.choice((UPDATE, STEP_2)), damaged(random, random.choice(self._updates)))
            case 1:
                return message(UPDATE, random_update(random))
            case 2:
                return message(STEP_1, damaged(random, random.choice(self._vectors), self._vectors))
            case 3:
                return message(STEP_2, many_clients(random, 50))
            case 4:
                return b"\1" + write_var_bytes(random.randbytes(random.randrange(60)))
            case 5:
                return b"\5" + write_var_bytes(
                    random.choice((b"\xff", b"[" * 5000, b'{"subscribe":"inbox"}', b"{}" * 9000))
                )
            case 6:
                return bytes((random.choice((3, 7, 8, 9, 10, 11, 127, 200)),))
            case 7:
                return b"\2" + random.choice(
                    (b"\0\3abc", b"\0\0", b"\1\1a", b"\2\0", b"\0" + write_var_string("t" * 9000))
                )
            case _:
                return random.randbytes(random.randrange(30))

    def payload(self) -> bytes:
        """A whole payload."""
        random = self._random
        match random.randrange(14):
            case 0:
                return token(random.choice(self._names))
            case 1:
                return random.choice((b"", b"\x09", b"\x0a", b"\x0b", b"\xff" * 9, b"\0\0", write_var_uint(1 << 40)))
            case 2:
                return write_var_bytes(random.randbytes(random.randrange(600))) + self.body()
            case 3:
                return token(f"w_other{random.randrange(1000)}/notes.n{random.randrange(1000)}", "no token")
            case 4:
                name = random.choice(STRANGE_NAMES)
                return random.choice((token(name), write_var_string(name) + self.body()))
            case _:
                return self.addressed()

    def addressed(self) -> bytes:
        """A payload for a document, which can close no other one."""
        return write_var_string(self._random.choice(self._names)) + self.body()


async def shared_sockets(attacker: Attacker) -> None:
    """Many documents on one socket, and to each what it must not be sent. Some of it is large, and some sockets are not
    read any more."""
    names = [attacker.room, *(f"w_shared/notes.s{number}" for number in range(MOST_DOCUMENTS))]
    payloads = Payloads(attacker.random, names)
    while True:
        async with attacker.link(path=WIRE) as link:
            for name in names:
                await attacker.send(link, token(name))
            if attacker.random.random() < UNREAD_SHARE:
                link.stop_reading()
            for _ in range(200):
                if link.transport.is_closing():
                    break
                payload = payloads.payload()
                if attacker.random.random() < LARGE_SHARE:
                    large = message(UPDATE, large_update(attacker.random, attacker.fresh_id()))
                    payload = write_var_string(attacker.random.choice(names[1:])) + large
                await attacker.send(link, payload)
                await attacker.verdict(link, 0.02)
        await asyncio.sleep(0.1)

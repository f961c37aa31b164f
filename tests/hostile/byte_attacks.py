"""Attacks by bytes: what is never finished, what is too much at a time, and what is given up half-way."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from crdt_server.protocol.lib0 import write_var_bytes, write_var_uint
from tests.hostile.attacker import MAX_FRAME_BYTES, STEP_1, UPDATE, Attacker, message
from tests.hostile.content_attacks import NEIGHBOUR
from tests.hostile.link import BINARY, CONTINUATION, PONG, Link, client_frame
from tests.support.wire import Typist

CHUNK = b"z" * 65536
SOCKETS = 60
HELD_SECONDS = 5.0
PASTE_SOCKETS, PASTE_BYTES, SMALL_PASTE_BYTES = 8, 15_500_000, 40_000
CROWD_SOCKETS, CROWD_STATES = 10, 4096
CROWD_BYTES_PER_SECOND = 3_000_000
ABORTS_PER_SECOND = 20


async def unfinished(attacker: Attacker) -> None:
    """Sixty sockets with messages that never end, in one frame or in fragments, kept alive by pongs."""
    for number in range(1 << 30):
        await asyncio.gather(
            *(_hold_message(attacker, f"m{each}", (number + each) % 2 == 0) for each in range(SOCKETS))
        )


async def _hold_message(attacker: Attacker, user: str, fragments: bool) -> None:
    async with attacker.link(f"{attacker.wedding}/notes.{user}?user={user}") as link:
        if not fragments:
            link.raw(bytes([0x82, 0xFF]) + MAX_FRAME_BYTES.to_bytes(8, "big") + b"\0\0\0\0")
        for number in range(MAX_FRAME_BYTES // len(CHUNK) - 1):
            if link.closed.done():
                return
            opcode = CONTINUATION if number else BINARY
            link.raw(client_frame(CHUNK, opcode=opcode, fin=False) if fragments else CHUNK)
            attacker.tally.sent_bytes += len(CHUNK)
            await link.drained()
            await asyncio.sleep(0.01)
        if fragments:
            link.raw(client_frame(b"", opcode=PONG))
        await attacker.verdict(link, HELD_SECONDS)


async def bodies(attacker: Attacker) -> None:
    """Sixty requests whose bodies never end."""
    while True:
        await asyncio.gather(*(_hold_body(attacker, f"m{each}") for each in range(SOCKETS)))


async def _hold_body(attacker: Attacker, user: str) -> None:
    head = (
        f"POST {attacker.document()}/sync?user={user} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_FRAME_BYTES}\r\n\r\n"
    )
    with suppress(OSError, TimeoutError):
        link = await Link.connect(attacker.host, attacker.port, attacker.source)
        attacker.tally.connections += 1
        try:
            link.raw(head.encode())
            for _ in range(MAX_FRAME_BYTES // len(CHUNK) - 1):
                link.raw(CHUNK)
                attacker.tally.sent_bytes += len(CHUNK)
                await link.drained()
                await asyncio.sleep(0.01)
                if link.status:
                    break
            await attacker.verdict(link, HELD_SECONDS)
            attacker.tally.http[link.status] += 1
        finally:
            link.abort()


async def pastes(attacker: Attacker) -> None:
    """The largest updates there may be, on eight sockets, while somebody elsewhere pastes a little."""
    large = [message(UPDATE, Typist(attacker.fresh_id()).text(b"y" * PASTE_BYTES))]
    large.append(message(UPDATE, Typist(attacker.fresh_id()).many_items(PASTE_BYTES // 12)))

    async def flood(number: int) -> None:
        while True:
            async with attacker.link(f"w_pastes{number}/notes.large?user=m{number}") as link:
                while not link.closed.done():
                    await attacker.send(link, large[number % len(large)])
                    await attacker.verdict(link, 1.0)
            await asyncio.sleep(1)

    async def paste() -> None:
        while True:
            begun = time.monotonic()
            update = Typist(attacker.fresh_id()).text(b"p" * SMALL_PASTE_BYTES)
            answer = await attacker.sync("w_neighbour/notes.paste", update, user="honest", source=NEIGHBOUR)
            if answer.status == 200:
                attacker.tally.seconds.append(time.monotonic() - begun)
            else:
                attacker.tally.faults[f"an honest paste was refused with {answer.problem}"] += 1
            await asyncio.sleep(1)

    await asyncio.gather(paste(), *(flood(number) for number in range(PASTE_SOCKETS)))


async def crowds(attacker: Attacker) -> None:
    """Presence of thousands of clients in every message, on ten sockets."""
    text = write_var_bytes(b'{"user":{"name":"Mallory"}}')
    ids = range(1 << 33, (1 << 33) + CROWD_STATES)
    states = b"".join(write_var_uint(each) + b"\1" + text for each in ids)
    presence = b"\1" + write_var_bytes(write_var_uint(CROWD_STATES) + states)

    async def flood(number: int) -> None:
        while True:
            async with attacker.link(f"{attacker.room}?user=m{number}") as link:
                while not link.closed.done():
                    await attacker.send(link, presence)
                    await attacker.verdict(link, len(presence) / CROWD_BYTES_PER_SECOND)

    await asyncio.gather(*(flood(number) for number in range(CROWD_SOCKETS)))


async def aborts(attacker: Attacker) -> None:
    """Requests that are given up in the middle of their body."""
    head = f"POST {attacker.document()}/sync HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n"
    while True:
        with suppress(OSError):
            link = await Link.connect(attacker.host, attacker.port, attacker.source)
            attacker.tally.connections += 1
            link.raw(head.encode() + b"x" * 2500)
            await asyncio.sleep(1 / ABORTS_PER_SECOND)
            link.abort()


async def long_vectors(attacker: Attacker) -> None:
    """State vectors as large as a message may be, by socket and by HTTP."""
    clients = 1_500_000
    body = b"".join(_var_uint_of_four(1_000_000 + number * 100) + b"\5" for number in range(clients))
    vector = (_var_uint_of_four(clients) + body)[:15_500_000]
    while True:
        async with attacker.link() as link:
            for _ in range(3):
                await attacker.send(link, message(STEP_1, vector))
            await attacker.verdict(link, 1.0)
        await attacker.post(attacker.document() + "/sync", write_var_bytes(vector) + write_var_bytes(b"\0\0"))
        await attacker.opens(attacker.room, source=NEIGHBOUR)


def _var_uint_of_four(number: int) -> bytes:
    """A number below 2**28 in four bytes, quickly."""
    return bytes((number & 127 | 128, number >> 7 & 127 | 128, number >> 14 & 127 | 128, number >> 21))

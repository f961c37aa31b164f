"""Floods of what is well-formed, and connections that come and go."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from random import Random

from crdt_server.protocol.lib0 import write_var_string, write_var_uint
from tests.hostile.attacker import STEP_1, UPDATE, Attacker, message
from tests.hostile.link import OPEN_DOCUMENT, Link, Refused, client_frame, handshake
from tests.support.wire import Typist

LARGE_BYTES = (33_000, 100_000, 400_000, 1_000_000, 4_000_000)


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
                if not link.address and attacker.random.random() < 0.5:  # a message of Hocuspocus is alone in its frame
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
            match attacker.random.randrange(7):
                case 0:
                    link = await Link.connect(attacker.host, attacker.port, attacker.source)
                    path = attacker.random.choice((f"/ws/{attacker.room}", "/hocuspocus"))
                    link.raw(handshake(attacker.host, path)[: attacker.random.randrange(150)])
                case 1:
                    link = await Link.open(attacker.host, attacker.port, "/ws/w_1/no-such", attacker.source)
                    await attacker.verdict(link, 1.0)
                    attacker.tally.closes[link.closed.result() if link.closed.done() else 0] += 1
                case 2:
                    link = await Link.open(attacker.host, attacker.port, f"/ws/{attacker.room}", attacker.source)
                    link.send(message(STEP_1, b"\0"))
                case 3:
                    link = await Link.open(attacker.host, attacker.port, "/hocuspocus", attacker.source)
                    link.open_document(attacker.room)
                case 4:
                    link = await Link.open(attacker.host, attacker.port, "/hocuspocus", attacker.source)
                    half = client_frame(write_var_string(attacker.room) + OPEN_DOCUMENT)
                    link.raw(half[: attacker.random.randrange(len(half))])
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

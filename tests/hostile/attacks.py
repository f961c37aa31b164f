"""The attackers: one process, many attacks, each from a loopback address of its own.

Run by `soak.py`, with low priority: `python -m tests.hostile.attacks '{"urls": …}'` ends after `seconds` and prints a
tally as JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any
from urllib.parse import urlsplit

from tests.hostile.attacker import Attacker, Tally
from tests.hostile.byte_attacks import aborts, bodies, crowds, long_vectors, pastes, unfinished
from tests.hostile.content_attacks import bookings, documents, moves, names, overlaps, reads, reviews, texts, thieves
from tests.hostile.floods import churn, large, mute, tiny, torrent
from tests.hostile.malformed import frames, grammar, grammar_by_http, killers, mutants, presence, vectors
from tests.hostile.shared_socket_attacks import shared_sockets
from tests.hostile.watch import percentile

NICENESS = 10

Attack = Callable[[Attacker], Coroutine[Any, Any, None]]

GROUPS: tuple[tuple[Attack, ...], ...] = (
    (killers, vectors, mutants, grammar, grammar_by_http, presence),
    (frames, large, tiny, torrent, churn, mute),
    (overlaps, reviews, bookings, names, texts, thieves),
    (moves, reads, documents),
    (long_vectors, unfinished, bodies, pastes, crowds, aborts, shared_sockets),
)
"""The attacks of each process. Those that make large documents keep their process from anything else for a while."""

ATTACKS = {attack.__name__: attack for group in GROUPS for attack in group}
DEADLY = {"killers", "mutants", "grammar", "grammar_by_http", "shared_sockets"}
"""Attacks with bytes that end a document host. No other attack may."""


def source(name: str) -> str:
    """The address an attack comes from: never 127.0.0.1, where the honest live."""
    return f"127.0.0.{list(ATTACKS).index(name) + 2}"


async def _attack(
    names: list[str], seconds: float, seed: int, urls: list[str], where: dict[str, Any]
) -> dict[str, Any]:
    tallies = {name: Tally() for name in names}
    tasks = []
    for name, tally in tallies.items():
        parts = urlsplit(urls[list(ATTACKS).index(name) % len(urls)])
        assert parts.hostname is not None
        assert parts.port is not None
        place = {"host": parts.hostname, "port": parts.port, "source": source(name), **where}
        attacker = Attacker(random=Random(f"{seed} {name}"), tally=tally, **place)
        tasks.append(asyncio.create_task(ATTACKS[name](attacker), name=name))
    done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()  # an attack never ends by itself: this raises what ended it
    return {name: _summary(tally) for name, tally in tallies.items()}


def _summary(tally: Tally) -> dict[str, Any]:
    """What is printed of an attack."""
    seconds = tally.seconds
    figures = {"p50": percentile(seconds, 0.5), "p99": percentile(seconds, 0.99), "max": max(seconds, default=0.0)}
    own = {"count": len(seconds)} | {name: round(value, 3) for name, value in figures.items()}
    return {**vars(tally), "seconds": own, "stopped": tally.stopped()}


def main() -> None:
    arguments = json.loads(sys.argv[1])
    os.nice(NICENESS)
    tallies = asyncio.run(_attack(**arguments))
    used = os.times()
    print(json.dumps({"tallies": tallies, "cpu_seconds": used.user + used.system}))


if __name__ == "__main__":
    main()

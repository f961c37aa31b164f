"""How many updates per second can many rooms with everyone writing take, p99 below the limit?

Open loop in steps: the rate grows by a factor until a step fails (p99 over the limit, a loss, a closed socket),
then the gap is halved a few times. Latency counts from the moment an update was due, to each other member.
"""

import time
from collections.abc import Iterator

from benchmarks.config import BEFORE, COMPARED, OURS, RoomsScale, Scale
from benchmarks.loadgen import Answer, Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import START_SECONDS, Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """Everyone appends text."""
    with server, Clients(server, scale.rooms.rooms, scale.rooms.members) as clients:
        clients.connect_all(60)
        yield from search(clients, scale.rooms, f"{scale.rooms.rooms} rooms x {scale.rooms.members}")


def measure_with_schema(server: Server, scale: Scale) -> Iterator[Case]:
    """Everyone sets keys of a guest of their own."""
    with server, Clients(server, scale.rooms.rooms, scale.rooms.members, guests=True) as clients:
        clients.connect_all(60)
        name = f"{scale.rooms.rooms} rooms x {scale.rooms.members}, guests with a schema"
        yield from search(clients, scale.rooms, name)


def measure_over_hocuspocus(server: Server, scale: Scale) -> Iterator[Case]:
    """Everyone appends text, over Hocuspocus' protocol: each client with a socket of its own."""
    with server, Clients(server, scale.rooms.rooms, scale.rooms.members, protocol="hocuspocus") as clients:
        clients.connect_all(60)
        yield from search(clients, scale.rooms, f"{scale.rooms.rooms} rooms x {scale.rooms.members}, Hocuspocus")


def search(clients: Clients, s: RoomsScale, name: str) -> Iterator[Case]:
    """The highest rate that holds, after a quarter of the first one for as long: servers open documents with their
    first edits. Raises RuntimeError when an eighth of the first does not hold."""
    time.sleep(START_SECONDS)
    clients.run("rate", s.first_rate / 4, s.step_seconds, s.drain_seconds)
    good, bad = float(s.first_rate), float(s.highest_rate) + 1
    best = _step(clients, good, s)
    while best is None and good > s.first_rate / 8:
        bad, good = good, good / 2
        best = _step(clients, good, s)
    if best is None:
        raise RuntimeError(f"already {good:.0f} updates/s did not hold; the search found no rate")
    while good * s.growth < bad:
        answer = _step(clients, good * s.growth, s)
        if answer is None:
            bad = good * s.growth
        else:
            good, best = good * s.growth, answer
    for _ in range(s.bisections):
        rate = (good * bad) ** 0.5
        answer = _step(clients, rate, s)
        if answer is None:
            bad = rate
        else:
            good, best = rate, answer
    yield name, {"updates_per_s": round(good), **best, "limit_reached": bad > s.highest_rate}


def _step(clients: Clients, rate: float, s: RoomsScale) -> Answer | None:
    """One rate; None when it does not hold."""
    for _ in range(s.attempts):
        answer = clients.run_with_cpu("rate", rate, s.step_seconds, s.drain_seconds)
        holds = answer["p99_ms"] < s.p99_limit_ms and not answer["lost"] and not answer["closed"]
        print(
            f"    {rate:8.0f}/s  p50 {answer['p50_ms']:7.1f} ms  p99 {answer['p99_ms']:8.1f} ms"
            f"  lost {answer['lost']}  {'holds' if holds else 'fails'}",
            flush=True,
        )
        if holds:
            return answer
        if answer["lost"] or answer["closed"]:
            return None
    return None


COLUMNS = (
    Column("updates_per_s", "updates/s", "more"),
    Column("p50_ms", "p50 ms", digits=1),
    Column("p99_ms", "p99 ms", digits=1),
    Column("cpu_ms_per_1000", "server CPU ms per 1,000 deliveries", "less", 2),
    Column("lost", "lost"),
    Column("duplicates", "duplicates"),
)

QUESTION = Question(
    name="rooms",
    title="All writing: most updates per second with p99 < 100 ms",
    servers=COMPARED,
    measure=measure,
    columns=COLUMNS,
)

WITH_SCHEMA = Question(
    name="rooms-schema",
    title="The same with a schema, every update judged",
    servers=(OURS, BEFORE),
    measure=measure_with_schema,
    columns=COLUMNS,
)

OVER_HOCUSPOCUS = Question(
    name="rooms-hocuspocus",
    title="The same over Hocuspocus' protocol, with receipts",
    servers=(OURS, "hocuspocus", "hocuspocus-each-change"),
    measure=measure_over_hocuspocus,
    columns=COLUMNS,
)

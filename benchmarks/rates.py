"""What does an update cost, and how long does it take, when many rooms write at fixed rates?

Open loop, everything delivered and counted, at rates that go beyond what most of the servers can take. A server that
is a second behind at one rate is not measured at higher ones.
"""

import time
from collections.abc import Iterator

from benchmarks.config import BEFORE, OURS, SKETCH, Scale
from benchmarks.loadgen import Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import START_SECONDS, Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """One server for all rates, lowest first."""
    s = scale.rates
    with server, Clients(server, s.rooms, s.members) as clients:
        clients.connect_all(60)
        time.sleep(START_SECONDS)
        clients.run("rate", s.rates[0], s.warm_up_seconds, s.drain_seconds)  # documents are made at their first update
        for rate in s.rates:
            answer = clients.run_with_cpu("rate", rate, s.seconds, s.drain_seconds)
            answer["cpu_us"] = round(1_000 * answer["cpu_ms"] / answer["sent"], 1)
            yield f"{rate:,} updates/s", answer
            if answer["p99_ms"] > s.give_up_ms or answer["lost"]:
                break


QUESTION = Question(
    name="rates",
    title="All writing, at fixed rates",
    servers=(OURS, BEFORE, SKETCH, "y-websocket", "hocuspocus"),
    measure=measure,
    columns=(
        Column("p50_ms", "p50 ms", "less", 1),
        Column("p99_ms", "p99 ms", "less", 1),
        Column("cpu_us", "server CPU µs per update", "less"),
        Column("lost", "lost"),
        Column("duplicates", "duplicates"),
    ),
)

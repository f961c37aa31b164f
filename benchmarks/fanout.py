"""What does one writer with many readers cost, one update at a time and with many in flight?

Closed loop: a new update is sent when an earlier one has reached every reader. Then open loop: all of a large room
write by turns at a rate that keeps nobody busy.
"""

from collections.abc import Iterator

from benchmarks.config import COMPARED, Scale
from benchmarks.loadgen import Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """A fresh server and room per number of readers."""
    s = scale.fanout
    for readers in s.readers:
        with server, Clients(server, 1, readers + 1, prefix=f"f{readers}x") as clients:
            clients.connect_all()
            for in_flight in s.in_flight:
                answer = clients.run_with_cpu("closed", in_flight, s.seconds, s.drain_seconds)
                answer["updates_per_s"] = round(answer["completed"] / answer["seconds"], 1)
                answer["deliveries_per_s"] = round(answer["delivered"] / answer["seconds"])
                yield f"1 → {readers:,}, {in_flight} in flight", answer
            if readers == s.paced_readers:
                answer = clients.run_with_cpu("rate", s.paced_rate, s.paced_seconds, s.drain_seconds)
                yield f"{readers + 1} in a room, {s.paced_rate:g} updates/s", answer


QUESTION = Question(
    name="fanout",
    title="One writer, many readers",
    servers=COMPARED,
    measure=measure,
    columns=(
        Column("cpu_ms_per_1000", "server CPU ms per 1,000 deliveries", "less", 2),
        Column("updates_per_s", "updates/s", "more"),
        Column("deliveries_per_s", "deliveries/s"),
        Column("p50_ms", "p50 ms", digits=1),
        Column("p99_ms", "p99 ms", "less", 1),
        Column("lost", "lost"),
        Column("duplicates", "duplicates"),
    ),
)

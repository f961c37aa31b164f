"""What does presence cost, with everyone in many rooms announcing it?"""

import time
from collections.abc import Iterator

from benchmarks.config import COMPARED, Scale
from benchmarks.loadgen import Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import START_SECONDS, Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """Awareness at a steady pace, after the server's start is over and everyone was announced in an untimed second."""
    s = scale.presence
    with server, Clients(server, s.rooms, s.members) as clients:
        clients.connect_all()
        time.sleep(START_SECONDS)
        clients.run("presence", s.hz, 1 / s.hz, s.drain_seconds)
        answer = clients.run_with_cpu("presence", s.hz, s.seconds, s.drain_seconds)
        if answer["lost"] > answer["expected"] / 10:
            raise RuntimeError(f"{answer['lost']} of {answer['expected']} messages did not arrive: no figure")
        yield f"{s.rooms} rooms x {s.members}, {s.hz:g} Hz", answer


QUESTION = Question(
    name="presence",
    title="Presence",
    servers=COMPARED,
    measure=measure,
    columns=(
        Column("cpu_ms_per_1000", "server CPU ms per 1,000 deliveries", "less", 2),
        Column("p50_ms", "p50 ms", "less", 1),
        Column("p99_ms", "p99 ms", digits=1),
        Column("delivered", "delivered"),
        Column("lost", "lost or superseded"),
    ),
)

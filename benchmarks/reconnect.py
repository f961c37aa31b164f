"""How long until everybody is complete again when all clients return at once after a restart?

In every room some members come back with their replica and one comes back empty. Complete: it has its sync step 2
and the whole document. A server that stores nothing gets the document back from the members that kept it.
"""

from collections.abc import Iterator

from benchmarks.config import RESTARTED, Scale
from benchmarks.loadgen import Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """Fill, let the store rest, restart, let everybody in."""
    s = scale.reconnect
    with server:
        with Clients(server, s.rooms, 1, chars=s.chars) as writers:
            writers.connect_all()
            filled = writers.run("fill", s.updates, 0, s.updates, s.fill_seconds)
            if not filled["confirmed"]:
                raise RuntimeError(f"the documents were not taken in {s.fill_seconds:g} s")
            server.settle(s.settle_seconds)
        server.terminate()
        server.start()
        with Clients(server, s.rooms, s.members, chars=s.chars, generation=2, track=1) as clients:
            answer = clients.connect(s.deadline_seconds, at_once=clients.count, expect=s.updates, warm=s.warm)
        answer["incomplete"] = answer["clients"] - answer["complete"]
        yield f"{s.rooms} rooms x {s.members}, {s.updates * s.chars // 1000} KB each", answer


QUESTION = Question(
    name="reconnect",
    title="All clients return at once after a restart",
    servers=RESTARTED,
    measure=measure,
    columns=(
        Column("seconds", "s until all are complete", "less", 2),
        Column("p50_ms", "p50 ms of a client"),
        Column("incomplete", "incomplete at the deadline"),
        Column("retries", "retries"),
    ),
)

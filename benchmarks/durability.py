"""How many updates that another client has seen does a crash take back?

The generator itself sends SIGKILL to the whole process tree at the moment the second member has seen the last update.
"""

import time
from collections.abc import Iterator

from benchmarks.config import RESTARTED, Scale
from benchmarks.loadgen import Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import KINDS, Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """Write, kill, restart, count."""
    s = scale.durability
    with server:
        with Clients(server, 1, 2) as clients:
            clients.connect_all()
            answer = clients.run("durable", s.updates, s.rate, s.deadline_seconds, *server.pids())
        if not answer["last_seen_in_time"]:  # nothing lost of nothing seen would read like a success
            raise RuntimeError(f"the peer saw {answer['seen']} of {answer['sent']} updates before the deadline")
        server.kill()
        server.start()
        with Clients(server, 1, 1, generation=2, track=1) as reader:
            reader.connect(s.deadline_seconds)
            time.sleep(s.reload_seconds)  # some servers answer first and load afterwards
            kept = reader.run("coverage")["updates"]
        answer["kept"] = kept
        answer["gone"] = max(answer["seen"] - kept, 0)
        yield f"{s.updates:,} updates at {s.rate:g}/s", answer


QUESTION = Question(
    name="durability",
    title="kill -9 right after a peer saw the last update",
    servers=tuple(name for name in RESTARTED if KINDS[name].stores),
    measure=measure,
    columns=(
        Column("gone", "seen but gone after the restart"),
        Column("seen", "seen by the peer"),
        Column("sent", "sent"),
    ),
)

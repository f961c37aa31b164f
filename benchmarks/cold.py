"""How long does the first client of a long history wait after a restart?

The history is small inserts that replicas cannot squash into one item: each goes five characters before the end of
the text. They come at a pace, because one peer drops what its store has not taken from a queue of 65,536. Servers that
do not take them all in time are not measured.
"""

from collections.abc import Iterator

from benchmarks.config import RESTARTED, Scale
from benchmarks.loadgen import Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import KINDS, Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """Write the history, let the store rest, restart, connect one client."""
    s = scale.cold
    with server:
        with Clients(server, 1, 1, chars=s.chars) as writer:
            writer.connect_all()
            filled = writer.run("fill", s.updates, 1, s.window, s.fill_seconds, s.fill_rate)
            if not filled["confirmed"]:
                raise RuntimeError(f"{filled['sent']} of {s.updates} updates taken in {s.fill_seconds:g} s")
            server.settle(s.settle_seconds)
        server.terminate()
        server.start()
        with Clients(server, 1, 1, chars=s.chars, generation=2, track=1) as reader:
            answer = reader.connect(s.deadline_seconds, expect=filled["sent"])
        with Clients(server, 1, 1, chars=s.chars, generation=3, track=1) as second:
            answer["second_seconds"] = second.connect(s.deadline_seconds, expect=filled["sent"]).get("seconds")
        answer["updates"] = filled["sent"]
        answer["fill_seconds"] = filled["seconds"]
        answer["stored_mb"] = round(server.stored_bytes() / 1e6, 1)
        answer["rss_mb"] = round(server.rss_bytes() / 1e6, 1)
        yield f"{s.updates:,} updates", answer


QUESTION = Question(
    name="cold",
    title="First client of a long history after a restart",
    servers=tuple(name for name in RESTARTED if KINDS[name].stores),
    measure=measure,
    columns=(
        Column("seconds", "s until complete", "less", 3),
        Column("second_seconds", "s, the next client", digits=3),
        Column("complete", "complete (of 1)"),
        Column("updates", "updates"),
        Column("fill_seconds", "s to write them", digits=1),
        Column("stored_mb", "store MB", digits=1),
        Column("rss_mb", "RSS MB", digits=0),
    ),
)

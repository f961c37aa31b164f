"""How does the cost of this server grow with rooms, room size, document size and history?

A curve that bends upwards is a defect to find; the absolute figures are those of the other questions.
"""

from collections.abc import Iterator

from benchmarks import processes
from benchmarks.config import OURS, Scale, SizeScale
from benchmarks.loadgen import Answer, Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import Server

DOCUMENT_CHARS = 1_000
HISTORY_CHARS = 20
FILL_WINDOW = 500


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """Four curves, a fresh server for each point of the last two."""
    s = scale.size
    server.directory /= "live"
    yield from _rooms(server, s)
    yield from _room_size(server, s)
    for size in s.document_bytes:
        yield f"document of {size // 1000:,} KB", _load(server, s, size // DOCUMENT_CHARS, DOCUMENT_CHARS, size)
    for updates in s.history:
        yield f"history of {updates:,}", _load(server, s, updates, HISTORY_CHARS, updates)


def _rooms(server: Server, s: SizeScale) -> Iterator[Case]:
    for rooms in s.rooms:
        if rooms * 2 + 400 > processes.raise_file_limit():
            continue
        with server, Clients(server, rooms, 2, sources=16, prefix=f"n{rooms}x") as clients:
            before = server.rss_bytes()
            clients.connect_all(120)
            answer = clients.run_with_cpu("rate", s.rooms_rate, s.seconds, s.drain_seconds)
            answer["kb_each"] = round((server.rss_bytes() - before) / 1024 / rooms, 1)
            yield f"{rooms:,} rooms x 2, {s.rooms_rate:g} updates/s", answer


def _room_size(server: Server, s: SizeScale) -> Iterator[Case]:
    with server:
        for readers in s.readers:
            with Clients(server, 1, readers + 1, prefix=f"s{readers}x") as clients:
                clients.connect_all()
                yield f"1 → {readers:,} closed loop", clients.run_with_cpu("closed", 1, s.seconds, s.drain_seconds)


def _load(server: Server, s: SizeScale, updates: int, chars: int, number: int) -> Answer:
    """Time and memory to load one document into a server that has served another before."""
    prefix = f"d{number}x{chars}x"
    server.directory = server.directory.parent / prefix  # the store of this point alone
    with server:
        with Clients(server, 1, 1, chars=chars, prefix=prefix) as writer:
            writer.connect_all()
            filled = writer.run("fill", updates, 1, FILL_WINDOW, s.fill_seconds)
            if not filled["confirmed"]:
                raise RuntimeError(f"{filled['sent']} of {updates} updates taken in {s.fill_seconds:g} s")
            server.settle(s.settle_seconds)
        server.terminate()
        server.start()
        with Clients(server, 1, 1, prefix="warmup") as other:
            other.connect_all()
        before = server.rss_bytes()
        with Clients(server, 1, 1, chars=chars, generation=2, track=1, prefix=prefix) as reader:
            answer = reader.connect(s.deadline_seconds, expect=filled["sent"])
            kb_each = round((server.rss_bytes() - before) / 1024, 1)
    return {
        "load_seconds": answer.get("seconds"),
        "updates": filled["sent"],
        "store_kb": round(server.stored_bytes() / 1024, 1),
        "kb_each": kb_each,
        "incomplete": 1 - answer["complete"],
    }


QUESTION = Question(
    name="size",
    title="Cost against size (this server)",
    servers=(OURS,),
    measure=measure,
    columns=(
        Column("cpu_ms_per_1000", "server CPU ms per 1,000 deliveries", digits=2),
        Column("p99_ms", "p99 ms", digits=1),
        Column("lost", "lost"),
        Column("load_seconds", "s until the first client is complete", digits=3),
        Column("updates", "updates"),
        Column("store_kb", "store KB"),
        Column("kb_each", "RSS KB per room or document"),
        Column("incomplete", "incomplete"),
    ),
    rounds=1,
)

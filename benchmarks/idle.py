"""What does an open socket cost that does nothing, and how fast do they connect?

Memory is the growth of the process tree's RSS from a server that has already served some clients.
"""

import time
from collections.abc import Iterator

from benchmarks import processes
from benchmarks.config import COMPARED, NAMED, OURS, TOKENS, Scale
from benchmarks.loadgen import Clients
from benchmarks.question import Case, Column, Question
from benchmarks.servers import START_SECONDS, Server

WARM_UP_CLIENTS = 50


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """A fresh server per shape; numbers of sockets that the file limit does not allow are left out."""
    s = scale.idle
    for sockets, members in s.shapes:
        if sockets + s.spare_files > processes.raise_file_limit():
            print(f"    {sockets:,} sockets need a higher limit of open files", flush=True)
            continue
        with server:
            with Clients(server, 1, WARM_UP_CLIENTS, prefix="warmup") as clients:
                clients.connect_all()
            time.sleep(START_SECONDS)
            before = server.rss_bytes()
            with Clients(server, sockets // members, members, sources=s.sources, prefix=f"i{members}x") as clients:
                answer = clients.connect(s.deadline_seconds, at_once=s.at_once)
                time.sleep(s.settle_seconds)
                grown = server.rss_bytes() - before
                answer["kb_per_socket"] = round(grown / 1024 / max(answer["open"], 1), 2)
                answer["rss_mb"] = round((before + grown) / 1e6, 1)
                yield f"{sockets:,} sockets, {members} to a document", answer


QUESTION = Question(
    name="idle",
    title="Idle sockets",
    servers=(OURS, NAMED, TOKENS, *COMPARED[1:]),
    measure=measure,
    columns=(
        Column("kb_per_socket", "RSS KB per socket", "less", 1),
        Column("per_second", "connects/s", "more"),
        Column("complete", "connected and synced"),
        Column("rss_mb", "RSS of the tree, MB"),
        Column("retries", "retries"),
    ),
)

"""What do the checks of documents with a schema cost, on a wedding of 250 guests?

CPU of a document host is measured on a host without a pipe (see host_cost.py), all else on a running server.
"""

import asyncio
import json
import os
import random
import statistics
import subprocess
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from benchmarks import processes
from benchmarks.config import BEFORE, HERE, OURS, DocumentsScale, Scale
from benchmarks.loadgen import Clients
from benchmarks.question import Case, Column, Question, Values
from benchmarks.replica import Replica
from benchmarks.servers import Server
from benchmarks.wedding_host import EDITS, change_many
from crdt_server.sample import DEMO
from documents.sample import sample_wedding

MERGED = "guests"
DEADLINE_SECONDS = 60
T = TypeVar("T")


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """A server that has the sample as `demo`."""
    s = scale.documents
    with server:
        documents = list(sample_wedding(guests=s.guests).documents)
        for name in documents:  # the rows of the sample are stored when a document is first read
            urllib.request.urlopen(f"http://127.0.0.1:{server.port}/api/weddings/{DEMO}/documents/{name}").read()
        yield (
            f"{s.offline_edits} offline edits, seen by another client",
            {"wall_ms": _median_ms(s.repeats, lambda: asyncio.run(_in_time(_merge_offline(server, s))))},
        )
        cold = [_restart(server, documents) for _ in range(s.repeats)]
        for number, moment in enumerate(("all documents synced", "first edit accepted")):
            values = {"wall_ms": round(statistics.median(times[number] for times in cold) * 1000, 1)}
            yield f"after a restart: {moment}", values
        for guests in (False, True):
            yield f"serving: {'guests with a schema' if guests else 'text without'}", _serving(server, s, guests)


def measure_host(server: Server, scale: Scale) -> Iterator[Case]:
    """A document host alone, of the tree that the server is of."""
    s = scale.documents
    plan = {name: getattr(s, name) for name in ("guests", "edits", "batch", "offline_edits", "repeats")}
    tree = server.kind.tree
    done = subprocess.run(
        [server.kind.python, "-P", str(HERE / "host_cost.py"), json.dumps(plan)],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    for line in done.stdout.splitlines():
        case, values = json.loads(line)
        yield case, values
    if done.returncode:
        raise RuntimeError("the host's costs were not measured to the end")


def _median_ms(repeats: int, take: Callable[[], float]) -> float:
    return round(1000 * statistics.median(take() for _ in range(repeats)), 1)


async def _merge_offline(server: Server, s: DocumentsScale) -> float:
    """Seconds from the reconnection of an offline client until another client has its edits."""
    witness, away = Replica(server.port, DEMO, MERGED), Replica(server.port, DEMO, MERGED)
    await asyncio.gather(witness.join(), away.join())
    await away.leave()
    change_many(away.doc, s.offline_edits, random.Random(1))
    begun = time.perf_counter()
    arrival = asyncio.create_task(witness.wait_for(away.doc.client_id, away.clock))
    await away.join()
    answering = asyncio.create_task(away.serve())
    await arrival
    seconds = time.perf_counter() - begun
    answering.cancel()
    await asyncio.wait([answering])
    await asyncio.gather(witness.leave(), away.leave())
    return seconds


def _restart(server: Server, documents: list[str]) -> tuple[float, float]:
    """Seconds until a client without anything has all documents, and until its first edit is accepted."""
    server.terminate()
    server.start()
    return asyncio.run(_in_time(_join_and_edit(server, documents)))


async def _in_time(measured: Awaitable[T]) -> T:
    """Raises TimeoutError instead of waiting for ever for a server that does not answer."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await measured


async def _join_and_edit(server: Server, documents: list[str]) -> tuple[float, float]:
    replicas = {name: Replica(server.port, DEMO, name) for name in documents}
    begun = time.perf_counter()
    await asyncio.gather(*(replica.join() for replica in replicas.values()))
    synced = time.perf_counter() - begun
    await replicas[MERGED].edit(lambda doc: EDITS["phone"][1](doc, random.Random(1)))
    accepted = time.perf_counter() - begun
    await asyncio.gather(*(replica.leave() for replica in replicas.values()))
    return synced, accepted


def _serving(server: Server, s: DocumentsScale, guests: bool) -> Values:
    """CPU per update of the serving process and of its hosts, at a rate that both sustain."""
    with Clients(server, s.rooms, s.members, guests=guests) as clients:
        clients.connect_all()
        clients.run("rate", s.rate, 1, s.drain_seconds)  # documents are loaded at their first edit
        serving, whole = processes.own_cpu_seconds(server.pid), server.cpu_seconds()
        answer = clients.run("rate", s.rate, s.seconds, s.drain_seconds)
        serving, whole = processes.own_cpu_seconds(server.pid) - serving, server.cpu_seconds() - whole
    return {
        "serving_us": round(1_000_000 * serving / answer["sent"]),
        "hosts_us": round(1_000_000 * (whole - serving) / answer["sent"]),
        "lost": answer["lost"],
    }


HOST_COST = Question(
    name="host-cost",
    title="A wedding of 250 guests in a document host",
    servers=(OURS, BEFORE),
    measure=measure_host,
    columns=(
        Column("host_us", "µs an edit, median", digits=1),
        Column("host_best_us", "p5", digits=1),
        Column("host_p95_us", "p95", digits=1),
        Column("each_us", "µs for each derived document", digits=1),
        Column("host_ms", "ms", digits=1),
    ),
)

QUESTION = Question(
    name="documents",
    title="A server with a wedding of 250 guests",
    servers=(OURS, BEFORE),
    measure=measure,
    columns=(
        Column("wall_ms", "wall ms", digits=1),
        Column("serving_us", "serving process µs per update"),
        Column("hosts_us", "hosts µs per update"),
        Column("lost", "lost"),
    ),
)

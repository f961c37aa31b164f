"""What do several nodes cost, and what do they bring? PostgreSQL (fsync on) and Redis are started for each measurement.

Ownership is arranged: a client that opens a wedding first, at one node, makes that node its owner, and leaves when
others have come.
"""

import time
from collections.abc import Iterator
from statistics import median

from benchmarks.config import OURS, ClusterLatencyScale, Scale
from benchmarks.loadgen import Answer, Clients
from benchmarks.nodes import Cluster, Store, fsync_ms
from benchmarks.question import Case, Column, Question
from benchmarks.rooms import search
from benchmarks.servers import Server
from benchmarks.wedding_host import calibration

OWNER, OTHER = 0, 1
"""Of two nodes."""

PLACES = {
    "all at the owner": (OWNER,),
    "all at another node": (OTHER,),
    "half at the owner, half at another": (OWNER, OTHER),
}
Constellation = tuple[str, int, Store, bool, bool]
"""Name, nodes, store, whether there is a Redis, whether clients of a wedding go to different nodes."""

CONSTELLATIONS: tuple[Constellation, ...] = (
    ("1 node, SQLite", 1, "sqlite", False, False),
    ("1 node, PostgreSQL", 1, "postgresql", False, False),
    ("1 node, PostgreSQL and Redis", 1, "postgresql", True, False),
    ("2 nodes, a wedding at one", 2, "postgresql", True, False),
    ("2 nodes, round robin", 2, "postgresql", True, True),
    ("3 nodes, a wedding at one", 3, "postgresql", True, False),
    ("3 nodes, round robin", 3, "postgresql", True, True),
)


def calibrate(server: Server) -> Case:
    """The same work every time: how fast machine and disk are just now."""
    decoded = median(calibration() for _ in range(50))
    return (
        "calibration: one small update decoded, one page written to disk",
        {"decode_us": round(1_000_000 * decoded, 1), "fsync_ms": round(fsync_ms(server.directory), 2)},
    )


def measure_latency(server: Server, scale: Scale) -> Iterator[Case]:
    """The same clients at the owner, at another node, and at both."""
    s = scale.cluster_latency
    yield calibrate(server)
    with Cluster(server, 2) as cluster:
        for place, (name, nodes) in enumerate(PLACES.items()):
            ports = [cluster.ports[node] for node in nodes]
            anchors = Clients(cluster, s.rooms, 1, generation=9, ports=cluster.ports[:1], prefix=f"l{place}x")
            here = Clients(cluster, s.rooms, s.members, ports=ports, by_client=True, prefix=f"l{place}x")
            with here as clients:
                with anchors:
                    anchors.connect_all()
                    clients.connect_all()
                clients.run("rate", s.rates[0], s.warm_up_seconds, s.drain_seconds)  # documents are loaded at first
                for rate in s.rates:
                    answer = _at_rate(cluster, clients, rate, s)
                    yield f"{s.rooms} rooms x {s.members}, {name}, {rate} updates/s", answer


def _at_rate(cluster: Cluster, clients: Clients, rate: int, s: ClusterLatencyScale) -> Answer:
    before = cluster.node_seconds()
    answer = clients.run_with_cpu("rate", rate, s.seconds, s.drain_seconds)
    spent = (after - b for after, b in zip(cluster.node_seconds(), before, strict=True))
    answer["owner_us"], answer["other_us"] = (round(1_000_000 * each / answer["sent"]) for each in spent)
    return answer


def measure_throughput(server: Server, scale: Scale) -> Iterator[Case]:
    """At a rate that all sustain, then the highest that holds."""
    s = scale.cluster_throughput
    yield calibrate(server)
    for name, nodes, store, redis, by_client in CONSTELLATIONS:
        with (
            Cluster(server, nodes, store=store, redis=redis) as cluster,
            Clients(cluster, s.search.rooms, s.search.members, by_client=by_client) as clients,
        ):
            clients.connect_all(60)
            clients.run("rate", s.rate, s.warm_up_seconds, s.search.drain_seconds)
            answer = clients.run_with_cpu("rate", s.rate, s.seconds, s.search.drain_seconds)
            yield f"{name}: {s.rate:,} updates/s", answer
            try:
                yield from search(clients, s.search, f"{name}: most")
            except RuntimeError as error:  # on a busy machine; the others have their turn
                print(f"    {error}", flush=True)


def measure_presence(server: Server, scale: Scale) -> Iterator[Case]:
    """Every client sends its presence once a second."""
    s = scale.presence
    for name, nodes, store, redis, by_client in CONSTELLATIONS:
        if store == "sqlite":
            continue  # presence is not stored
        with (
            Cluster(server, nodes, store=store, redis=redis) as cluster,
            Clients(cluster, s.rooms, s.members, by_client=by_client) as clients,
        ):
            clients.connect_all(60)
            answer = clients.run_with_cpu("presence", s.hz, s.seconds, s.drain_seconds)
            yield f"{name}: {s.rooms} rooms x {s.members}, {s.hz:g} Hz", answer


def measure_memory(server: Server, scale: Scale) -> Iterator[Case]:
    """The same sockets at the owner and at another node; a fresh cluster for each."""
    for rooms, members in scale.cluster_memory.shapes:
        for place, node in (("the owner", OWNER), ("another node", OTHER)):
            with Cluster(server, 2) as cluster:
                grown = _grown(cluster, rooms, members, node, scale.cluster_memory.settle_seconds)
            owner, other = (round(each / 1024 / rooms, 1) for each in grown)
            yield f"{rooms:,} rooms x {members} at {place}", {"owner_kb": owner, "other_kb": other}


def _grown(cluster: Cluster, rooms: int, members: int, node: int, settle_seconds: float) -> list[int]:
    """By how many bytes each node grows when all rooms are open."""
    with Clients(cluster, 50, 10, prefix="warmup", by_client=True) as clients:
        clients.connect_all()  # memory that a node takes once is not a room's
    before = cluster.rss_bytes()
    anchors = Clients(cluster, rooms, 1, generation=9, ports=cluster.ports[:1])
    with anchors, Clients(cluster, rooms, members, ports=cluster.ports[node : node + 1]) as clients:
        anchors.connect_all(60)
        clients.connect_all(60)
        time.sleep(settle_seconds)
        return [now - then for now, then in zip(cluster.rss_bytes(), before, strict=True)]


PARTS = (
    Column("serving_us", "serving µs per update"),
    Column("hosts_us", "hosts µs per update"),
    Column("redis_us", "Redis µs per update"),
    Column("postgres_us", "PostgreSQL µs per update"),
)
CALIBRATION = (Column("decode_us", "calibration µs", digits=1), Column("fsync_ms", "fsync ms", digits=2))

LATENCY = Question(
    name="cluster-latency",
    title="Cluster: latency at the owner of a wedding and at another node (goal: p50 < 10 ms, p99 < 50 ms)",
    servers=(OURS,),
    measure=measure_latency,
    columns=(
        Column("echo_p50_ms", "own echo p50 ms", digits=1),
        Column("echo_p99_ms", "p99 ms", digits=1),
        Column("p50_ms", "the other's receipt p50 ms", digits=1),
        Column("p99_ms", "p99 ms", digits=1),
        Column("owner_us", "owner µs per update"),
        Column("other_us", "other node µs per update"),
        *PARTS[2:],
        Column("lost", "lost"),
        *CALIBRATION,
    ),
)

THROUGHPUT = Question(
    name="cluster-throughput",
    title="Cluster: all writing, most updates per second with p99 < 100 ms; nodes, PostgreSQL, Redis and clients share"
    " the cores, so CPU per update is the figure that scales",
    servers=(OURS,),
    measure=measure_throughput,
    columns=(
        Column("updates_per_s", "updates/s"),
        Column("p50_ms", "p50 ms", digits=1),
        Column("p99_ms", "p99 ms", digits=1),
        Column("cpu_ms_per_1000", "nodes' CPU ms per 1,000 deliveries"),
        *PARTS,
        Column("lost", "lost"),
        *CALIBRATION,
    ),
)

PRESENCE = Question(
    name="cluster-presence",
    title="Cluster: presence",
    servers=(OURS,),
    measure=measure_presence,
    columns=(
        Column("cpu_ms_per_1000", "nodes' CPU ms per 1,000 deliveries", digits=1),
        Column("redis_us", "Redis µs per message"),
        Column("p50_ms", "p50 ms", digits=1),
        Column("p99_ms", "p99 ms", digits=1),
        Column("delivered", "delivered"),
        Column("lost", "lost or superseded"),
    ),
)

MEMORY = Question(
    name="cluster-memory",
    title="Cluster: memory of rooms where nobody writes",
    servers=(OURS,),
    measure=measure_memory,
    columns=(
        Column("owner_kb", "owner, RSS KB per room", digits=1),
        Column("other_kb", "other node, RSS KB per room", digits=1),
    ),
)

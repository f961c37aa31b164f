"""How long until a cluster is whole again: restarted as a whole, its owner killed, its Redis away for a while?"""

import asyncio
import time
from collections.abc import Iterator
from statistics import median
from typing import Any

from pycrdt import Doc, Text

from benchmarks.config import OURS, RedisAwayScale, Scale
from benchmarks.loadgen import Clients
from benchmarks.nodes import Cluster
from benchmarks.question import Case, Column, Question, Values
from benchmarks.replica import Replica
from benchmarks.servers import Server
from tests.support.server import ServerProcess

ENDS = {"SIGTERM": ServerProcess.terminate, "kill -9": ServerProcess.kill9}


def measure_storm(server: Server, scale: Scale) -> Iterator[Case]:
    """Fill, end all nodes at once, start them, let everybody in through all of them at once."""
    s = scale.cluster_storm
    for how, end in ENDS.items():
        with Cluster(server, s.nodes) as cluster:
            with Clients(cluster, s.rooms, 1, chars=s.chars) as writers:
                writers.connect_all()
                if not writers.run("fill", s.updates, 0, s.updates, s.fill_seconds)["confirmed"]:
                    raise RuntimeError(f"the documents were not taken in {s.fill_seconds:g} s")
            begun = time.monotonic()
            cluster.restart(end)
            down = time.monotonic() - begun
            with Clients(cluster, s.rooms, s.members, chars=s.chars, generation=2, track=1, by_client=True) as clients:
                before = cluster.cpu_parts()["serving"]
                answer = clients.connect(s.deadline_seconds, at_once=clients.count, expect=s.updates, warm=s.warm)
                spent = cluster.cpu_parts()["serving"] - before
            answer["serving_ms"] = round(1000 * spent / clients.count, 2)
            answer["incomplete"] = answer["clients"] - answer["complete"]
            answer["restart_seconds"] = round(down, 2)
            yield (
                f"{s.nodes} nodes, {s.rooms} rooms x {s.members}, {s.updates * s.chars // 1000} KB each, {how}",
                answer,
            )


def measure_takeover(server: Server, scale: Scale) -> Iterator[Case]:
    """Kill the owner; a client of another node writes in each of its weddings at that moment."""
    s = scale.takeover
    with Cluster(server, 3) as cluster:
        for turn in range(s.repeats):
            yield f"{s.weddings} weddings, kill -9 of their owner", asyncio.run(_take_over(cluster, s.weddings, turn))
            cluster.nodes[0].start()


async def _take_over(cluster: Cluster, weddings: int, turn: int) -> Values:
    names = [f"t{turn}x{number}" for number in range(weddings)]
    owned = [Replica(cluster.ports[0], name, "notes.a") for name in names]
    await asyncio.gather(*(each.join() for each in owned))
    others = [Replica(cluster.ports[1], name, "notes.a") for name in names]
    await asyncio.gather(*(each.join() for each in others))
    await asyncio.gather(*(each.edit(lambda doc: _write(doc, "before")) for each in others))
    await asyncio.gather(*(each.leave() for each in owned))
    cluster.kill(0)
    killed = time.perf_counter()
    seconds = await asyncio.gather(*(_until_echoed(each, killed) for each in others))
    await asyncio.gather(*(each.leave() for each in others))
    return {"median_s": round(median(seconds), 2), "longest_s": round(max(seconds), 2)}


async def _until_echoed(replica: Replica, since: float) -> float:
    await replica.edit(lambda doc: _write(doc, "after"))
    return time.perf_counter() - since


def _write(doc: Doc[Any], text: str) -> None:
    doc.get("text", type=Text).insert(0, text)


def measure_redis_away(server: Server, scale: Scale) -> Iterator[Case]:
    """Writers at the owner and readers at another node, without Redis for a while."""
    s = scale.redis_away
    with Cluster(server, 2) as cluster:
        writers = Clients(cluster, s.rooms, 1, ports=cluster.ports[:1])
        readers = Clients(cluster, s.rooms, s.readers, generation=2, track=1, ports=cluster.ports[1:])
        with writers, readers:
            writers.connect_all()
            readers.connect_all()
            yield (
                f"{s.rooms} rooms, {s.readers} readers each, {s.seconds:g} s without Redis",
                _measure_outage(cluster, writers, readers, s),
            )


def _measure_outage(cluster: Cluster, writers: Clients, readers: Clients, s: RedisAwayScale) -> Values:
    assert cluster.redis is not None
    updates = round(s.seconds * s.rate)
    cluster.redis.kill()
    filled = writers.run("fill", updates, 0, 1, 2 * s.seconds, s.rate)
    if not filled["confirmed"]:
        raise RuntimeError("the owner did not take everything")
    behind = readers.run("await", updates, 0)
    cluster.redis.start()
    answer = readers.run("await", updates, s.deadline_seconds)
    incomplete = answer["clients"] - answer["complete"]
    caught_up = {} if incomplete else {"seconds": answer["seconds"]}
    return {
        **caught_up,
        "away_seconds": filled["seconds"],
        "updates": s.rooms * (updates - 1),
        "behind": behind["clients"] - behind["complete"],
        "incomplete": incomplete,
        "closed": answer["closed"],
    }


STORM = Question(
    name="cluster-storm",
    title="Cluster: all clients return at once after a restart of all nodes",
    servers=(OURS,),
    measure=measure_storm,
    columns=(
        Column("seconds", "s until all are complete", digits=2),
        Column("p50_ms", "p50 ms of a client"),
        Column("serving_ms", "serving CPU ms per client", digits=2),
        Column("incomplete", "incomplete at the deadline"),
        Column("retries", "retries"),
        Column("restart_seconds", "s from the end of the nodes until all listen", digits=1),
    ),
)

TAKEOVER = Question(
    name="cluster-takeover",
    title="Cluster: from kill -9 of an owner until writers at another node have their echo (goal: at most 5 s)",
    servers=(OURS,),
    measure=measure_takeover,
    columns=(Column("median_s", "median s", digits=2), Column("longest_s", "longest s", digits=2)),
)

REDIS_AWAY = Question(
    name="cluster-redis-away",
    title="Cluster: Redis back, until the clients of another node have the updates of the owner's clients (goal: 1 s)",
    servers=(OURS,),
    measure=measure_redis_away,
    columns=(
        Column("seconds", "s until all have all", digits=2),
        Column("away_seconds", "s away", digits=1),
        Column("updates", "updates missed"),
        Column("behind", "clients behind"),
        Column("incomplete", "incomplete at the deadline"),
        Column("closed", "sockets closed"),
    ),
)

"""What does it cost rooms that events are routed to people, and how soon does an event reach an inbox?

Routing is measured on one server with rooms full of writers: in turn for seconds without anything else, with edits of
which no rule is about the events, and with as many whose events concern people. The figure is the median over the
turns of the quotient of the p99 of the rooms, so that a slow minute of the machine hits all three.

Latency runs from the moment of the answer to an edit, which follows its commit, and, as a bound, from the moment when
the edit was sent. Nothing else runs meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import islice
from statistics import median, quantiles

from benchmarks.config import OURS, RoutingScale, Scale
from benchmarks.loadgen import Answer, Clients
from benchmarks.nodes import Cluster, Store
from benchmarks.question import Case, Column, Question, Values
from benchmarks.routed_weddings import (
    ADDRESSES,
    OTHER,
    QUIET,
    ROUTED,
    UNROUTED,
    Api,
    Call,
    InboxStream,
    SteadyEdits,
    begin,
    calls,
    channel_environment,
    gauges,
)
from benchmarks.servers import Server

LAG, EVENTS = "crdt_routing_lag_events", "crdt_routed_events_total"
ALONE, EDITED, INFORMED = "alone", "edits", "routed"
ARMS = (ALONE, EDITED, INFORMED)
ROUTED_SECONDS = 60.0
"""For what is behind."""

POLL_SECONDS = 0.002
STORES: tuple[tuple[Store, str], ...] = (("sqlite", "SQLite"), ("postgresql", "PostgreSQL"))


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """Rooms beside the router at each rate, then the latency and the rest on both databases."""
    s = scale.routing
    yield from _beside_rooms(server, s)
    for store, name in STORES:
        environment = channel_environment(server.directory)
        with Cluster(server, 1, store=store, redis=False, environment=environment) as node:
            port = node.ports[0]
            yield f"{name}: nothing happens", _at_rest(node, s)
            begin(port, node.nodes[0].database_url, [QUIET], s.guests)
            following = calls([QUIET], s.guests, 1)
            time.sleep(s.settle_seconds)
            yield f"{name}: on the stream, {s.slow_per_second:g} events/s", _stream_latency(port, s, following)
            yield f"{name}: in the inbox, {s.slow_per_second:g} events/s", _inbox_latency(port, s, following)


# -- rooms


class _Beside:
    """Rooms of writers on a server, and edits of weddings beside them. ``rules``: how many these have changed."""

    def __init__(self, server: Server, clients: Clients, s: RoutingScale) -> None:
        self._port = server.port
        self._clients = clients
        self._s = s
        self._weddings = weddings = [f"routed-{number}" for number in range(s.weddings)]
        self.rules = begin(self._port, f"sqlite:///{server.directory}/w.db", weddings, s.guests)
        # Of one run after the other: what has its value already is no event.
        self._calls = {key: calls(weddings, s.guests, s.together) for key in (ROUTED, UNROUTED)}

    def require_messages(self) -> None:
        """Raise RuntimeError where events became no messages in each channel: that would be cheaper."""
        api = Api(self._port)
        waiting = [api.call("GET", f"{wedding}/messaging/stats")["channels"] for wedding in self._weddings]
        api.close()
        if not all(stats[channel]["waiting"] for stats in waiting for channel in ADDRESSES):
            raise RuntimeError(f"not every member has messages that wait: {waiting}")

    def turn(self, rate: int, number: int) -> dict[str, Answer]:
        """One run of each arm, in another order in each turn."""
        first = number % len(ARMS)
        return {arm: self._run(rate, arm) for arm in (*ARMS[first:], *ARMS[:first])}

    def _run(self, rate: int, arm: str) -> Answer:
        s = self._s
        _wait_until_routed(self._port)
        with ExitStack() as stack:
            if arm != ALONE:
                key = ROUTED if arm == INFORMED else UNROUTED
                per_second = s.events_per_minute / 60 / s.together
                stack.enter_context(SteadyEdits(self._port, self._calls[key], key=key, per_second=per_second))
                time.sleep(s.settle_seconds)  # until the router has fallen into its pace
            (before,), begun = gauges(self._port, EVENTS), time.monotonic()
            answer = self._clients.run_with_cpu("rate", rate, s.seconds, s.drain_seconds)
            (after, behind), seconds = gauges(self._port, EVENTS, LAG), time.monotonic() - begun
        if answer["closed"] or not answer["delivered"]:
            raise RuntimeError(f"the rooms did not take {rate} updates/s: {answer}")
        return answer | {"routed_per_minute": round((after - before) * 60 / seconds), "behind": behind}


def _beside_rooms(server: Server, s: RoutingScale) -> Iterator[Case]:
    own = Server(OURS, server.directory.parent / "routing", environment=channel_environment(server.directory))
    with own, Clients(own, s.rooms, s.members) as clients:
        beside = _Beside(own, clients, s)
        clients.connect_all(60)
        for rate in s.rates:
            clients.run("rate", rate, s.warm_up_seconds, s.drain_seconds)
            turns = [beside.turn(rate, number) for number in range(s.turns)]
            beside.require_messages()
            load = f"{s.rooms} rooms x {s.members}, {rate:,} updates/s"
            yield f"{load}; {s.events_per_minute:,} events/min, {beside.rules} rules", _compared(turns)
    server.spent_seconds += own.spent_seconds


def _wait_until_routed(port: int) -> None:
    deadline = time.monotonic() + ROUTED_SECONDS
    while gauges(port, LAG)[0]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"the router was behind after {ROUTED_SECONDS:g} s")
        time.sleep(0.05)


def _compared(turns: list[dict[str, Answer]]) -> Values:
    values: Values = {}
    for percentile in ("p50", "p99"):
        key = f"{percentile}_ms"
        for arm in ARMS:
            values[f"{arm}_{key}"] = round(median(float(turn[arm][key]) for turn in turns), 1)
        for name, base in (("more", ALONE), ("more_than_edits", EDITED)):
            quotients = [100 * (turn[INFORMED][key] / turn[base][key] - 1) for turn in turns]
            low, middle, high = quantiles(quotients, n=4, method="inclusive") if len(turns) > 1 else quotients * 3
            values |= {f"{percentile}_{name}": round(middle, 1)}
            if percentile == "p99":
                values |= {f"p99_{name}_low": round(low, 1), f"p99_{name}_high": round(high, 1)}
    for arm in ARMS:
        values[f"{arm}_cpu_us"] = round(median(1000 * turn[arm]["cpu_ms"] / turn[arm]["sent"] for turn in turns), 1)
    values["routed_per_minute"] = median(turn[INFORMED]["routed_per_minute"] for turn in turns)
    values["behind"] = max(turn[INFORMED]["behind"] for turn in turns)
    values["lost"] = sum(answer["lost"] for turn in turns for answer in turn.values())
    return values


# -- latency

Arrival = Callable[[str], float]
"""When the item about a record has arrived."""


def _stream_latency(port: int, s: RoutingScale, following: Iterator[Call]) -> Values:
    with InboxStream(port, QUIET, OTHER, time.perf_counter) as stream:
        return _latency(port, s, following, stream.arrival)


def _inbox_latency(port: int, s: RoutingScale, following: Iterator[Call]) -> Values:
    api = Api(port, OTHER)
    newest = api.call("GET", f"{QUIET}/inbox?limit=1")["items"][0]["id"]

    def arrival(record: str) -> float:
        nonlocal newest
        while True:
            items = api.call("GET", f"{QUIET}/inbox?after={newest}")["items"]
            now = time.perf_counter()
            if items:
                newest = items[-1]["id"]
            if any(item["record"] == record for item in items):
                return now
            time.sleep(POLL_SECONDS)

    try:
        return _latency(port, s, following, arrival)
    finally:
        api.close()


def _latency(port: int, s: RoutingScale, following: Iterator[Call], arrival: Arrival) -> Values:
    """One edit after the other, the next not before the last has arrived."""
    api = Api(port)
    committed, sent = [], []
    begun = time.monotonic()
    for number, (wedding, guests, turn) in enumerate(islice(following, s.slow_events)):
        time.sleep(max(0.0, begun + number / s.slow_per_second - time.monotonic()))
        called = time.perf_counter()
        api.edit(wedding, guests, ROUTED, turn)
        answered = time.perf_counter()
        arrived = arrival(f"g_{guests[0]}")
        committed.append(max(arrived - answered, 0.0))
        sent.append(arrived - called)
    api.close()
    figures: Values = {"events": s.slow_events}
    for name, values in (("latency", committed), ("since_sent", sent)):
        cuts = quantiles(values, n=100, method="inclusive")
        figures |= {f"{name}_p50_ms": round(cuts[49] * 1000, 1), f"{name}_p99_ms": round(cuts[98] * 1000, 1)}
    return figures | {"latency_max_ms": round(max(committed) * 1000, 1)}


# -- rest


def _at_rest(node: Cluster, s: RoutingScale) -> Values:
    """CPU of the serving process and of its database while nobody is there."""
    time.sleep(s.start_seconds)
    before, begun = node.cpu_parts(), time.monotonic()
    time.sleep(s.rest_seconds)
    seconds = time.monotonic() - begun
    return {
        f"rest_{part}_ms": round(1000 * (spent - before[part]) / seconds, 2) for part, spent in node.cpu_parts().items()
    }


QUESTION = Question(
    name="routing",
    title="Events routed to people: rooms beside it (goal: p99 moves by less than 10 %), latency (100 ms), rest",
    servers=(OURS,),
    measure=measure,
    columns=(
        Column("p99_more", "% of p99 more than alone, median of the turns", digits=1),
        Column("p99_more_low", "lower quartile", digits=1),
        Column("p99_more_high", "upper quartile", digits=1),
        Column("p99_more_than_edits", "% of p99 more than with edits of which nobody is informed", digits=1),
        Column("p99_more_than_edits_low", "lower quartile", digits=1),
        Column("p99_more_than_edits_high", "upper quartile", digits=1),
        Column("alone_p50_ms", "alone: p50 ms", digits=1),
        Column("edits_p50_ms", "edits", digits=1),
        Column("routed_p50_ms", "routed", digits=1),
        Column("alone_p99_ms", "alone: p99 ms", digits=1),
        Column("edits_p99_ms", "edits", digits=1),
        Column("routed_p99_ms", "routed", digits=1),
        Column("alone_cpu_us", "alone: server CPU µs per update", digits=1),
        Column("edits_cpu_us", "edits", digits=1),
        Column("routed_cpu_us", "routed", digits=1),
        Column("routed_per_minute", "events routed per minute"),
        Column("behind", "most events behind at the end"),
        Column("lost", "lost"),
        Column("latency_p50_ms", "since the answer: p50 ms", digits=1),
        Column("latency_p99_ms", "p99 ms", digits=1),
        Column("latency_max_ms", "longest", digits=1),
        Column("since_sent_p50_ms", "since the edit was sent: p50 ms", digits=1),
        Column("since_sent_p99_ms", "p99 ms", digits=1),
        Column("rest_serving_ms", "at rest: serving CPU ms per s", digits=2),
        Column("rest_hosts_ms", "hosts", digits=2),
        Column("rest_postgres_ms", "PostgreSQL", digits=2),
    ),
)

"""The goals, as data; the report makes one table of them.

A goal is an absolute limit of one figure of one question, or a multiple of a peer's figure in the same run.
"""

from dataclasses import dataclass

from benchmarks.config import BEFORE, OURS, TOKENS


@dataclass(frozen=True, slots=True)
class Goal:
    """``better`` than ``limit``: "less" or "more". ``times``: the limit is a multiple of that peer's figure.

    ``server``: whose figure it is. Of a question with several cases those count that have the figure and whose name
    begins with ``case``: each has to reach the limit.
    """

    title: str
    question: str
    case: str
    key: str
    unit: str
    better: str
    limit: float
    times: str = ""
    digits: int = 0
    server: str = OURS


GOALS = (
    Goal(
        "500 rooms x 4, all writing, p99 < 100 ms",
        "rooms",
        "",
        "updates_per_s",
        "updates/s",
        "more",
        1.8,
        "y-websocket",
    ),
    Goal("the same", "rooms", "", "updates_per_s", "updates/s", "more", 3.0, "hocuspocus"),
    Goal(
        "500 rooms x 4 over Hocuspocus' protocol",
        "rooms-hocuspocus",
        "",
        "updates_per_s",
        "updates/s",
        "more",
        3.0,
        "hocuspocus",
    ),
    Goal("1,000 updates/s, p50", "rates", "1,000 ", "p50_ms", "ms", "less", 1.5, digits=1),
    Goal(
        "12,000 updates/s: Python besides `write`", "serving-python", "12,000 ", "python_us", "µs an update", "less", 35
    ),
    Goal("500 rooms x 4 with a schema", "rooms-schema", "", "updates_per_s", "updates/s", "more", 5_000),
    Goal("250-guest wedding, an edit alone", "host-cost", "edit alone", "host_us", "µs of a host", "less", 150),
    Goal("the same in a batch of 16", "host-cost", "edit in a batch", "host_us", "µs of a host", "less", 100),
    Goal("200 offline edits", "host-cost", "200 offline edits", "host_ms", "ms of a host", "less", 40, digits=1),
    Goal("whole wedding loaded", "host-cost", "every document loaded", "host_ms", "ms of a host", "less", 150),
    Goal("the same after a restart", "documents", "after a restart: all", "wall_ms", "ms", "less", 150),
    Goal("first edit after a restart", "documents", "after a restart: first", "wall_ms", "ms", "less", 250),
    Goal(
        "1 → 100, one in flight",
        "fanout",
        "1 → 100, 1 ",
        "cpu_ms_per_1000",
        "ms per 1,000 deliveries",
        "less",
        1.0,
        "y-websocket",
        2,
    ),
    Goal("101 in a room, 50 updates/s, p99", "fanout", "101 in a room", "p99_ms", "ms", "less", 6, digits=1),
    Goal(
        "connects, every fourth opens a document",
        "idle",
        "10,000 sockets, 4 ",
        "per_second",
        "connects/s",
        "more",
        3_500,
    ),
    Goal("the same, memory", "idle", "10,000 sockets, 4 ", "kb_per_socket", "KB each", "less", 10, digits=1),
    Goal(
        "sockets of large rooms, memory",
        "idle",
        "10,000 sockets, 100 ",
        "kb_per_socket",
        "KB each",
        "less",
        10,
        digits=1,
    ),
    Goal(
        "10,000 sockets with tokens, every fourth opens a document, memory",
        "idle",
        "10,000 sockets, 4 ",
        "kb_per_socket",
        "KB each",
        "less",
        1.0,
        BEFORE,
        1,
        TOKENS,
    ),
    Goal(
        "the same in large rooms",
        "idle",
        "10,000 sockets, 100 ",
        "kb_per_socket",
        "KB each",
        "less",
        1.0,
        BEFORE,
        1,
        TOKENS,
    ),
    Goal(
        "500 rooms x 4 with tokens", "tokens", "text", "slower_percent", "% of CPU more than --dev", "less", 3, digits=1
    ),
    Goal(
        "the same with a schema", "tokens", "guests", "slower_percent", "% of CPU more than --dev", "less", 3, digits=1
    ),
    Goal(
        "an edit, for each derived document open without a change",
        "host-cost",
        "edit with ",
        "each_us",
        "µs of a host",
        "less",
        15,
        digits=1,
    ),
    Goal(
        "the same, for each with a change",
        "host-cost",
        "the same with ",
        "each_us",
        "µs of a host",
        "less",
        150,
        digits=1,
    ),
    Goal(
        "1,000 sockets of a wedding revoked on three nodes",
        "cluster-revocation",
        "",
        "seconds",
        "s",
        "less",
        1,
        digits=2,
    ),
    Goal(
        "rooms beside 10,000 events/min that are routed",
        "routing",
        "500 rooms",
        "p99_more",
        "% of p99 more than without",
        "less",
        10,
        digits=1,
    ),
    Goal(
        "the same, compared with edits of which nobody is informed",
        "routing",
        "500 rooms",
        "p99_more_than_edits",
        "% of p99 more",
        "less",
        10,
        digits=1,
    ),
    Goal("an event in the inbox, p99 (SQLite)", "routing", "SQLite: in", "latency_p99_ms", "ms", "less", 100),
    Goal("the same on PostgreSQL", "routing", "PostgreSQL: in", "latency_p99_ms", "ms", "less", 100),
    Goal("an event on the stream, p99 (SQLite)", "routing", "SQLite: on", "latency_p99_ms", "ms", "less", 100),
    Goal("the same on PostgreSQL", "routing", "PostgreSQL: on", "latency_p99_ms", "ms", "less", 100),
    Goal("presence", "presence", "", "cpu_ms_per_1000", "ms per 1,000 deliveries", "less", 25, digits=1),
    Goal("attacked room over the soak, p99", "attacked", "", "p99_ms", "ms", "less", 100, digits=1),
    Goal("the same, stalls of our own over 50 ms", "attacked", "", "own_stalls", "stalls", "less", 0),
)

QUESTIONS = {goal.question for goal in GOALS}

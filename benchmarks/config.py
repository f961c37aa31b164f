"""Every parameter of the benchmarks. RESULTS.md is made from FULL; QUICK ends within some minutes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE / "build"

OURS = "ours"
BEFORE = "before"
"""This server as of BEFORE_COMMIT, measured in the same minutes."""
BEFORE_COMMIT = "035a493"
SKETCH = "sketch"
TOKENS = "tokens"
"""This server with a key for tokens instead of --dev, and the limits of persons that it has by default; each client is
a person of its own, and stays below them."""
NAMED = "named"
"""This server with --dev; each client is the person that it is with a token."""
SERVERS = (
    OURS,
    NAMED,
    TOKENS,
    BEFORE,
    SKETCH,
    "hocuspocus",
    "hocuspocus-each-change",
    "y-websocket",
    "y-websocket-leveldb",
    "pycrdt-websocket",
)
RESTARTED = (OURS, "hocuspocus", "y-websocket", "y-websocket-leveldb", "pycrdt-websocket")
"""Servers of the questions that stop and start them; the sketch does not read its store."""
GOAL_SERVERS = (OURS, NAMED, TOKENS, BEFORE, SKETCH, "y-websocket", "hocuspocus")
COMPARED = (OURS, BEFORE, SKETCH, "y-websocket", "hocuspocus", "pycrdt-websocket")
"""Servers of the questions that are not about the store; LevelDB joins where storing is the question."""

PEER_START_SECONDS = 20
STOP_SECONDS = 15
QUIET_SECONDS = 3.0
"""A store counts as settled when its files have not changed for this long."""


@dataclass(frozen=True, slots=True)
class RoomsScale:
    """Most updates per second with every client of many rooms writing."""

    rooms: int = 500
    members: int = 4
    first_rate: int = 100
    growth: float = 2.0
    highest_rate: int = 51_200
    step_seconds: float = 4.0
    attempts: int = 2
    """A step that fails is tried once more: on a shared machine one bad second is not the server's."""
    bisections: int = 4
    p99_limit_ms: float = 100.0
    drain_seconds: float = 8.0


@dataclass(frozen=True, slots=True)
class RatesScale:
    """Every client of many rooms writing, at fixed rates."""

    rooms: int = 500
    members: int = 4
    rates: tuple[int, ...] = (1_000, 6_000, 8_000, 12_000, 18_000)
    warm_up_seconds: float = 2.0
    seconds: float = 8.0
    drain_seconds: float = 8.0
    give_up_ms: float = 1_000.0
    """A server whose p99 is longer is not measured at higher rates."""


@dataclass(frozen=True, slots=True)
class ServingPythonScale:
    """The rooms of RoomsScale at one rate, sampled."""

    rate: int = 12_000
    seconds: float = 8.0


@dataclass(frozen=True, slots=True)
class TokensScale:
    """The rooms of RoomsScale on a server with tokens and on one with --dev, in turn; rates that both sustain."""

    rooms: int = 500
    members: int = 4
    rate: int = 5_000
    schema_rate: int = 1_500
    pairs: int = 16
    warm_up_seconds: float = 2.0
    seconds: float = 3.0
    drain_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class RoutingScale:
    """Rooms of writers beside a router, in turn; then single events, and nothing at all."""

    rooms: int = 500
    members: int = 4
    rates: tuple[int, ...] = (1_000, 4_000)
    weddings: int = 10
    guests: int = 200
    """Of each wedding: so many that none is edited twice within the ten seconds in which repeats are one item."""
    events_per_minute: int = 10_000
    together: int = 10
    """Edits of one call."""
    turns: int = 10
    warm_up_seconds: float = 2.0
    settle_seconds: float = 1.0
    seconds: float = 5.0
    drain_seconds: float = 5.0
    slow_per_second: float = 5.0
    slow_events: int = 300
    start_seconds: float = 10.0
    """Until a new server and its hosts are at rest."""
    rest_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class FanoutScale:
    """One writer and many readers, closed loop; then all of them writing at a modest rate."""

    readers: tuple[int, ...] = (100, 1_000)
    in_flight: tuple[int, ...] = (1, 64)
    seconds: float = 4.0
    paced_readers: int = 100
    paced_rate: float = 50.0
    paced_seconds: float = 8.0
    drain_seconds: float = 8.0


@dataclass(frozen=True, slots=True)
class PresenceScale:
    """Everyone in many rooms announces presence."""

    rooms: int = 200
    members: int = 5
    hz: float = 1.0
    seconds: float = 10.0
    drain_seconds: float = 3.0


@dataclass(frozen=True, slots=True)
class IdleScale:
    """Sockets that only stay open."""

    shapes: tuple[tuple[int, int], ...] = ((10_000, 100), (19_000, 100), (10_000, 4))
    """Sockets, and how many share a document: few large rooms, so that the figure is a socket's and not a document's,
    and small ones, where every fourth socket opens a new document."""
    at_once: int = 128
    sources: int = 16
    deadline_seconds: float = 60.0
    settle_seconds: float = 2.0
    spare_files: int = 400


@dataclass(frozen=True, slots=True)
class ReconnectScale:
    """All clients return at once after a restart."""

    rooms: int = 500
    members: int = 4
    warm: int = 3
    """Members whose replica survived; the others come back empty and need the whole document."""
    updates: int = 20
    chars: int = 512
    fill_seconds: float = 60.0
    settle_seconds: float = 30.0
    deadline_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class ColdScale:
    """First client of a long history after a restart."""

    updates: int = 100_000
    chars: int = 20
    window: int = 1_000
    fill_rate: float = 5_000.0
    fill_seconds: float = 180.0
    settle_seconds: float = 300.0
    """One peer stores for minutes after it has sent; the others are done at once."""
    deadline_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class DurabilityScale:
    """Updates that a crash loses."""

    updates: int = 1_500
    rate: float = 500.0
    deadline_seconds: float = 30.0
    reload_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class SizeScale:
    """Cost against size, for a curve that bends to be seen."""

    rooms: tuple[int, ...] = (10, 100, 1_000, 9_500)
    rooms_rate: float = 1_000.0
    readers: tuple[int, ...] = (1, 10, 100, 999)
    document_bytes: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000)
    history: tuple[int, ...] = (1, 100, 10_000, 100_000)
    seconds: float = 3.0
    drain_seconds: float = 5.0
    fill_seconds: float = 180.0
    settle_seconds: float = 60.0
    deadline_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class DocumentsScale:
    """A wedding with every check on."""

    guests: int = 250
    edits: int = 300
    """Of each kind."""
    batch: int = 16
    offline_edits: int = 200
    repeats: int = 5
    rooms: int = 100
    members: int = 4
    rate: float = 500.0
    seconds: float = 4.0
    drain_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class AttackedScale:
    """Honest clients beside attackers of every kind."""

    seconds: float = 600.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class ClusterLatencyScale:
    """Few writers at modest rates, at two nodes."""

    rooms: int = 50
    members: int = 2
    rates: tuple[int, ...] = (100, 400)
    warm_up_seconds: float = 2.0
    seconds: float = 6.0
    drain_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class ClusterThroughputScale:
    """Everyone writing at one to three nodes."""

    rate: int = 1_000
    warm_up_seconds: float = 2.0
    seconds: float = 5.0
    search: RoomsScale = field(
        default_factory=lambda: RoomsScale(rooms=200, first_rate=300, step_seconds=3.0, bisections=2, drain_seconds=5.0)
    )


@dataclass(frozen=True, slots=True)
class ClusterMemoryScale:
    """Rooms that are only open."""

    shapes: tuple[tuple[int, int], ...] = ((2_000, 1), (50, 100))
    """Rooms, sockets in each."""
    settle_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class ClusterStormScale:
    """All clients return at once to a cluster restarted as a whole."""

    nodes: int = 3
    rooms: int = 100
    members: int = 20
    warm: int = 15
    """Members whose replica survived; the others come back empty and need the whole document."""
    updates: int = 20
    chars: int = 512
    fill_seconds: float = 30.0
    deadline_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class RevocationScale:
    """Everybody in one wedding loses it."""

    nodes: int = 3
    sockets: int = 1_000
    repeats: int = 3
    deadline_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class TakeoverScale:
    """The owner of many weddings dies."""

    weddings: int = 50
    repeats: int = 3


@dataclass(frozen=True, slots=True)
class RedisAwayScale:
    """Writers at the owner, readers at another node, no Redis for a while."""

    rooms: int = 50
    readers: int = 2
    seconds: float = 60.0
    rate: float = 2.0
    """Updates per second of each room."""
    deadline_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Scale:
    """One complete set of parameters."""

    name: str
    rounds: int
    rounds_of: Mapping[str, int] = field(default_factory=dict)
    """Questions that have fewer."""
    rooms: RoomsScale = field(default_factory=RoomsScale)
    rates: RatesScale = field(default_factory=RatesScale)
    serving_python: ServingPythonScale = field(default_factory=ServingPythonScale)
    tokens: TokensScale = field(default_factory=TokensScale)
    attacked: AttackedScale = field(default_factory=AttackedScale)
    routing: RoutingScale = field(default_factory=RoutingScale)
    fanout: FanoutScale = field(default_factory=FanoutScale)
    presence: PresenceScale = field(default_factory=PresenceScale)
    idle: IdleScale = field(default_factory=IdleScale)
    reconnect: ReconnectScale = field(default_factory=ReconnectScale)
    cold: ColdScale = field(default_factory=ColdScale)
    durability: DurabilityScale = field(default_factory=DurabilityScale)
    size: SizeScale = field(default_factory=SizeScale)
    documents: DocumentsScale = field(default_factory=DocumentsScale)
    cluster_latency: ClusterLatencyScale = field(default_factory=ClusterLatencyScale)
    cluster_throughput: ClusterThroughputScale = field(default_factory=ClusterThroughputScale)
    cluster_memory: ClusterMemoryScale = field(default_factory=ClusterMemoryScale)
    cluster_storm: ClusterStormScale = field(default_factory=ClusterStormScale)
    revocation: RevocationScale = field(default_factory=RevocationScale)
    takeover: TakeoverScale = field(default_factory=TakeoverScale)
    redis_away: RedisAwayScale = field(default_factory=RedisAwayScale)


FULL = Scale(name="full", rounds=3)

GOALS = Scale(
    name="goals",
    rounds=3,
    rounds_of={
        "rates": 2,
        "idle": 1,
        "presence": 2,
        "rooms-schema": 2,
        "rooms-hocuspocus": 2,
        "documents": 2,
        "serving-python": 2,
        "tokens": 1,
        "routing": 1,
    },
    rooms=RoomsScale(first_rate=3_000, step_seconds=3.0, bisections=3, drain_seconds=4.0),
    rates=RatesScale(warm_up_seconds=1.0, seconds=5.0, drain_seconds=3.0),
    serving_python=ServingPythonScale(seconds=6.0),
    fanout=FanoutScale(readers=(100,), in_flight=(1,), seconds=3.0, paced_seconds=6.0),
    idle=IdleScale(shapes=((10_000, 4), (10_000, 100)), deadline_seconds=30.0, settle_seconds=1.0),
    presence=PresenceScale(seconds=6.0, drain_seconds=1.0),
    documents=DocumentsScale(repeats=3),
)
"""For the table of goals, in forty minutes; the soak takes ten minutes more for each server."""

QUICK = Scale(
    name="quick",
    rounds=1,
    rooms=RoomsScale(
        rooms=100, first_rate=500, growth=3.0, step_seconds=1.0, attempts=1, bisections=1, drain_seconds=2.0
    ),
    rates=RatesScale(rooms=100, rates=(1_000, 3_000), warm_up_seconds=0.5, seconds=1.0, drain_seconds=2.0),
    serving_python=ServingPythonScale(rate=3_000, seconds=2.0),
    tokens=TokensScale(
        rooms=50, rate=500, schema_rate=200, pairs=2, warm_up_seconds=0.5, seconds=1.0, drain_seconds=2.0
    ),
    routing=RoutingScale(
        rooms=50,
        rates=(500,),
        weddings=3,
        guests=40,
        events_per_minute=600,
        turns=2,
        warm_up_seconds=0.5,
        settle_seconds=0.5,
        seconds=1.0,
        drain_seconds=2.0,
        slow_per_second=10.0,
        slow_events=20,
        start_seconds=5.0,
        rest_seconds=5.0,
    ),
    attacked=AttackedScale(seconds=20.0),
    fanout=FanoutScale(readers=(100,), seconds=1.0, paced_seconds=2.0, drain_seconds=2.0),
    presence=PresenceScale(rooms=50, seconds=2.0, drain_seconds=1.0),
    idle=IdleScale(shapes=((1_000, 100), (1_000, 4)), deadline_seconds=10.0, settle_seconds=0.5),
    reconnect=ReconnectScale(rooms=50, updates=5, fill_seconds=5.0, settle_seconds=5.0, deadline_seconds=5.0),
    cold=ColdScale(updates=2_000, window=500, fill_seconds=6.0, settle_seconds=6.0, deadline_seconds=5.0),
    durability=DurabilityScale(updates=250, deadline_seconds=4.0, reload_seconds=0.5),
    size=SizeScale(
        rooms=(10, 100),
        readers=(1, 10),
        document_bytes=(10_000, 100_000),
        history=(1, 1_000),
        seconds=1.0,
        drain_seconds=2.0,
        fill_seconds=5.0,
        settle_seconds=5.0,
        deadline_seconds=5.0,
    ),
    documents=DocumentsScale(edits=50, repeats=2, rooms=20, rate=200.0, seconds=1.0, drain_seconds=2.0),
    cluster_latency=ClusterLatencyScale(rooms=10, rates=(100,), warm_up_seconds=0.5, seconds=1.0, drain_seconds=2.0),
    cluster_throughput=ClusterThroughputScale(
        rate=500,
        warm_up_seconds=0.5,
        seconds=1.0,
        search=RoomsScale(
            rooms=50, first_rate=500, growth=3.0, step_seconds=1.0, attempts=1, bisections=0, drain_seconds=2.0
        ),
    ),
    cluster_memory=ClusterMemoryScale(shapes=((100, 1),), settle_seconds=0.5),
    cluster_storm=ClusterStormScale(rooms=20, members=5, warm=4, updates=5, fill_seconds=5.0, deadline_seconds=10.0),
    revocation=RevocationScale(sockets=90, repeats=1, deadline_seconds=5.0),
    takeover=TakeoverScale(weddings=10, repeats=1),
    redis_away=RedisAwayScale(rooms=10, seconds=10.0, deadline_seconds=10.0),
)

OUR_ENVIRONMENT = {
    "CRDT_SERVER_MAX_CONNECTIONS_PER_ADDRESS": "1000000",
    "CRDT_SERVER_MAX_CONNECTIONS": "1000000",
    "CRDT_SERVER_MAX_CONNECTIONS_PER_ROOM": "1000000",
    "CRDT_SERVER_HANDSHAKES_PER_SECOND": "0",
    "CRDT_SERVER_FRAMES_PER_SECOND": "0",
    "CRDT_SERVER_MAX_PENDING_CONNECTIONS": "1000000",
    "CRDT_SERVER_MAX_PENDING_PER_ADDRESS": "1000000",
}
"""Admission limits out of the way: the peers have none."""

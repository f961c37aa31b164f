"""How long until everybody who has lost a wedding is closed, on every node?

The clock starts when the HTTP call that takes the right is answered, at a node of three, and ends with the last close
frame that the clients have received. Each client that is closed with another code than 4403 counts as one that stayed.
"""

import json
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from statistics import median

from benchmarks.config import OURS, RevocationScale, Scale
from benchmarks.loadgen import Clients
from benchmarks.nodes import Cluster
from benchmarks.persons import couple_token, member_token, role_token
from benchmarks.question import Case, Column, Question, Values
from benchmarks.servers import Server

FORBIDDEN = 4403
MEMBER = "maid-of-honour"


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """One person with all sockets is removed; then one cell of the policy takes the room from as many persons."""
    s = scale.revocation
    with Cluster(server, s.nodes, with_tokens=True) as cluster:
        sockets = f"{s.sockets:,} sockets on {s.nodes} nodes"
        yield f"{sockets}, of one member who is removed", _repeated(cluster, s, "m", _remove)
        yield f"{sockets}, of as many persons whose role loses the document", _repeated(cluster, s, "p", _forbid)


Revoke = Callable[[int, str], tuple[float, float]]
"""(port of a node, wedding) -> when the right is taken was requested, and when that was answered."""


def _repeated(cluster: Cluster, s: RevocationScale, letter: str, revoke: Revoke) -> Values:
    rounds = [_revoked(cluster, s, f"{letter}{number}x", revoke) for number in range(s.repeats)]
    figures: Values = {}
    for key in ("seconds", "call_seconds"):
        values = [each[key] for each in rounds if key in each]
        if len(values) == len(rounds):
            figures |= {key: round(median(values), 3), f"longest_{key}": round(max(values), 3)}
    return figures | {"stayed": sum(each["stayed"] for each in rounds)}


def _revoked(cluster: Cluster, s: RevocationScale, prefix: str, revoke: Revoke) -> Values:
    wedding, node = f"bench-{prefix}0", cluster.ports[0]
    if revoke is _remove:
        _call(node, wedding, "POST", "members", {"user": MEMBER, "role": "planner"})
    clients = Clients(
        cluster,
        1,
        s.sockets,
        guests=True,
        prefix=prefix,
        by_client=True,
        query=lambda of, number: (
            f"token={member_token(of, MEMBER) if revoke is _remove else role_token(of, f'u{number}', 'planner')}"
        ),
    )
    with clients:
        clients.connect_all(60)
        called, answered = revoke(node, wedding)
        answer = clients.run("gone", FORBIDDEN, s.deadline_seconds)
    stayed = answer["clients"] - answer["with_code"]
    if stayed:
        return {"stayed": stayed}
    return {"seconds": max(answer["last_at"] - answered, 0), "call_seconds": answer["last_at"] - called, "stayed": 0}


def _remove(node: int, wedding: str) -> tuple[float, float]:
    return _call(node, wedding, "DELETE", f"members/{MEMBER}")


def _forbid(node: int, wedding: str) -> tuple[float, float]:
    return _call(node, wedding, "PUT", "policy/planner/guests", {"rights": "N"})


def _call(node: int, wedding: str, method: str, path: str, body: object = None) -> tuple[float, float]:
    """When it was sent and answered, on the clock of the load generator."""
    connection = HTTPConnection("127.0.0.1", node)
    headers = {"Authorization": f"Bearer {couple_token(wedding, 0)}", "Content-Type": "application/json"}
    called = time.monotonic()
    connection.request(method, f"/api/weddings/{wedding}/{path}", None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    answered, text = time.monotonic(), response.read()
    connection.close()
    if response.status >= 300:
        raise RuntimeError(f"{method} {path}: {response.status} {text[:200]!r}")
    return called, answered


QUESTION = Question(
    name="cluster-revocation",
    title="Cluster: from the answer to the call that takes a right until the last socket is closed (goal: 1 s)",
    servers=(OURS,),
    measure=measure,
    columns=(
        Column("seconds", "s until the last is closed, median", digits=2),
        Column("longest_seconds", "longest", digits=2),
        Column("call_seconds", "s since the call was sent, median", digits=2),
        Column("longest_call_seconds", "longest", digits=2),
        Column("stayed", "sockets not closed with 4403"),
    ),
)

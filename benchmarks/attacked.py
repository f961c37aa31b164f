"""How long do honest clients wait while others attack the server?

The hostile soak of the tests, run from the tree that is measured; tests/hostile/soak.py defines its latency.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.config import BEFORE, OURS, Scale
from benchmarks.question import Case, Column, Question, Values
from benchmarks.servers import Server


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """One soak."""
    s = scale.attacked
    done = subprocess.run(
        [server.kind.python, "-m", "tests.hostile.soak", "--seconds", f"{s.seconds:g}", "--seed", str(s.seed)],
        cwd=server.kind.tree,
        env={**os.environ, "PYTHONPATH": str(server.kind.tree)},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    yield f"{s.seconds:g} s of every attack", report_values(done.stdout)


def read_report(path: Path) -> Case:
    """The printed report of a soak that was run by hand."""
    values = report_values(path.read_text())
    return f"{values['seconds']:g} s of every attack", values


def report_values(printed: str) -> Values:
    """The figures of a report, which ends where the list of broken rules begins."""
    try:
        report, end = json.JSONDecoder().raw_decode(printed)
    except ValueError:
        raise RuntimeError("the soak printed no report") from None
    attacked, others = (report["latency"]["own"][name] for name in ("attacked_room", "other_rooms"))
    return {
        "seconds": report["plan"]["seconds"],
        "p50_ms": attacked["p50"],
        "p99_ms": attacked["p99"],
        "others_p99_ms": others["p99"],
        "own_stalls": report["loop"]["stalls_of_our_own"],
        "longest_cpu_ms": report["loop"]["longest_cpu_ms"],
        "run_queue_share": report["loop"]["run_queue_share"],
        "host_deaths": report["hosts"]["deaths"],
        "broken_rules": sum(bool(line.strip()) and "slow: " not in line for line in printed[end:].splitlines()),
    }


QUESTION = Question(
    name="attacked",
    title="An attacked room",
    servers=(OURS, BEFORE),
    measure=measure,
    columns=(
        Column("p50_ms", "own echo in the attacked room, p50 ms", digits=1),
        Column("p99_ms", "p99 ms", "less", 1),
        Column("others_p99_ms", "p99 ms in other rooms", "less", 1),
        Column("own_stalls", "stalls of the event loop over 50 ms by its own CPU"),
        Column("longest_cpu_ms", "longest ms of CPU in one turn of the loop", digits=1),
        Column("run_queue_share", "share of the time that the process waited for a core", digits=3),
        Column("host_deaths", "document hosts that died"),
        Column("broken_rules", "broken rules"),
    ),
    rounds=1,
)

"""``python -m benchmarks.run``: measure every question, server by server in turn, and write RESULTS.md.

Two runs at once would measure each other, so the second one refuses. Only a complete run (full scale, all servers)
replaces what is published in results/ and RESULTS.md; every other one writes to build/, unless --publish is given.
"""

import argparse
import datetime
import fcntl
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from websockets.exceptions import WebSocketException

from benchmarks import (
    attacked,
    cluster,
    cluster_faults,
    cluster_revocation,
    cold,
    documents,
    durability,
    fanout,
    goals,
    idle,
    presence,
    processes,
    profile,
    rates,
    reconnect,
    report,
    rooms,
    routing,
    servers,
    size,
    tokens_cost,
)
from benchmarks.config import BUILD, FULL, GOAL_SERVERS, GOALS, HERE, OURS, QUICK, SERVERS, Scale
from benchmarks.loadgen import compile_generator
from benchmarks.question import Question
from benchmarks.servers import Server, ServerError

QUESTIONS = {
    question.name: question
    for question in (
        rooms.QUESTION,
        rates.QUESTION,
        profile.QUESTION,
        rooms.WITH_SCHEMA,
        rooms.OVER_HOCUSPOCUS,
        tokens_cost.QUESTION,
        routing.QUESTION,
        fanout.QUESTION,
        presence.QUESTION,
        idle.QUESTION,
        reconnect.QUESTION,
        cold.QUESTION,
        durability.QUESTION,
        documents.HOST_COST,
        documents.QUESTION,
        attacked.QUESTION,
        size.QUESTION,
        cluster.LATENCY,
        cluster.THROUGHPUT,
        cluster.PRESENCE,
        cluster.MEMORY,
        cluster_faults.STORM,
        cluster_faults.TAKEOVER,
        cluster_faults.REDIS_AWAY,
        cluster_revocation.QUESTION,
    )
}


def main() -> None:
    """Parse the command line, measure, report."""
    options = _options()
    scale = QUICK if options.quick else GOALS if options.goals else FULL
    chosen = goals.QUESTIONS if options.goals else set(QUESTIONS)
    options.only = options.only or [name for name in QUESTIONS if name in chosen]
    options.servers = options.servers or list(GOAL_SERVERS if options.goals else SERVERS)
    complete = scale is FULL and set(options.servers) == set(SERVERS)
    place = HERE if options.publish or options.report or complete else BUILD
    if not options.report:
        BUILD.mkdir(exist_ok=True)
        with (BUILD / "lock").open("w") as lock:
            _claim(lock)
            _run(options, scale, place / "results")
    report.write(QUESTIONS.values(), place)
    print(f"written: {place / 'RESULTS.md'}")


def _claim(lock: TextIO) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("another benchmark is running here: two at once would measure each other")


def _run(options: argparse.Namespace, scale: Scale, results: Path) -> None:
    processes.raise_file_limit()
    compile_generator()
    servers.install(options.servers)
    results.mkdir(exist_ok=True)
    run = f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%S}-{os.getpid()}"
    if options.soak:
        done = attacked.read_report(options.soak)
        QUESTIONS["attacked"] = replace(attacked.QUESTION, servers=(OURS,), measure=lambda *_: iter([done]))
    for question in (QUESTIONS[name] for name in options.only):
        rounds = min(question.rounds or scale.rounds, scale.rounds, scale.rounds_of.get(question.name, scale.rounds))
        _run_question(question, options, options.rounds or rounds, scale, results / f"{question.name}.jsonl", run)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small figures in some minutes")
    parser.add_argument("--goals", action="store_true", help="the measurements of the table of goals alone")
    parser.add_argument("--only", type=_names(list(QUESTIONS)), help="questions, by comma")
    parser.add_argument("--servers", type=_names(list(SERVERS)), help="servers, by comma")
    parser.add_argument("--rounds", type=int, default=0, help="rounds instead of the scale's own number")
    parser.add_argument("--append", action="store_true", help="add rounds to the stored ones instead of replacing them")
    parser.add_argument("--publish", action="store_true", help="write to results/ and RESULTS.md even if incomplete")
    parser.add_argument(
        "--soak", type=Path, help="for `attacked` of this server: a report printed by tests.hostile.soak"
    )
    parser.add_argument("--report", action="store_true", help="only write RESULTS.md from the stored measurements")
    return parser.parse_args()


def _names(known: list[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        chosen = text.split(",")
        if unknown := set(chosen) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(known)}")
        return chosen

    return parse


def _run_question(
    question: Question, options: argparse.Namespace, rounds: int, scale: Scale, path: Path, run: str
) -> None:
    """Measure all rounds of one question; within a round every server has its turn, so that a slow minute hits all.

    The stored rows are replaced only when all rounds are done.
    """
    rows = []
    for turn in range(1, rounds + 1):
        for name in (name for name in question.servers if name in options.servers):
            print(f"{question.name}, round {turn} of {rounds}: {name}", flush=True)
            started = time.monotonic()
            rows += [{"run": run, "round": turn, **row} for row in _measure(question, name, scale)]
            print(f"    took {time.monotonic() - started:.0f} s", flush=True)
    if rows:
        kept = path.read_text() if options.append and path.exists() else ""
        fresh = path.with_suffix(".new")
        fresh.write_text(kept + "".join(json.dumps(row) + "\n" for row in rows))
        fresh.replace(path)


def _measure(question: Question, name: str, scale: Scale) -> list[dict[str, object]]:
    """One measurement on a fresh data directory; a server that fails is a result as well."""
    directory = Path(tempfile.mkdtemp(prefix=f"bench-{name}-"))
    server = Server(name, directory / "data")
    code = report.our_code()
    measured: list[dict[str, object]] = []
    started, (busy, stolen) = time.monotonic(), processes.machine_seconds()
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        for case, values in question.measure(server, scale):
            print("    " + _line(question, case, values), flush=True)
            measured.append({"case": case, "values": values})
    except (ServerError, RuntimeError, OSError, WebSocketException) as error:
        print(f"    {error!r}", flush=True)
        measured.append({"case": "", "values": {}, "error": str(error) or repr(error)})
    finally:
        server.kill()
        shutil.rmtree(directory, ignore_errors=True)
    if report.our_code() != code:
        print("    this server's source changed during the measurement", flush=True)
        code += " (edited meanwhile)"
    elapsed, (busy_after, stolen_after) = time.monotonic() - started, processes.machine_seconds()
    common: dict[str, object] = {
        "question": question.name,
        "server": name,
        "scale": scale.name,
        "time": now,
        "machine": report.machine(),
        "code": code,
        "others_cores": round(max(busy_after - busy - server.spent_seconds, 0) / elapsed, 2),
        "stolen_cores": round((stolen_after - stolen) / elapsed, 2),
    }
    return [{**common, **row} for row in measured]


def _line(question: Question, case: str, values: dict[str, object]) -> str:
    return f"{case}: " + ", ".join(f"{c.title} {values[c.key]}" for c in question.columns if c.key in values)


if __name__ == "__main__":
    main()

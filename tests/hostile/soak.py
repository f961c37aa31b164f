"""The hostile soak: attackers of every kind against a running server, honest clients beside them, and a watch on both.

    python -m tests.hostile.soak --seconds 600 --seed 1 [--strict]        # all attacks and labours together
    python -m tests.hostile.soak --seconds 60 --each                      # one after the other, a line for each
    python -m tests.hostile.soak --attacks overlaps,typists               # some; `--attacks ''` for none
    python -m tests.hostile.soak --store postgresql --lane asgi --nodes 3

Prints a report as JSON, and exits 1 when one of `Report.broken` holds. With `--strict` the limits on latency and
stalls count too: those need a machine with nothing else to do.

What latency is: from the edit of a stock Yjs client to the moment its process reads the echo from the socket, in a
thread that does nothing else: ten replicas of several megabytes in one process keep one another waiting, which clients
on machines of their own do not. Everything, attackers included, shares the cores of one machine; with
`--attackers-nice 19` they have little beside the server and honest people, but one that runs may finish its slice of
some milliseconds, at each of the ten times that an edit waits for a process to wake. With `--attackers-idle`
(SCHED_IDLE) they have what others leave, as if they were on machines of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import httpx

from tests.hostile.attacker import exchange
from tests.hostile.attacks import ATTACKS, GROUPS
from tests.hostile.honest import Honest
from tests.hostile.people import ATTACKED, DOCUMENTS, LABOURS, WEDDINGS, people, rooms
from tests.hostile.report import MIB, Report
from tests.hostile.target import Store, Target
from tests.hostile.watch import Watch, cpu_seconds, run_queue_seconds
from tests.support.server import ROOT, Lane
from tests.support.wire import Typist

GUESTS = 250
STILL_SECONDS = 20
EVERYTHING = (*ATTACKS, *LABOURS)


@dataclass(frozen=True)
class Plan:
    """One soak. ``attacks`` has labours of the honest as well."""

    seconds: float = 20.0
    seed: int = 1
    max_strikes: int = 0
    killer_seconds: float = 5.0
    large_bytes_in_room: int = 3_000_000
    settle_seconds: float = 30.0
    store: Store = "sqlite"
    lane: Lane = "fast"
    nodes: int = 1
    attacks: tuple[str, ...] = EVERYTHING
    attackers_nice: int = 0
    attackers_idle: bool = False


async def soak(plan: Plan, directory: Path) -> Report:
    """Everything, in order. `directory` keeps the database and the logs."""
    report = Report(asdict(plan))
    clients = people(set(plan.attacks) & set(LABOURS))
    target = Target(directory, store=plan.store, lane=plan.lane, nodes=plan.nodes, max_strikes=plan.max_strikes)
    honest = Honest(directory, clients, plan.seed, plan.settle_seconds)
    attackers: list[asyncio.subprocess.Process] = []
    try:
        await target.plant(WEDDINGS, GUESTS, plan.seed)
        await target.start()
        await _under_attack(plan, target, honest, attackers, report)
        await _restart(target, honest, rooms(clients), report)
    finally:
        for process in (*honest.processes, *attackers):
            if process.returncode is None:
                process.kill()
                await process.wait()
        await asyncio.to_thread(target.close)
    return report


async def _under_attack(
    plan: Plan, target: Target, honest: Honest, attackers: list[asyncio.subprocess.Process], report: Report
) -> None:
    pids = target.pids
    await asyncio.gather(*(_use_once(url) for url in target.urls))
    report.rooms_open = await target.rest()
    report.memory_mib["rest"] = [round(size / MIB, 1) for size in await target.least_resident()]
    report.disk_bytes["rest"] = target.disk_bytes()
    watches = [Watch(node.url, node.pid) for node in target.nodes]
    watching = [asyncio.create_task(watch.run()) for watch in watches]
    await honest.start(target.urls)
    begun, cpu, queue = time.monotonic(), [cpu_seconds(pid) for pid in pids], [run_queue_seconds(pid) for pid in pids]
    for group in GROUPS:
        await _start_attackers(plan, target, [attack.__name__ for attack in group], attackers)
    outputs, _ = await asyncio.gather(
        asyncio.gather(*(process.communicate() for process in attackers)), asyncio.sleep(plan.seconds)
    )
    lasted = time.monotonic() - begun
    used = [(cpu_seconds(pid) - before) / lasted for pid, before in zip(pids, cpu, strict=True)]
    waited = [(run_queue_seconds(pid) - before) / lasted for pid, before in zip(pids, queue, strict=True)]
    report.cpu_share["server"] = round(max(used), 3)
    report.loop["run_queue_share"] = round(max(waited), 4)
    report.honest = await honest.ask("quiet")
    for task in watching:
        task.cancel()
    report.tell_attackers(outputs, lasted)
    report.cpu_share["honest"] = round(report.honest["cpuSeconds"] / lasted, 3)
    report.before_restart = await _check_when_still(target, honest, report)
    report.same_process = target.same(pids)
    report.disk_bytes["after"] = target.disk_bytes()
    report.tell_server(target, watches)
    report.tell_latency(honest.samples(), target)


async def _start_attackers(
    plan: Plan, target: Target, group: list[str], attackers: list[asyncio.subprocess.Process]
) -> None:
    names = [name for name in group if name in plan.attacks]
    if not names:
        return
    clients = [client for group in people(set(plan.attacks) & set(LABOURS)) for client in group]
    arguments = {
        "names": names,
        "seconds": plan.seconds,
        "seed": plan.seed,
        "urls": target.urls,
        "where": {
            "room": ATTACKED,
            "honest_ids": [client["id"] for client in clients],
            "killer_seconds": plan.killer_seconds,
            "large_bytes_in_room": plan.large_bytes_in_room,
        },
    }
    idle = ("chrt", "--idle", "0") if plan.attackers_idle else ()
    nice = (*idle, "nice", "-n", str(plan.attackers_nice))
    command = (*nice, sys.executable, "-m", "tests.hostile.attacks", json.dumps(arguments))
    attackers.append(await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=ROOT))


async def _restart(target: Target, honest: Honest, where: list[str], report: Report) -> None:
    """Memory once everybody has left; then kill -9, and what a new process reads."""
    await honest.ask("leave")
    report.rooms_open += await target.rest()
    report.memory_mib["after"] = [round(size / MIB, 1) for size in await target.least_resident()]
    await target.kill9()
    await target.start()
    report.after_restart = await _check(target, honest, "after", where)
    await honest.ask("bye")
    await target.terminate()
    report.verify_exit_code, lines = await target.command("verify")
    report.quarantine = [line for line in lines if "quarantined" in line]
    report.problems = [line for line in lines if "quarantined" not in line][-40:]


async def _use_once(url: str) -> None:
    """Everything that is started or imported at its first use: a large update, its check, a compaction, the host of
    large documents, and weddings of guests."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        for name, size in (("a", 50_000), ("b", 50_000), ("large", 1_200_000), ("large", 50_000)):
            update = Typist(int(url.rpartition(":")[2]) + size, name).text(b"x" * size)
            path = f"/api/weddings/w_warm/documents/notes.{name}/sync"
            (await client.post(path, content=exchange(update))).raise_for_status()
        for wedding in WEDDINGS:
            for document in DOCUMENTS:
                (await client.get(f"/api/weddings/{wedding}/documents/{document}")).raise_for_status()


async def _check_when_still(target: Target, honest: Honest, report: Report) -> dict[str, Any]:
    """What attackers sent last may still be on its way when they have gone."""
    where = rooms(people(set(report.plan["attacks"]) & set(LABOURS)))
    deadline = time.monotonic() + STILL_SECONDS
    while True:
        result = await _check(target, honest, "before", where)
        if not result["unequal"] or time.monotonic() > deadline:
            return result
        await asyncio.sleep(0.5)


async def _check(target: Target, honest: Honest, moment: str, where: list[str]) -> dict[str, Any]:
    """Every honest room as a fresh Yjs document reads it from the server, against the clients' replicas. Those who have
    left do not have what the server wrote since: conflicts wait out, and their records follow the time of day."""
    files = {}
    for room in where:
        file = target.logs[0].parent / f"{moment}-{room.replace('/', '-')}.bin"
        file.write_bytes(await target.state(room))
        files[room] = str(file)
    result = await honest.ask("check", {"files": files, "left": moment == "after"})
    return result | {"attacked_bytes": Path(files[ATTACKED]).stat().st_size}


def _run(plan: Plan, keep: Path | None) -> Report:
    """One soak in a directory of its own."""
    with tempfile.TemporaryDirectory() as temporary:
        directory = keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        report = asyncio.run(soak(plan, directory))
        if keep:
            (keep / "report.json").write_text(json.dumps(vars(report), indent=1))
    return report


def _line(name: str, report: Report, wrong: list[str]) -> str:
    """One soak in a line: p50 and p99 in milliseconds, memory in MiB."""
    own, memory = report.latency["own"], report.memory_mib
    places = {"others": own["other_rooms"], "attacked": own["attacked_wedding"], **report.labours}
    waits = " ".join(f"{place} {each['p50']:g}/{each['p99']:g}" for place, each in places.items())
    stopped = sum(tally["stopped"] for tally in report.attackers.values())
    rest = f"front {memory['peak_front']:.0f} host {memory['peak_host']:.0f} disk +{report.disk_growth() // MIB} MiB"
    deaths = report.hosts["deaths"]
    return f"{name}: {waits} ms; {rest}; {deaths} deaths; stopped {stopped}; {', '.join(wrong) or 'all bounds hold'}"


def _options() -> tuple[argparse.Namespace, Plan]:
    parser = argparse.ArgumentParser(prog="tests.hostile.soak")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--max-strikes", type=int, default=0, help="of the server; 0 never shuts an attacker out")
    parser.add_argument("--killer-seconds", type=float, default=5, help="between two host crashes")
    parser.add_argument("--attacks", default=",".join(EVERYTHING), help=f"some of {', '.join(EVERYTHING)}; or nothing")
    parser.add_argument("--each", action="store_true", help="no attack, then each by itself; a line for each")
    parser.add_argument("--store", choices=get_args(Store), default="sqlite")
    parser.add_argument("--lane", choices=get_args(Lane), default="fast")
    parser.add_argument("--nodes", type=int, default=1, help="more than one: on PostgreSQL, with Redis between them")
    parser.add_argument("--attackers-nice", type=int, default=0, help="added to the niceness of attackers")
    parser.add_argument("--attackers-idle", action="store_true", help="attackers run where nobody else would")
    parser.add_argument("--keep", type=Path, help="keep database, logs and report here")
    parser.add_argument("--strict", action="store_true", help="limits on latency and stalls count too")
    options = parser.parse_args()
    attacks = tuple(name for name in options.attacks.split(",") if name)
    if unknown := set(attacks) - set(EVERYTHING):
        parser.error(f"no such attacks: {', '.join(sorted(unknown))}")
    if options.keep and options.keep.exists() and any(options.keep.iterdir()):
        parser.error(f"{options.keep} is not empty")
    names = ("seconds", "seed", "max_strikes", "killer_seconds", "lane", "nodes", "attackers_nice", "attackers_idle")
    plan = Plan(**{name: getattr(options, name) for name in names}, attacks=attacks)
    return options, replace(plan, store="postgresql" if options.nodes > 1 else options.store)


def main() -> None:
    """The command."""
    options, plan = _options()
    # ends with its children: without this, what `timeout` ends leaves servers behind
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    plans = {"": plan}
    if options.each:
        plans = {"nothing": replace(plan, attacks=())} | {name: replace(plan, attacks=(name,)) for name in plan.attacks}
    bad = False
    for name, each in plans.items():
        report = _run(each, options.keep and options.keep / name)
        broken, slow = report.broken(), [f"slow: {text}" for text in report.slow()]
        bad |= bool(broken or (options.strict and slow))
        if name:
            print(_line(name, report, [*broken, *slow]), flush=True)
        else:
            print(json.dumps(vars(report), indent=1), *broken, *slow, sep="\n")
    sys.exit(bad)


if __name__ == "__main__":
    main()

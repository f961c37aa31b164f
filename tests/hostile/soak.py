"""The hostile soak: attackers of every kind against a running server, honest clients beside them, and a watch on both.

    python -m tests.hostile.soak --seconds 600 --seed 1 [--max-strikes 0] [--keep DIRECTORY]

Prints a report as JSON, and exits 1 when one of `Report.broken` holds. With `--strict` the limits on latency and
stalls count too: those need a machine with nothing else to do.

What latency is: from the edit of a stock Yjs client to the moment its process reads the echo from the socket, in a
thread that does nothing else: ten replicas of several megabytes in one process keep one another waiting, which clients
on machines of their own do not. Everything, attackers included, shares the cores of one machine.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx

from crdt_server.protocol.lib0 import write_var_bytes
from tests.hostile.attacks import ATTACKS, Typist, source
from tests.hostile.honest import Honest
from tests.hostile.watch import Log, Watch, children, cpu_seconds, percentile, rss_bytes, run_queue_seconds

ROOT = Path(__file__).parents[2]
ATTACKED = "w_attacked/notes.attacked"
QUIET_ROOMS = [f"w_{wedding}/notes.{name}" for wedding in ("quiet", "still") for name in ("a", "b", "c")][:5]
FIRST_HONEST_ID = 700_000_001
GROUPS = (
    ("killers", "vectors", "mutants", "grammar", "grammar_by_http", "presence"),
    ("frames", "large", "tiny", "torrent", "churn", "mute"),
)
GRACE_SECONDS = 2
ACROSS_RESTART_MS = 1000.0
MEMORY_SLACK = 1.6
STILL_SECONDS = 20
STALL_MS = 50
ALARMING = (
    "task_failed",
    "append_failed",
    "document_unreadable",
    "room_failed",
    "compaction_failed",
    "quarantine_failed",
)
MIB = 1 << 20


@dataclass(frozen=True)
class Plan:
    """One soak."""

    seconds: float = 20.0
    seed: int = 1
    max_strikes: int = 0
    killer_seconds: float = 5.0
    large_bytes_in_room: int = 3_000_000
    settle_seconds: float = 30.0
    attacks: tuple[str, ...] = tuple(ATTACKS)

    def honest(self) -> list[list[dict[str, Any]]]:
        """Ten clients in the attacked room, ten in five others."""
        ids = itertools.count(FIRST_HONEST_ID)
        return [
            [{"wedding": room.split("/")[0], "document": room.split("/")[1], "id": next(ids)} for room in rooms]
            for rooms in ([ATTACKED] * 10, QUIET_ROOMS * 2)
        ]


class Server:
    """A server process on a database file; stderr goes to a log per start."""

    def __init__(self, directory: Path, plan: Plan) -> None:
        self.directory = directory
        self.database = f"sqlite:///{directory}/wedding.db"
        self.starts = 0
        self._environment = os.environ | {
            "CRDT_SERVER_MAX_STRIKES": str(plan.max_strikes),
            "CRDT_SERVER_ROOM_GRACE_SECONDS": str(GRACE_SECONDS),
            "CRDT_SERVER_LOG_LEVEL": "info",
        }
        self.url = ""
        self.process: asyncio.subprocess.Process

    @property
    def log(self) -> Path:
        return self.directory / f"server-{self.starts}.log"

    async def start(self) -> None:
        """Start and wait until it listens."""
        self.starts += 1
        with self.log.open("wb") as stderr:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "crdt_server", "serve", "--dev", "--host", "127.0.0.1", "--port", "0"),
                *("--database-url", self.database),
                stdout=subprocess.PIPE,
                stderr=stderr,
                cwd=ROOT,
                env=self._environment,
            )
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            if line.startswith(b"listening on "):
                self.url = line.split()[2].decode()
                return
        raise AssertionError(f"the server ended before it listened:\n{self.log.read_text()[-3000:]}")

    async def end(self, number: signal.Signals) -> int:
        """Send a signal; the exit code."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), 20)

    async def state(self, room: str) -> bytes:
        """The whole document over HTTP."""
        wedding, document = room.split("/")
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            answer = await client.get(f"/api/weddings/{wedding}/documents/{document}/state")
            return answer.raise_for_status().content

    def verify(self) -> tuple[int, list[str]]:
        """Exit code and lines of `crdt-server verify`."""
        done = subprocess.run(
            [sys.executable, "-m", "crdt_server", "verify", "--database-url", self.database],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, (done.stdout + done.stderr).splitlines()


@dataclass
class Report:
    """What a soak came to. Latencies in milliseconds."""

    plan: dict[str, Any]
    same_process: bool = False
    exit_code_of_kill: int = 0
    latency: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)
    health_ms: dict[str, float] = field(default_factory=dict)
    probe_failures: list[str] = field(default_factory=list)
    hosts: dict[str, Any] = field(default_factory=dict)
    honest: dict[str, Any] = field(default_factory=dict)
    before_restart: dict[str, Any] = field(default_factory=dict)
    after_restart: dict[str, Any] = field(default_factory=dict)
    attackers: dict[str, Any] = field(default_factory=dict)
    server_closed: dict[str, int] = field(default_factory=dict)
    shut_out: int = 0
    quarantine: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    verify_exit_code: int = -1
    memory_mib: dict[str, list[float]] = field(default_factory=dict)
    cpu_share: dict[str, float] = field(default_factory=dict)
    log: dict[str, int] = field(default_factory=dict)
    alarming_log: list[Any] = field(default_factory=list)

    def broken(self) -> list[str]:
        """What must never be, on any machine."""
        honest = self.honest
        senders = {line.split("from ")[1].split(":")[0].split()[-1] for line in self.quarantine}
        rules = {
            "the serving process died": not self.same_process,
            "honest clients did not settle": not honest["settled"],
            "honest clients threw": honest["errorCount"] > 0,
            "honest clients were closed": bool(honest["closes"]),
            "somebody spoke for an honest client": honest["spoofed"] > 0,
            "an honest client lost sight of a peer": bool(honest["unseenPeers"]),
            "the stored state is another": any(self.before_restart[key] for key in ("unequal", "missing", "broken")),
            "a restart lost something": any(self.after_restart[key] for key in ("unequal", "missing", "broken")),
            "the killers are not in quarantine": "killers" in self.plan["attacks"]
            and self.plan["max_strikes"] == 0
            and source("killers") not in senders,
            "an honest client is in quarantine": "127.0.0.1" in senders,
            "attackers were not closed": not {"4400", "4409"} <= set(self.server_closed)
            and set(self.plan["attacks"]) == set(ATTACKS),
            "attackers were not shut out": self.plan["max_strikes"] > 0 and self.shut_out == 0,
            "the store does not verify": self.verify_exit_code != 0,
            "memory did not return to rest": self.grown() > MEMORY_SLACK,
        }
        return [text for text, holds in rules.items() if holds]

    def grown(self) -> float:
        """Memory at the end, as a multiple of that at rest before."""
        return sum(self.memory_mib["after"]) / sum(self.memory_mib["rest"])

    def slow(self) -> list[str]:
        """What a quiet machine must not see."""
        rules = {
            "the loop stalled over 50 ms": self.loop["stalls_of_our_own"] > 0,
            "p99 outside host restarts is over 100 ms": self.latency["own"]["outside"]["p99"] > 100,
            "p99 across host restarts is over 1 s": self.latency["own"]["across"]["p99"] > 1000,
        }
        return [text for text, holds in rules.items() if holds]


async def soak(plan: Plan, directory: Path) -> Report:
    """Everything, in order. `directory` keeps the database and the logs."""
    report = Report(asdict(plan))
    server, honest = Server(directory, plan), Honest(directory, plan.honest(), plan.seed, plan.settle_seconds)
    attackers: list[asyncio.subprocess.Process] = []
    await server.start()
    try:
        await _under_attack(plan, server, honest, attackers, report)
        await _restart(server, honest, report)
    finally:
        for process in (server.process, *honest.processes, *attackers):
            if process.returncode is None:
                process.kill()
                await process.wait()
    return report


async def _under_attack(
    plan: Plan, server: Server, honest: Honest, attackers: list[asyncio.subprocess.Process], report: Report
) -> None:
    pid = server.process.pid
    await _use_once(server)
    report.memory_mib["rest"] = await _at_rest(server)
    watch = Watch(server.url, pid)
    watching = asyncio.create_task(watch.run())
    await honest.start(server.url)
    begun, cpu_before, queue_before = time.monotonic(), cpu_seconds(pid), run_queue_seconds(pid)
    attackers += [await _start_attackers(plan, server, group) for group in GROUPS if set(group) & set(plan.attacks)]
    outputs, _ = await asyncio.gather(
        asyncio.gather(*(process.communicate() for process in attackers)), asyncio.sleep(plan.seconds)
    )
    lasted = time.monotonic() - begun
    report.cpu_share["server"] = round((cpu_seconds(pid) - cpu_before) / lasted, 3)
    report.loop["run_queue_share"] = round((run_queue_seconds(pid) - queue_before) / lasted, 4)
    hosts_alive = len(children(pid)) - 1
    report.honest = await honest.ask("quiet")
    watching.cancel()
    _tell_attackers(report, outputs, lasted)
    report.cpu_share["honest"] = round(report.honest["cpuSeconds"] / lasted, 3)
    report.before_restart = await _check_when_still(server, honest)
    report.same_process = server.process.returncode is None and server.process.pid == pid
    _tell_server(report, server, watch, hosts_alive)
    _tell_latency(report, honest.samples(), server)


async def _start_attackers(plan: Plan, server: Server, group: tuple[str, ...]) -> asyncio.subprocess.Process:
    arguments = {
        "names": [name for name in group if name in plan.attacks],
        "seconds": plan.seconds,
        "seed": plan.seed,
        "url": server.url,
        "where": {
            "room": ATTACKED,
            "honest_ids": [client["id"] for clients in plan.honest() for client in clients],
            "killer_seconds": plan.killer_seconds,
            "large_bytes_in_room": plan.large_bytes_in_room,
        },
    }
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.hostile.attacks", json.dumps(arguments)), stdout=subprocess.PIPE, cwd=ROOT
    )


async def _restart(server: Server, honest: Honest, report: Report) -> None:
    """Memory once everybody has left; then kill -9, and what a new process reads."""
    await honest.ask("leave")
    report.memory_mib["after"] = await _at_rest(server)
    report.exit_code_of_kill = await server.end(signal.SIGKILL)
    await server.start()
    report.after_restart = await _check(server, honest, "after")
    await honest.ask("bye")
    await server.end(signal.SIGTERM)
    report.verify_exit_code, lines = server.verify()
    report.quarantine = [line for line in lines if "quarantined" in line]
    report.problems = [line for line in lines if "quarantined" not in line]


async def _use_once(server: Server) -> None:
    """Everything that is started or imported at its first use: a large update, its check, a compaction, the host of
    large documents."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        for name, size in (("a", 50_000), ("b", 50_000), ("large", 1_200_000), ("large", 50_000)):
            body = write_var_bytes(b"\0") + write_var_bytes(Typist(size, name).text(b"x" * size))
            path = f"/api/weddings/w_warm/documents/notes.{name}/sync"
            (await client.post(path, content=body)).raise_for_status()


async def _at_rest(server: Server) -> list[float]:
    """Memory of the serving process and each host in MiB, once no room is open."""
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        async with asyncio.timeout(60):
            while "crdt_rooms 0.0" not in (await client.get("/metrics")).text:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.2)
        seen = []
        for _ in range(10):
            await asyncio.sleep(0.2)
            seen.append(rss_bytes(server.process.pid))
    return [round(size / MIB, 1) for size in min(seen, key=sum)]


async def _check_when_still(server: Server, honest: Honest) -> dict[str, Any]:
    """What attackers sent last may still be on its way when they have gone."""
    deadline = time.monotonic() + STILL_SECONDS
    while True:
        result = await _check(server, honest, "before")
        if not result["unequal"] or time.monotonic() > deadline:
            return result
        await asyncio.sleep(0.5)


async def _check(server: Server, honest: Honest, moment: str) -> dict[str, Any]:
    """Every honest room as a fresh Yjs document reads it from the server, against the clients' replicas."""
    files = {}
    for room in (ATTACKED, *QUIET_ROOMS):
        file = server.directory / f"{moment}-{room.replace('/', '-')}.bin"
        file.write_bytes(await server.state(room))
        files[room] = str(file)
    result = await honest.ask("check", files)
    return result | {"attacked_bytes": Path(files[ATTACKED]).stat().st_size}


def _tell_attackers(report: Report, outputs: list[tuple[bytes, bytes]], lasted: float) -> None:
    used = 0.0
    for stdout, _ in outputs:
        told = json.loads(stdout)
        report.attackers |= told["tallies"]
        used += told["cpu_seconds"]
    report.cpu_share["attackers"] = round(used / lasted, 3)


def _tell_server(report: Report, server: Server, watch: Watch, processes: int) -> None:
    log = Log.read(server.log)
    stalls = log.stalls()
    report.loop |= {
        "stalls_over_50_ms": len(stalls),
        "stalls_of_our_own": sum(cpu > STALL_MS for _, cpu in stalls),
        "longest_late_and_cpu_ms": stalls[:5],
        "longest_cpu_ms": max((cpu for _, cpu in stalls), default=0),
    }
    report.health_ms = {
        "p50": round(percentile(watch.health_ms, 0.5), 1),
        "p99": round(percentile(watch.health_ms, 0.99), 1),
        "max": round(max(watch.health_ms), 1),
    }
    report.probe_failures = watch.failures[:5]
    report.hosts = {
        "processes_at_the_end": processes,
        "deaths": len(log.times_ms("document_host_died", host="host-")),
        "causes": dict(Counter(line["cause"] for line in log.lines if line["event"] == "document_host_died")),
        "job_worker_deaths": len(log.times_ms("document_host_died", host="jobs")),
    }
    report.server_closed = watch.closed()
    report.shut_out = int(watch.metric('crdt_refused_connections_total{reason="rate_limited"}'))
    report.memory_mib["peak"] = [round(watch.peak_rss_bytes / MIB, 1)]
    report.log = dict(log.counts())
    report.alarming_log = [line for line in log.lines if line["event"] in ALARMING][:5] + log.other[-10:]


def _tell_latency(report: Report, samples: list[tuple[str, str, float, float]], server: Server) -> None:
    """Percentiles of own echoes and of peers' edits, apart where a document host died on the way or just before."""
    deaths = Log.read(server.log).times_ms("document_host_died", host="host-")
    for kind in ("own", "peer"):
        split: dict[str, list[float]] = {"outside": [], "across": [], "attacked_room": [], "other_rooms": []}
        for sample_kind, room, sent, latency in samples:
            if sample_kind != kind:
                continue
            # the last death before the echo came
            index = bisect_right(deaths, sent + latency) - 1
            across = index >= 0 and deaths[index] + ACROSS_RESTART_MS > sent
            split["across" if across else "outside"].append(latency)
            if not across:
                split["attacked_room" if room == ATTACKED else "other_rooms"].append(latency)
        report.latency[kind] = {
            name: {
                "count": len(values),
                "p50": percentile(values, 0.5),
                "p99": percentile(values, 0.99),
                "p99.9": percentile(values, 0.999),
                "max": max(values, default=0),
            }
            for name, values in split.items()
        }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="tests.hostile.soak")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--max-strikes", type=int, default=0, help="of the server; 0 never shuts an attacker out")
    parser.add_argument("--killer-seconds", type=float, default=5, help="between two host crashes")
    parser.add_argument("--attacks", default=",".join(ATTACKS), help=f"some of {', '.join(ATTACKS)}")
    parser.add_argument("--keep", type=Path, help="keep database and logs here")
    parser.add_argument("--strict", action="store_true", help="limits on latency and stalls count too")
    options = parser.parse_args()
    plan = Plan(
        seconds=options.seconds,
        seed=options.seed,
        max_strikes=options.max_strikes,
        killer_seconds=options.killer_seconds,
        attacks=tuple(name for name in options.attacks.split(",") if name),
    )
    with tempfile.TemporaryDirectory() as temporary:
        directory = options.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        if any(directory.iterdir()):
            parser.error(f"{directory} is not empty")
        report = asyncio.run(soak(plan, directory))
    print(json.dumps(vars(report), indent=1))
    broken, slow = report.broken(), report.slow()
    for text in (*broken, *(f"slow: {text}" for text in slow)):
        print(text)
    sys.exit(1 if broken or (options.strict and slow) else 0)


if __name__ == "__main__":
    main()

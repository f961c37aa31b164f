"""Watching a server from outside: is it the same process, how long do probes take, how much memory, what it logs."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

PROBES_PER_SECOND = 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


def children(pid: int) -> list[int]:
    """The process and all below it."""
    try:
        own = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [pid, *(below for child in own for below in children(child))]


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def rss_bytes(pid: int) -> list[int]:
    """Resident memory of the process and of each below it."""
    sizes = []
    for each in children(pid):
        try:
            sizes.append(int(Path(f"/proc/{each}/statm").read_text().split()[1]) * PAGE_BYTES)
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return sizes


def cpu_seconds(pid: int) -> float:
    """CPU time of one process, without that of its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:13])) / TICKS


def run_queue_seconds(pid: int) -> float:
    """How long the main thread was ready to run but had no core."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9


def percentile(values: list[float], share: float) -> float:
    """Nearest rank; 0 of nothing."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


@dataclass
class Watch:
    """Probes at a fixed rate, from its own connection."""

    url: str
    pid: int
    health_ms: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pids: set[int] = field(default_factory=set)
    peak_front_bytes: int = 0
    peak_host_bytes: int = 0
    """Of the largest process below the serving one."""
    last_metrics: str = ""

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(base_url=self.url, timeout=10) as client:
            number = 0
            while True:
                begun = time.monotonic()
                try:
                    (await client.get("/healthz")).raise_for_status()
                    self.health_ms.append((time.monotonic() - begun) * 1000)
                    if number % PROBES_PER_SECOND == 0:  # reading them costs the server more than a probe
                        self.last_metrics = (await client.get("/metrics")).text
                except httpx.HTTPError as error:
                    self.failures.append(repr(error))
                if number % PROBES_PER_SECOND == 0:
                    front, *hosts = rss_bytes(self.pid) or [0]
                    self.peak_front_bytes = max(self.peak_front_bytes, front)
                    self.peak_host_bytes = max(self.peak_host_bytes, *hosts, 0)
                number += 1
                await asyncio.sleep(max(0.0, 1 / PROBES_PER_SECOND - (time.monotonic() - begun)))

    def metric(self, name: str) -> float:
        """The newest value of a metric; 0 where there is none. `name` includes labels."""
        match = re.search(rf"^{re.escape(name)} (\S+)$", self.last_metrics, re.MULTILINE)
        return float(match[1]) if match else 0.0

    def counters(self) -> Counter[str]:
        """All counters of the server, with their labels."""
        found = re.findall(r"^crdt_(\w+_total(?:\{.*\})?) (\S+)$", self.last_metrics, re.MULTILINE)
        return Counter({name: int(float(count)) for name, count in found})

    def closed(self) -> Counter[str]:
        """Close codes the server counted."""
        found = re.findall(r'^crdt_sockets_closed_total\{code="(\d+)"\} (\S+)$', self.last_metrics, re.MULTILINE)
        return Counter({code: int(float(count)) for code, count in found})


@dataclass
class Log:
    """What a server wrote to stderr."""

    lines: list[dict[str, Any]]
    other: list[str]

    @classmethod
    def read(cls, *paths: Path) -> Log:
        """JSON lines, and whatever else there is."""
        lines, other = [], []
        for text in "\n".join(path.read_text(errors="replace") for path in paths).splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                other.append(text)
        return cls(lines, other)

    def counts(self) -> Counter[str]:
        """How often each event was logged."""
        return Counter(f"{line['level']} {line['event']}" for line in self.lines)

    def times_ms(self, event: str, **where: str) -> list[float]:
        """When an event was logged, in milliseconds since the epoch; `where` values are prefixes."""
        return [
            datetime.fromisoformat(line["timestamp"]).timestamp() * 1000
            for line in sorted(self.lines, key=lambda line: str(line["timestamp"]))
            if line["event"] == event and all(str(line.get(key, "")).startswith(text) for key, text in where.items())
        ]

    def stalls(self) -> list[tuple[int, int]]:
        """(how late, CPU spent meanwhile) in milliseconds, longest first."""
        found = [(line["late_ms"], line["cpu_ms"]) for line in self.lines if line["event"] == "loop_late"]
        return sorted(found, reverse=True)

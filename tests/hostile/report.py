"""What a soak came to, and which bounds were broken."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from crdt_server.settings import Settings
from tests.hostile.attacks import ATTACKS, DEADLY, source
from tests.hostile.people import ATTACKED, ATTACKED_WEDDING, LABOURS
from tests.hostile.target import Target
from tests.hostile.watch import Log, Watch, percentile

MIB = 1 << 20
ACROSS_RESTART_MS = 1000.0
MEMORY_SLACK = 1.6
STALL_MS = 50
OTHERS_P99_MS, ATTACKED_P99_MS, ACROSS_P99_MS = 100, 250, 1000
OPEN_SECONDS = 2.0
DEADLY_MESSAGES = 6
"""Of the killers, until one has ended a copy of a host."""

DISK_PER_SENT_BYTE = 16
DISK_PER_EDIT_BYTES = 1024
DISK_BASE_BYTES = 8 * MIB
LOG_PER_ACT_BYTES = 512
LOG_BASE_BYTES = MIB
ALARMING = (
    "task_failed",
    "append_failed",
    "document_unreadable",
    "room_failed",
    "compaction_failed",
    "quarantine_failed",
)

Samples = list[tuple[str, str, float, float]]
"""Kind, room, when (milliseconds since 1970), latency in milliseconds."""


@dataclass
class Report:
    """Latencies in milliseconds; of attacks and labours in seconds, where the name has it."""

    plan: dict[str, Any]
    same_process: bool = False
    rooms_open: int = 0
    """After all had left."""
    latency: dict[str, Any] = field(default_factory=dict)
    labours: dict[str, Any] = field(default_factory=dict)
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
    counters: dict[str, int] = field(default_factory=dict)
    """Of the server, as far as they have counted anything."""
    quarantine: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    verify_exit_code: int = -1
    memory_mib: dict[str, Any] = field(default_factory=dict)
    disk_bytes: dict[str, int] = field(default_factory=dict)
    log_bytes: int = 0
    cpu_share: dict[str, float] = field(default_factory=dict)
    log: dict[str, int] = field(default_factory=dict)
    alarming_log: list[Any] = field(default_factory=list)

    # -- what must not be

    def broken(self) -> list[str]:
        """What must never be, on any machine."""
        honest = self.honest
        senders = {line.split("from ")[1].split(":")[0].split()[-1] for line in self.quarantine}
        attacks = set(self.plan["attacks"])
        rules = {
            "the serving process died": not self.same_process,
            f"{self.rooms_open} rooms stayed open": self.rooms_open > 0,
            "honest clients did not settle": not honest["settled"],
            "honest clients threw": honest["errorCount"] > 0,
            "honest clients were closed": bool(honest["closes"]),
            "honest clients were closed with a final code": any(code.startswith("44") for code in honest["closes"]),
            "somebody spoke for an honest client": honest["spoofed"] > 0,
            "an honest client lost sight of a peer": bool(honest["unseenPeers"]),
            "the stored state is another": any(self.before_restart[key] for key in ("unequal", "missing", "broken")),
            "a restart lost something": any(self.after_restart[key] for key in ("unequal", "missing", "broken")),
            "the killers are not in quarantine": self.plan["max_strikes"] == 0
            and self._sent("killers") >= DEADLY_MESSAGES
            and source("killers") not in senders,
            "an honest client is in quarantine": "127.0.0.1" in senders,
            "a host died of what is not deadly": not attacks & DEADLY and self.hosts["deaths"] > 0,
            "attackers were not closed": not {"4400", "4409"} <= set(self.server_closed) and attacks >= set(ATTACKS),
            "attackers were not shut out": 0 < self.plan["max_strikes"] < self._strikes() and self.shut_out == 0,
            "the store does not verify": self.verify_exit_code != 0,
            "memory did not return to rest": self.grown() > MEMORY_SLACK,
            "the serving process took more memory than its bounds allow": self.front_growth() > front_bound_bytes(),
            "the store grew by more than was sent": self.disk_growth() > self.disk_bound(),
            "the log grew by more than was done": self.log_bytes > self.log_bound(),
        }
        faults = [f"{name}: {text}" for name, tally in self.attackers.items() for text in tally["faults"]]
        return [text for text, holds in rules.items() if holds] + faults

    def slow(self) -> list[str]:
        """What a quiet machine must not see."""
        own = self.latency["own"]
        opening = max((tally["seconds"]["p99"] for tally in self.attackers.values()), default=0)
        rules = {
            "the loop stalled over 50 ms": self.loop["stalls_of_our_own"] > 0,
            f"p99 of others is over {OTHERS_P99_MS} ms": own["other_rooms"]["p99"] > OTHERS_P99_MS,
            f"p99 of the attacked wedding is over {ATTACKED_P99_MS} ms": own["attacked_wedding"]["p99"]
            > ATTACKED_P99_MS,
            "p99 across host restarts is over 1 s": own["across"]["p99"] > ACROSS_P99_MS,
            f"an honest act within an attack took over {OPEN_SECONDS:g} s (p99)": opening > OPEN_SECONDS,
        }
        return [text for text, holds in rules.items() if holds]

    def _sent(self, attack: str) -> int:
        """How many messages an attack has come to send."""
        return int(self.attackers[attack]["messages"]) if attack in self.attackers else 0

    def _strikes(self) -> int:
        """How often one attack was closed for what is malformed."""
        return max((tally["closes"].get("4400", 0) for tally in self.attackers.values()), default=0)

    def grown(self) -> float:
        """Memory at the end, as a multiple of that at rest before."""
        return float(sum(self.memory_mib["after"]) / sum(self.memory_mib["rest"]))

    def front_growth(self) -> float:
        """Of the largest serving process, in bytes."""
        return float((self.memory_mib["peak_front"] - self.memory_mib["rest"][0]) * MIB)

    def disk_growth(self) -> int:
        """Of the store, in bytes."""
        return self.disk_bytes["after"] - self.disk_bytes["rest"]

    def disk_bound(self) -> int:
        """What the store may grow by: a multiple of what came in, which a count of edits is not."""
        sent = sum(tally["sent_bytes"] for tally in self.attackers.values())
        return int(DISK_BASE_BYTES + DISK_PER_SENT_BYTE * sent + DISK_PER_EDIT_BYTES * self.honest["edits"])

    def log_bound(self) -> int:
        """What the logs may grow by."""
        acts = sum(
            tally["messages"] + tally["connections"] + sum(tally["http"].values()) for tally in self.attackers.values()
        )
        return int(LOG_BASE_BYTES + LOG_PER_ACT_BYTES * acts)

    # -- what there was

    def tell_attackers(self, outputs: list[tuple[bytes, bytes]], lasted: float) -> None:
        """What the processes of the attackers have printed."""
        used = 0.0
        for stdout, _ in outputs:
            told = json.loads(stdout)
            self.attackers |= told["tallies"]
            used += told["cpu_seconds"]
        self.cpu_share["attackers"] = round(used / lasted, 3)

    def tell_server(self, target: Target, watches: list[Watch]) -> None:
        """What probes, metrics and logs say."""
        log = Log.read(*target.logs)
        stalls = log.stalls()
        self.loop |= {
            "stalls_over_50_ms": len(stalls),
            "stalls_of_our_own": sum(cpu > STALL_MS for _, cpu in stalls),
            "longest_late_and_cpu_ms": stalls[:5],
            "longest_cpu_ms": max((cpu for _, cpu in stalls), default=0),
        }
        health = [value for watch in watches for value in watch.health_ms]
        self.health_ms = {**figures(health)}
        self.probe_failures = [failure for watch in watches for failure in watch.failures][:5]
        died = [line for line in log.lines if line["event"] == "document_host_died"]
        self.hosts = {
            "processes_at_the_end": target.hosts(),
            "deaths": sum(line["host"].startswith("host-") for line in died),
            "causes": dict(Counter(line["cause"] for line in died)),
            "job_worker_deaths": sum(line["host"].startswith("jobs") for line in died),
        }
        self.server_closed = dict(sum((watch.closed() for watch in watches), Counter()))
        shut_out = 'crdt_refused_connections_total{reason="rate_limited"}'
        self.counters = dict(sum((watch.counters() for watch in watches), Counter()))
        self.shut_out = int(sum(watch.metric(shut_out) for watch in watches))
        self.memory_mib["peak_front"] = round(max(watch.peak_front_bytes for watch in watches) / MIB, 1)
        self.memory_mib["peak_host"] = round(max(watch.peak_host_bytes for watch in watches) / MIB, 1)
        self.log = dict(log.counts())
        self.log_bytes = target.log_bytes()
        self.alarming_log = [line for line in log.lines if line["event"] in ALARMING][:5] + log.other[-10:]

    def tell_latency(self, samples: Samples, target: Target) -> None:
        """Percentiles of own echoes and of peers' edits, apart where a document host died on the way or just before."""
        deaths = Log.read(*target.logs).times_ms("document_host_died", host="host-")
        names = ("outside", "across", "attacked_room", "attacked_wedding", "other_rooms")
        for kind in ("own", "peer"):
            split: dict[str, list[float]] = {name: [] for name in names}
            for sample_kind, room, sent, latency in samples:
                if sample_kind != kind or _labour(room):
                    continue
                # the last death before the echo came
                index = bisect_right(deaths, sent + latency) - 1
                across = index >= 0 and deaths[index] + ACROSS_RESTART_MS > sent
                split["across" if across else "outside"].append(latency)
                if not across:
                    for name in _places(room):
                        split[name].append(latency)
            self.latency[kind] = {name: figures(values) for name, values in split.items()}
        of_labours: dict[str, list[float]] = {}
        for kind, room, _, latency in samples:
            if kind == "own" and (labour := _labour(room)):
                of_labours.setdefault(labour, []).append(latency)
        self.labours = {name: figures(values) for name, values in of_labours.items()}


def _places(room: str) -> tuple[str, ...]:
    """What a room is part of."""
    if room == ATTACKED:
        return "attacked_room", "attacked_wedding"
    return ("attacked_wedding",) if room.startswith(f"{ATTACKED_WEDDING}/") else ("other_rooms",)


def _labour(room: str) -> str | None:
    return next((name for name in LABOURS if room.startswith(f"w_{name}")), None)


def front_bound_bytes() -> int:
    """What a serving process may hold above what it has at rest: unfinished messages, checks, loaded bytes."""
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    return int(sum(defaults[name] for name in ("max_unfinished_bytes", "max_checking_bytes", "loaded_bytes")))


def figures(values: list[float]) -> dict[str, Any]:
    """How many there are, and their percentiles."""
    shares = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
    found = {name: round(percentile(values, share), 1) for name, share in shares.items()}
    return {"count": len(values)} | found | {"max": round(max(values, default=0.0), 1)}

"""``python -m benchmarks.profile``: where the time of the serving process goes under one load.

    python -m benchmarks.profile rooms --rate 6000          # 500 rooms x 4, all writing
    python -m benchmarks.profile fanout                     # 1 writer, 100 readers, one update in flight
    python -m benchmarks.profile paced --rate 50            # the same room, updates at a fixed rate
    python -m benchmarks.profile presence

Prints CPU per thread (from /proc), then shares of the samples that py-spy took of a thread while it held the GIL, by
thread, by package, by file, by function and by line. Sampling stops the process for a moment each time, so latencies
printed here are higher than those of the benchmark.
"""

import argparse
import collections
import linecache
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import processes
from benchmarks.config import BEFORE, BUILD, FULL, OURS, SKETCH, Scale
from benchmarks.loadgen import Answer, Clients, compile_generator
from benchmarks.question import Case, Column, Question
from benchmarks.servers import PEERS, Server

SAMPLES_PER_SECOND = 250
WARM_UP_SECONDS = 2
OWN_PACKAGES = ("crdt_server/", "storage/", "documents/", "sketch_server.py")
SOCKET_WRITES = re.compile(r"write(lines)?\(")
Stack = tuple[str, list[str]]
"""Name of a thread, and its frames as ``function (file:line)``, outermost first."""


@dataclass(frozen=True, slots=True)
class Load:
    """A command of the load generator; ``{rate}`` and ``{seconds}`` are filled in."""

    rooms: int
    members: int
    command: str
    arguments: tuple[str, ...]


LOADS = {
    "rooms": Load(FULL.rooms.rooms, FULL.rooms.members, "rate", ("rate", "seconds")),
    "fanout": Load(1, 101, "closed", ("one", "seconds")),
    "paced": Load(1, 101, "rate", ("rate", "seconds")),
    "presence": Load(FULL.presence.rooms, FULL.presence.members, "presence", ("one", "seconds")),
}


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples of one process during one load."""

    answer: Answer
    threads: list[tuple[str, float]]
    """Name and CPU seconds of each thread of the whole server."""
    stacks: list[tuple[Stack, int]]
    """And in how many samples the stack was seen."""

    def share(self, chosen: Callable[[Stack], bool]) -> float:
        """Part of all samples."""
        return sum(n for stack, n in self.stacks if chosen(stack)) / (sum(n for _, n in self.stacks) or 1)


def take(server: Server, clients: Clients, load: Load, rate: float, seconds: float, host: bool = False) -> Profile:
    """Run the load and sample the serving process, or the first document host."""
    pid = next(pid for pid in server.pids() if (pid != server.pid) == host)
    raw = BUILD / "profile.raw"
    values = {"rate": rate, "one": 1.0, "seconds": WARM_UP_SECONDS}
    clients.run(load.command, *(values[name] for name in load.arguments), 5)
    values["seconds"] = seconds + 1
    command = [str(Path(sys.executable).with_name("py-spy")), "record", "--pid", str(pid), "--output", str(raw)]
    command += ["--format", "raw", "--threads", "--gil", "--rate", str(SAMPLES_PER_SECOND)]
    with subprocess.Popen(
        [*command, "--duration", f"{seconds:.0f}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as spy:
        before = processes.thread_seconds(server.pids())
        answer = clients.run_with_cpu(load.command, *(values[name] for name in load.arguments), 5)
        after = processes.thread_seconds(server.pids())
        spy.wait()
    threads = sorted(((name, spent - before.get(name, 0.0)) for name, spent in after.items()), key=lambda t: -t[1])
    stacks = [_parsed(line) for line in raw.read_text().splitlines()]
    return Profile(answer, [(name, spent) for name, spent in threads if spent > 0], stacks)


def measure(server: Server, scale: Scale) -> Iterator[Case]:
    """How much Python an update costs the serving process besides writing to sockets."""
    s = scale.serving_python
    load = LOADS["rooms"]
    with server, Clients(server, load.rooms, load.members) as clients:
        clients.connect_all(60)
        profile = take(server, clients, load, s.rate, s.seconds)
    writes = profile.share(lambda stack: _writes(stack, server.kind.tree))
    serving_us = profile.answer["serving_us"]
    name = next(name for name, _ in profile.threads if name.startswith("process 0"))
    main_us = 1e6 * dict(profile.threads)[name] / profile.answer["sent"]
    in_main = profile.share(lambda stack: "MainThread" in stack[0])
    yield (
        f"{s.rate:,} updates/s",
        {
            "python_us": round(main_us * (1 - writes / (in_main or 1)), 1),
            "main_us": round(main_us, 1),
            "serving_us": serving_us,
            "hosts_us": profile.answer["hosts_us"],
            "write_share": round(100 * writes, 1),
        },
    )


def main() -> None:
    """Start a server, load it, sample it, print."""
    options = _options()
    processes.raise_file_limit()
    compile_generator()
    load = LOADS[options.load]
    with tempfile.TemporaryDirectory() as directory:
        server = Server(options.server, Path(directory) / "data")
        with server, Clients(server, load.rooms, load.members, guests=options.guests) as clients:
            clients.connect_all(60)
            profile = take(server, clients, load, options.rate, options.seconds, options.host)
    answer = profile.answer
    figures = ("sent", "completed", "seconds", "p50_ms", "p99_ms", "cpu_ms_per_1000", "serving_us", "hosts_us", "lost")
    print(f"{options.load}, {options.server}:", {key: answer[key] for key in figures if key in answer})
    print("\nCPU per thread, µs per update:")
    for name, seconds in profile.threads:
        print(f"  {1_000_000 * seconds / max(answer['sent'], 1):8.1f}  {name}")
    writes = profile.share(lambda stack: _writes(stack, server.kind.tree))
    print(f"\n{100 * writes:.1f} % in writes to sockets")
    _print_shares(profile.stacks)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.profile", description=__doc__)
    parser.add_argument("load", choices=list(LOADS))
    parser.add_argument("--rate", type=float, default=6000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--server", default=OURS, choices=(OURS, BEFORE, SKETCH))
    parser.add_argument("--guests", action="store_true", help="documents with a schema")
    parser.add_argument("--host", action="store_true", help="sample the document host instead of the serving process")
    return parser.parse_args()


def _parsed(line: str) -> tuple[Stack, int]:
    stack, _, samples = line.rpartition(" ")
    frames = stack.split(";")
    return (frames[0], frames[1:]), int(samples)


def _writes(stack: Stack, tree: Path) -> bool:
    """Whether the innermost line is one of the event loop's thread that hands bytes to a transport."""
    path, _, line = stack[1][-1].rpartition("(")[2].rstrip(")").rpartition(":")
    if "MainThread" not in stack[0] or not line.isdigit():
        return False
    found = next((place / path for place in (tree, PEERS) if (place / path).exists()), None)
    return found is not None and bool(SOCKET_WRITES.search(linecache.getline(str(found), int(line))))


def _print_shares(stacks: list[tuple[Stack, int]]) -> None:
    total = sum(samples for _, samples in stacks) or 1
    print(f"\n{total} samples of threads with the GIL ({SAMPLES_PER_SECOND} a second)")
    groups: list[tuple[str, int, Callable[[Stack], Iterable[str]]]] = [
        ("by thread", 10, lambda stack: [stack[0]]),
        ("by package, the innermost frame of our own", 12, lambda stack: [_package(_own(stack))]),
        ("by file, the innermost frame of our own", 25, lambda stack: [_file(_own(stack))]),
        ("by function, itself", 30, lambda stack: [_function(stack[1][-1])]),
        ("by function, with all that it calls", 50, lambda stack: {_function(frame) for frame in stack[1]}),
        ("by line, itself", 40, lambda stack: [stack[1][-1]]),
    ]
    for title, most, keys in groups:
        print(f"\n{title}:")
        counted: collections.Counter[str] = collections.Counter()
        for stack, samples in stacks:
            for key in keys(stack):
                counted[key] += samples
        for key, samples in counted.most_common(most):
            print(f"  {100 * samples / total:5.1f} %  {key}")


def _own(stack: Stack) -> str:
    """The innermost frame of this server, or the innermost one."""
    own = (frame for frame in reversed(stack[1]) if any(f"({package}" in frame for package in OWN_PACKAGES))
    return next(own, stack[1][-1])


def _file(frame: str) -> str:
    return frame.rpartition("(")[2].rpartition(":")[0]


def _package(frame: str) -> str:
    return "/".join(_file(frame).split("/")[:2])


def _function(frame: str) -> str:
    return frame.rpartition(":")[0] + ")"


QUESTION = Question(
    name="serving-python",
    title="CPU of the serving process' event loop, all writing",
    servers=(OURS, BEFORE, SKETCH),
    measure=measure,
    columns=(
        Column("python_us", "µs of Python per update besides writing to sockets", "less", 1),
        Column("main_us", "µs of the event loop's thread per update", "less", 1),
        Column("serving_us", "µs of the serving process per update", "less", 1),
        Column("hosts_us", "µs of the hosts per update", "less", 1),
        Column("write_share", "% of the GIL's time in writes", digits=1),
    ),
)


if __name__ == "__main__":
    main()

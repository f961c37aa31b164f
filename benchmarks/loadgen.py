"""Drives the C load generator: compiled on demand, one command line in, one JSON line out."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from benchmarks import processes
from benchmarks.config import BUILD, HERE
from benchmarks.persons import Query

SOURCE = HERE / "loadgen.c"
BINARY = BUILD / "loadgen"
Answer = dict[str, Any]
PER_WEDDING = 5
"""Rooms of one wedding."""


class LoadTarget(Protocol):
    """A server, or several nodes that clients use as one."""

    spent_seconds: float

    @property
    def name(self) -> str: ...
    @property
    def ports(self) -> Sequence[int]: ...
    @property
    def protocol(self) -> str: ...
    @property
    def query(self) -> Query | None:
        """What the URL of a client says of its person."""
        ...

    def cpu_seconds(self) -> float:
        """Of all its processes; those of a database are not among them."""
        ...

    def cpu_parts(self) -> dict[str, float]:
        """CPU seconds of each group of its processes, and of the database."""
        ...


def compile_generator() -> None:
    """Build the generator if it is older than its source."""
    BUILD.mkdir(exist_ok=True)
    if not BINARY.exists() or BINARY.stat().st_mtime < SOURCE.stat().st_mtime:
        subprocess.run(["cc", "-O2", "-Wall", "-std=gnu11", "-o", str(BINARY), str(SOURCE)], check=True)


class Clients:
    """``rooms`` x ``members`` simulated clients of one server in one generator process.

    ``generation`` separates the client ids of successive processes on the same documents; ``track`` is the
    generation whose updates are accounted for (default: their own). ``guests``: each writes into a guest of its own in
    a document with a schema, instead of text into a document without. Of several ``ports`` (default: all of the
    server's) each wedding has one of its own, or ``by_client`` each client the next. ``protocol``: "hocuspocus" or
    "y-websocket" (default: that of the server). ``query``: default that of the server.
    """

    def __init__(
        self,
        server: LoadTarget,
        rooms: int,
        members: int,
        *,
        chars: int = 10,
        generation: int = 1,
        track: int = 0,
        sources: int = 1,
        prefix: str = "r",
        guests: bool = False,
        ports: Sequence[int] = (),
        by_client: bool = False,
        protocol: str = "",
        query: Query | None = None,
    ) -> None:
        self.server = server
        self.count = rooms * members
        options: dict[str, object] = {
            "--port": ",".join(map(str, ports or server.ports)),
            "--protocol": protocol or server.protocol,
            "--rooms": rooms,
            "--members": members,
            "--chars": chars,
            "--generation": generation,
            "--track": track,
            "--sources": sources,
            "--prefix": prefix,
            "--guests": int(guests),
            "--by-client": int(by_client),
            "--per-wedding": PER_WEDDING,
        }
        self._directory = tempfile.TemporaryDirectory(prefix="bench-clients-")
        query = query or server.query
        if query is not None:
            weddings = [f"bench-{prefix}{n}" if guests else f"w_{prefix}{n // PER_WEDDING}" for n in range(rooms)]
            file = Path(self._directory.name) / "queries"
            file.write_text("".join(f"{query(weddings[n // members], n)}\n" for n in range(self.count)))
            options["--queries"] = file
        command = [str(BINARY)]
        for name, value in options.items():
            command += [name, str(value)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Clients":
        return self

    def __exit__(self, *_: object) -> None:
        self.server.spent_seconds += processes.cpu_seconds(self._process.pid)
        self._process.kill()
        self._process.communicate()
        self._directory.cleanup()

    def run(self, command: str, *arguments: float) -> Answer:
        """Run one command (see loadgen.c) to its end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(" ".join([command, *map(str, arguments)]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the load generator ended during {command!r}")
        answer: Answer = json.loads(line)
        return answer

    def connect(self, deadline_seconds: float, *, at_once: int = 128, expect: int = 0, warm: int = 0) -> Answer:
        """Open every client and wait until each has its sync step 2 and, where asked, the expected updates."""
        answer = self.run("connect", at_once, deadline_seconds, expect, warm)
        if answer["complete"] < answer["clients"]:
            del answer["seconds"], answer["per_second"]  # a deadline is not a duration: nothing compares with it
        return answer

    def connect_all(self, deadline_seconds: float = 30.0) -> None:
        """Like ``connect``; raises when one client is missing."""
        answer = self.connect(deadline_seconds)
        if answer["complete"] != self.count:
            raise RuntimeError(f"{self.server.name}: {answer['complete']} of {self.count} clients connected: {answer}")

    def run_with_cpu(self, command: str, *arguments: float) -> Answer:
        """Run one command and add the server's CPU time over it, in all, per 1,000 deliveries, and of each part per
        update (``<part>_us``)."""
        before, parts = self.server.cpu_seconds(), self.server.cpu_parts()
        answer = self.run(command, *arguments)
        for part, seconds in self.server.cpu_parts().items():
            answer[f"{part}_us"] = round(1_000_000 * (seconds - parts[part]) / max(answer["sent"], 1), 1)
        cpu_ms = (self.server.cpu_seconds() - before) * 1_000
        answer["cpu_ms"] = round(cpu_ms, 1)
        if answer.get("delivered"):
            answer["cpu_ms_per_1000"] = round(cpu_ms * 1_000 / answer["delivered"], 3)
        return answer

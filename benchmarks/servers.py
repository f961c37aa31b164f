"""The servers under measurement: how each is installed, started, stopped and killed."""

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import persons, processes
from benchmarks.config import (
    BEFORE,
    BEFORE_COMMIT,
    BUILD,
    HERE,
    NAMED,
    OUR_ENVIRONMENT,
    OURS,
    PEER_START_SECONDS,
    QUIET_SECONDS,
    SKETCH,
    STOP_SECONDS,
    TOKENS,
)

START_SECONDS = 8.0  # what a server does after its start is done: ours starts spare hosts after five seconds
PEERS = HERE / "peers"
MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
NODE = PEERS / "node_modules" / f"node-linux-{MACHINES.get(platform.machine(), platform.machine())}"
NODE_BINARY = NODE / "bin" / "node"
"""The peers' own Node: `node` of PATH may be older."""
PYCRDT_PYTHON = BUILD / "pycrdt-websocket" / "bin" / "python"
BEFORE_TREE = BUILD / "before"
BEFORE_PYTHON = BEFORE_TREE / ".venv" / "bin" / "python"


class ServerError(Exception):
    """A server could not be installed or started."""


def _our_command(
    port: int, directory: Path, python: str = sys.executable, mode: tuple[str, ...] = ("--dev",)
) -> list[str]:
    serve = [python, "-m", "crdt_server", "serve", *mode, "--host", "127.0.0.1", "--port", str(port)]
    return [*serve, "--database-url", f"sqlite:///{directory}/w.db"]


def _tokens_command(port: int, directory: Path) -> list[str]:
    return _our_command(port, directory, mode=persons.flags(directory))


def _before_command(port: int, directory: Path) -> list[str]:
    return _our_command(port, directory, str(BEFORE_PYTHON))


def _sketch_command(port: int, directory: Path) -> list[str]:
    return [sys.executable, str(PEERS / "sketch_server.py"), str(port), f"{directory}/sketch.db"]


def _hocuspocus_command(port: int, directory: Path) -> list[str]:
    return [str(NODE_BINARY), str(PEERS / "hocuspocus.mjs"), str(port), f"{directory}/hocuspocus.sqlite"]


def _y_websocket_command(_port: int, _directory: Path) -> list[str]:
    return [str(NODE_BINARY), str(PEERS / "node_modules/@y/websocket-server/src/server.js")]


def _pycrdt_command(port: int, directory: Path) -> list[str]:
    return [str(PYCRDT_PYTHON), str(PEERS / "pycrdt_websocket.py"), str(port), f"{directory}/ystore.db"]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of server is run. ``environment`` gets port and data directory."""

    command: Callable[[int, Path], list[str]]
    protocol: str = "y-websocket"
    environment: Callable[[int, Path], dict[str, str]] = lambda _port, _directory: {}
    stores: bool = True
    query: persons.Query | None = None
    tree: Path = HERE.parent
    """Where it is started."""
    python: str = sys.executable
    """Of the ones in Python, the interpreter that has its dependencies."""


KINDS = {
    OURS: Kind(_our_command, environment=lambda _port, _directory: OUR_ENVIRONMENT),
    TOKENS: Kind(_tokens_command, environment=lambda _port, _directory: OUR_ENVIRONMENT, query=persons.token_query),
    NAMED: Kind(_our_command, environment=lambda _port, _directory: OUR_ENVIRONMENT, query=persons.named_query),
    BEFORE: Kind(
        _before_command,
        environment=lambda _port, _directory: OUR_ENVIRONMENT,
        tree=BEFORE_TREE,
        python=str(BEFORE_PYTHON),
    ),
    SKETCH: Kind(_sketch_command),
    "hocuspocus": Kind(_hocuspocus_command, protocol="hocuspocus"),
    "hocuspocus-each-change": Kind(
        _hocuspocus_command, protocol="hocuspocus", environment=lambda _port, _directory: {"DEBOUNCE_MS": "0"}
    ),
    "y-websocket": Kind(
        _y_websocket_command,
        environment=lambda port, _directory: {"HOST": "127.0.0.1", "PORT": str(port)},
        stores=False,
    ),
    "y-websocket-leveldb": Kind(
        _y_websocket_command,
        environment=lambda port, directory: {
            "HOST": "127.0.0.1",
            "PORT": str(port),
            "YPERSISTENCE": f"{directory}/leveldb",
        },
    ),
    "pycrdt-websocket": Kind(_pycrdt_command),
}


def install(names: list[str]) -> None:
    """Put the peers' packages in place, each once."""
    if any(KINDS[name].command in (_hocuspocus_command, _y_websocket_command) for name in names):
        _install_node_peers()
    if "pycrdt-websocket" in names:
        _install_pycrdt_peer()
    if BEFORE in names:
        _install_before()


def _install_node_peers() -> None:
    installed = PEERS / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < (PEERS / "package-lock.json").stat().st_mtime:
        print("installing the Node peers", flush=True)
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-progress"], cwd=PEERS, check=True)


def _install_pycrdt_peer() -> None:
    stamp = PYCRDT_PYTHON.parents[1] / "installed"
    requirements = (PEERS / "requirements.txt").read_text()
    if stamp.exists() and stamp.read_text() == requirements:
        return
    print("installing pycrdt-websocket into its own environment", flush=True)
    venv.create(PYCRDT_PYTHON.parents[1], with_pip=True)
    subprocess.run(
        [str(PYCRDT_PYTHON), "-m", "pip", "install", "--quiet", "-r", str(PEERS / "requirements.txt")], check=True
    )
    stamp.write_text(requirements)


def _install_before() -> None:
    """The commit that figures are compared with, in a directory and a virtual environment of its own."""
    stamp = BEFORE_TREE / "installed"
    if stamp.exists() and stamp.read_text() == BEFORE_COMMIT:
        return
    print(f"installing this server as of {BEFORE_COMMIT}", flush=True)
    shutil.rmtree(BEFORE_TREE, ignore_errors=True)
    BEFORE_TREE.mkdir(parents=True)
    archive = ["git", "archive", "--format=tar", f"--output={BEFORE_TREE}.tar", BEFORE_COMMIT]
    subprocess.run(archive, cwd=HERE.parent, check=True)
    shutil.unpack_archive(f"{BEFORE_TREE}.tar", BEFORE_TREE, filter="data")
    venv.create(BEFORE_PYTHON.parents[1], with_pip=True)
    # The programs of PostgreSQL and the test tools are for the hostile soak, which runs from that tree as well.
    pip = [str(BEFORE_PYTHON), "-m", "pip", "install", "--quiet", "--editable"]
    subprocess.run([*pip, f"{BEFORE_TREE}[dev,postgres,redis]"], check=True)
    stamp.write_text(BEFORE_COMMIT)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class Server:
    """One server on its data directory; ``with`` starts it and kills it in the end."""

    name: str
    directory: Path
    port: int = field(default_factory=_free_port)
    environment: Mapping[str, str] = field(default_factory=dict)
    """Besides that of its kind."""
    spent_seconds: float = 0.0
    """CPU time of all its processes and clients that have ended, to separate our load from that of others."""
    _process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Server":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]

    @property
    def ports(self) -> list[int]:
        return [self.port]

    @property
    def protocol(self) -> str:
        return self.kind.protocol

    @property
    def query(self) -> persons.Query | None:
        return self.kind.query

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start and wait until connections are accepted."""
        self.directory.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, **self.kind.environment(self.port, self.directory), **self.environment}
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                self.kind.command(self.port, self.directory),
                cwd=self.kind.tree,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + PEER_START_SECONDS
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} did not start: {self.log_tail()}")
            time.sleep(0.02)

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def terminate(self) -> None:
        """Send SIGTERM; after STOP_SECONDS, kill."""
        assert self._process is not None
        self.spent_seconds += self.cpu_seconds()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            print(f"{self.name} ignored SIGTERM for {STOP_SECONDS} s", flush=True)
        self._end()

    def kill(self) -> None:
        """End the whole process tree at once."""
        if self._process is not None:
            self.spent_seconds += self.cpu_seconds()
            self._end()

    def _end(self) -> None:
        assert self._process is not None
        for pid in processes.tree(self._process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()
        self._process = None

    def pids(self) -> list[int]:
        return processes.tree(self.pid)

    def cpu_seconds(self) -> float:
        return processes.cpu_seconds(self.pid)

    def cpu_parts(self) -> dict[str, float]:
        serving = processes.own_cpu_seconds(self.pid)
        return {"serving": serving, "hosts": self.cpu_seconds() - serving}

    def rss_bytes(self) -> int:
        return processes.rss_bytes(self.pid)

    def stored_bytes(self) -> int:
        """Size of everything in the data directory but the log."""
        return sum(
            path.stat().st_size for path in self.directory.rglob("*") if path.is_file() and path.name != "server.log"
        )

    def settle(self, limit_seconds: float) -> None:
        """Wait until the store's files rest, as peers store after they have sent."""
        deadline = time.monotonic() + limit_seconds
        seen, since = self._store_state(), time.monotonic()
        while time.monotonic() < deadline and time.monotonic() - since < QUIET_SECONDS:
            time.sleep(0.1)
            if (state := self._store_state()) != seen:
                seen, since = state, time.monotonic()

    def _store_state(self) -> list[tuple[str, int, int]]:
        found = []
        for path in self.directory.rglob("*"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            if path.name != "server.log":
                found.append((str(path), status.st_size, status.st_mtime_ns))
        return sorted(found)

    def log_tail(self, lines: int = 8) -> str:
        log = self.directory / "server.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else ""

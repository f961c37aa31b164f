"""A real server process with a store of its own, to be started, killed and started again at the same address."""

from __future__ import annotations

import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

from tests.support.databases import Contents, new_database
from tests.support.programs import PROGRAM, Program, start_program

ROOT = Path(__file__).parents[2]
LISTENING = "listening on "
START_SECONDS = 120.0
STOP_SECONDS = 60.0

Lane = Literal["fast", "asgi"]


class ServerProcess:
    """`start`, then `kill9` or `terminate`, and `start` again; `restart` is a graceful stop and a start.

    Everything the server prints, over all its lives, is in `log_file`. ``flags`` are added to the command line,
    ``env`` to the environment. The first start takes a free port, later ones the same. Without ``database_url`` it
    has a new database, which is removed by `close`. Without ``dev`` the flags name a key for tokens. ``program`` is
    another module that serves.
    """

    def __init__(
        self,
        directory: Path,
        *,
        lane: Lane = "fast",
        flags: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        database_url: str | None = None,
        log_name: str = "server.log",
        dev: bool = True,
        program: Sequence[str] = PROGRAM,
    ) -> None:
        self.log_file = directory / log_name
        self._stack = ExitStack()
        contents: Contents = "demo" if dev else "tables"  # as its first start would leave it
        self.database_url = database_url or self._stack.enter_context(new_database(directory, contents))
        self.flags = flags  # of the next start
        self._mode = ["--dev"] if dev else []
        self._program = program
        patient = {"CRDT_SERVER_MAX_LOOP_LAG_SECONDS": "3600"}  # a busy machine is no reason to refuse sockets
        self._env = {"PYTHONUNBUFFERED": "1", "CRDT_SERVER_WEBSOCKET_LANE": lane, **patient, **(env or {})}
        self._port = 0
        self._process: Program | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 before the first start."""
        return self._port

    @property
    def pid(self) -> int:
        """The serving process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started, and nobody has ended it."""
        return self._process is not None

    @property
    def url(self) -> str:
        """Where HTTP is answered, without a slash at the end."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def node_url(self) -> str:
        """The same, of one node where there are several."""
        return self.url

    @property
    def ws_url(self) -> str:
        """What comes before ``/{wedding}/{document}`` in the address of a room."""
        return f"ws://127.0.0.1:{self._port}/ws"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def start(self) -> None:
        """Return when the server listens."""
        arguments = ["serve"] if self._program == PROGRAM else []
        arguments += ["--host", "127.0.0.1", "--port", str(self._port), "--database-url", self.database_url]
        with self.log_file.open("ab") as log:
            self._process = start_program(
                [*arguments, *self._mode, *self.flags], self._env, log.fileno(), self._program
            )
        line = self._first_line(self._process)
        if LISTENING not in line:
            self.kill9()
            raise AssertionError(f"the server does not listen: {line!r}\n{self.log[-3000:]}")
        self._port = int(line.split(LISTENING)[1].split()[0].rpartition(":")[2])

    def _first_line(self, process: Program) -> str:
        ready, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        return process.stdout.readline().decode() if ready else ""

    def next_line(self) -> str:
        """What it prints after the line that says where it listens."""
        assert self._process is not None
        return self._process.stdout.readline().decode()

    def kill9(self) -> None:
        """SIGKILL: nothing can be tidied up."""
        self._end(signal.SIGKILL)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        return self._end(signal.SIGTERM)

    def restart(self) -> None:
        code = self.terminate()
        assert code == 0, f"the server ended with {code}\n{self.log[-3000:]}"
        self.start()

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        process, self._process = self._process, None
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        finally:
            process.stdout.close()

    def close(self) -> None:
        """Gracefully, if it runs at all."""
        if self._process is not None:
            self.terminate()
        self._stack.close()

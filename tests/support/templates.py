"""Programs that are forked from a template, which has imported them and has read nothing: what it forks is as empty as
a new interpreter, a process of its own with its own limits, and costs milliseconds instead of seconds. Nothing that
served one test serves another."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from tests.support.fork_server import MESSAGE_BYTES

ROOT = Path(__file__).parents[2]


class Template:
    """The process that is forked. It starts with the first fork, with the ``environment()`` of then, and ends with this
    process. Threads may fork at the same time."""

    def __init__(self, module: str, environment: Callable[[], Mapping[str, str]]) -> None:
        self._module, self._environment = module, environment
        self._control: socket.socket | None = None
        self._forking = Lock()  # one template, and answers come in the order of the messages

    def _start(self) -> socket.socket:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", self._module, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                env=dict(self._environment()),
            )
        weakref.finalize(self, self._end, control, process)
        return control

    @staticmethod
    def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
        control.close()
        process.wait()

    def fork(self, message: object, descriptors: Sequence[int]) -> ForkedChild:
        """Fork a child, which has these descriptors."""
        status, theirs = os.pipe()
        with self._forking:
            try:
                self._control = control = self._control or self._start()
                socket.send_fds(control, [json.dumps(message).encode()], [theirs, *descriptors])
            finally:
                os.close(theirs)
            return ForkedChild(int(control.recv(MESSAGE_BYTES)), status)


class ForkedChild:
    """A grandchild of this process, with what is needed of a `subprocess.Popen`."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self._status = status
        self._close = weakref.finalize(self, os.close, status)
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and select.select([self._status], [], [], 0)[0]:
            self.wait()
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            readable, _, _ = select.select([self._status], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._code = int(os.read(self._status, MESSAGE_BYTES))
            self._close()
        return self._code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended meanwhile
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

"""The program that `hosts.Template` starts: forks a document host for each message, and says how each has ended.

A message is a JSON list of the host's limits, with three descriptors: a pipe for the exit code, its pipe, its mark.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
from contextlib import suppress

from crdt_server.judge.process import main as run_host

MESSAGE_BYTES = 4096


class Forks:
    """The hosts that live, by process id, and where to write their exit codes."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._status: dict[int, int] = {}

    def fork(self) -> bool:
        """Serve one message. False when there will be no more."""
        message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 3)
        if not message:
            return False
        status, *given = descriptors
        pid = os.fork()
        if pid == 0:
            self._become_host(given, json.loads(message))
        self._status[pid] = status
        for descriptor in given:
            os.close(descriptor)
        self._control.send(str(pid).encode())
        return True

    def _become_host(self, given: list[int], limits: list[int]) -> None:
        """Begin as a new interpreter would: its own descriptors only, the usual signals, a process group of its own."""
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)
            keep = {0, 1, 2, *given}
            for descriptor in map(int, os.listdir("/proc/self/fd")):
                if descriptor not in keep:
                    with suppress(OSError):
                        os.close(descriptor)
            run_host([*map(str, given), *map(str, limits)])
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)

    def reap(self) -> None:
        """Pass on the exit codes of those that have ended."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                status = self._status.pop(ended[0])
                with suppress(BrokenPipeError):  # nobody waits for it
                    os.write(status, str(os.waitstatus_to_exitcode(ended[1])).encode())
                os.close(status)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    forks = Forks(control)
    wake, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    with selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        ready.register(wake, selectors.EVENT_READ)
        while True:
            for key, _ in ready.select():
                if key.fileobj is wake:
                    wake.recv(MESSAGE_BYTES)
                    forks.reap()
                elif not forks.fork():
                    return


if __name__ == "__main__":
    main()

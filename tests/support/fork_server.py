"""The loop of a program that `templates.Template` starts: forks a child for each message, and reports how each has
ended.

A message is JSON, with descriptors: a pipe for the exit code, then those of the child.
"""

from __future__ import annotations

import gc
import json
import os
import selectors
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

MESSAGE_BYTES = 64 * 1024
MOST_DESCRIPTORS = 4

Child = tuple[Any, list[int]]
"""The message for a child, and its descriptors."""


def serve() -> Child | None:
    """Returns in every child; and, with None, in the template when there will be no more messages."""
    control = socket.socket(fileno=int(sys.argv[1]))
    wake, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    with control, wake, wakes, selectors.DefaultSelector() as ready:
        ready.register(control, selectors.EVENT_READ)
        ready.register(wake, selectors.EVENT_READ)
        child = _serve(control, wake, ready)
        signal.set_wakeup_fd(-1)
    if child is not None:
        _begin_anew(child[1])
    return child


def _serve(control: socket.socket, wake: socket.socket, ready: selectors.BaseSelector) -> Child | None:
    ends: dict[int, int] = {}  # the children that live: where to write their exit codes
    while True:
        for key, _ in ready.select():
            if key.fileobj is wake:
                wake.recv(MESSAGE_BYTES)
                _reap(ends)
                continue
            message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, MOST_DESCRIPTORS)
            if not message:
                for pid in ends:  # left by tests that were ended themselves
                    os.kill(pid, signal.SIGKILL)
                return None
            status, *given = descriptors
            pid = os.fork()
            if pid == 0:
                return json.loads(message), given
            ends[pid] = status
            for descriptor in given:
                os.close(descriptor)
            control.send(str(pid).encode())


def _reap(ends: dict[int, int]) -> None:
    """Pass on the exit codes of those that have ended."""
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            status = ends.pop(ended[0])
            with suppress(BrokenPipeError):  # nobody waits for it
                os.write(status, str(os.waitstatus_to_exitcode(ended[1])).encode())
            os.close(status)


def _begin_anew(given: Sequence[int]) -> None:
    """As a new interpreter: its own descriptors only, and the usual signals."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    keep = {0, 1, 2, *given}
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        if descriptor not in keep:
            with suppress(OSError):
                os.close(descriptor)

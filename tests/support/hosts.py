"""Document hosts for hubs in the process of the tests: forked from one template instead of an interpreter each.

The template has imported the program of a host and has read nothing: what it forks is as empty as a new interpreter, a
process of its own with its own limits, and costs 5 ms instead of 300. Nothing that served one test serves another.
Tests of the supervisor, and all server processes, start interpreters.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from crdt_server.cluster.cluster import Cluster
from crdt_server.hosts.supervisor import HostFactory
from crdt_server.hub.hub import Hub
from crdt_server.metrics import Metrics
from crdt_server.settings import Settings
from storage import Storage
from tests.support.host_template import MESSAGE_BYTES

ROOT = Path(__file__).parents[2]


def make_hub(settings: Settings, storage: Storage, cluster: Cluster | None = None) -> Hub:
    """A hub, not started yet, with hosts of this kind."""
    factory = HostFactory(
        memory_bytes=settings.host_memory_bytes,
        max_document_bytes=settings.max_document_bytes,
        spawn=_template().spawn,
    )
    hub = Hub(settings, storage, Metrics(), cluster, factory)
    if cluster is not None:
        cluster.join(hub)
    return hub


class Template:
    """The process that is forked; it ends with this one."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.host_template", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=ROOT,
                # As `spawn_interpreter` sets it.
                env={
                    "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
                    "MALLOC_ARENA_MAX": "2",
                    "MALLOC_MMAP_THRESHOLD_": "1048576",
                },
            )
        weakref.finalize(self, self._end, self._control, self._process)

    @staticmethod
    def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
        control.close()
        process.wait()

    def spawn(self, arguments: Sequence[int], descriptors: Sequence[int]) -> ForkedChild:
        """Fork a host; see `crdt_server.hosts.supervisor.Spawn`."""
        status, theirs = os.pipe()
        try:
            limits = json.dumps(arguments[len(descriptors) :]).encode()
            socket.send_fds(self._control, [limits], [theirs, *descriptors])
        finally:
            os.close(theirs)
        return ForkedChild(int(self._control.recv(MESSAGE_BYTES)), status)


class ForkedChild:
    """A grandchild of this process, with what is needed of a `subprocess.Popen`."""

    def __init__(self, pid: int, status: int) -> None:
        self.pid = pid
        self._status = status
        self._close = weakref.finalize(self, os.close, status)
        self._code: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            readable, _, _ = select.select([self._status], [], [], timeout)
            if not readable:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self._code = int(os.read(self._status, MESSAGE_BYTES))
            self._close()
        return self._code

    def kill(self) -> None:
        if self._code is None and not select.select([self._status], [], [], 0)[0]:
            os.kill(self.pid, signal.SIGKILL)


@cache
def _template() -> Template:
    return Template()

"""``serve --workers N``: several nodes on one machine, one listening socket.

Each worker is the same command again with one worker and the socket inherited, so it is a node like any other. One that
dies is started again; SIGHUP replaces them one by one, each only when its successor listens.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from contextlib import ExitStack
from typing import NamedTuple

import click
import structlog

from crdt_server.settings import Settings

log = structlog.get_logger(__name__)

START_SECONDS = 60.0
STOP_SECONDS = 15.0
BACKLOG = 8192
EARLY_SECONDS = 5.0  # a worker that dies sooner has not served
EARLY_DEATHS = 5  # in a row: a new start does not help then
LISTENING = b"listening on "


class WorkersFailed(Exception):
    """Workers do not start, or die again and again; or an address cannot be listened on."""


class Listeners(NamedTuple):
    """The sockets that all workers share."""

    main: socket.socket
    probes: socket.socket | None


def url(listener: socket.socket) -> str:
    """The address of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


class Worker:
    """One worker process. Its standard output is read here; its log goes to the standard error of this process."""

    def __init__(self, settings: Settings, listeners: Listeners) -> None:
        self.started = time.monotonic()
        self._listens = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crdt_server", "serve"],
            env=os.environ | _as_environment(settings, listeners),
            pass_fds=[listener.fileno() for listener in listeners if listener is not None],
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(LISTENING):
                self._listens.set()
        self._listens.set()  # it has ended: waiting for it is over

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def died_early(self) -> bool:
        return time.monotonic() - self.started < EARLY_SECONDS

    def wait_until_it_listens(self) -> bool:
        return self._listens.wait(START_SECONDS) and self.alive

    def terminate(self) -> None:
        if self.alive:
            self._process.terminate()

    def end(self) -> None:
        """Wait for a graceful end, and kill the process where that takes too long."""
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Workers:
    """`run` until SIGTERM or SIGINT. Raises WorkersFailed."""

    def __init__(self, settings: Settings, listeners: Listeners) -> None:
        self._settings = settings
        self._listeners = listeners
        self._workers: list[Worker] = []
        self._signals: deque[int] = deque()
        self._news = threading.Event()

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        try:
            self._workers = [self._start() for _ in range(self._settings.workers)]
            if not all(worker.wait_until_it_listens() for worker in self._workers):
                raise WorkersFailed("a worker does not start: see its output above")
            click.echo(f"listening on {url(self._listeners.main)}")
            if self._listeners.probes is not None:
                click.echo(f"probes on {url(self._listeners.probes)}")
            self._watch()
        finally:
            for worker in self._workers:
                worker.terminate()
            for worker in self._workers:
                worker.end()

    def _start(self) -> Worker:
        return Worker(self._settings, self._listeners)

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)
        self._news.set()

    def _watch(self) -> None:
        early = 0
        while True:
            self._news.wait(1.0)
            self._news.clear()
            while self._signals:
                number = self._signals.popleft()
                if number in (signal.SIGTERM, signal.SIGINT):
                    return
                if number == signal.SIGHUP:
                    self._replace_all()
            for index, worker in enumerate(self._workers):
                if worker.alive:
                    continue
                early = early + 1 if worker.died_early else 0
                if early == EARLY_DEATHS:
                    raise WorkersFailed(f"workers die as soon as they have started: {early} in a row")
                log.error("worker_died", early=early)
                self._workers[index] = self._start()

    def _replace_all(self) -> None:
        """A rolling restart. The first successor that does not come up ends it, and the old workers go on."""
        for index, old in enumerate(self._workers):
            new = self._start()
            if not new.wait_until_it_listens():
                log.error("successor_failed", worker=index)
                new.terminate()
                new.end()
                return
            self._workers[index] = new
            old.terminate()
            old.end()
            log.info("worker_replaced", worker=index)


def _as_environment(settings: Settings, listeners: Listeners) -> dict[str, str]:
    values = settings.model_dump(mode="json") | {"workers": 1, "listen_fd": listeners.main.fileno()}
    if listeners.probes is not None:
        values["probes_fd"] = listeners.probes.fileno()
    if "document_hosts" not in settings.model_fields_set:
        values["document_hosts"] = max(1, settings.document_hosts // settings.workers)
    return {f"CRDT_SERVER_{name.upper()}": str(value) for name, value in values.items() if value is not None}


def run_workers(settings: Settings) -> None:
    """Serve with several nodes until SIGTERM or SIGINT. Raises WorkersFailed."""
    with ExitStack() as stack:
        main = stack.enter_context(listen(settings.host, settings.port))
        probes = None
        if settings.probes_port >= 0:
            probes = stack.enter_context(listen(settings.probes_host or settings.host, settings.probes_port))
        Workers(settings, Listeners(main, probes)).run()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket that other processes may inherit. Raises WorkersFailed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise WorkersFailed(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.set_inheritable(True)
    return listener

"""Dry runs: an update that could take long is tried in a forked copy of the host before the host itself takes it.

The host does not wait for a copy: the update has to come again (`Status.LATER`), and other work goes on. A copy that
has ended well is evidence for a document that others may have edited since. A document has one copy at a time, so those
edits are small, and the limit of CPU time still holds for the update itself.
"""

from __future__ import annotations

import gc
import os
import select
import signal
from collections.abc import Callable
from typing import NoReturn

COPIES = 4  # at a time, in one host
TRIES = 3  # of one update, when something outside ends the copy
MOST_DEFERRED = 100  # then the update that was tried has not come again: its sender was closed
NICENESS = 10  # the host itself goes first
DESCRIPTORS = 256  # a host has a few


class ForkPool:
    """The copies of one host that are under way."""

    def __init__(self, most: int = COPIES) -> None:
        self._most = most
        self._ends: dict[int, int] = {}  # process id -> descriptor that is readable when the process has ended
        self._stopped: set[int] = set()

    @property
    def full(self) -> bool:
        self._stopped -= {pid for pid in self._stopped if self.result(pid) is not None}
        return len(self._ends) >= self._most

    def start(self, work: Callable[[], object], cpu_seconds: float) -> int:
        """Fork; the copy does the work, or dies of it. Returns its process id."""
        pid = os.fork()
        if not pid:
            _perform(work, cpu_seconds)
        self._ends[pid] = os.pidfd_open(pid)
        return pid

    def result(self, pid: int) -> int | None:
        """Exit code of a copy that has ended (negative: the signal); None while it runs."""
        ended, status = os.waitpid(pid, os.WNOHANG)
        if not ended:
            return None
        os.close(self._ends.pop(pid))
        return os.waitstatus_to_exitcode(status)

    def stop(self, pid: int) -> None:
        """Kill a copy whose result is not needed any more. It may end later: it has little of the CPU."""
        os.kill(pid, signal.SIGKILL)
        self._stopped.add(pid)

    def wait(self, seconds: float) -> None:
        """Sleep until some copy has ended, so long at most; not at all where there is none."""
        if self._ends:
            self.nap(seconds)

    def nap(self, seconds: float) -> None:
        """Sleep until some copy has ended, so long at most."""
        poll = select.poll()
        for descriptor in self._ends.values():
            poll.register(descriptor, select.POLLIN)
        poll.poll(seconds * 1000)


def _perform(work: Callable[[], object], cpu_seconds: float) -> NoReturn:
    os.closerange(3, DESCRIPTORS)  # the pipe must end with the host, not with the last of its copies
    os.nice(NICENESS)
    gc.disable()  # a collection would copy every page of the host, on the time of the update
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    try:
        work()
    except BaseException:  # noqa: BLE001 - a PanicException is not an Exception; whatever it is, the copy is for that
        os._exit(1)
    os._exit(0)


class DryRun:
    """The dry run of one document, and its verdict.

    One update is tried at a time, and its verdict is kept until that update comes again: if another one could take its
    place, the updates of two senders would displace each other for as long as they come in turn.
    """

    def __init__(self, copies: ForkPool) -> None:
        self._copies = copies
        self._pid: int | None = None
        self._data = b""
        self._tries = 0
        self._verdict: bool | None = None
        self._deferred = 0  # how often another update was put off for the sake of the verdict

    def decided(self, data: bytes) -> bool:
        """Whether `run` would return the verdict on this update."""
        self._collect()
        return self._verdict is not None and data == self._data

    def busy(self, data: bytes) -> bool:
        """Whether this update has to wait: another one is being tried, or the host has too many copies."""
        self._collect()
        if self._pid is not None:
            return True
        if self._verdict is None:
            return self._copies.full
        if data == self._data:
            return False
        self._deferred += 1
        if self._deferred <= MOST_DEFERRED:
            return True
        self._forget()
        return self._copies.full

    def run(self, data: bytes, work: Callable[[], object], cpu_seconds: float) -> bool | None:
        """Whether a copy has survived the work for this update; None (and a copy is started) where that is not known
        yet. Not to be called while `busy`.
        """
        if data != self._data:
            self._forget()
            self._data = data
        verdict = self._verdict
        if verdict is None:
            self._tries += 1
            self._pid = self._copies.start(work, cpu_seconds)
        else:
            self._forget()
        return verdict

    def settled(self, data: bytes) -> None:
        """This update does not come again: its verdict is not needed any more."""
        if self._verdict is not None and data == self._data:
            self._forget()

    def _collect(self) -> None:
        """Take the verdict of the copy, if it has ended."""
        if self._pid is None or (code := self._copies.result(self._pid)) is None:
            return
        self._pid = None
        if code != -signal.SIGKILL:
            self._verdict = code == 0
        elif self._tries == TRIES:  # killed from outside each time, which proves nothing against the update
            self._verdict = True

    def _forget(self) -> None:
        self._data, self._tries, self._verdict, self._deferred = b"", 0, None, 0

    def stop(self) -> None:
        """The document is forgotten."""
        if self._pid is not None:
            self._copies.stop(self._pid)
            self._pid = None

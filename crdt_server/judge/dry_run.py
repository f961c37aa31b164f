"""Dry runs: an update that could take long is tried in a forked copy of the host before the host itself takes it.

The host does not wait for a copy: the update has to come again (`Status.LATER`), and other work goes on. An
update that a copy has survived may be applied to a document that others have edited since. A document has one copy at a
time, so those edits are small; and if they make the update dear, the limit of CPU time ends the host, and a new
one is started.

To fork a host of 0.9 GB takes 20 to 30 ms. A copy that has survived an update therefore tries the next ones of that
document, too, as long as both have the same.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import NoReturn

COPIES = 4  # at a time, in one host
TRIES = 3  # of one update, when something outside ends the copy
MOST_DEFERRED = 100  # then the update that was tried has not come again: its sender was closed
NICENESS = 10  # the host itself goes first
DESCRIPTORS = 256  # a host has a few
IDLE_SECONDS = 1.0  # then a copy ends: it keeps memory that the host has freed
TURN_UPDATES = 16  # of one copy; then another document may have its place
TURN_SECONDS = 0.02  # idle for so long, its place may be given away
MESSAGE_BYTES = 64 * 1024  # a larger update is tried in a new copy, which has it already
_CPU_SECONDS = struct.Struct("d")

Apply = Callable[[bytes], object]
"""Apply an update to the document, or die of it."""


class Trial(Enum):
    """The outcome of an update in a copy."""

    RUNNING = auto()
    SURVIVED = auto()
    DEADLY = auto()
    UNKNOWN = auto()
    """The copy has ended without having tried it."""
    KILLED = auto()
    """The copy was killed from outside."""


class Copy:
    """A forked copy of the host, which tries updates of one document, one after the other, until one ends it."""

    def __init__(self, apply: Apply, update: bytes, cpu_seconds: float) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.trial = Trial.RUNNING
        """What became of the update that it was given last."""
        self.has_ended = False
        self.is_stopped = False
        self._tried = 0
        self._idle_since = 0.0
        self._exit: int | None = None  # a descriptor of the process, once its end of the socket is closed
        self._pid = os.fork()
        if not self._pid:
            _perform(theirs, apply, update, cpu_seconds)
        theirs.close()
        self._socket.setblocking(False)

    def __del__(self) -> None:
        self._socket.close()  # a copy that nobody knows ends
        if self._exit is not None:
            os.close(self._exit)

    def fileno(self) -> int:
        """A descriptor that is readable when a trial or the copy has ended."""
        return self._socket.fileno() if self._exit is None else self._exit

    def submit(self, update: bytes, cpu_seconds: float) -> bool:
        """Have it try another update. Returns whether it can."""
        if self.is_stopped or self._tried >= TURN_UPDATES or len(update) > MESSAGE_BYTES:
            return False
        try:
            self._socket.send(_CPU_SECONDS.pack(cpu_seconds) + update)
        except OSError:  # it has ended, or cannot take it
            return False
        self.trial = Trial.RUNNING
        return True

    def poll(self) -> bool:
        """See what has become of its trial, and of the copy. Returns whether either has ended since the last call."""
        news = False
        while self._exit is None:
            try:
                answer = self._socket.recv(1)
            except BlockingIOError:
                return news
            except ConnectionResetError:  # it has ended before it read the last update
                answer = b""
            if answer:
                news = True
                self.trial = Trial.SURVIVED
                self._tried += 1
                self._idle_since = time.monotonic()
                continue
            self._exit = os.pidfd_open(self._pid)
        return self._reap() or news

    def _reap(self) -> bool:
        """Take the exit code, if there is a new one: where cores are few, 0.2 s can lie between the end of the socket
        and that of a process with so little of the CPU."""
        if self.has_ended:
            return False
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if not pid:
            return False
        self.has_ended = True
        code = os.waitstatus_to_exitcode(status)
        if self.trial is Trial.RUNNING:
            self.trial = Trial.KILLED if code == -signal.SIGKILL else Trial.DEADLY if code else Trial.UNKNOWN
        return True

    @property
    def is_busy(self) -> bool:
        """Whether it tries an update, or dies."""
        return self.trial is Trial.RUNNING or self.is_stopped

    @property
    def is_idle(self) -> bool:
        """Whether it has tried nothing for a while."""
        return not self.is_busy and time.monotonic() - self._idle_since > TURN_SECONDS

    def stop(self) -> None:
        """Kill it. It may end later: it has little of the CPU."""
        self.poll()
        if not self.has_ended:
            os.kill(self._pid, signal.SIGKILL)
            self.is_stopped = True


class ForkPool:
    """The copies of one host."""

    def __init__(self, most: int = COPIES) -> None:
        self._most = most
        self._copies: list[Copy] = []

    def has_place(self) -> bool:
        """Whether there may be one more copy. If not, one that is idle is stopped, if there is one."""
        self._poll()
        if len(self._copies) < self._most:
            return True
        if not any(copy.is_stopped for copy in self._copies):
            idle = next((copy for copy in self._copies if copy.is_idle), None)
            if idle is not None:
                idle.stop()
        return False

    def start(self, apply: Apply, update: bytes, cpu_seconds: float) -> Copy:
        """Fork a copy that tries an update."""
        copy = Copy(apply, update, cpu_seconds)
        self._copies.append(copy)
        return copy

    def wait(self, seconds: float) -> None:
        """Sleep until a trial or a copy that was stopped has ended, so long at most; not at all where there is none."""
        if any(copy.is_busy for copy in self._copies):
            self.nap(seconds)

    def nap(self, seconds: float) -> None:
        """Sleep until a trial or a copy that was stopped has ended, so long at most."""
        if self._poll():
            return
        ends = select.poll()
        for copy in self._copies:
            if copy.is_busy:
                ends.register(copy, select.POLLIN)
        ends.poll(seconds * 1000)

    def _poll(self) -> bool:
        """Poll all copies, and forget those that have ended. Returns whether there was anything new."""
        news = [copy.poll() or copy.has_ended for copy in self._copies]
        self._copies = [copy for copy in self._copies if not copy.has_ended]
        return any(news)


def _perform(host: socket.socket, apply: Apply, update: bytes, cpu_seconds: float) -> NoReturn:
    try:
        # The pipe must end with the host, not with the last of its copies.
        os.closerange(3, host.fileno())
        os.closerange(host.fileno() + 1, DESCRIPTORS)
        os.nice(NICENESS)
        gc.disable()  # a collection would copy every page of the host, on the time of the update
        host.settimeout(IDLE_SECONDS)
        while True:
            signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
            apply(update)
            signal.setitimer(signal.ITIMER_PROF, 0)
            host.send(b".")
            try:
                message = host.recv(_CPU_SECONDS.size + MESSAGE_BYTES)
            except TimeoutError:
                os._exit(0)
            if not message:
                os._exit(0)  # the host has ended
            (cpu_seconds,), update = _CPU_SECONDS.unpack_from(message), message[_CPU_SECONDS.size :]
    except BaseException:  # noqa: BLE001 - a PanicException is not an Exception; whatever it is, the copy is for that
        os._exit(1)


class DryRun:
    """The dry run of one document, and its verdict.

    One update is tried at a time, and its verdict is kept until that update comes again: if another one could take its
    place, the updates of two senders would displace each other for as long as they come in turn.
    """

    def __init__(self, copies: ForkPool) -> None:
        self._copies = copies
        self._copy: Copy | None = None
        self._ahead: bytes | None = None  # what the copy has that the document has not; None: they are not the same
        self._is_running = False
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
        if self._is_running:
            return True
        if self._verdict is None:
            return not self._has_place()
        if data == self._data:
            return False
        self._deferred += 1
        if self._deferred <= MOST_DEFERRED:
            return True
        self._forget()
        return not self._has_place()

    def run(self, data: bytes, news: bytes, apply: Apply, cpu_seconds: float) -> bool | None:
        """Whether a copy has survived this update; None where that is not known yet: it has to come again. ``news``:
        what is new of it. Not to be called while `busy`.
        """
        if data != self._data:
            self._forget()
            self._data = data
        verdict = self._verdict
        if verdict is None:
            self._try(news, apply, cpu_seconds)
        else:
            self._forget()
        return verdict

    def _try(self, news: bytes, apply: Apply, cpu_seconds: float) -> None:
        if self._ahead != b"" or self._copy is None or not self._copy.submit(news, cpu_seconds):
            self.stop()
            if not self._copies.has_place():
                return
            self._copy = self._copies.start(apply, news, cpu_seconds)
        self._ahead, self._is_running = news, True

    def changed(self, news: bytes) -> None:
        """The document has taken this update."""
        self._ahead = b"" if news == self._ahead else None

    def settled(self, data: bytes) -> None:
        """This update does not come again: its verdict is not needed any more."""
        if self._verdict is not None and data == self._data:
            self._forget()

    def _has_place(self) -> bool:
        return self._copy is not None or self._copies.has_place()

    def _collect(self) -> None:
        """Take the verdict of the copy, if there is one."""
        if not self._is_running:
            return
        assert self._copy is not None
        self._copy.poll()
        trial = self._copy.trial
        if trial is Trial.RUNNING:
            return
        self._is_running = False
        if trial is Trial.KILLED:
            self._tries += 1
        if trial in (Trial.SURVIVED, Trial.DEADLY):
            self._verdict = trial is Trial.SURVIVED
        elif self._tries == TRIES:  # killed from outside each time, which proves nothing against the update
            self._verdict = True

    def _forget(self) -> None:
        self._data, self._tries, self._verdict, self._deferred = b"", 0, None, 0

    def stop(self) -> None:
        """The copy is not needed any more."""
        if self._copy is not None:
            self._copy.stop()
        self._copy, self._is_running = None, False

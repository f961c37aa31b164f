"""Dry runs: an update that could take long is tried in a forked copy of the host before the host itself takes it.

The host does not wait for a copy: the update has to come again (`Status.LATER`), and other work goes on. What a copy
has survived is evidence for a document that others may have edited since. A document has one copy at a time, so those
edits are small, and the limit of CPU time still holds for the update itself.

To fork a host of 0.9 GB takes 20 to 30 ms. A copy that has survived an update therefore tries the next one of that
document, too, unless others have edited it since.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import NoReturn

from crdt_server.protocol.update import Update

COPIES = 4  # at a time, in one host
TRIES = 3  # of one update, when something outside ends the copy
MOST_DEFERRED = 100  # then the update that was tried has not come again: its sender was closed
NICENESS = 10  # the host itself goes first
DESCRIPTORS = 256  # a host has a few
IDLE_SECONDS = 1.0  # then a copy ends: it keeps memory that the host has freed
TURN_UPDATES, TURN_SECONDS = 16, 0.02  # after so many, or idle for so long, it makes room for that of another document
MESSAGE_BYTES = 64 * 1024  # a larger update is tried in a new copy, which has it already
_CPU_SECONDS = struct.Struct("d")

Apply = Callable[[bytes], object]
"""Apply an update to the document, or die of it."""


class Trial(Enum):
    """What became of an update in a copy."""

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
        self.is_trying = True
        self._is_stopped = False
        self._tried = 0
        self._idle_since = 0.0
        self._pid = os.fork()
        if not self._pid:
            _perform(theirs, apply, update, cpu_seconds)
        theirs.close()
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """A descriptor that is readable when a trial or the copy has ended."""
        return self._socket.fileno()

    def give(self, update: bytes, cpu_seconds: float) -> bool:
        """Have it try another update. Returns whether it can."""
        if self._is_stopped or len(update) > MESSAGE_BYTES:
            return False
        try:
            self._socket.send(_CPU_SECONDS.pack(cpu_seconds) + update)
        except OSError:  # it has ended
            return False
        self.is_trying = True
        return True

    def result(self) -> Trial:
        """What became of the update that it was given last."""
        try:
            answer = self._socket.recv(1)
        except BlockingIOError:
            return Trial.RUNNING
        except ConnectionResetError:  # it has ended before it read that update
            answer = b""
        self.is_trying = False
        self._tried += 1
        self._idle_since = time.monotonic()
        if answer:
            return Trial.SURVIVED
        self._socket.close()
        code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        if code == -signal.SIGKILL:
            return Trial.KILLED
        return Trial.DEADLY if code else Trial.UNKNOWN

    @property
    def is_busy(self) -> bool:
        """Whether it tries an update, or dies."""
        return self.is_trying or self._is_stopped

    @property
    def had_its_turn(self) -> bool:
        """Whether it may be stopped for the sake of others."""
        rested = time.monotonic() - self._idle_since > TURN_SECONDS
        return not self.is_busy and (rested or self._tried >= TURN_UPDATES)

    def has_ended(self) -> bool:
        """Whether it is no more, where nobody waits for its result."""
        while self._socket.fileno() >= 0 and (self._is_stopped or not self.is_trying):
            if self.result() is Trial.RUNNING:
                break
        return self._socket.fileno() < 0

    def stop(self) -> None:
        """Kill it. It may end later: it has little of the CPU."""
        if not self.has_ended():
            os.kill(self._pid, signal.SIGKILL)
            self._is_stopped = True


class ForkPool:
    """The copies of one host."""

    def __init__(self, most: int = COPIES) -> None:
        self._most = most
        self._copies: dict[Copy, None] = {}

    def has_place(self) -> bool:
        """Whether there may be one more copy. If not, one that had its turn is stopped, and there will be."""
        self._forget_ended()
        if len(self._copies) < self._most:
            return True
        copy = next((each for each in self._copies if each.had_its_turn), None)
        if copy is not None:
            copy.stop()
        return False

    def start(self, apply: Apply, update: bytes, cpu_seconds: float) -> Copy:
        """Fork a copy that tries an update."""
        copy = Copy(apply, update, cpu_seconds)
        self._copies[copy] = None
        return copy

    def wait(self, seconds: float) -> None:
        """Sleep until a trial or a copy that was stopped has ended, so long at most; not at all where there is none."""
        if any(copy.is_busy for copy in self._copies):
            self.nap(seconds)

    def nap(self, seconds: float) -> None:
        """Sleep until a trial or a copy that was stopped has ended, so long at most."""
        if self._forget_ended():
            return
        poll = select.poll()
        for copy in self._copies:
            if copy.is_busy:
                poll.register(copy, select.POLLIN)
        poll.poll(seconds * 1000)

    def _forget_ended(self) -> bool:
        """Forget the copies that have ended. Returns whether there were any."""
        before = len(self._copies)
        self._copies = {copy: None for copy in self._copies if not copy.has_ended()}
        return len(self._copies) < before


def _perform(host: socket.socket, apply: Apply, update: bytes, cpu_seconds: float) -> NoReturn:
    # The pipe must end with the host, not with the last of its copies.
    os.closerange(3, host.fileno())
    os.closerange(host.fileno() + 1, DESCRIPTORS)
    os.nice(NICENESS)
    gc.disable()  # a collection would copy every page of the host, on the time of the update
    host.settimeout(IDLE_SECONDS)
    try:
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
        self._clocks: dict[int, int] = {}  # of the document in the copy
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

    def run(
        self, data: bytes, update: Update, clocks: Mapping[int, int], apply: Apply, cpu_seconds: float
    ) -> bool | None:
        """Whether a copy has survived this update; None (and it is tried) where that is not known yet. ``update``: what
        is new of ``data`` for a document with these ``clocks``. Not to be called while `busy`.
        """
        if data != self._data:
            self._forget()
            self._data = data
        verdict = self._verdict
        if verdict is None:
            self._try(update, clocks, apply, cpu_seconds)
        else:
            self._forget()
        return verdict

    def _try(self, update: Update, clocks: Mapping[int, int], apply: Apply, cpu_seconds: float) -> None:
        copy = self._copy
        if copy is None or self._clocks != clocks or not copy.give(update.data, cpu_seconds):
            self.stop()
            self._copy = self._copies.start(apply, update.data, cpu_seconds)
        self._clocks = {**clocks, **{client: following for client, _, following in update.ranges}}

    def settled(self, data: bytes) -> None:
        """This update does not come again: its verdict is not needed any more."""
        if self._verdict is not None and data == self._data:
            self._forget()

    @property
    def _is_running(self) -> bool:
        return self._copy is not None and self._copy.is_trying

    def _has_place(self) -> bool:
        return self._copy is not None or self._copies.has_place()

    def _collect(self) -> None:
        """Take the verdict of the copy, if there is one."""
        if self._copy is None or not self._is_running or (result := self._copy.result()) is Trial.RUNNING:
            return
        if result is Trial.KILLED:
            self._tries += 1
        if result is not Trial.SURVIVED:
            self._copy = None
        if result in (Trial.SURVIVED, Trial.DEADLY):
            self._verdict = result is Trial.SURVIVED
        elif self._tries == TRIES:  # killed from outside each time, which proves nothing against the update
            self._verdict = True

    def _forget(self) -> None:
        self._data, self._tries, self._verdict, self._deferred = b"", 0, None, 0

    def stop(self) -> None:
        """The copy is not needed any more."""
        if self._copy is not None:
            self._copy.stop()
            self._copy = None

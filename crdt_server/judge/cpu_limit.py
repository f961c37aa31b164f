"""The progress of a document host: what it works on, for the case that it dies of it, and how long that may take.

SIGPROF ends the process that exceeds a limit of CPU time. Only an update's own bytes and single steps on stored bytes
have one; the limit ends where something else begins.
"""

from __future__ import annotations

import signal
import time

from crdt_server.progress_mark import ProgressMark

SLACK_SECONDS = 0.01
# For one slice of stored bytes, which takes milliseconds: they may have been merged into something that never ends.
LOAD_CPU_SECONDS = 2.0
LOAD_BYTES_PER_CPU_SECOND = 1 << 20


class CpuLimit:
    """The timer of this process."""

    def __init__(self) -> None:
        self._seconds = 0.0  # 0: not armed
        self._armed_at = 0.0

    def arm(self, seconds: float) -> None:
        """End this process when it has used that much CPU time from now; the limit may be 20 ms too short.

        A timer that was armed a moment ago for as long stays as it is: the system call costs as much as a tenth of a
        small update.
        """
        now = time.monotonic()
        if abs(seconds - self._seconds) <= SLACK_SECONDS and now - self._armed_at <= SLACK_SECONDS:
            return
        self._seconds, self._armed_at = seconds, now
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def lift(self) -> None:
        """No limit from now on."""
        if self._seconds:
            self._seconds = 0.0
            signal.setitimer(signal.ITIMER_PROF, 0)


class HostProgress:
    """The mark that the serving process reads when this one has died, and the limit that belongs to it."""

    def __init__(self, mark: ProgressMark) -> None:
        self._mark = mark
        self._limit = CpuLimit()

    def update(self, room: int, request: int, seconds: float) -> None:
        """An update is judged, in so much CPU time at most."""
        self._mark.set(room, request)
        self._limit.arm(seconds)

    def request(self, room: int, request: int) -> None:
        """Any other request is answered."""
        self._limit.lift()
        self._mark.set(room, request)

    def merging(self, room: int, *, limited: bool) -> None:
        """Accepted updates are put together. ``limited``: within what is left of the limit."""
        if not limited:
            self._limit.lift()
        self._mark.set(room, ProgressMark.MERGING)

    def reading(self, room: int, size_bytes: int) -> None:
        """Stored bytes are read."""
        self._mark.set(room, ProgressMark.LOADING)
        self._limit.arm(LOAD_CPU_SECONDS + size_bytes / LOAD_BYTES_PER_CPU_SECOND)

    def resolving(self, room: int) -> None:
        """The rules of a wedding are applied: no update is the cause of what that takes."""
        self._limit.lift()
        self._mark.set(room, ProgressMark.RESOLVING)

    def idle(self) -> None:
        """Nothing that could be long."""
        self._limit.lift()
        self._mark.set(*ProgressMark.IDLE)

"""A limit of CPU time for single steps of a document host: SIGPROF ends the process that exceeds it."""

from __future__ import annotations

import signal
import time

SLACK_SECONDS = 0.01


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

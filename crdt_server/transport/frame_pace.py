"""The pace of frames: the sockets of a person that sends more of them than `--frames-per-second` are not read for a
while.

A frame costs the loop some microseconds, whatever is in it, and for many there is no other limit: pings and pongs,
empty fragments, messages that change nothing. A megabyte has 170,000 of them.
"""

from __future__ import annotations

from collections.abc import Callable

from crdt_server.access.limits import TokenBucket
from crdt_server.counters import Counters

FRAMES_COUNTED = 64  # at once, so that most sockets never need their person's level
SECONDS_AT_ONCE = 2.0  # a burst
SHORTEST_REST_SECONDS = 0.1


class FramePace:
    """The frames of all persons of one server. ``now``: any monotonic clock, in seconds."""

    def __init__(self, frames_per_second: int, counters: Counters, now: Callable[[], float]) -> None:
        self._bucket = TokenBucket(frames_per_second, SECONDS_AT_ONCE * frames_per_second)
        self._counters = counters
        self._now = now

    def count(self, sender: str, frames: int) -> float:
        """Count frames of a person, or of an address as long as nobody is identified. Returns for how many seconds
        their socket is not to be read."""
        now = self._now()
        level = self._bucket.level(sender, now)
        if level is None or level.spend(frames, now) >= 1:
            return 0.0
        self._counters.frame_pauses += 1
        return max(level.wait(now), SHORTEST_REST_SECONDS)

"""The number of changes that one person makes in a wedding: members, invitations, devices, policy, grants, threads,
webhooks, rules, and files that are deleted.

Each is an entry of the audit log, which is never removed, and may be an event and a new version of the rights, by which
everybody who is connected is decided about again. What changes nothing, or is refused, does not count.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from typing import Final

from crdt_server.access.limits import TokenBucket
from crdt_server.errors import RateLimitError

HOUR_SECONDS: Final = 3600


@dataclass(slots=True)
class CountedChange:
    """A change that was counted before it is made."""

    is_stored: bool = True
    """To be set to False where there was nothing to change."""


class ChangeLimit:
    """See the head of the file. ``per_hour``: of each person in each wedding, with a burst of as many; 0: no limit.
    ``now`` is any clock that goes on."""

    def __init__(self, per_hour: int = 0, now: Callable[[], float] = time.monotonic) -> None:
        self._bucket = TokenBucket(per_hour / HOUR_SECONDS, per_hour)
        self._now = now

    @contextmanager
    def count(self, wedding: str, user: str) -> Iterator[CountedChange]:
        """Count a change that is made within; an exception out of it, or `is_stored`, gives it back. Raises
        RateLimitError."""
        key = f"{wedding} {user}"
        if not self._bucket.take(key, self._now()):
            wait = max(1.0, ceil(self._bucket.wait(key, self._now())))
            raise RateLimitError("too_many_changes", "too many changes of this wedding by one person", wait)
        change = CountedChange()
        try:
            yield change
        except Exception:  # a cancelled request is none: what it has begun is stored
            change.is_stored = False
            raise
        finally:
            if not change.is_stored:
                self._bucket.charge(key, self._now(), -1)


UNLIMITED: Final = ChangeLimit()
"""Of the operator and its programs."""

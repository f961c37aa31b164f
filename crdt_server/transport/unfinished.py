"""The bytes of the incomplete message of one connection, as far as the budget of the server counts them."""

from __future__ import annotations

from crdt_server.access.limits import SharedBudget

STEP_BYTES = 64 * 1024  # a smaller rest is not counted


class UnfinishedMessage:
    """``now`` is the monotonic time in seconds at which its first bytes were counted."""

    __slots__ = ("_address", "_budget", "_held", "_person", "_since")

    def __init__(self, budget: SharedBudget, address: str, now: float) -> None:
        self._budget = budget
        self._address = address
        self._person = ""
        self._held = 0
        self._since = now

    def grow(self, size_bytes: int, person: str) -> bool:
        """Count that so many bytes of the message are there. ``person``: see `Endpoint.person`. Returns whether the
        budget allows them."""
        more = size_bytes - self._held
        if more < STEP_BYTES:
            return True
        if person and not self._person:
            if not self._budget.assign(person, self._held):
                return False
            self._person = person
        if not self._budget.take(self._address, more, self._person):
            return False
        self._held = size_bytes
        return True

    def is_late(self, now: float, limit_seconds: float) -> bool:
        """Whether the message takes longer than it may."""
        return now - self._since > limit_seconds

    def release(self) -> None:
        """The message is complete, or its connection is gone."""
        self._budget.release(self._address, self._held, self._person)
        self._held = 0

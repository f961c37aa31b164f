"""Limits of HTTP requests: strikes, requests a second, reads at a time, messages to people, and emergencies past them.

Bodies count as more requests, by their bytes, and so does each further document that a command names. An address is
counted before anybody is identified, then the person.
"""

from __future__ import annotations

from math import ceil

from crdt_server.access.access import Denied
from crdt_server.access.identity import UNIDENTIFIED, Identity, person_at
from crdt_server.access.limits import STRIKE_SECONDS, SenderStrikes, SharedBudget, SharedRate
from crdt_server.access.role_limits import RoleBuckets
from crdt_server.errors import RateLimitError

BODY_BYTES_PER_REQUEST = 16 * 1024  # a host takes about as long for them as a small request takes in all
SPENT = "too_many_requests"


class RequestLimits:
    """See the head of the file. Methods raise RateLimitError."""

    def __init__(
        self,
        strikes: SenderStrikes,
        roles: RoleBuckets,
        *,
        per_person: int,
        per_address: int,
        reads_per_person: int,
        reads_per_address: int,
    ) -> None:
        self._strikes = strikes
        self._roles = roles
        self._rates = SharedRate(per_address, per_person)
        self._reads = SharedBudget(0, reads_per_address, reads_per_person)

    def check_address(self, address: str, now: float) -> None:
        """Count a request of an address."""
        if self._strikes.exceeded_at(address, now):
            raise _struck()
        if not self._rates.take(address, now):
            raise RateLimitError(SPENT, "too many requests from this address")

    def check_person(self, identity: Identity, address: str, now: float) -> None:
        """Count a request that `check_address` has counted as one of a person."""
        person, of_role = person_at(identity, address), self._roles.of(identity.role).requests
        if not self._rates.assign(person, address, now):  # also of one that is struck: its neighbours have the rest
            raise RateLimitError(SPENT, "too many requests")
        if self._strikes.exceeded_by(identity, address, now):
            raise _struck()
        if not of_role.take(person, now):
            self._rates.give_back(address, now)
            raise RateLimitError(SPENT, "too many requests", _seconds(of_role.wait(person, now)))

    def count_denial(self, denied: Denied, address: str, now: float) -> None:
        """Count a request that `check_address` has counted, and whose sender is denied: as one of a person that all of
        an address are together who have not proved who they are."""
        if not self._rates.assign(person_at(UNIDENTIFIED, address), address, now):
            raise RateLimitError(SPENT, "too many requests")
        if not denied.hostile:
            return
        if self._strikes.exceeded_by(UNIDENTIFIED, address, now):
            raise _struck()
        self._strikes.add(UNIDENTIFIED, address, now)

    def charge_body(self, identity: Identity, address: str, size_bytes: int, now: float) -> None:
        """Count the body of a request that was counted before."""
        self.charge(identity, address, size_bytes / BODY_BYTES_PER_REQUEST, now)

    def charge(self, identity: Identity, address: str, cost: float, now: float) -> None:
        """Count a request that was counted before as so many more."""
        person = person_at(identity, address)
        self._rates.charge(person, address, now, cost)
        self._roles.of(identity.role).requests.charge(person, now, cost)

    def begin_read(self, identity: Identity, address: str) -> None:
        """Count a read that begins; `end_read` follows."""
        if not self._reads.take(address, 1, person_at(identity, address)):
            raise RateLimitError("too_many_reads", "too many reads at a time")

    def end_read(self, identity: Identity, address: str) -> None:
        """Count a read out."""
        self._reads.release(address, 1, person_at(identity, address))

    def check_messages(self, identity: Identity, address: str, count: int, now: float) -> None:
        """Count messages to people."""
        person, bucket = person_at(identity, address), self._roles.of(identity.role).messages
        if count and not bucket.take(person, now, count):
            raise RateLimitError("too_many_messages", "too many messages", _seconds(bucket.wait(person, now)))

    def may_be_emergency(self, identity: Identity, address: str, now: float) -> bool:
        """Whether a command is read of a person that has no requests left, because it may be an emergency."""
        buckets, person = self._roles.of(identity.role), person_at(identity, address)
        return buckets.emergencies is not None and buckets.tries.take(person, now)

    def pass_emergency(self, identity: Identity, address: str, count: int, now: float) -> bool:
        """Whether so many more emergencies of a person pass the limits."""
        emergencies = self._roles.of(identity.role).emergencies
        return emergencies is not None and emergencies.take(person_at(identity, address), now, count)


def _struck() -> RateLimitError:
    return RateLimitError("rate_limited", "too many refused updates or malformed messages", STRIKE_SECONDS)


def _seconds(wait: float) -> float:
    """A wait as the header Retry-After has it."""
    return max(1.0, ceil(wait))

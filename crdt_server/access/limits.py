"""Limits before admission: sockets in all and per address, handshakes and requests per second, strikes for what was
refused, and the bytes of messages that are not complete.

Pure bookkeeping on values that are passed in. Tables are bounded: an address costs nothing once it is quiet.
"""

from __future__ import annotations

from crdt_server.access.identity import Identity, person_at
from crdt_server.errors import RateLimitError

STRIKE_SECONDS = 60.0
TABLE_LIMIT = 100_000
BODY_BYTES_PER_REQUEST = 16 * 1024  # a host takes about as long for them as a small request takes in all


class TokenBucket:
    """``rate`` events a second per key, with a burst of one second's worth. Rate 0: no limit.

    An event may cost more than one: it is allowed as long as one is left, and the next ones wait the longer.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._levels: dict[str, tuple[float, float]] = {}  # key -> (tokens left, at)

    def take(self, key: str, now: float, cost: float = 1.0) -> bool:
        """Whether one more event of ``key`` is allowed now."""
        if not self._rate:
            return True
        allowed = self._level(key, now) >= 1
        if allowed:
            self.charge(key, now, cost)
        return allowed

    def charge(self, key: str, now: float, cost: float) -> None:
        """Count the cost of an event that was allowed before."""
        if not self._rate:
            return
        self._levels[key] = (self._level(key, now) - cost, now)
        if len(self._levels) > TABLE_LIMIT:
            self._levels = {k: v for k, v in self._levels.items() if self._level(k, now) < self._rate}

    def _level(self, key: str, now: float) -> float:
        tokens, at = self._levels.get(key, (float(self._rate), now))
        return min(float(self._rate), tokens + (now - at) * self._rate)


class Allowance:
    """``most`` events per key at once, and one more every so many seconds."""

    def __init__(self, most: int, seconds_each: float) -> None:
        self._most = most
        self._seconds_each = seconds_each
        self._full_at: dict[str, float] = {}  # key -> when it may have all of them again

    def take(self, key: str, now: float) -> bool:
        """Whether one more event of ``key`` is allowed now."""
        if self.wait(key, now) > 0:
            return False
        self._full_at[key] = max(now, self._full_at.get(key, now)) + self._seconds_each
        if len(self._full_at) > TABLE_LIMIT:
            self._full_at = {each: at for each, at in self._full_at.items() if at > now}
        return True

    def wait(self, key: str, now: float) -> float:
        """In how many seconds `take` allows one more; 0: now."""
        return max(0.0, self._full_at.get(key, now) - now - (self._most - 1) * self._seconds_each)


class Strikes:
    """Counts events per key, as hostile messages of an address: ``most`` of them in a minute exceed the limit until the
    minute is over. 0: never."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._strikes: dict[str, tuple[int, float]] = {}  # key -> (count, since)

    def add(self, key: str, now: float) -> None:
        """Count one event."""
        count, since = self._strikes.get(key, (0, now))
        if now - since > STRIKE_SECONDS:
            count, since = 0, now
        self._strikes[key] = (count + 1, since)

    def exceeded(self, key: str, now: float) -> bool:
        """Whether the limit of a key is exceeded."""
        count, since = self._strikes.get(key, (0, now))
        return 0 < self._most <= count and now - since <= STRIKE_SECONDS

    def forget(self, now: float) -> None:
        """Drop expired strikes."""
        self._strikes = {k: v for k, v in self._strikes.items() if now - v[1] <= STRIKE_SECONDS}


class SenderStrikes:
    """Refusals, counted against the person that sent what was refused. Where no honest client sends that, they count
    against the address as well: other persons may be behind it. ``most``: see `Strikes`."""

    def __init__(self, most: int) -> None:
        self._strikes = Strikes(most)

    def add(self, identity: Identity, address: str, now: float, *, hostile: bool) -> None:
        """Count one refusal. ``hostile``: no honest client sends what was refused."""
        self._strikes.add(person_at(identity, address), now)
        if hostile:
            self._strikes.add(address, now)

    def exceeded_at(self, address: str, now: float) -> bool:
        """Whether the limit of an address is exceeded."""
        return self._strikes.exceeded(address, now)

    def exceeded_by(self, identity: Identity, address: str, now: float) -> bool:
        """Whether the limit of a person is exceeded."""
        return self._strikes.exceeded(person_at(identity, address), now)

    def forget(self, now: float) -> None:
        """Drop expired strikes."""
        self._strikes.forget(now)


class RequestLimits:
    """Limits of HTTP requests: strikes and requests a second, of persons and of addresses, and requests at a time.

    Bodies count as more requests, by their bytes. Methods raise RateLimitError.
    """

    def __init__(
        self,
        strikes: SenderStrikes,
        *,
        per_person: int,
        per_address: int,
        reads_per_person: int,
        reads_per_address: int,
    ) -> None:
        self._strikes = strikes
        self._of_persons = TokenBucket(per_person)
        self._of_addresses = TokenBucket(per_address)
        self._reads_of_persons = Admission(0, reads_per_person)
        self._reads_of_addresses = Admission(0, reads_per_address)

    def check_address(self, address: str, now: float) -> None:
        """Count a request of an address."""
        if self._strikes.exceeded_at(address, now):
            raise RateLimitError("rate_limited", "too many refused updates or hostile messages", STRIKE_SECONDS)
        if not self._of_addresses.take(address, now):
            raise RateLimitError("too_many_requests", "too many requests from this address")

    def check_person(self, identity: Identity, address: str, now: float) -> None:
        """Count a request of a person."""
        if self._strikes.exceeded_by(identity, address, now):
            raise RateLimitError("rate_limited", "too many refused updates or hostile messages", STRIKE_SECONDS)
        if not self._of_persons.take(person_at(identity, address), now):
            raise RateLimitError("too_many_requests", "too many requests")

    def charge_body(self, identity: Identity, address: str, size_bytes: int, now: float) -> None:
        """Count the body of a request that was counted before."""
        cost = size_bytes / BODY_BYTES_PER_REQUEST
        self._of_addresses.charge(address, now, cost)
        self._of_persons.charge(person_at(identity, address), now, cost)

    def begin_read(self, identity: Identity, address: str) -> None:
        """Count a read that begins; `end_read` follows."""
        if not self._reads_of_addresses.enter(address):
            raise RateLimitError("too_many_reads", "too many reads at a time")
        if not self._reads_of_persons.enter(person_at(identity, address)):
            self._reads_of_addresses.leave(address)
            raise RateLimitError("too_many_reads", "too many reads at a time")

    def end_read(self, identity: Identity, address: str) -> None:
        """Count a read out."""
        self._reads_of_addresses.leave(address)
        self._reads_of_persons.leave(person_at(identity, address))


class ByteBudget:
    """Bytes that are held, in all and per address. 0: no limit."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self.held = 0
        self._by_address: dict[str, int] = {}

    def take(self, address: str, size_bytes: int) -> bool:
        """Count bytes in, unless a limit would be exceeded."""
        of_address = self._by_address.get(address, 0) + size_bytes
        if 0 < self._most < self.held + size_bytes or 0 < self._most_per_address < of_address:
            return False
        self.held += size_bytes
        self._by_address[address] = of_address
        return True

    def release(self, address: str, size_bytes: int) -> None:
        """Count bytes out that were taken."""
        if not size_bytes:
            return
        self.held -= size_bytes
        left = self._by_address[address] - size_bytes
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]


class Admission(ByteBudget):
    """Sockets that are open, in all and per address: each counts 1. 0: no limit."""

    @property
    def open(self) -> int:
        """Sockets that are counted in."""
        return self.held

    def enter(self, address: str) -> bool:
        """Count a socket in, unless a limit is reached."""
        return self.take(address, 1)

    def leave(self, address: str) -> None:
        """Count a socket out."""
        self.release(address, 1)

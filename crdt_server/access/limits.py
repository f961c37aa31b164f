"""Limits before admission: sockets in all and per address, handshakes per second, strikes for hostile messages, and the
bytes of messages that are not complete.

Pure bookkeeping on values that are passed in. Tables are bounded: an address costs nothing once it is quiet.
"""

from __future__ import annotations

STRIKE_SECONDS = 60.0
TABLE_LIMIT = 100_000


class TokenBucket:
    """``rate`` events a second per key, with a burst of one second's worth. Rate 0: no limit."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._levels: dict[str, tuple[float, float]] = {}  # key -> (tokens left, at)

    def take(self, key: str, now: float) -> bool:
        """Whether one more event of ``key`` is allowed now."""
        if not self._rate:
            return True
        tokens, at = self._levels.get(key, (float(self._rate), now))
        tokens = min(float(self._rate), tokens + (now - at) * self._rate)
        allowed = tokens >= 1
        self._levels[key] = (tokens - 1 if allowed else tokens, now)
        if len(self._levels) > TABLE_LIMIT:
            self._levels = {k: v for k, v in self._levels.items() if now - v[1] < 1}
        return allowed


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


class Admission:
    """Sockets that are open, in all and per address. 0: no limit."""

    def __init__(self, most: int, most_per_address: int) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self.open = 0
        self._by_address: dict[str, int] = {}

    def enter(self, address: str) -> bool:
        """Count a socket in, unless a limit is reached."""
        of_address = self._by_address.get(address, 0)
        if 0 < self._most <= self.open or 0 < self._most_per_address <= of_address:
            return False
        self.open += 1
        self._by_address[address] = of_address + 1
        return True

    def leave(self, address: str) -> None:
        """Count a socket out."""
        self.open -= 1
        left = self._by_address[address] - 1
        if left:
            self._by_address[address] = left
        else:
            del self._by_address[address]


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

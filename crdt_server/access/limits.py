"""Limits per person and address: what is held at a time, events a second, strikes for what was refused.

An address may be a venue's Wi-Fi or a proxy: of what belongs to it, one person has `PERSON_SHARE`. A person counts as
soon as the gate has identified it; until then only the address does.

Pure bookkeeping on values that are passed in. Tables are bounded: an address costs nothing once it is quiet. Keys are
addresses, and persons as `identity.person_at` names them.
"""

from __future__ import annotations

from crdt_server.access.identity import Identity, person_at

STRIKE_SECONDS = 60.0
TABLE_LIMIT = 100_000
PERSON_SHARE = 0.5  # of what belongs to an address


def share_of(most_per_address: int, most_per_person: int = 0) -> int:
    """The most that one person may have of what belongs to an address. 0: no limit, in the arguments too."""
    share = max(1, int(most_per_address * PERSON_SHARE)) if most_per_address else 0
    return min(filter(None, (share, most_per_person)), default=0)


class Level:
    """How many events one key of a bucket has left: ``rate`` more every second, up to ``burst``. Below 0 it has spent
    more than it had, and waits the longer."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = now

    def spend(self, cost: float, now: float) -> float:
        """Count what has happened; less than 0 gives it back. Returns what is left: one more event needs 1."""
        left = self._left + (now - self._at) * self._rate
        if left > self._burst:
            left = self._burst
        self._left = left = left - cost
        self._at = now
        return left

    def wait(self, now: float) -> float:
        """In how many seconds one more event is allowed; 0: now."""
        return max(0.0, 1 - self.spend(0, now)) / self._rate

    def full(self, now: float) -> bool:
        """Whether a new level would be the same."""
        return self.spend(0, now) >= self._burst


class TokenBucket:
    """``rate`` events a second per key, and ``burst`` at once (by default as many as in a second). Rate 0: no limit.

    An event may cost more than one: it is allowed as long as one is left, and the next ones wait the longer.
    """

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self._rate = rate
        self._burst = float(rate if burst is None else burst)
        self._levels: dict[str, Level] = {}

    def level(self, key: str, now: float) -> Level | None:
        """The level of a key, to be kept where it is needed often; None: there is no limit."""
        if not self._rate:
            return None
        level = self._levels.get(key)
        if level is None:
            if len(self._levels) >= TABLE_LIMIT:
                self._shrink(now)
            level = self._levels[key] = Level(self._rate, self._burst, now)
        return level

    def _shrink(self, now: float) -> None:
        """Forget levels that are full; of more than half a table of others, the oldest."""
        spent = [(key, level) for key, level in self._levels.items() if not level.full(now)]
        self._levels = dict(spent[-(TABLE_LIMIT // 2) :])

    def take(self, key: str, now: float, cost: float = 1.0) -> bool:
        """Whether one more event of ``key`` is allowed now."""
        level = self.level(key, now)
        if level is None:
            return True
        allowed = level.spend(0, now) >= 1
        if allowed:
            level.spend(cost, now)
        return allowed

    def charge(self, key: str, now: float, cost: float) -> float:
        """Count the cost of an event that was allowed before; less than 0 gives it back. Returns how much of it was
        there: the key has to wait for the rest."""
        level = self.level(key, now)
        return cost if level is None else min(cost, max(0.0, level.spend(cost, now) + cost))

    def wait(self, key: str, now: float) -> float:
        """In how many seconds `take` allows one more; 0: now."""
        level = self.level(key, now)
        return 0.0 if level is None else level.wait(now)


class SharedRate:
    """Events a second of each address, and of each person of an address (``per_person`` at most).

    An event that is refused to a person does not count for the address.
    """

    def __init__(self, per_address: int, per_person: int = 0) -> None:
        self._of_addresses = TokenBucket(per_address)
        self._of_persons = TokenBucket(share_of(per_address, per_person))

    def take(self, address: str, now: float) -> bool:
        """Whether one more event of an address is allowed now."""
        return self._of_addresses.take(address, now)

    def assign(self, person: str, address: str, now: float) -> bool:
        """Whether the event that was taken for an address is allowed to the person that it was of."""
        allowed = self._of_persons.take(person, now)
        if not allowed:
            self.give_back(address, now)
        return allowed

    def give_back(self, address: str, now: float) -> None:
        """An event that was taken for an address is refused to its person after all."""
        self._of_addresses.charge(address, now, -1)

    def charge(self, person: str, address: str, now: float, cost: float) -> None:
        """Count the cost of an event that was allowed: for the address as far as the person had it; the person alone
        waits for the rest."""
        self._of_addresses.charge(address, now, self._of_persons.charge(person, now, cost))


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
            self._shrink(now)
        return True

    def _shrink(self, now: float) -> None:
        """Forget keys that may have all of theirs again; of more than half a table of others, those that are next."""
        spent = sorted((at, key) for key, at in self._full_at.items() if at > now)
        self._full_at = {key: at for at, key in spent[-(TABLE_LIMIT // 2) :]}

    def wait(self, key: str, now: float) -> float:
        """In how many seconds `take` allows one more; 0: now."""
        return max(0.0, self._full_at.get(key, now) - now - (self._most - 1) * self._seconds_each)


class SharedBudget:
    """A bound of sockets, bytes or streams held at a time: in all, of each address, and of each person of an address
    (``most_per_person`` at most). 0: no limit."""

    def __init__(self, most: int, most_per_address: int, most_per_person: int = 0) -> None:
        self._most = most
        self._most_per_address = most_per_address
        self._most_per_person = share_of(most_per_address, most_per_person)
        self.held = 0
        self._by_key: dict[str, int] = {}  # address or person -> what it holds

    def take(self, address: str, amount: int = 1, person: str = "") -> bool:
        """Count an amount in, unless a limit would be exceeded. Without a ``person``, it is not known yet."""
        within = not 0 < self._most < self.held + amount and self._fits(address, amount, self._most_per_address)
        if not within or (person and not self._fits(person, amount, self._most_per_person)):
            return False
        self.held += amount
        self._add(address, amount)
        if person:
            self._add(person, amount)
        return True

    def assign(self, person: str, amount: int = 1) -> bool:
        """Count what was taken for an address alone for a person of it too, unless its limit would be exceeded."""
        fits = self._fits(person, amount, self._most_per_person)
        if fits:
            self._add(person, amount)
        return fits

    def release(self, address: str, amount: int = 1, person: str = "") -> None:
        """Count out what was taken, or assigned."""
        self.held -= amount
        self._add(address, -amount)
        if person:
            self._add(person, -amount)

    def _fits(self, key: str, amount: int, most: int) -> bool:
        return not 0 < most < self._by_key.get(key, 0) + amount

    def _add(self, key: str, amount: int) -> None:
        held = self._by_key.get(key, 0) + amount
        if held:
            self._by_key[key] = held
        else:
            self._by_key.pop(key, None)


class Strikes:
    """Counts events per key, as refusals of a person: ``most`` of them in a minute exceed the limit until the minute is
    over. 0: never."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._strikes: dict[str, tuple[int, float]] = {}  # key -> (count, since)

    def add(self, key: str, now: float) -> None:
        """Count one event."""
        count, since = self._strikes.get(key, (0, now))
        if now - since > STRIKE_SECONDS:
            count, since = 0, now
        self._strikes[key] = (count + 1, since)
        if len(self._strikes) > TABLE_LIMIT:  # of more invented names than that, the first ones
            del self._strikes[next(iter(self._strikes))]

    def exceeded(self, key: str, now: float) -> bool:
        """Whether the limit of a key is exceeded."""
        count, since = self._strikes.get(key, (0, now))
        return 0 < self._most <= count and now - since <= STRIKE_SECONDS

    def forget(self, now: float) -> None:
        """Drop expired strikes."""
        self._strikes = {k: v for k, v in self._strikes.items() if now - v[1] <= STRIKE_SECONDS}


class SenderStrikes:
    """Refusals, counted against the person that sent what was refused, never against its neighbours.

    An address is refused only where ``most`` persons of it have sent, within a minute, what kills a document host: a
    sender that takes a new name for each connection has no other bound on that. All else that such a sender costs is
    bounded by the rates of its address. ``most``: see `Strikes`.
    """

    def __init__(self, most: int) -> None:
        self._of_persons = Strikes(most)
        self._killers = Strikes(1)
        self._killers_of_addresses = Strikes(most)

    def add(self, identity: Identity, address: str, now: float, *, deadly: bool = False) -> None:
        """Count one refusal. ``deadly``: it was of something that kills a document host."""
        person = person_at(identity, address)
        self._of_persons.add(person, now)
        if deadly and not self._killers.exceeded(person, now):
            self._killers.add(person, now)
            self._killers_of_addresses.add(address, now)

    def exceeded_at(self, address: str, now: float) -> bool:
        """Whether the limit of an address is exceeded."""
        return self._killers_of_addresses.exceeded(address, now)

    def exceeded_by(self, identity: Identity, address: str, now: float) -> bool:
        """Whether the limit of a person is exceeded."""
        return self._of_persons.exceeded(person_at(identity, address), now)

    def forget(self, now: float) -> None:
        """Drop expired strikes."""
        for strikes in (self._of_persons, self._killers, self._killers_of_addresses):
            strikes.forget(now)

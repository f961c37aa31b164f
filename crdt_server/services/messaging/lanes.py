"""How many messages a node sends at a time: by channel, by recipient and by address.

- A channel has lanes for all messages, and a few more for urgent ones: emergencies do not wait for what is being sent.
- A recipient with messages under way gets no further ones in the same kind of lane, and an address only so many: one
  that is slow takes a few lanes, and all others have the rest. Of webhooks the host counts as the address, and one of
  them takes half of the places of its host.
- Hosts of webhooks and of push services are named by users, who may name any number of slow ones: a wedding gets half
  of the lanes of these channels.
- Of webhooks a wedding has a rate, too, and one for urgent messages: each message takes time of the loop, the more the
  faster its host answers, and most where the host wants a handshake of TLS for each.

Without I/O: workers report what begins and what ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from crdt_server.access.limits import Allowance
from crdt_server.services.messaging.model import Channel, Priority
from storage import ClaimOf, StoredMessage
from storage.outbox_claims import FIRST, Recipient

LANES: Final[Mapping[Channel, int]] = MappingProxyType(
    {Channel.MAIL: 16, Channel.SMS: 8, Channel.PUSH: 32, Channel.WEBHOOK: 32}
)
"""Messages of a channel that a node sends at a time."""

URGENT_LANES: Final = 4
"""Besides them, of each channel, for messages up to the priority below."""

URGENT: Final = Priority.URGENT
PER_RECIPIENT: Final = 4
PER_ADDRESS: Final = 8
NAMED_BY_USERS: Final = frozenset((Channel.WEBHOOK, Channel.PUSH))
"""Channels whose messages go to hosts that users name."""

URGENT_OF_WEDDING: Final = 2
"""Urgent messages of a wedding to such hosts, besides half of the lanes."""

AT_ONCE, PER_SECOND = 256, 64
"""Messages of a wedding to webhooks at once, and in each second: with a handshake for each they take a seventh of the
time of the loop, without a twentieth."""

REST_SECONDS: Final = 1.0
"""As long as this a webhook is left out of claims where its wedding had all: else each message is claimed by itself."""

MOST_PARKED: Final = 500
"""Recipients that are left out of claims because their address is in use, and those because of a rate."""


class Lane(NamedTuple):
    """A kind of lane: of a channel, for urgent messages or for all."""

    channel: Channel
    urgent: bool

    @property
    def size(self) -> int:
        return URGENT_LANES if self.urgent else LANES[self.channel]

    @property
    def priority(self) -> int:
        """The least urgent priority that it takes."""
        return URGENT if self.urgent else Priority.RECORD


class Running(NamedTuple):
    """A message under way."""

    lane: Lane
    recipient: Recipient
    places: tuple[str, ...]
    """The address, and the wedding where it has a share of its own."""


_KINDS: Final = tuple(Lane(channel, urgent) for channel in LANES for urgent in (False, True))


class Lanes:
    """See the head of the file. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pace = Allowance(AT_ONCE, 1 / PER_SECOND)
        self._resting: dict[tuple[Channel, Recipient, bool], float] = {}  # until when; the flag: of urgent messages
        self._running: dict[int, Running] = {}
        self._parked: dict[tuple[Channel, Recipient, bool], str] = {}  # the flag: for urgent messages as well
        self._after: dict[Lane, Recipient] = {}  # the recipient of the last message that was claimed

    def __len__(self) -> int:
        return len(self._running)

    @property
    def ids(self) -> list[int]:
        """The messages under way."""
        return list(self._running)

    def claims(self) -> list[ClaimOf]:
        """The claims that are possible now."""
        return [claim for lane in _KINDS if (claim := self._claim(lane)).limit]

    def _claim(self, lane: Lane) -> ClaimOf:
        busy, after = sorted(set(self._busy(lane))), self._after.get(lane, FIRST)
        return ClaimOf(lane.channel, self._free(lane), lane.priority, PER_RECIPIENT, busy, after)

    def _free(self, lane: Lane) -> int:
        return max(0, lane.size - sum(1 for each in self._running.values() if each.lane == lane))

    def _busy(self, lane: Lane) -> Iterator[Recipient]:
        yield from (each.recipient for each in self._running.values() if each.lane == lane)
        for channel, recipient, urgent in self._parked:
            if channel is lane.channel and (urgent or not lane.urgent):
                yield recipient
        now = self._clock()
        for (channel, recipient, urgent), until in self._resting.items():
            if until > now and channel is lane.channel and (urgent or not lane.urgent):
                yield recipient

    def begin(self, message: StoredMessage, address: str) -> bool:
        """Take a lane for a message that was claimed. False where its address is in use: it is given back, and its
        recipient left out of claims until the address is free."""
        channel = Channel(message.channel)
        of_all = Lane(channel, False)
        urgent = message.priority <= URGENT
        lane = Lane(channel, True) if urgent and not self._free(of_all) else of_all
        recipient = self._after[lane] = message.wedding, message.user, message.contact
        bounds = dict(_bounds(channel, message.wedding, address, urgent=urgent))
        for place, most in bounds.items():
            if sum(1 for each in self._running.values() if place in each.places) >= most:
                self._park((channel, recipient, urgent), place)
                return False
        if channel is Channel.WEBHOOK and not self._is_in_pace(message, urgent=urgent):
            return False
        self._running[message.id] = Running(lane, recipient, tuple(bounds))
        return True

    def _is_in_pace(self, message: StoredMessage, *, urgent: bool) -> bool:
        """Count a message for the rate of its wedding. Where there are too many, its webhook rests."""
        now, key = self._clock(), f"{urgent:d} {message.wedding}"
        if self._pace.take(key, now):
            return True
        self._resting = {each: until for each, until in self._resting.items() if until > now}
        if len(self._resting) >= MOST_PARKED:
            del self._resting[next(iter(self._resting))]
        recipient = message.wedding, message.user, message.contact
        self._resting[Channel.WEBHOOK, recipient, urgent] = now + REST_SECONDS
        return False

    def _park(self, parked: tuple[Channel, Recipient, bool], place: str) -> None:
        self._parked[parked] = place
        if len(self._parked) > MOST_PARKED:
            del self._parked[next(iter(self._parked))]

    def end(self, id_: int) -> None:
        """A message is under way no more."""
        ended = self._running.pop(id_)
        self._parked = {each: place for each, place in self._parked.items() if place not in ended.places}


def _bounds(channel: Channel, wedding: str, address: str, *, urgent: bool) -> Iterator[tuple[str, int]]:
    """The places that a message takes, and how many messages may be under way there."""
    place = _host(address) if channel is Channel.WEBHOOK else address
    yield f"{channel} {place}", PER_ADDRESS * 2 if urgent else PER_ADDRESS
    if channel in NAMED_BY_USERS:
        most = LANES[channel] // 2
        yield f"{channel} of {wedding}", most + URGENT_OF_WEDDING if urgent else most


def _host(url: str) -> str:
    """The host of a URL in one form, whatever its port: a second one is no second host."""
    return (urlsplit(url).hostname or url).removesuffix(".")

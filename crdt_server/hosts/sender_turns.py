"""The order in which rooms, and the sessions of a room, get their share of a batch: those of senders that were given
least lately come first.

A sender is a person, see `Session.person`. The share of a sender is counted in bytes, or in the CPU time that they
took, where that is more. Every batch halves it, so a sender with many rooms, or with many requests, waits for those
with few, and nobody waits for a sender that was served in the batch before. Between senders that are equal in this,
those come first that were given least of what is large, over many batches: a paste does not wait for floods.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request

GRAIN_BYTES = 4096  # senders that were given no more than that are equal: the order of arrival counts
BYTES_PER_CPU_SECOND = 4 << 20  # a grain is a millisecond
LARGE_GRAIN_BYTES = 64 * 1024
LARGE_BATCHES = 256  # after which half of what was given of what is large is forgotten


class SenderTurns:
    """See the head of the file."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}
        self._given_large: dict[str, int] = {}
        self._batches = 0

    def order(self, rooms: Iterable[Room]) -> list[Room]:
        """The rooms, those of senders with the least first, else in their order; so are the senders in each."""
        given, large = self._given, self._given_large
        if not given and not large:
            return list(rooms)

        def place(sender: str) -> tuple[int, int]:
            return given.get(sender, 0) // GRAIN_BYTES, large.get(sender, 0) // LARGE_GRAIN_BYTES

        in_turn = list(rooms)
        for room in in_turn:
            room.inbox.order(place)
        return sorted(in_turn, key=lambda room: place(room.inbox.first_sender))

    def charge(self, requests: Sequence[Request]) -> None:
        """Requests were put into the batch."""
        self._count(requests, 1)

    def charge_cpu(self, requests: Sequence[Request], cpu_seconds: float) -> None:
        """Requests that were charged have taken some CPU time."""
        size = sum(request.cost for request in requests)
        more = cpu_seconds * BYTES_PER_CPU_SECOND / size - 1.0 if size else 0.0
        if more <= 0.0:
            return
        given = self._given
        for request in requests:
            sender = request.session.person
            given[sender] = given.get(sender, 0) + int(more * request.cost)

    def refund(self, requests: Sequence[Request]) -> None:
        """Requests of the newest batch have to come again."""
        self._count(requests, -1)

    def _count(self, requests: Sequence[Request], sign: int) -> None:
        for request in requests:
            sender, cost = request.session.person, sign * request.cost
            self._given[sender] = max(0, self._given.get(sender, 0) + cost)
            if request.summary is not None:
                self._given_large[sender] = max(0, self._given_large.get(sender, 0) + cost)

    def end_batch(self) -> None:
        """The next batch begins."""
        if self._given:
            self._given = _halved(self._given, GRAIN_BYTES)
        self._batches += 1
        if self._given_large and self._batches % LARGE_BATCHES == 0:
            self._given_large = _halved(self._given_large, LARGE_GRAIN_BYTES)


def _halved(given: dict[str, int], grain_bytes: int) -> dict[str, int]:
    halved = {sender: size // 2 for sender, size in given.items()}
    return {sender: size for sender, size in halved.items() if size >= grain_bytes}

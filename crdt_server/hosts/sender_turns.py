"""The order in which rooms get their share of a batch: those of senders that were given least lately come first.

A sender is a person, see `Session.person`. Every batch halves what was given, so a sender with many rooms, or with many
requests, waits for those with few, and nobody waits for a sender that was served in the batch before.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request

GRAIN_BYTES = 4096  # senders that were given no more than that are equal: the order of arrival counts


class SenderTurns:
    """See the head of the file."""

    def __init__(self) -> None:
        self._given: dict[str, int] = {}

    def order(self, rooms: Iterable[Room]) -> list[Room]:
        """The rooms, those of senders with the least first, else in their order."""
        given = self._given
        if not given:
            return list(rooms)
        return sorted(rooms, key=lambda room: given.get(room.inbox.first_sender, 0) // GRAIN_BYTES)

    def charge(self, requests: Sequence[Request]) -> None:
        """Requests were put into the batch."""
        given = self._given
        for request in requests:
            sender = request.session.person
            given[sender] = given.get(sender, 0) + request.cost

    def refund(self, requests: Sequence[Request]) -> None:
        """Requests of the newest batch were not reached in it."""
        given = self._given
        for request in requests:
            sender = request.session.person
            given[sender] = max(0, given.get(sender, 0) - request.cost)

    def end_batch(self) -> None:
        """The next batch begins."""
        if self._given:
            halved = {sender: size // 2 for sender, size in self._given.items()}
            self._given = {sender: size for sender, size in halved.items() if size >= GRAIN_BYTES}

"""The users of the client ids of a document without schema: whoever writes first under one has it from then on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crdt_server.judge.clock_ranges import Span

CLAIMED_CLIENTS = 64  # client ids that belong to the sender of one update; those of a person who was away are few
MOST_OWNERS = 20_000  # of one document, which are loaded with it; of further client ids only the contents are compared


class ClientOwners:
    """See the head of the file. ``stored``: client id -> user. `begin` with the senders of updates before these are
    judged; without senders no client id belongs to anybody."""

    def __init__(self, stored: Mapping[int, str]) -> None:
        self._owners = dict(stored)
        self._new: list[tuple[int, str]] = []
        self._users: Sequence[str] = ()

    def begin(self, users: Sequence[str]) -> None:
        """The senders of the updates that are judged next, by number."""
        self._users = users

    def forbid(self, number: int, ranges: Sequence[Span], clocks: Mapping[int, int]) -> bool:
        """Whether an update has new structs under a client id of somebody else."""
        if not self._users:
            return False
        user, owners = self._users[number], self._owners
        news = (client for client, _, following in ranges if following > clocks.get(client, 0))
        return any(owners.get(client, user) != user for client in news)

    def claim(self, number: int, ranges: Sequence[Span]) -> None:
        """Record an update that is accepted."""
        for client, _, _ in ranges[:CLAIMED_CLIENTS] if self._users else ():
            if client not in self._owners and len(self._owners) < MOST_OWNERS:
                self._owners[client] = self._users[number]
                self._new.append((client, self._users[number]))

    def take(self) -> list[tuple[int, str]]:
        """Client ids that were seen for the first time since the last call, each with its user."""
        new, self._new = self._new, []
        return new

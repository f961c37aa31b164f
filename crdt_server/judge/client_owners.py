"""The users of the client ids of a document without schema: whoever writes first under one has it from then on.

Until then an id may be claimed: presence shows it to everybody, and the first user of whom it is shown has it. The room
keeps the claims and bounds them (`rooms.claims`); they are gone with the host.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from crdt_server.judge.clock_ranges import Span
from crdt_server.records import ClientOwner

CLAIMED_CLIENTS = 64  # client ids that belong to the sender of one update; those of a person who was away are few
MOST_OWNERS = 20_000  # of one document, which are loaded with it; of further client ids only the contents are compared


class ClientOwners:
    """See the head of the file. ``stored``: client id -> user. `begin` with the senders of updates before these are
    judged; without senders no client id belongs to anybody."""

    def __init__(self, stored: Mapping[int, str]) -> None:
        self._owners = dict(stored)
        self.claims: dict[int, str] = {}
        """Client id -> user; of documents with a schema too, which keep the owners themselves."""
        self._new: list[tuple[int, str]] = []
        self._users: Sequence[str] = ()

    def claim(self, changes: Iterable[ClientOwner]) -> None:
        """Changes of the claims, in order; no user: the claim has ended."""
        for client, user in changes:
            if user:
                self.claims[client] = user
            else:
                self.claims.pop(client, None)

    def begin(self, users: Sequence[str]) -> None:
        """The senders of the updates that are judged next, by number."""
        self._users = users

    def forbid(self, number: int, ranges: Sequence[Span], clocks: Mapping[int, int]) -> bool:
        """Whether an update has new structs under a client id of somebody else."""
        if not self._users:
            return False
        user = self._users[number]
        news = (client for client, _, following in ranges if following > clocks.get(client, 0))
        return any(self._owner_of(client, user) != user for client in news)

    def _owner_of(self, client: int, otherwise: str) -> str:
        owner = self._owners.get(client)
        return self.claims.get(client, otherwise) if owner is None else owner

    def record(self, number: int, ranges: Sequence[Span]) -> None:
        """Record an update that is accepted."""
        for client, _, _ in ranges[:CLAIMED_CLIENTS] if self._users else ():
            if client not in self._owners and len(self._owners) < MOST_OWNERS:
                self._owners[client] = self._users[number]
                self._new.append((client, self._users[number]))

    def take(self) -> list[tuple[int, str]]:
        """Client ids that were seen for the first time since the last call, each with its user."""
        new, self._new = self._new, []
        return new

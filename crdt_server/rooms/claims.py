"""The users of the client ids that presence has shown in one room: nobody else may be the first to write under them.

Presence shows a client id to everybody, mostly before anything is written under it, and in documents a client id
belongs to whoever writes first (`judge.client_owners`). So these claims go with every batch, and with every message to
the owner of a wedding, ahead of the requests: whoever could copy an id is behind the claim.

- The first user has it. A claim outlives its presence, since sockets break, as one of the newest ENDED_KEPT of those;
  then it passes to another user at the same address: a device on which somebody else has logged in.
- Claims of other nodes count as those without presence here, until their presence comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from crdt_server.records import ClientOwner

ENDED_KEPT = 1024  # claims of one room whose client is not present: some 200 bytes each
NOBODY = ""
"""In place of the user of a claim that has ended."""


class _Claim(NamedTuple):
    user: str
    address: str


class ClientClaims:
    """See the head of the file."""

    __slots__ = ("_claims", "_ended", "_new", "_receiver", "_released")

    def __init__(self) -> None:
        self._claims: dict[int, _Claim] = {}
        self._ended: dict[int, None] = {}  # without presence here, the oldest first
        self._receiver: object = None  # of what was taken last
        self._new: dict[int, None] = {}  # not taken yet
        self._released: dict[int, None] = {}  # taken, and not valid any more

    def show(self, client: int, user: str, address: str) -> None:
        """Presence shows a client id as that of a user."""
        claim = self._claims.get(client)
        if claim is not None and claim.user != user:
            if client not in self._ended or claim.address != address:
                return
            self._released[client] = None
        if claim is None or claim.user != user:
            self._new[client] = None
        self._ended.pop(client, None)
        self._claims[client] = _Claim(user, address)

    def end(self, client: int) -> None:
        """The client is not present any more."""
        if client in self._claims:
            self._keep(client)

    def add(self, claims: Iterable[ClientOwner]) -> None:
        """Add those of another node."""
        for client, user in claims:
            if user and client not in self._claims:
                self._claims[client] = _Claim(user, "")
                self._new[client] = None
                self._keep(client)

    def take(self, receiver: object) -> list[ClientOwner]:
        """The changes since the last call, to be applied in order; all claims where the receiver is another."""
        if receiver != self._receiver:
            self._receiver, self._new = receiver, dict.fromkeys(self._claims)
            self._released.clear()
        elif not self._new and not self._released:
            return []
        changes = [ClientOwner(client, NOBODY) for client in self._released]
        changes += [ClientOwner(client, self._claims[client].user) for client in self._new]
        self._new, self._released = {}, {}
        return changes

    def _keep(self, client: int) -> None:
        self._ended.pop(client, None)
        self._ended[client] = None
        if len(self._ended) > ENDED_KEPT:
            oldest = next(iter(self._ended))
            del self._ended[oldest], self._claims[oldest]
            if oldest in self._new:
                del self._new[oldest]
            else:
                self._released[oldest] = None

"""The awareness states of one room: the message that carries them, and the table of the newest state of each client.

Rules of this file:
- Clocks are passed on as they came. A removal repeats the last clock with the state ``null``, as y-protocols does.
- There are two payloads of the same states where a state has fields that not every session is sent: see
  `awareness_fields`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import (
    invalid_utf8,
    read_var_bytes,
    read_var_uint,
    truncated,
    write_var_string,
    write_var_uint,
)
from crdt_server.rooms.awareness_fields import REMOVED, StateText
from crdt_server.rooms.claims import ClientClaims
from crdt_server.rooms.session import Session

MAX_STATES = 4096  # in one message: a newcomer's client echoes the whole room
MAX_MESSAGE_BYTES = 1 << 20
REMOVED_KEPT = 256
_GONE = StateText(REMOVED)


def count_states(payload: bytes) -> int:
    """The number of states that an awareness message declares. Raises ProtocolError where that is too large."""
    if len(payload) > MAX_MESSAGE_BYTES:
        raise ProtocolError("awareness_limit", "awareness message too large")
    try:
        count, _ = read_var_uint(payload, 0)
    except IndexError:
        raise truncated() from None
    if count > MAX_STATES:
        raise ProtocolError("awareness_limit", "too many awareness states in a message")
    return count


def read_states(payload: bytes, only: int | None, most: int = MAX_STATES) -> list[tuple[int, int, str]]:
    """The (client id, clock, JSON) triples of an awareness message. ``only``: the client whose triples are returned;
    behind ``most`` triples nothing is read.

    Raises ProtocolError for anything that does not read to the last byte.
    """
    count = count_states(payload)
    try:
        _, pos = read_var_uint(payload, 0)
        states = []
        for _ in range(min(count, most)):
            client, pos = read_var_uint(payload, pos)
            clock, pos = read_var_uint(payload, pos)
            raw, pos = read_var_bytes(payload, pos)
            if only is None or client == only:
                states.append((client, clock, raw))
    except IndexError:
        raise truncated() from None
    if pos != len(payload) and count <= most:
        raise ProtocolError("trailing", "bytes after the last awareness state")
    try:
        return [(client, clock, raw.decode()) for client, clock, raw in states]
    except UnicodeDecodeError:
        raise invalid_utf8() from None


def write_states(states: Iterable[tuple[int, int, str]]) -> bytes:
    """An awareness message's payload."""
    triples = list(states)
    out = [write_var_uint(len(triples))]
    for client, clock, text in triples:
        out += (write_var_uint(client), write_var_uint(clock), write_var_string(text))
    return b"".join(out)


class StatePayloads(NamedTuple):
    """Some states as the payload of an awareness message."""

    full: bytes
    filtered: bytes | None
    """For sessions that are not sent every field; None where that makes no difference."""


def _payloads(states: Iterable[tuple[int, int, StateText]]) -> StatePayloads:
    shown = list(states)
    full = write_states((client, clock, text.full) for client, clock, text in shown)
    if all(text.filtered is None for _, _, text in shown):
        return StatePayloads(full, None)
    filtered = write_states((client, clock, text.filtered or text.full) for client, clock, text in shown)
    return StatePayloads(full, filtered)


class Presence(NamedTuple):
    """One client's newest state, as nodes send it to one another. ``text`` is JSON, "null" for a removal."""

    client: int
    clock: int
    text: str
    user: str
    address: str


class HeldState:
    """One client's newest state: of a session here, or of a node."""

    __slots__ = ("address", "clock", "filtered", "node", "seen", "session", "text", "user")

    def __init__(
        self,
        state: Presence,
        seen: float,
        session: Session | None = None,
        node: str = "",
        *,
        filtered: str | None = None,
    ) -> None:
        self.session = session
        self.node = node
        self.user = state.user
        self.address = state.address
        self.clock = state.clock
        self.text = state.text
        self.filtered = filtered  # see `StateText`
        self.seen = seen

    @property
    def shown(self) -> StateText:
        """Its text, for every kind of session."""
        return StateText(self.text, self.filtered)

    def release(self) -> None:
        """The session does not speak for this client any more."""
        if self.session is not None:
            self.session.awareness_id = None


class StateTable:
    """The newest state of each client, and the changes since they were last taken: those for the sessions here, and
    while ``shared`` those of sessions here for other nodes."""

    __slots__ = ("_all", "_changed", "_local_changes", "claims", "clients", "removed", "shared")

    def __init__(self) -> None:
        self.clients: dict[int, HeldState] = {}
        self.removed: dict[int, int] = {}  # id -> last clock, the newest REMOVED_KEPT: older echoes must not revive
        self.shared = False
        self.claims = ClientClaims()
        self._changed: dict[int, None] = {}
        self._local_changes: dict[int, tuple[str, str]] = {}  # client -> user and address
        self._all: StatePayloads | None = None  # `all_states`, until something changes

    def __len__(self) -> int:
        return len(self.clients)

    @property
    def dirty(self) -> bool:
        """Whether there are changes for the sessions here."""
        return bool(self._changed)

    def put(self, client: int, held: HeldState) -> None:
        """Replace the state of a client."""
        self.removed.pop(client, None)
        before = self.clients.get(client)
        self.clients[client] = held
        if before is None or (before.user, before.address) != (held.user, held.address):
            self.claims.show(client, held.user, held.address)
        self._mark_changed(client, held)

    def remove(self, client: int) -> None:
        """Remove the state of a client."""
        held = self.clients.pop(client)
        self.claims.end(client)
        self.removed[client] = held.clock
        if len(self.removed) > REMOVED_KEPT:
            del self.removed[next(iter(self.removed))]
        self._mark_changed(client, held)

    def _mark_changed(self, client: int, held: HeldState) -> None:
        if self.shared and not held.node:
            self._local_changes[client] = (held.user, held.address)
        self._changed[client] = None
        self._all = None

    def all_states(self) -> StatePayloads | None:
        """The states of all clients, for a newcomer; None where there are none."""
        if not self.clients:
            return None
        if self._all is None:
            self._all = _payloads((client, held.clock, held.shown) for client, held in self.clients.items())
        return self._all

    def take_changes(self) -> StatePayloads | None:
        """The changes since the last call, in one payload."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, {}
        states = []
        for client in changed:
            held = self.clients.get(client)
            if held is not None:
                states.append((client, held.clock, held.shown))
            elif client in self.removed:
                states.append((client, self.removed[client], _GONE))
        return _payloads(states)

    def local_states(self) -> list[Presence]:
        """The states of all sessions here, for another node."""
        return [
            Presence(client, held.clock, held.text, held.user, held.address)
            for client, held in self.clients.items()
            if held.session is not None
        ]

    def take_local_changes(self) -> list[Presence]:
        """The changes of sessions here since the last call, for other nodes."""
        changed, self._local_changes = self._local_changes, {}
        states = []
        for client, sender in changed.items():
            held = self.clients.get(client)
            if held is None:
                states.append(Presence(client, self.removed.get(client, 0), REMOVED, *sender))
            elif held.session is not None:
                states.append(Presence(client, held.clock, held.text, held.user, held.address))
        return states

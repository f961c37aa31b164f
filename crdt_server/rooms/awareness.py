"""Presence of one room (the awareness protocol of y-protocols), one state per socket, merged per tick.

Rules of this file:
- A socket speaks for one Yjs client id: the one in its first message about a single id. Stock clients re-send the
  states of others that they have received; those are ignored, so nobody speaks for anybody else.
- Clocks are passed on as they came. A removal repeats the last clock with the state ``null``, as y-protocols does.
- States are relayed as the JSON text the client sent, after it was read once: what a browser's JSON.parse would throw
  at must not reach one.
- Of several nodes each says what its own sockets say; a newer clock wins, wherever the socket is.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import NamedTuple, NoReturn

from crdt_server.errors import ProtocolError
from crdt_server.protocol.lib0 import (
    invalid_utf8,
    read_var_bytes,
    read_var_uint,
    truncated,
    write_var_string,
    write_var_uint,
)
from crdt_server.rooms.session import Session

MAX_STATES = 4096  # in one message: a newcomer's client echoes the whole room
MAX_MESSAGE_BYTES = 1 << 20
REMOVED_KEPT = 256


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_states(payload: bytes, wanted: int | None) -> list[tuple[int, int, str]]:
    """The (client id, clock, JSON) triples of an awareness message; only ``wanted``'s JSON is kept when it is given.

    Raises ProtocolError for anything that does not read to the last byte.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise ProtocolError("awareness_limit", "awareness message too large")
    try:
        count, pos = read_var_uint(payload, 0)
        if count > MAX_STATES:
            raise ProtocolError("awareness_limit", "too many awareness states in a message")
        states = []
        for _ in range(count):
            client, pos = read_var_uint(payload, pos)
            clock, pos = read_var_uint(payload, pos)
            raw, pos = read_var_bytes(payload, pos)
            if wanted is None or client == wanted:
                states.append((client, clock, raw))
    except IndexError:
        raise truncated() from None
    if pos != len(payload):
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


class Presence(NamedTuple):
    """One client's newest state as nodes tell it one another. ``text`` is JSON, "null" where it is gone."""

    client: int
    clock: int
    text: str
    user: str
    address: str


class _Held:
    """One client's newest state: of a session here, or of a node."""

    __slots__ = ("address", "clock", "node", "seen", "session", "text", "user")

    def __init__(self, state: Presence, seen: float, session: Session | None = None, node: str = "") -> None:
        self.session = session
        self.node = node
        self.user = state.user
        self.address = state.address
        self.clock = state.clock
        self.text = state.text
        self.seen = seen


class Awareness:
    """The states of one room. ``now`` values are seconds of any monotonic clock, passed in."""

    def __init__(self, max_state_bytes: int) -> None:
        self._max_state_bytes = max_state_bytes
        self._states: dict[int, _Held] = {}
        self._removed: dict[int, int] = {}  # id -> last clock, the newest REMOVED_KEPT: older echoes must not revive
        self._changed: dict[int, None] = {}
        self.shared = False  # other nodes want to hear what sessions here say
        self._said: dict[int, tuple[str, str]] = {}  # by them, since it was last taken: who they are
        self._all: bytes | None = None  # `all_states`, until something changes

    def __len__(self) -> int:
        return len(self._states)

    @property
    def dirty(self) -> bool:
        """Whether there is something to tell the room."""
        return bool(self._changed)

    def receive(self, session: Session, payload: bytes, now: float) -> None:
        """Read one awareness message of a session. Raises ProtocolError."""
        states = read_states(payload, session.awareness_id)
        if session.awareness_id is None:
            if len(states) != 1 or not self._may_claim(session, *states[0]):
                return
            session.awareness_id = states[0][0]
        for client, clock, text in states[-1:]:
            self._set(session, client, clock, text, now)

    def _may_claim(self, session: Session, client: int, clock: int, text: str) -> bool:
        if text == "null":
            return False
        held = self._states.get(client)
        if held is None:
            return clock >= self._removed.get(client, 0)
        # The same person on a new socket, while the old one is not yet known to be gone. A name alone proves nothing
        # where everybody is anonymous; who comes from another address waits until the old state is silent for long.
        same_person = held.user == session.user and held.address == session.connection.address
        return held.session is session or (clock > held.clock and same_person)

    def _set(self, session: Session, client: int, clock: int, text: str, now: float) -> None:
        if len(text.encode()) > self._max_state_bytes:
            raise ProtocolError("awareness_limit", "awareness state too large")
        held = self._states.get(client)
        if held is not None and clock < held.clock:
            return
        self._check(text)
        if text == "null":
            if held is not None:
                held.clock = clock
                self._remove(client)
            return
        if held is not None and (held.session, held.clock, held.text) == (session, clock, text):
            held.seen = now  # no news: were it told again, a client that repeats what it hears would never end
            return
        if held is not None and held.session is not session:
            _let_go(held)
        state = Presence(client, clock, text, session.user, session.connection.address)
        self._put(state, _Held(state, now, session))
        self._say(client, self._states[client])

    def _say(self, client: int, held: _Held) -> None:
        if self.shared and not held.node:
            self._said[client] = (held.user, held.address)

    def _put(self, state: Presence, held: _Held) -> None:
        self._removed.pop(state.client, None)
        self._states[state.client] = held
        self._touch(state.client)

    def _check(self, text: str) -> None:
        try:
            value = json.loads(text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ProtocolError("awareness_json", "awareness state is not JSON") from error
        if value is not None and not isinstance(value, dict):
            raise ProtocolError("awareness_json", "awareness state is not an object")

    def leave(self, session: Session) -> None:
        """The session's socket is gone, and its presence with it."""
        client = session.awareness_id
        if client is not None and (held := self._states.get(client)) is not None and held.session is session:
            self._remove(client)
        session.awareness_id = None

    def expire(self, now: float, silence_seconds: float) -> None:
        """Remove what has not been renewed (clients renew every 15 s)."""
        for client in [c for c, held in self._states.items() if now - held.seen > silence_seconds]:
            _let_go(self._states[client])
            self._remove(client)

    def hear(self, node: str, states: Iterable[Presence], now: float) -> None:
        """What the sessions of another node say of themselves."""
        for state in states:
            held = self._states.get(state.client)
            if state.text == "null":
                if held is not None and held.node == node and held.clock <= state.clock:
                    held.clock = state.clock
                    self._remove(state.client)
            elif held is None or state.clock > held.clock:
                if held is not None:
                    _let_go(held)
                self._put(state, _Held(state, now, node=node))
            elif held.node == node:
                held.seen = now

    def forget(self, nodes: Collection[str]) -> None:
        """These nodes are no more, and neither is anybody there."""
        for client in [client for client, held in self._states.items() if held.node in nodes]:
            self._remove(client)

    def _remove(self, client: int) -> None:
        held = self._states.pop(client)
        self._say(client, held)
        self._removed[client] = held.clock
        if len(self._removed) > REMOVED_KEPT:
            del self._removed[next(iter(self._removed))]
        self._touch(client)

    def _touch(self, client: int) -> None:
        self._changed[client] = None
        self._all = None

    def all_states(self) -> bytes | None:
        """Everybody's state, for a newcomer; None where there is nobody."""
        if not self._states:
            return None
        if self._all is None:
            self._all = write_states((client, held.clock, held.text) for client, held in self._states.items())
        return self._all

    def take_changes(self) -> bytes | None:
        """What changed since the last call, as one payload."""
        if not self._changed:
            return None
        changed, self._changed = self._changed, {}
        states = []
        for client in changed:
            held = self._states.get(client)
            if held is not None:
                states.append((client, held.clock, held.text))
            elif client in self._removed:
                states.append((client, self._removed[client], "null"))
        return write_states(states)

    def said_here(self) -> list[Presence]:
        """Everything that sessions here say, for another node."""
        return [
            Presence(client, held.clock, held.text, held.user, held.address)
            for client, held in self._states.items()
            if held.session is not None
        ]

    def take_said(self) -> list[Presence]:
        """What sessions here said since the last call."""
        said, self._said = self._said, {}
        states = []
        for client, who in said.items():
            held = self._states.get(client)
            if held is None:
                states.append(Presence(client, self._removed.get(client, 0), "null", *who))
            elif held.session is not None:
                states.append(Presence(client, held.clock, held.text, held.user, held.address))
        return states


def _let_go(held: _Held) -> None:
    """The session does not speak for this client any more."""
    if held.session is not None:
        held.session.awareness_id = None

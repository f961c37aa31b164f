"""Presence of one room (the awareness protocol of y-protocols): which session or node may set the state of a client.

Rules of this file:
- A socket speaks for one Yjs client id: the one in its first message about a single id. Stock clients re-send the
  states of others that they have received; those are ignored, so no client can speak for another.
- Each node publishes the states of its own sockets; a newer clock wins, wherever the socket is, but not over a socket
  here of another user.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from crdt_server.protocol.lib0 import write_var_uint
from crdt_server.rooms.awareness_fields import REMOVED, checked_state, from_node
from crdt_server.rooms.awareness_states import (
    MAX_STATES,
    HeldState,
    Presence,
    StateTable,
    count_states,
    read_states,
)
from crdt_server.rooms.session import Session

FEW_STATES = 8  # a message of more that does not name the client of its session is not read


class Awareness:
    """See the head of the file. ``now`` values are seconds of any monotonic clock, passed in."""

    __slots__ = ("_max_state_bytes", "states", "too_large")

    def __init__(self, max_state_bytes: int) -> None:
        self._max_state_bytes = max_state_bytes
        self.too_large: set[Session] = set()  # whose states were not taken, until somebody has told them
        self.states = StateTable()

    def receive(self, session: Session, payload: bytes, now: float, most: int = MAX_STATES) -> int:
        """Read one awareness message of a session, ``most`` of its states. Returns how many were read.

        Raises ProtocolError.
        """
        count, own = count_states(payload), session.awareness_id
        if count > FEW_STATES and (own is None or write_var_uint(own) not in payload):
            return 0  # an echo of the room: nothing in it counts
        states = read_states(payload, own, most)
        if own is None:
            if count != 1 or not self._may_claim(session, *states[0]):
                return count
            session.awareness_id = states[0][0]
        for client, clock, text in states[-1:]:
            self._set(session, client, clock, text, now)
        return min(count, most)

    def _may_claim(self, session: Session, client: int, clock: int, text: str) -> bool:
        if text == REMOVED:
            return False
        held = self.states.clients.get(client)
        if held is None:
            return clock >= self.states.removed.get(client, 0)
        # The same person on a new socket, while the old one is not yet known to be gone. A name alone proves nothing
        # where everybody is anonymous; a person at another address waits until the old state has expired.
        same_person = held.user == session.user and held.address == session.connection.address
        return held.session is session or (clock > held.clock and same_person)

    def _set(self, session: Session, client: int, clock: int, text: str, now: float) -> None:
        if len(text.encode()) > self._max_state_bytes:
            self.too_large.add(session)
            return
        held = self.states.clients.get(client)
        if held is not None and clock < held.clock:
            return
        shown = checked_state(text, session.identity)
        if shown.full is not text and len(shown.full.encode()) > self._max_state_bytes:
            self.too_large.add(session)
            return
        if shown.full != session.awareness_text:
            session.awareness_text, session.awareness_changed = shown.full, now
        if shown.full == REMOVED:
            if held is not None:
                held.clock = clock
                self.states.remove(client)
            return
        if held is not None and (held.session, held.clock, held.text) == (session, clock, shown.full):
            held.seen = now  # not sent again: two clients that echo what they receive would never end
            return
        if held is not None and held.session is not session:
            held.release()
        state = Presence(client, clock, shown.full, session.user, session.connection.address)
        self.states.put(client, HeldState(state, now, session, filtered=shown.filtered))

    def leave(self, session: Session) -> None:
        """The session's socket is gone, and its presence with it."""
        client = session.awareness_id
        if client is not None and (held := self.states.clients.get(client)) is not None and held.session is session:
            self.states.remove(client)
        session.awareness_id = None

    def expire(self, now: float, silence_seconds: float) -> None:
        """Remove states that have not been renewed (clients renew every 15 s)."""
        clients = self.states.clients
        for client in [c for c, held in clients.items() if now - held.seen > silence_seconds]:
            clients[client].release()
            self.states.remove(client)

    def receive_from_node(self, node: str, states: Iterable[Presence], now: float) -> None:
        """Merge the states of another node's sessions."""
        for state in states:
            held = self.states.clients.get(state.client)
            if state.text == REMOVED:
                if held is not None and held.node == node and held.clock <= state.clock:
                    held.clock = state.clock
                    self.states.remove(state.client)
            elif held is not None and held.session is not None and held.user != state.user:
                continue  # a session here was the first: somebody else has copied its client id
            elif held is None or state.clock > held.clock:
                if held is not None:
                    held.release()
                filtered = from_node(state.text).filtered
                self.states.put(state.client, HeldState(state, now, node=node, filtered=filtered))
            elif held.node == node:
                held.seen = now

    def remove_nodes(self, nodes: Collection[str]) -> None:
        """Remove the states of nodes that have ended."""
        for client in [client for client, held in self.states.clients.items() if held.node in nodes]:
            self.states.remove(client)

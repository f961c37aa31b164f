"""Presence of one room: messages of its sessions come in at any time, and are read and sent once per tick."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crdt_server.errors import ProtocolError
from crdt_server.protocol.messages import AwarenessUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.awareness import Awareness
from crdt_server.rooms.awareness_states import MAX_MESSAGE_BYTES, Presence
from crdt_server.rooms.members import Members
from crdt_server.rooms.session import Session

MESSAGES_KEPT = 8  # of one session in one tick
NO_STATES = Outgoing(AwarenessUpdate(b"\x00"))


class PresenceChannel:
    """See the head of the file."""

    __slots__ = ("_members", "_subscriber", "_waiting", "awareness")

    def __init__(self, members: Members, max_state_bytes: int) -> None:
        self.awareness = Awareness(max_state_bytes)
        self._members = members
        self._waiting: dict[Session, None] = {}
        self._subscriber: Callable[[Sequence[Presence]], None] | None = None

    @property
    def pending(self) -> bool:
        """Whether the next tick has something to do."""
        return bool(self._waiting) or self.awareness.states.dirty

    def subscribe(self, subscriber: Callable[[Sequence[Presence]], None] | None) -> None:
        """Let a function receive the changes of sessions here, for other nodes; None ends that."""
        self._subscriber, self.awareness.states.shared = subscriber, subscriber is not None

    def receive(self, session: Session, payload: bytes) -> None:
        """Keep a message for the next tick. A stock client's own state and its echo of others come separately.

        Raises ProtocolError where it is too large.
        """
        if len(payload) > MAX_MESSAGE_BYTES:
            raise ProtocolError("awareness_limit", "awareness message too large")
        if session.awareness_waiting is None:
            session.awareness_waiting = []
        elif len(session.awareness_waiting) == MESSAGES_KEPT:
            del session.awareness_waiting[1]  # not the first: it may name the client id of the session
        session.awareness_waiting.append(payload)
        self._waiting[session] = None

    def leave(self, session: Session) -> None:
        """The session is gone, and its presence with it."""
        self._waiting.pop(session, None)
        self.awareness.leave(session)

    def read(self, now: float) -> list[tuple[Session, ProtocolError]]:
        """Read what has come since the last tick. Returns the sessions whose messages are malformed."""
        refused = []
        waiting, self._waiting = self._waiting, {}
        for session in waiting:
            payloads, session.awareness_waiting = session.awareness_waiting, None
            try:
                for payload in payloads or ():
                    self.awareness.receive(session, payload, now)
            except ProtocolError as error:
                refused.append((session, error))
        return refused

    def publish(self) -> None:
        """Send what has changed, to the sessions here and to the subscriber."""
        if self._subscriber is not None and (states := self.awareness.states.take_local_changes()):
            self._subscriber(states)
        changes = self.awareness.states.take_changes()
        if changes is not None:
            self._members.broadcast_presence(Outgoing(AwarenessUpdate(changes)))

    def snapshot(self) -> Outgoing | None:
        """The states of all, for a newcomer; None where there are none."""
        states = self.awareness.states.all_states()
        return None if states is None else Outgoing(AwarenessUpdate(states))

    def keep_alive(self) -> None:
        """Send an empty message: stock clients drop a link on which they received nothing for 30 s."""
        self._members.broadcast_presence(NO_STATES)

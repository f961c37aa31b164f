"""Presence of one room: messages of its sessions come in at any time, and are read and sent once per tick."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from crdt_server.counters import Counters
from crdt_server.errors import ProtocolError
from crdt_server.protocol.messages import AwarenessUpdate, PermissionDenied
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.awareness import Awareness
from crdt_server.rooms.awareness_fields import sees_restricted
from crdt_server.rooms.awareness_states import MAX_MESSAGE_BYTES, Presence
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.members import Members
from crdt_server.rooms.session import PRESENCE, PresenceBudget, Session

MESSAGES_KEPT = 8  # of one session in one tick
NO_STATES = Outgoing(AwarenessUpdate(b"\x00"))


class PresenceChannel:
    """See the head of the file. A session that sends more than its budget is not read until that is there again."""

    __slots__ = ("_counters", "_limits", "_members", "_subscriber", "_too_large", "_waiting", "awareness")

    def __init__(self, members: Members, counters: Counters, limits: RoomLimits) -> None:
        self.awareness = Awareness(limits.max_awareness_bytes)
        why = f"presence of more than {limits.max_awareness_bytes} bytes is not shown"
        self._too_large = json.dumps({"reverted": [], "why": why})
        self._members = members
        self._counters = counters
        self._limits = limits
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
        budget = session.presence_budget
        if budget is None:
            limits = self._limits
            budget = PresenceBudget(limits.presence_states_per_second, limits.presence_bytes_per_second)
            session.presence_budget = budget
        budget.bytes -= len(payload)
        if budget.spent and not session.paused & PRESENCE:
            self._counters.awareness_pauses += 1
            session.pause(PRESENCE)

    def leave(self, session: Session) -> None:
        """The session is gone, and its presence with it."""
        self._waiting.pop(session, None)
        self.awareness.leave(session)

    def read(self, now: float, most_states: int) -> tuple[int, list[tuple[Session, ProtocolError]]]:
        """Read what has come since the last tick, up to about ``most_states`` and the budget of each session.

        Returns how many states were read, and the sessions whose messages are malformed.
        """
        refused: list[tuple[Session, ProtocolError]] = []
        waiting, self._waiting = self._waiting, {}
        left = most_states
        behind: dict[Session, None] = {}  # had their turn
        for session in waiting:
            if left <= 0:
                self._waiting[session] = None
                continue
            budget = session.presence_budget
            assert budget is not None
            budget.refill(now)
            try:
                left -= self._read_session(session, budget, now, left)
            except ProtocolError as error:
                session.awareness_waiting = None
                refused.append((session, error))
                continue
            if session.paused & PRESENCE and not budget.spent:
                session.resume(PRESENCE)
            if session.awareness_waiting or session.paused & PRESENCE:
                behind[session] = None
        self._waiting |= behind
        self._notify_of_size()
        self._counters.awareness_states += most_states - left
        return most_states - left, refused

    def _notify_of_size(self) -> None:
        """Send a notice to those whose states are too large to be shown: nothing that is final for a typo."""
        for session in self.awareness.too_large:
            session.connection.send(Outgoing(PermissionDenied(self._too_large)))
        self.awareness.too_large.clear()

    def _read_session(self, session: Session, budget: PresenceBudget, now: float, most_states: int) -> int:
        """Read the messages of one session. Returns how many states were read. Raises ProtocolError."""
        payloads, session.awareness_waiting = session.awareness_waiting or [], None
        read = 0
        for number, payload in enumerate(payloads):
            if budget.states < 1 or read >= most_states:
                session.awareness_waiting = payloads[number:]
                break
            count = self.awareness.receive(session, payload, now, int(budget.states))
            budget.states -= count
            read += count
        return read

    def publish(self) -> None:
        """Send what has changed, to the sessions here and to the subscriber."""
        if self._subscriber is not None and (states := self.awareness.states.take_local_changes()):
            self._subscriber(states)
        changes = self.awareness.states.take_changes()
        if changes is not None:
            filtered = None if changes.filtered is None else Outgoing(AwarenessUpdate(changes.filtered))
            self._members.broadcast_presence(Outgoing(AwarenessUpdate(changes.full)), filtered)

    def snapshot(self, session: Session) -> Outgoing | None:
        """The states of all, for a newcomer; None where there are none."""
        states = self.awareness.states.all_states()
        if states is None:
            return None
        restricted = states.filtered is not None and not sees_restricted(session.identity)
        return Outgoing(AwarenessUpdate(states.filtered if restricted and states.filtered else states.full))

    def keep_alive(self) -> None:
        """Send an empty message: stock clients drop a link on which they received nothing for 30 s."""
        self._members.broadcast_presence(NO_STATES)

"""The sessions of one room, and messages to all of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crdt_server.counters import Counters
from crdt_server.pipe import Status
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.rooms.awareness_fields import sees_restricted
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.session import Session


class Members:
    """See the head of the file. A message above ``big_update_bytes`` may wait in the write buffer of a socket."""

    __slots__ = ("_counters", "_large_bytes", "_max_sessions", "deferred", "sessions")

    def __init__(self, counters: Counters, limits: RoomLimits) -> None:
        self.sessions: dict[Session, None] = {}
        self.deferred: dict[Session, Status] = {}
        """Those that have updates for which there is no room, and whether that is the wedding's or the document's."""
        self._counters = counters
        self._large_bytes = limits.big_update_bytes
        self._max_sessions = limits.max_sessions

    def __len__(self) -> int:
        return len(self.sessions)

    def __contains__(self, session: Session) -> bool:
        return session in self.sessions

    def __iter__(self) -> Iterator[Session]:
        return iter(self.sessions)

    @property
    def full(self) -> bool:
        return 0 < self._max_sessions <= len(self.sessions)

    def add(self, session: Session) -> None:
        """Let a session in."""
        self.sessions[session] = None

    def remove(self, session: Session) -> None:
        """Its connection is gone."""
        self.sessions.pop(session, None)
        self.deferred.pop(session, None)

    def broadcast(self, message: Outgoing) -> None:
        """Send a message of the document to every session."""
        size_bytes = message.size_bytes
        sessions, counters = self.sessions, self._counters
        counters.fan_out_messages += len(sessions)
        counters.fan_out_bytes += len(sessions) * size_bytes
        if size_bytes > self._large_bytes:  # then no reader is slow because it has not read it at once
            for session in sessions:
                session.connection.allow(size_bytes)
        for session in sessions:
            session.connection.send(message)

    def broadcast_presence(self, message: Outgoing, filtered: Outgoing | None = None) -> None:
        """Send presence to every session that reads fast enough. ``filtered``: what those are sent instead that may not
        see every field of it."""
        if filtered is None:
            self._send_presence(message, self.sessions)
            return
        for shown, restricted in ((message, True), (filtered, False)):
            self._send_presence(shown, [each for each in self.sessions if sees_restricted(each.identity) is restricted])

    def _send_presence(self, message: Outgoing, sessions: Iterable[Session]) -> None:
        size_bytes, counters = message.size_bytes, self._counters
        for session in sessions:
            connection = session.connection
            if connection.congested:
                counters.awareness_shed += 1
                continue
            counters.awareness_messages += 1
            counters.fan_out_bytes += size_bytes
            connection.send(message)

    def close(self, session: Session, code: int, reason: str) -> None:
        """Close the connection of a session, which may have left already."""
        closed = self._counters.closed
        closed[code] = closed.get(code, 0) + 1
        session.connection.close(code, reason)

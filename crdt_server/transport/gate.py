"""The way in for every WebSocket, whatever carries it: limits, names, identity, room."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from random import uniform
from urllib.parse import parse_qsl, unquote

import structlog

from crdt_server.access.identity import DevAccess
from crdt_server.access.limits import Admission, TokenBucket
from crdt_server.errors import CLOSE_CODES, AdmissionError, ProtocolError
from crdt_server.hub.hub import Hub
from crdt_server.protocol.ywebsocket import YWEBSOCKET
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Connection, Session
from documents import is_document_name

log = structlog.get_logger(__name__)

WAIT_SECONDS = 2.0
MOST_WAITING = 1_000
CONGESTED_BYTES = 64 * 1024  # unsent on a connection: from here on presence is left out

WEDDING = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.~-]{0,63}", re.ASCII)
WEBSOCKET_PATH = re.compile(r"(?:.*/)?ws/([^/]+)/([^/]+)")


def document_address(wedding: str, document: str) -> tuple[str, str] | None:
    """Names of a document as they stand in a URL, or None where there can be none of that name."""
    if WEDDING.fullmatch(wedding) and is_document_name(document):
        return wedding, document
    return None


class Gate:
    """Decides about one socket after the other. Sockets it let in must `leave`."""

    def __init__(self, hub: Hub, now: Callable[[], float]) -> None:
        settings = hub.settings
        self.hub = hub
        self.admission = Admission(settings.max_connections, settings.max_connections_per_address)
        self._handshakes = TokenBucket(settings.handshakes_per_second)
        self._access = DevAccess()
        self._waiting = 0  # to be refused
        self._now = now
        hub.metrics.gauge("sockets", "WebSockets that are open", lambda: self.admission.open)

    def may_shake_hands(self, address: str) -> bool:
        """Whether this address may upgrade one more connection now; otherwise HTTP 429."""
        allowed = self._handshakes.take(address, self._now())
        if not allowed:
            self.hub.metrics.refused.labels("handshake_rate").inc()
        return allowed

    def enter(self, connection: Connection, path: str, query: str) -> tuple[Room, Session] | None:
        """Bring a new connection into its room, or close it with the code that says why not."""
        match = WEBSOCKET_PATH.fullmatch(path)
        address = document_address(*map(unquote, match.groups())) if match else None
        if address is None:
            self._refuse(connection, "not_found", "no such document")
            return None
        if self.hub.strikes.out(connection.address, self._now()):
            self._refuse(connection, "rate_limited", "too many hostile messages")
            return None
        if self.hub.overloaded:
            self._put_off(connection, "overloaded", "the server is overloaded")
            return None
        if not self.admission.enter(connection.address):
            self._put_off(connection, "admission", "too many connections")
            return None
        identity = self._access.identify(dict(parse_qsl(query)))
        try:
            room, session = self.hub.enter(*address, connection, identity)
        except AdmissionError as error:
            self.admission.leave(connection.address)
            self._put_off(connection, "admission", str(error))
            return None
        log.debug("session_opened", room="/".join(address), session=session.id)
        return room, session

    def receive(self, room: Room, session: Session, frame: bytes | memoryview) -> None:
        """One frame of a session. A malformed one closes it with 4400."""
        try:
            messages = YWEBSOCKET.decode(frame)
        except ProtocolError as error:
            room.reject(session, error)
        else:
            self.hub.receive(room, session, messages)

    def _refuse(self, connection: Connection, why: str, reason: str) -> None:
        self.hub.metrics.refused.labels(why).inc()
        connection.close(CLOSE_CODES[why], reason)

    def _put_off(self, connection: Connection, why: str, reason: str) -> None:
        """Refuse after a while, each after another one: stock clients knock again as soon as they are closed."""
        self.hub.metrics.refused.labels(why).inc()
        if self._waiting == MOST_WAITING:
            connection.close(CLOSE_CODES["admission"], reason)
            return
        self._waiting += 1
        # a lottery, no secret
        asyncio.get_running_loop().call_later(uniform(0, WAIT_SECONDS), self._send_away, connection, reason)  # noqa: S311

    def _send_away(self, connection: Connection, reason: str) -> None:
        self._waiting -= 1
        connection.close(CLOSE_CODES["admission"], reason)

    def leave(self, connection: Connection, room: Room, session: Session) -> None:
        """The connection is gone."""
        self.admission.leave(connection.address)
        self.hub.leave(room, session)
        log.debug("session_closed", room=room.name, session=session.id)

"""The admission of WebSockets, whatever carries them: limits, names, identity, rights, room.

A socket is PENDING until the decision, then OPEN or CLOSED (`transport.endpoint`). Most decisions need no waiting, and
no task. Pending sockets are bounded in number, in all and per address, and in time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from random import uniform
from typing import NamedTuple, TypeAlias
from urllib.parse import parse_qsl, unquote

import structlog

from crdt_server.access.access import Access, Credentials, Denied, Identified, checked
from crdt_server.access.addresses import TrustedProxies
from crdt_server.access.identity import UNIDENTIFIED, Authenticated, Identity, person_at
from crdt_server.access.limits import SharedBudget, SharedRate
from crdt_server.access.origins import AllowedOrigins
from crdt_server.access.policy import room_rights
from crdt_server.errors import CLOSE_CODES, AdmissionError, CrdtServerError, ProtocolError
from crdt_server.hub.hub import Hub
from crdt_server.names import document_address
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Connection, Session
from crdt_server.transport.frame_pace import FramePace

log = structlog.get_logger(__name__)

DEFERRED_SECONDS = 2.0
MOST_DEFERRED = 1_000

WEBSOCKET_PATH = re.compile(r"(?:.*/)?ws/([^/]+)/([^/]+)")


class ConnectionRequest(NamedTuple):
    """The handshake of a WebSocket. ``path`` and ``query`` are still quoted."""

    address: str
    path: str
    query: str
    headers: Mapping[str, str]

    @property
    def parameters(self) -> dict[str, str]:
        """Those of the query."""
        return dict(parse_qsl(self.query)) if self.query else {}


class Admitted(NamedTuple):
    """A positive decision. The socket counts as open, for its address and its person, until `Gate.leave`."""

    wedding: str
    document: str
    authenticated: Authenticated
    reads_only: bool = False
    """Whether what the session writes is undone."""


class Refused(NamedTuple):
    """A negative decision. ``cause`` is the label of the metric, ``code`` the close code."""

    cause: str
    code: int
    reason: str
    deferred: bool = False


Outcome: TypeAlias = Admitted | Refused


class Awaited(NamedTuple):
    """A decision that depends on an identity still to come. The socket counts as open meanwhile."""

    address: str
    wedding: str
    document: str
    identity: Awaitable[Identified]


NOT_FOUND = Refused("not_found", CLOSE_CODES["not_found"], "no such wedding or document")
OTHER_ORIGIN = Refused("origin", CLOSE_CODES["forbidden"], "pages of this origin may not connect")
HOSTILE = Refused("rate_limited", CLOSE_CODES["rate_limited"], "too many refused updates or malformed messages")
OVERLOADED = Refused("overloaded", CLOSE_CODES["admission"], "the server is overloaded", deferred=True)
FULL = Refused("admission", CLOSE_CODES["admission"], "too many connections", deferred=True)
TOO_MANY_HANDSHAKES = Refused("handshake_rate", CLOSE_CODES["admission"], "too many handshakes", deferred=True)
_TOO_SLOW = Refused("admission_timeout", CLOSE_CODES["admission"], "no decision in time, try later", deferred=True)
_FAILED = Refused("access_failed", CLOSE_CODES["try_again"], "try again")
MALFORMED = Refused("malformed", CLOSE_CODES["malformed"], "malformed message")
GONE = Refused("gone", CLOSE_CODES["try_again"], "gone")
TOO_EARLY = Refused("too_early", CLOSE_CODES["frame_too_large"], "too much before the decision on access")
_RESTARTING = Refused("restarting", CLOSE_CODES["restarting"], "restarting")


class Gate:
    """Decides about connections. ``now`` is any monotonic clock, in seconds."""

    def __init__(self, hub: Hub, access: Access, now: Callable[[], float]) -> None:
        settings = hub.settings
        self.hub = hub
        self.access = access
        self.proxies = TrustedProxies(settings.trusted_proxies)
        self.origins = AllowedOrigins(settings.allowed_origins)
        self.admission = SharedBudget(settings.max_connections, settings.max_connections_per_address)
        self.pending = SharedBudget(settings.max_pending_connections, settings.max_pending_per_address)
        self.frames = FramePace(settings.frames_per_second, hub.metrics.counters, now)
        self.unfinished = SharedBudget(settings.max_unfinished_bytes, settings.max_unfinished_per_address)
        self._handshakes = SharedRate(settings.handshakes_per_second)
        self._admission_seconds = settings.admission_seconds
        self._deferred = 0
        self._waiting: set[PendingAdmission] = set()
        self._now = now
        sockets = "WebSockets that are open or pending; of those with several documents, each document"
        hub.metrics.gauge("sockets", sockets, lambda: self.admission.held)
        hub.metrics.gauge("unfinished_bytes", "Bytes of incomplete messages", lambda: self.unfinished.held)
        hub.metrics.gauge("sockets_pending", "WebSockets without a decision on access", lambda: self.pending.held)

    def may_shake_hands(self, address: str) -> bool:
        """Whether this address may upgrade one more connection now; otherwise HTTP 429."""
        allowed = self._handshakes.take(address, self._now())
        if not allowed:
            self.hub.metrics.refused.labels("handshake_rate").inc()
        return allowed

    def decide(self, request: ConnectionRequest) -> Outcome | Awaited:
        """The decision about a new connection, or where access has to wait, what `wait` takes."""
        match = WEBSOCKET_PATH.fullmatch(request.path)
        if match is None:
            return self.refuse_stranger(request.address, NOT_FOUND)
        address = document_address(*(map(unquote, match.groups()) if "%" in request.path else match.groups()))
        if address is None:
            return self.refuse_stranger(request.address, NOT_FOUND)
        if not self.origins.admit(request.headers):
            return self.refuse_stranger(request.address, OTHER_ORIGIN)
        return self.decide_named(request.address, *address, Credentials(request.parameters, request.headers))

    def decide_named(self, address: str, wedding: str, document: str, credentials: Credentials) -> Outcome | Awaited:
        """The decision about a socket of an address, or about one of several documents of a socket."""
        refused = self._check_limits(address)
        if refused is not None:
            return refused
        outcome: Outcome
        try:
            identity = self.access.identify(credentials, wedding)
            if not isinstance(identity, (Authenticated, Identity, Denied)):
                return Awaited(address, wedding, document, identity)
            outcome = self.authorize(address, wedding, document, identity)
        except Exception as error:  # noqa: BLE001 - a defect of an identity provider must not leave the socket counted
            outcome = _failure(error)
        return _release_refused(self.admission, address, outcome)

    def _check_limits(self, address: str) -> Refused | None:
        """None where the connection is within the limits; it counts as open from then on."""
        if self.hub.strikes.exceeded_at(address, self._now()):
            return HOSTILE
        if self.hub.overloaded:
            return OVERLOADED
        return None if self.admission.take(address) else FULL

    def authorize(self, address: str, wedding: str, document: str, identified: Identified) -> Outcome:
        """The decision, once the identity is there."""
        authenticated = checked(identified)
        if isinstance(authenticated, Denied):
            return self._refuse_unidentified(address, authenticated)
        identity = authenticated.identity
        person, now = person_at(identity, address), self._now()
        if not self._handshakes.assign(person, address, now):
            return TOO_MANY_HANDSHAKES
        if self.hub.strikes.exceeded_by(identity, address, now):
            return HOSTILE
        rights = room_rights(self.access, identity, wedding, document)
        if isinstance(rights, Denied):
            self.hub.audit.record(wedding, identity.user, "socket.refused", document=document, role=identity.role)
            return _refusal(rights)
        if not self.admission.assign(person):
            return FULL
        authenticated = authenticated._replace(identity=rights.identity)
        return Admitted(wedding, document, authenticated, reads_only=rights.reads_only)

    def _refuse_unidentified(self, address: str, denied: Denied) -> Refused:
        refused = self.refuse_stranger(address, _refusal(denied))
        if denied.hostile and refused is not TOO_MANY_HANDSHAKES:
            now = self._now()
            if self.hub.strikes.exceeded_by(UNIDENTIFIED, address, now):
                return HOSTILE
            self.hub.strikes.add(UNIDENTIFIED, address, now)
        return refused

    def refuse_stranger(self, address: str, refused: Refused) -> Refused:
        """A refusal of somebody who is not identified. Those of an address who have not proved who they are share what
        one person of it may send; their neighbours have the rest."""
        allowed = self._handshakes.assign(person_at(UNIDENTIFIED, address), address, self._now())
        return refused if allowed else TOO_MANY_HANDSHAKES

    def wait(self, awaited: Awaited, decided: Callable[[Outcome], None]) -> PendingAdmission:
        """Call ``decided`` once, later: with the decision, or with a refusal after a time or where too many wait."""
        address = awaited.address
        within = self.pending.take(address)

        def finish(outcome: Outcome) -> None:
            self._waiting.discard(pending)
            if within:
                self.pending.release(address)
            decided(_release_refused(self.admission, address, outcome))

        pending = PendingAdmission(self, awaited, self._admission_seconds, finish)
        self._waiting.add(pending)
        if not within:
            pending.cancel(FULL)
        return pending

    def enter(self, connection: Connection, admitted: Admitted) -> tuple[Room, Session] | Refused:
        """Bring an admitted connection into its room; a refused one does not count any more."""
        authenticated = admitted.authenticated
        try:
            room, session = self.hub.enter(admitted.wedding, admitted.document, connection, authenticated.identity)
        except AdmissionError as error:
            self.give_up(connection, admitted)
            return Refused("admission", error.close_code, str(error), deferred=True)
        give_rights(session, admitted)
        return room, session

    def give_up(self, connection: Connection, admitted: Admitted) -> None:
        """An admitted connection does not enter its room: it does not count any more."""
        person = person_at(admitted.authenticated.identity, connection.address)
        self.admission.release(connection.address, person=person)

    def leave(self, connection: Connection, room: Room, session: Session) -> None:
        """The connection of a session is gone."""
        self.admission.release(connection.address, person=session.person)
        self.hub.leave(room, session)

    def refuse(self, connection: Connection, refused: Refused) -> None:
        """Close a connection with the code that gives the reason."""
        self.hub.metrics.refused.labels(refused.cause).inc()
        if refused.deferred and self._deferred < MOST_DEFERRED:
            self._defer_refusal(connection, refused)
        else:
            connection.close(refused.code, refused.reason)

    def _defer_refusal(self, connection: Connection, refused: Refused) -> None:
        """Close it after a random delay: stock clients connect again as soon as they are closed."""

        def close() -> None:
            self._deferred -= 1
            connection.close(refused.code, refused.reason)

        self._deferred += 1
        delay = uniform(0, DEFERRED_SECONDS)  # noqa: S311  # spreads load, no secret
        asyncio.get_running_loop().call_later(delay, close)

    def stop(self) -> None:
        """Refuse all connections that are pending."""
        for pending in list(self._waiting):
            pending.cancel(_RESTARTING)


class PendingAdmission:
    """One connection between its request and the decision."""

    __slots__ = ("_awaited", "_finish", "_gate", "_refused", "_task", "_timer")

    def __init__(self, gate: Gate, awaited: Awaited, seconds: float, finish: Callable[[Outcome], None]) -> None:
        self._gate = gate
        self._awaited = awaited
        self._finish = finish
        self._refused = _RESTARTING
        self._task = asyncio.ensure_future(awaited.identity)
        self._task.add_done_callback(self._decided)
        self._timer = asyncio.get_running_loop().call_later(seconds, self.cancel, _TOO_SLOW)

    def cancel(self, refused: Refused) -> None:
        """Wait no more."""
        self._refused = refused
        self._task.cancel()

    def _decided(self, task: asyncio.Future[Identified]) -> None:
        self._timer.cancel()
        try:
            awaited = self._awaited
            outcome = self._gate.authorize(awaited.address, awaited.wedding, awaited.document, task.result())
        except asyncio.CancelledError:
            outcome = self._refused
        except Exception as error:  # noqa: BLE001 - the edge of a task that runs an identity provider's code
            outcome = _failure(error)
        self._finish(outcome)


def _release_refused(admission: SharedBudget, address: str, outcome: Outcome) -> Outcome:
    if isinstance(outcome, Refused):
        admission.release(address)
    return outcome


def give_rights(session: Session, admitted: Admitted) -> None:
    """Let a session have the rights of a positive decision, the first one or a later one."""
    authenticated = admitted.authenticated
    session.identity = authenticated.identity
    session.reads_only = admitted.reads_only
    has_end = authenticated.expires_at is not None or authenticated.device
    session.authenticated = authenticated if has_end else None


def _failure(error: Exception) -> Refused:
    """The refusal where an `Access` raises: a decision, or a defect."""
    if isinstance(error, ProtocolError):
        return Refused(error.code, error.close_code, str(error))
    if isinstance(error, CrdtServerError):
        return _refusal(Denied(error.code, str(error)))
    log.error("access_failed", exc_info=error)
    return _FAILED


def _refusal(denied: Denied) -> Refused:
    return Refused(denied.code, CLOSE_CODES.get(denied.code, CLOSE_CODES["try_again"]), denied.reason)

"""The documents of one socket: how each is opened, renewed, closed, and comes again."""

from __future__ import annotations

import asyncio
from functools import partial

from crdt_server.errors import CLOSE_CODES
from crdt_server.protocol.hocuspocus import SESSION
from crdt_server.protocol.messages import (
    CloseDocument,
    DocumentOpened,
    DocumentRefused,
    QueryAwareness,
)
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.transport.document_connection import DocumentConnection, DocumentState
from crdt_server.transport.document_gate import DocumentGate
from crdt_server.transport.endpoint import EndpointConnection
from crdt_server.transport.gate import GONE, Admitted, Awaited, Gate, Outcome, Refused, give_rights
from crdt_server.transport.kept_messages import KEPT_BYTES
from crdt_server.transport.send_queue import QueuedSender, SharedSendQueue
from crdt_server.transport.stateless import unsubscribe

_PENDING, _OPEN, _AWAY, _CLOSED = DocumentState
_GOING = (CLOSE_CODES["going_away"], CLOSE_CODES["restarting"])
_TOO_MANY = f"{CLOSE_CODES['admission']}: too many documents on this socket"
_OTHER_PERSON = "the token is that of another person: close the document first"


class SharedReading:
    """The reading of a socket, which each of its documents can pause."""

    def __init__(self, connection: EndpointConnection) -> None:
        self._connection = connection
        self._paused: dict[DocumentConnection, None] = {}

    def pause(self, document: DocumentConnection) -> None:
        """Do not read the socket, until `resume` for all that have paused it."""
        self._paused[document] = None
        self._connection.pause()

    def resume(self, document: DocumentConnection) -> None:
        """The end of `pause` for a document."""
        if document in self._paused:
            del self._paused[document]
            if not self._paused:
                self._connection.resume()


class SocketDocuments:
    """See the head of the file."""

    def __init__(self, gate: Gate, connection: EndpointConnection, document_gate: DocumentGate) -> None:
        self.by_key: dict[bytes, DocumentConnection] = {}
        self.queue = SharedSendQueue(connection, gate.hub.settings.write_buffer_bytes, partial(_overflow, gate))
        self.reading = SharedReading(connection)
        self._gate = gate
        self._connection = connection
        self._document_gate = document_gate
        self._ended = False

    @property
    def opened(self) -> DocumentConnection | None:
        """The document that was opened first; None where none is open."""
        return next((document for document in self.by_key.values() if document.state is _OPEN), None)

    @property
    def left_bytes(self) -> int:
        """The bytes of messages that may still be kept."""
        return KEPT_BYTES - sum(document.kept.size_bytes for document in self.by_key.values())

    def end(self) -> None:
        """The socket is gone."""
        self._ended = True
        self.queue.stop()
        for document in list(self.by_key.values()):
            self.leave(document)
        self._document_gate.release()

    # -- access

    def authenticate(self, key: bytes, name: str, token: str) -> None:
        """A first token for a document, or a newer one."""
        document = self.by_key.get(key) or self._add(key, name)
        if document is None or document.pending is not None:  # it is being decided
            return
        if document.state is _AWAY:
            document.stop_waiting()
            document.state = _PENDING
        decision = self._document_gate.decide(document.names, token)
        if isinstance(decision, Awaited):
            document.pending = self._gate.wait(decision, partial(self._decided, document))
        else:
            self._decided(document, decision)

    def _add(self, key: bytes, name: str) -> DocumentConnection | None:
        wedding, _, rest = name.partition(SESSION)[0].partition("/")
        address = self._connection.address
        document = DocumentConnection(self, address, key, (wedding, rest))
        if len(self.by_key) < self._gate.hub.settings.max_documents_per_socket:
            self.by_key[key] = document
            return document
        if self._gate.may_shake_hands(address):
            document.send_own(DocumentRefused(_TOO_MANY))
        return None

    def _decided(self, document: DocumentConnection, outcome: Outcome) -> None:
        document.pending = None
        if self._ended or document.state is _CLOSED or self._connection.closing:
            if isinstance(outcome, Admitted):
                self._gate.give_up(document, outcome)
        elif document.state is _OPEN:
            self._renew(document, outcome)
        elif isinstance(outcome, Refused):
            self.refuse(document, outcome)
        else:
            self._open(document, outcome)

    def _open(self, document: DocumentConnection, admitted: Admitted) -> None:
        document.opened()
        document.send_own(DocumentOpened(admitted.reads_only))
        entered = self._gate.enter(document, admitted)
        if isinstance(entered, Refused):
            document.state = _PENDING
            self.refuse(document, entered)
            return
        room, session = document.room, document.session = entered
        session.receipts = document.receipts
        self._document_gate.release()
        if document.attempts:
            document.send(Outgoing(QueryAwareness()))
        kept = document.kept.take()
        if kept:
            self._gate.hub.receive(room, session, kept)

    def _renew(self, document: DocumentConnection, outcome: Outcome) -> None:
        """A newer token of an open document was decided about."""
        session, members = document.session, document.room.members
        if isinstance(outcome, Refused):
            self._gate.hub.metrics.refused.labels(outcome.cause).inc()
            if not passes(outcome.code):
                members.close(session, outcome.code, outcome.reason)
            return
        self._gate.give_up(document, outcome)  # it counts already
        if outcome.authenticated.identity.user != session.user:
            members.close(session, CLOSE_CODES["unauthenticated"], _OTHER_PERSON)
            return
        changed = outcome.reads_only != session.reads_only
        give_rights(session, outcome)
        if changed:
            document.send_own(DocumentOpened(outcome.reads_only))

    def refuse(self, document: DocumentConnection, refused: Refused) -> None:
        """A document is not opened, for now or for good."""
        if refused is GONE:
            return
        self._gate.hub.metrics.refused.labels(refused.cause).inc()
        if refused.code in _GOING:
            self._connection.close(refused.code, refused.reason)
            return
        if passes(refused.code):
            self._come_again(document, refused.code)
            return
        document.send_own(DocumentRefused(f"{refused.code}: {refused.reason}"))
        self._forget(document)

    # -- the end of documents

    def close(self, document: DocumentConnection, code: int, reason: str) -> None:
        """Close an open document."""
        if code in _GOING:
            self._connection.close(code, reason)
            return
        self._leave_room(document)
        document.send_own(CloseDocument(f"{code}: {reason}"))
        if passes(code):
            self._come_again(document, code)
            return
        self._forget(document)
        if code == CLOSE_CODES["unauthenticated"] and not self.by_key:
            self._connection.close(code, reason)

    def leave(self, document: DocumentConnection) -> None:
        """The client has closed a document, or is gone."""
        if document.state is _OPEN:
            self._leave_room(document)
        self._forget(document)

    def _come_again(self, document: DocumentConnection, code: int) -> None:
        document.come_again(code, self._forget, self._gate.hub.settings.admission_seconds)

    def _leave_room(self, document: DocumentConnection) -> None:
        """The session leaves its room, later: that may be sending to all just now."""
        document.state = _CLOSED
        document.receipts.session_ended()
        self.queue.drop(document)
        self.reading.resume(document)
        unsubscribe(self._gate.hub, document)
        if document.pending is not None:
            document.pending.cancel(GONE)
        asyncio.get_running_loop().call_soon(self._gate.leave, document, document.room, document.session)
        if self.opened is None and not self._ended and not self._connection.closing:
            refused = self._document_gate.hold()
            if refused is not None:
                self._connection.close(refused.code, refused.reason)

    def _forget(self, document: DocumentConnection) -> None:
        """A document is closed for good."""
        document.state = _CLOSED
        document.stop_waiting()
        if document.pending is not None:
            document.pending.cancel(GONE)
        if self.by_key.get(document.key) is document:
            del self.by_key[document.key]


def _overflow(gate: Gate, sender: QueuedSender | None) -> bool:
    """Close the document of which too much waits; False where it is no open one, or the socket does not drain."""
    gate.hub.metrics.slow_consumers.inc()
    if not isinstance(sender, DocumentConnection) or sender.state is not _OPEN:
        return False
    sender.room.members.close(sender.session, CLOSE_CODES["try_again"], "slow consumer")
    return True


def passes(code: int) -> bool:
    """Whether the reason of a close or refusal passes by itself."""
    return not 4400 <= code < 4500 and code != CLOSE_CODES["frame_too_large"]

"""Hocuspocus' protocol: many documents on one socket, each with a session of its own.

- The client sends a token for each document, at first and whenever it is requested to.
- A document is closed alone. For a reason that passes it comes again on the same socket (`document_connection`);
  otherwise the client is sent the reason, as "CODE: text" with a code of `errors.CLOSE_CODES`.
- The socket is closed when the server goes away, when it is not drained, when an address is malformed, when its last
  document was closed as the token has expired, and when it has no document for `--admission-seconds`.
- While one document is paused the socket is not read: the wire has no back-pressure for a single document.
"""

from __future__ import annotations

from crdt_server.errors import CLOSE_CODES, ProtocolError
from crdt_server.protocol.hocuspocus import PING, PONG, is_authenticate, read_address, read_message
from crdt_server.protocol.messages import Authenticate, CloseDocument, Received, Stateless, SyncStep1
from crdt_server.rooms.intake import request_missing
from crdt_server.rooms.refusals import reject
from crdt_server.transport.document_connection import DocumentConnection, DocumentState
from crdt_server.transport.document_gate import DocumentGate
from crdt_server.transport.endpoint import EndpointConnection
from crdt_server.transport.gate import MALFORMED, ConnectionRequest, Gate
from crdt_server.transport.socket_documents import SocketDocuments
from crdt_server.transport.stateless import answer

_NO_DOCUMENT = "no document is open"


class HocuspocusEndpoint:
    """See the head of the file."""

    __slots__ = ("_connection", "_ended", "_gate", "documents")

    def __init__(self, gate: Gate, connection: EndpointConnection, request: ConnectionRequest) -> None:
        self._gate = gate
        self._connection = connection
        document_gate = DocumentGate(gate, request, self._close_idle)
        self.documents = SocketDocuments(gate, connection, document_gate)
        connection.control_flow(self.documents.queue)
        refused = document_gate.decide_socket()
        self._ended = refused is not None
        if refused is not None:
            gate.refuse(connection, refused)

    @property
    def person(self) -> str:
        """See `Endpoint.person`: that of the document that was opened first."""
        document = self.documents.opened
        return "" if document is None else document.session.person

    def receive(self, frame: bytes | memoryview) -> None:
        """See `Endpoint.receive`. A malformed address closes the connection, a malformed message its document."""
        if self._ended:
            return
        if len(frame) == 1 and frame[:1] in (PING, PONG):
            self._receive_ping(frame[:1] == PING)
            return
        try:
            key, pos = read_address(frame)
            name = key.decode()
        except (ProtocolError, UnicodeDecodeError):
            self._count_refusal()
            self.reject(CLOSE_CODES["malformed"], "address")
            return
        document = self.documents.by_key.get(key)
        if document is None and not is_authenticate(frame, pos):
            return  # of a document that was closed: its client may not have read that yet
        try:
            message = read_message(frame, pos)
        except ProtocolError as error:
            self._reject_message(document, error)
            return
        if isinstance(message, Authenticate):
            self.documents.authenticate(key, name, message.token)
        elif document is not None:
            self._receive(document, message)

    def reject(self, code: int, reason: str) -> None:
        """See `Endpoint.reject`."""
        counters = self._gate.hub.metrics.counters
        counters.protocol_errors += code == CLOSE_CODES["malformed"]
        counters.closed[code] = counters.closed.get(code, 0) + 1
        self._connection.close(code, reason)

    def disconnected(self) -> None:
        """See `Endpoint.disconnected`."""
        self._ended = True
        self.documents.end()

    def _receive_ping(self, is_ping: bool) -> None:
        if is_ping and not self.documents.queue.full:
            self._connection.send_payload(PONG)

    def _receive(self, document: DocumentConnection, message: Received | Stateless | CloseDocument) -> None:
        if isinstance(message, CloseDocument):
            self.documents.leave(document)
        elif document.state is not DocumentState.OPEN:
            if not isinstance(message, Stateless):
                document.kept.receive(message, document.receipts, self.documents.left_bytes)
        elif isinstance(message, Stateless):
            answer(self._gate.hub, document, message.payload)
        elif isinstance(message, SyncStep1):
            self._receive_step1(document, message)
        else:
            self._gate.hub.receive(document.room, document.session, [message])

    def _receive_step1(self, document: DocumentConnection, message: SyncStep1) -> None:
        """A client counts the answer to the step 1 that it is sent for its own, see `Receipts`."""
        document.kept.keep_step1(message, self.documents.left_bytes)
        counts_anew = document.receipts.step1_received()
        room, session = document.room, document.session
        self._gate.hub.receive(room, session, [message])
        if counts_anew and session in room.members:
            request_missing(room, session)

    def _reject_message(self, document: DocumentConnection | None, error: ProtocolError) -> None:
        if document is None:
            self._gate.hub.metrics.counters.protocol_errors += 1
            self._count_refusal()
        elif document.state is DocumentState.OPEN:
            reject(document.room, document.session, error)
        elif document.pending is not None:
            document.pending.cancel(MALFORMED)
        else:
            self.documents.refuse(document, MALFORMED)

    def _count_refusal(self) -> None:
        """Count a malformed frame, which belongs to no document, against the person where that is known."""
        opened = self.documents.opened
        if opened is not None:
            opened.room.events.on_refusal(opened.room, opened.session)

    def _close_idle(self) -> None:
        code = "admission" if self.documents.by_key else "unauthenticated"
        self.reject(CLOSE_CODES[code], _NO_DOCUMENT)

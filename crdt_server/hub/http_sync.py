"""Sync over HTTP: the messages of a WebSocket as one request and response, through the same rooms."""

from __future__ import annotations

from functools import partial

from crdt_server.access.identity import Person, proven
from crdt_server.hosts.fair_queue import RequestSender
from crdt_server.hub.hub import Hub
from crdt_server.hub.request_session import RequestConnection, RequestSession, settled
from crdt_server.pipe import Bytes, Diff, RequestKind
from crdt_server.protocol.update import EMPTY_UPDATE
from crdt_server.rooms.intake import bounded_state_vector, enqueue
from crdt_server.rooms.session import Request
from storage import DocumentKey


async def sync(
    hub: Hub, key: DocumentKey, sender: Person, address: str, state_vector: bytes, update: bytes | None
) -> tuple[bytes, bytes]:
    """Apply ``update`` (if any), and return the server's state vector and what ``state_vector`` lacks, once stored.

    Raises ProtocolError, ViolationError, GapError, AdmissionError, ForbiddenError where the sender has lost the right
    meanwhile, CrdtServerError("try_again") where the store failed, and JobFailed where the answer could not be put
    together.
    """
    connection, proof = RequestConnection(address), proven(sender)
    room, session = hub.enter(*key, connection, proof.identity, partial(RequestSession, proof=proof))
    assert isinstance(session, RequestSession)
    try:
        requests = []
        if update is not None and update != EMPTY_UPDATE:
            requests.append(Request(session, RequestKind.UPDATE, update))
            requests[0].client_state_vector = bounded_state_vector(room, state_vector)
        requests += [Request(session, RequestKind.STATE_VECTOR, b""), Request(session, RequestKind.DIFF, state_vector)]
        futures = [session.expect(request) for request in requests]
        for request in requests if hub.rights.may_stay(room, session) else ():  # else its connection has failed
            enqueue(room, request)
        *_, server_vector, diff = await settled(futures, connection)
    finally:
        hub.leave(room, session)
    assert isinstance(server_vector, Bytes)
    assert isinstance(diff, Diff)
    updates = diff.updates
    if len(updates) == 1:
        return server_vector.data, updates[0]
    return server_vector.data, await hub.hosts.jobs.merge(updates, RequestSender(address, session.person))

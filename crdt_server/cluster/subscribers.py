"""Other nodes that are subscribed to documents of this node: their requests, and the messages that they are sent."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import structlog

from crdt_server.access.identity import Authenticated, Identity
from crdt_server.cluster.messages import (
    InStoreMessage,
    NoticeMessage,
    NotOwnerMessage,
    RemoteRequest,
    RequestMessage,
    ResponseMessage,
    UnsubscribeMessage,
    UpdateMessage,
)
from crdt_server.cluster.messenger import Messenger
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import HubPort
from crdt_server.errors import AdmissionError
from crdt_server.hub.request_session import RequestConnection
from crdt_server.pipe import Diff, Response, Status
from crdt_server.rooms.intake import add
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Origin, Request, Session, SessionId
from storage import DocumentKey

log = structlog.get_logger(__name__)

RESPONSE_BYTES = 4 << 20
"""A longer response is read from the store by the other node: a large message delays every other on the bus. Those of
derived documents, which are a tenth as large, are not."""


class RemoteSession(Session):
    """A session whose socket is at another node. It exists as long as a request of it is pending."""

    __slots__ = ("_subscriber", "pending")

    origin = Origin.REMOTE

    def __init__(self, subscriber: Subscriber, id_: SessionId, identity: Identity, address: str) -> None:
        super().__init__(id_, RequestConnection(address), identity)
        self._subscriber = subscriber
        self.pending = 0  # requests without a result

    def settle(self, request: Request, status: Status, response: Response | None) -> bool:
        assert isinstance(request, NumberedRequest)
        self._subscriber.respond(self, request.number, status, response)
        return True

    def notify(self, notice: bytes) -> bool:
        self._subscriber.notify(self.id, notice)
        return True


class NumberedRequest(Request):
    """A request of another node, with its number there."""

    __slots__ = ("number",)

    def __init__(self, session: RemoteSession, remote: RemoteRequest) -> None:
        super().__init__(session, remote.kind, remote.payload, remote.summary, echo=remote.echo)
        self.client_state_vector = remote.client_state_vector
        self.number = remote.number


class Subscriber:
    """One node in one room of this node."""

    def __init__(self, room: Room, node: str, messenger: Messenger) -> None:
        self.node = node
        self._room = room
        self._key = DocumentKey(room.wedding, room.document)
        self._messenger = messenger
        self._pending: set[int] = set()  # numbers of requests without a response
        self._sessions: dict[SessionId, RemoteSession] = {}

    def request(self, remote: RemoteRequest) -> RemoteSession | None:
        """Let a request wait for the room's host. A repetition of one that is pending is dropped. Returns its session
        where that is new here."""
        if remote.number in self._pending:
            return None
        session = self._sessions.get(remote.session)
        known = session is not None
        if session is None:
            session = RemoteSession(self, remote.session, remote.identity, remote.address)
            session.authenticated = Authenticated(remote.identity, None, remote.device, remote.by_members)
            self._sessions[remote.session] = session
        request = NumberedRequest(session, remote)
        self._pending.add(remote.number)
        session.pending += 1
        session.queued_bytes += request.cost
        add(self._room, request)
        return None if known else session

    def respond(self, session: RemoteSession, number: int, status: Status, response: Response | None) -> None:
        """The room has settled a request."""
        self._pending.discard(number)
        session.pending -= 1
        if not session.pending:
            del self._sessions[session.id]
        seq = self._room.broadcast_seq
        long = isinstance(response, Diff) and sum(map(len, response.updates)) > RESPONSE_BYTES
        if long and not self._room.hosted.derived:
            self._messenger.send(self.node, InStoreMessage(self._key, seq, number))
        else:
            self._messenger.send(self.node, ResponseMessage(self._key, seq, number, status, response))

    def notify(self, session: SessionId, notice: bytes) -> None:
        """A change of one of its sessions was undone."""
        self._messenger.send(self.node, NoticeMessage(self._key, session, notice))

    def update(self, seq: int, update: bytes) -> None:
        """An update was stored."""
        self._messenger.send(self.node, UpdateMessage(self._key, seq, update))

    def end(self) -> None:
        """This node does not serve the room any more."""
        self._messenger.send(self.node, NotOwnerMessage(self._key))


class Subscribers:
    """The subscribers of all rooms of this node."""

    def __init__(self, owners: Owners, messenger: Messenger, hub: HubPort) -> None:
        self._owners = owners
        self._messenger = messenger
        self._hub = hub
        self._subscribers: dict[Room, dict[str, Subscriber]] = {}

    def on_request(self, message: RequestMessage) -> None:
        """A node subscribes to a document, and has requests."""
        wedding, document = message.key
        if not self._owners.owns(wedding):
            self._messenger.send(message.node, NotOwnerMessage(message.key))
            return
        try:
            room = self._hub.open(wedding, document)
        except AdmissionError as error:
            # The other node repeats its requests, until they are overdue.
            log.warning("subscriber_refused", room=f"{wedding}/{document}", node=message.node, reason=error.code)
            return
        subscriber = self._subscriber(room, message.node)
        room.claims.add(message.claims)
        for request in message.requests:
            session = subscriber.request(request)
            if session is not None:
                self._hub.rights.may_stay(room, session)

    def _subscriber(self, room: Room, node: str) -> Subscriber:
        subscribers = self._subscribers.setdefault(room, {})
        if room.update_subscriber is None:
            room.subscribe_updates(lambda seq, update: _send_update(subscribers.values(), seq, update))
        if node not in subscribers:
            subscribers[node] = Subscriber(room, node, self._messenger)
        return subscribers[node]

    def on_unsubscribe(self, message: UnsubscribeMessage) -> None:
        """A node has closed a document."""
        wedding, document = message.key
        room = self._hub.rooms.get((wedding, document))
        if room is not None:
            self._remove(message.node, room)

    def _remove(self, node: str, room: Room) -> Subscriber | None:
        subscribers = self._subscribers.get(room, {})
        subscriber = subscribers.pop(node, None)
        if subscriber is not None and not subscribers:
            del self._subscribers[room]
            room.subscribe_updates(None)
            self._hub.idle(room)
        return subscriber

    def nodes_gone(self, nodes: Collection[str]) -> None:
        """These nodes have died or stopped. One that was only stopped for a while has to subscribe again."""
        for room in list(self._subscribers):
            for node in nodes:
                subscriber = self._remove(node, room)
                if subscriber is not None:
                    subscriber.end()

    def room_ended(self, room: Room) -> None:
        """The room has ended here; its subscribers have to subscribe again."""
        for subscriber in self._subscribers.pop(room, {}).values():
            subscriber.end()
        room.subscribe_updates(None)


def _send_update(subscribers: Iterable[Subscriber], seq: int, update: bytes) -> None:
    for subscriber in subscribers:
        subscriber.update(seq, update)

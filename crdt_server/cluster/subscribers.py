"""What other nodes ask of the documents that this node owns, and what they are told."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import structlog

from crdt_server.access.identity import Identity
from crdt_server.cluster import messenger
from crdt_server.cluster.messenger import MessageKind, Messenger
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import Rooms
from crdt_server.errors import AdmissionError
from crdt_server.hub.request_session import RequestConnection
from crdt_server.pipe import NO_OVERLAP, RequestKind, Status
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session, SessionId
from storage import DocumentKey

log = structlog.get_logger(__name__)


class RemoteSession(Session):
    """A session whose socket is at another node. It is there as long as something of it is under way."""

    __slots__ = ("_follower", "asking")

    exchange = True
    remote = True

    def __init__(self, follower: Subscriber, id_: SessionId, identity: Identity, address: str) -> None:
        super().__init__(id_, RequestConnection(address), identity)
        self._follower = follower
        self.asking = 0  # requests that are not settled yet

    def settle(self, request: Request, status: Status, answer: Any) -> bool:
        self._follower.answer(request, status, answer)
        return True

    def tell(self, notice: bytes) -> bool:
        self._follower.tell(self.id, notice)
        return True


class Question(Request):
    """A request of another node, under the number it has there."""

    __slots__ = ("number",)

    number: int


class Subscriber:
    """One node in one room of ours."""

    def __init__(self, room: Room, node: str, post: Messenger) -> None:
        self.node = node
        self._room = room
        self._key = DocumentKey(room.wedding, room.document)
        self._post = post
        self._asked: set[int] = set()  # numbers of questions that are not answered yet
        self._sessions: dict[int, RemoteSession] = {}

    def ask(self, number: int, session: int, identity: list[str], address: str, *request: Any) -> None:
        """Let the room's host have a question; one that is still being answered only once."""
        if number in self._asked:
            return
        asking = self._sessions.get(session)
        if asking is None:
            asking = RemoteSession(self, SessionId(session), Identity(*identity), address)
            self._sessions[session] = asking
        kind, payload, extra, knows, echo = request
        made = Question(asking, RequestKind(kind), payload, extra, echo=echo)
        made.number, made.knows = number, knows
        self._asked.add(number)
        asking.asking += 1
        asking.queued_bytes += made.cost
        self._room.queue(made)

    def answer(self, request: Request, status: Status, answer: Any) -> None:
        """The room has settled a request."""
        assert isinstance(request, Question)
        number = request.number
        self._asked.discard(number)
        if _is_long(request, status, answer):
            self._post.send(self.node, MessageKind.STORED, self._key, self._room.released_seq, number)
        else:
            self._post.send(self.node, MessageKind.ANSWER, self._key, self._room.released_seq, number, status, answer)
        session = self._sessions[request.session.id]
        session.asking -= 1
        if not session.asking:
            del self._sessions[session.id]

    def tell(self, session: SessionId, notice: bytes) -> None:
        self._post.send(self.node, MessageKind.TOLD, self._key, session, notice)

    def update(self, seq: int, update: bytes) -> None:
        self._post.send(self.node, MessageKind.UPDATE, self._key, seq, update)

    def lost(self) -> None:
        self._post.send(self.node, MessageKind.LOST, self._key)


def _is_long(request: Request, status: Status, answer: Any) -> bool:
    """Whether an answer should not go over the bus."""
    if request.kind is not RequestKind.DIFF or status is not Status.OK or answer == NO_OVERLAP:
        return False
    return sum(map(len, answer)) > messenger.ANSWER_BYTES


class Subscribers:
    """All followers of all rooms."""

    def __init__(self, owners: Owners, post: Messenger, rooms: Rooms) -> None:
        self._owners = owners
        self._post = post
        self._rooms = rooms
        self._followers: dict[Room, dict[str, Subscriber]] = {}

    def hear_question(self, node: str, key: Sequence[str], questions: Sequence[Sequence[Any]]) -> None:
        """A node asks something of a document, and follows it from now on."""
        wedding, document = key
        if not self._owners.owns(wedding):
            self._post.send(node, MessageKind.LOST, key)
            return
        try:
            room = self._rooms.open(wedding, document)
        except AdmissionError as error:
            # The other node asks again, and gives up after its own time.
            log.warning("follower_refused", room=f"{wedding}/{document}", node=node, why=error.code)
            return
        follower = self._follower(room, node)
        for question in questions:
            follower.ask(*question)
        self._rooms.look(room)

    def _follower(self, room: Room, node: str) -> Subscriber:
        followers = self._followers.setdefault(room, {})
        if room.relay is None:
            room.relay = lambda seq, update: self._tell(followers.values(), seq, update)
        if node not in followers:
            followers[node] = Subscriber(room, node, self._post)
        return followers[node]

    def _tell(self, followers: Iterable[Subscriber], seq: int, update: bytes) -> None:
        for follower in followers:
            follower.update(seq, update)

    def hear_left(self, node: str, key: Sequence[str]) -> None:
        """Nobody at that node is interested in the room any more."""
        wedding, document = key
        room = self._rooms.rooms.get((wedding, document))
        if room is not None:
            self._leave(node, room)

    def _leave(self, node: str, room: Room) -> Subscriber | None:
        followers = self._followers.get(room, {})
        follower = followers.pop(node, None)
        if follower is not None and not followers:
            del self._followers[room]
            room.relay = None
            self._rooms.rest(room)
        return follower

    def gone(self, nodes: Collection[str]) -> None:
        """These nodes are no more; one that was only stopped hears that it is told nothing any more."""
        for room in list(self._followers):
            for node in nodes:
                follower = self._leave(node, room)
                if follower is not None:
                    follower.lost()

    def ended(self, room: Room) -> None:
        """The room has ended here; whoever follows it asks again."""
        for follower in self._followers.pop(room, {}).values():
            follower.lost()
        room.relay = None

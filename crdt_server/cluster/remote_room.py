"""One room whose wedding another node owns: its subscription there, and its requests that have no response yet.

No I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crdt_server.access.identity import SERVER
from crdt_server.cluster.messages import SUBSCRIBE, RemoteRequest
from crdt_server.errors import CLOSE_CODES
from crdt_server.pipe import RequestKind, Response, Status
from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from crdt_server.rooms.batch import RoomBatch
from crdt_server.rooms.intake import put_back
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, SessionId
from storage import DocumentKey

SUBSCRIPTION = RemoteRequest(SUBSCRIBE, SessionId(0), SERVER, "", RequestKind.STATE_VECTOR, b"")


class RemoteRoom:
    """See the head of the file. Times are seconds of the loop's clock."""

    def __init__(self, room: Room, now: float) -> None:
        self.room = room
        self.key = DocumentKey(room.wedding, room.document)
        self.owner: str | None = None  # the node to which the subscription was sent
        self.subscribed = False  # it has confirmed it
        self.seq_known = False  # `room.head_seq` is a number of this document
        self.newest_seq = 0  # that is known to be stored
        self.pending_bytes = 0
        self.large = 0  # pending requests that are large, or have large responses
        self.message_at = now  # when the newest message of the owner came
        self.waiting_since: float | None = None  # for the response to the oldest request
        self.catching_up = False  # missing updates are being read from the store
        self.lookups: set[int] = set()  # numbers of requests that are being answered from the store
        self.subscription = object()  # changes with each of them: its receiver has no claims of client ids yet
        self._pending: dict[int, Request] = {}
        self._same: dict[tuple[RequestKind, bytes], list[Request]] = {}  # later requests equal to a pending one

    @property
    def waits(self) -> bool:
        """Whether a request has no response yet."""
        return bool(self._pending)

    def unsubscribe(self) -> None:
        """Subscribe again before the next request."""
        self.owner, self.subscribed = None, False
        self.room.replies.forget()

    def subscribe(self, owner: str, now: float) -> list[RemoteRequest]:
        """Begin a subscription at a node. Returns the messages to send: all that are pending, except commands."""
        self.abandon_commands()
        self.owner, self.subscribed, self.message_at = owner, False, now
        self.subscription = object()
        return [SUBSCRIPTION, *(encode_request(number, request) for number, request in self._pending.items())]

    def add(self, number: int, request: Request) -> None:
        """A request was sent under this number."""
        self._pending[number] = request
        self.pending_bytes += request.cost
        self.large += _is_large(request)
        if _is_shareable(request):
            self._same[request.kind, request.payload] = []

    def share(self, request: Request) -> bool:
        """Whether an equal request is pending, whose response will be that of this one too: a thousand sockets may come
        back at once."""
        if not _is_shareable(request) or (request.kind, request.payload) not in self._same:
            return False
        self._same[request.kind, request.payload].append(request)
        return True

    def pop(self, number: int) -> list[Request]:
        """The requests that wait for this response, which are not pending any more."""
        request = self._pending.pop(number, None)
        if request is None:
            return []
        self.pending_bytes -= request.cost
        self.large -= _is_large(request)
        same = self._same.pop((request.kind, request.payload), []) if _is_shareable(request) else []
        return [request, *same]

    def is_oldest(self, number: int) -> bool:
        """Whether no request was sent before this one."""
        return number == next(iter(self._pending), None)

    def newcomers(self) -> list[int]:
        """Numbers of requests for the whole document."""
        return [
            number
            for number, request in self._pending.items()
            if request.kind is RequestKind.DIFF and request.payload == EMPTY_STATE_VECTOR
        ]

    def silent(self, now: float, seconds: float) -> bool:
        """Whether it waits for its owner, and had no message for so long."""
        waits = self.waits or not self.subscribed or bool(self.room.inbox)
        return waits and now - self.message_at > seconds

    def overdue(self, now: float, seconds: float) -> bool:
        """Whether its oldest request waits for longer than this."""
        return self.waiting_since is not None and now - self.waiting_since > seconds

    def settle(self, requests: Sequence[Request], status: Status, response: Response | None) -> None:
        """Give the sessions of these requests their result. The refusal of a session is not that of others which have
        requested the same: they request it again, in their own names."""
        if status is Status.FORBIDDEN:
            self.put_back(reversed(requests[1:]))
            requests = requests[:1]
        indexes = range(len(requests))
        statuses = {} if status is Status.OK else dict.fromkeys(indexes, status)
        responses = {} if response is None else dict.fromkeys(indexes, response)
        batch = RoomBatch(self.room, requests, None, statuses, responses)
        batch.seq = self.room.head_seq
        self.room.broadcast(batch)

    def put_back(self, requests: Iterable[Request]) -> None:
        """Let these wait again, before all others."""
        for request in requests:
            put_back(self.room, request)

    def put_back_all(self) -> None:
        """Let every pending request wait again, in its order."""
        for number in reversed(list(self._pending)):
            self.put_back(reversed(self.pop(number)))

    def abandon_commands(self) -> None:
        """The owner has changed: pending commands may have been carried out or not, so they are not sent again."""
        for number, request in list(self._pending.items()):
            if request.kind is RequestKind.COMMAND:
                self.pop(number)
                request.session.connection.close(CLOSE_CODES["try_again"], "the owner of the wedding has changed")


def encode_request(number: int, request: Request) -> RemoteRequest:
    """A request of a session here, for the owner of its document."""
    session = request.session
    proof = session.authenticated
    return RemoteRequest(
        number,
        session.id,
        session.identity,
        session.connection.address,
        request.kind,
        request.payload,
        request.summary,
        request.client_state_vector,
        request.echo,
        *(() if proof is None else (proof.device, proof.by_members)),
    )


def _is_large(request: Request) -> bool:
    if request.kind is RequestKind.UPDATE:
        return request.summary is not None
    return request.kind is not RequestKind.STATE_VECTOR and request.payload != EMPTY_STATE_VECTOR


def _is_shareable(request: Request) -> bool:
    return request.kind in (RequestKind.STATE_VECTOR, RequestKind.DIFF) and not request.session.takes_responses

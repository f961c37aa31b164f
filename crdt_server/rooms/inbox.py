"""The requests of one room that wait for a batch: in order for each session, with a fair share of a batch for each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from crdt_server.pipe import DIFF_STEP_BYTES, DRY_RUN_BYTES, RequestKind
from crdt_server.protocol.update import EMPTY_STATE_VECTOR
from crdt_server.rooms.session import BACKLOG, Origin, Request, Session

# An update of a document with a schema, however small, takes a host as long as so much text; of its sender's share of
# a batch it takes more, so that a flood from one session delays that session rather than everybody else.
JUDGED_BYTES, JUDGED_SHARE_BYTES = 512, 2048
UNBOUNDED = 1 << 30
_READ_ALL = frozenset((RequestKind.READ, RequestKind.DIGEST))


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """Bounds of one room. Bytes are those of payloads."""

    max_sessions: int = 2000  # 0: no limit
    session_queue_bytes: int = 16 * 1024  # then the socket is not read until the queue is half empty
    session_quantum_bytes: int = 8 * 1024  # one session's share of a batch
    big_update_bytes: int = 16 * 1024  # checked away from the rooms' host
    heavy_update_bytes: int = 128 * 1024  # the room goes where heavy ones are
    answer_cache_bytes: int = 1 << 20
    newcomer_cache_bytes: int = 8 << 20
    max_gaps: int = 16  # unanswerable gaps in a row, then 1013
    max_awareness_bytes: int = 4096
    presence_states_per_second: int = 1000  # of one session: then its socket is not read for a while
    presence_bytes_per_second: int = 512 * 1024


class Taken(NamedTuple):
    """Requests for a batch: what they cost of its budget, and how many of them are large."""

    requests: list[Request]
    cost: int
    large: int


class _Share:
    """The requests that one call of `Inbox.take` has taken so far."""

    __slots__ = ("cost", "document_bytes", "large", "large_left", "requests", "state_vectors")

    def __init__(self, large_left: int, document_bytes: int) -> None:
        self.requests: list[Request] = []
        self.cost = self.large = 0
        self.large_left = large_left
        self.document_bytes = document_bytes
        self.state_vectors: set[bytes] = set()


class Inbox:
    """See the head of the file."""

    __slots__ = ("_has_schema", "_quantum_bytes", "_queue_bytes", "_ready", "updates")

    def __init__(self, limits: RoomLimits, *, has_schema: bool) -> None:
        self._quantum_bytes = limits.session_quantum_bytes
        self._queue_bytes = limits.session_queue_bytes
        self._has_schema = has_schema
        self._ready: deque[Session] = deque()  # sessions with requests
        self.updates = 0  # that wait

    def __bool__(self) -> bool:
        return bool(self._ready)

    @property
    def first_sender(self) -> str:
        """The person whose turn it is; empty where nothing waits."""
        return self._ready[0].person if self._ready else ""

    @property
    def senders(self) -> Sequence[Session]:
        """The sessions of which requests wait."""
        return tuple(self._ready)

    def order(self, place: Callable[[str], tuple[int, int]]) -> None:
        """Sort the sessions by the place of their persons; those with one place stay as they are."""
        if len(self._ready) > 1:
            self._ready = deque(sorted(self._ready, key=lambda session: place(session.person)))

    def add(self, request: Request) -> None:
        """Append a request whose cost is already counted in its session."""
        session = request.session
        inbox = session.inbox
        if inbox is None:
            inbox = session.inbox = []
        if not inbox:
            self._ready.append(session)
        inbox.append(request)
        if request.kind is RequestKind.UPDATE:
            self.updates += 1

    def put_back(self, request: Request) -> None:
        """Put a request before all others of its session."""
        session = request.session
        session.queued_bytes += request.cost
        if not session.inbox:
            self.add(request)
            return
        session.inbox.insert(0, request)
        self.updates += request.kind is RequestKind.UPDATE

    def take(self, budget: int, document_bytes: int, members: dict[Session, None], *, large: int = UNBOUNDED) -> Taken:
        """Requests for the next batch, a fair share of every session.

        ``document_bytes`` is the size of the document, which a sync step 1 has the host read; that of a session which
        is not among the ``members`` is dropped. No more than ``large`` of the requests are large (pieces of a large
        update, too): each keeps every other document of the host waiting.
        """
        ready = self._ready
        if len(ready) == 1 and not self._has_schema and (only := self._take_only(ready[0])) is not None:
            return only
        share = _Share(large, document_bytes)
        behind: list[Session] = []  # had its turn at what is large
        for _ in range(len(ready)):
            session = ready.popleft()
            large_before = share.large
            self._take_share(session, share, members)
            if session.inbox:
                (ready if share.large == large_before else behind).append(session)
            if session.paused & BACKLOG and session.queued_bytes <= self._queue_bytes // 2:
                session.resume(BACKLOG)
            if share.cost >= budget:
                break
        ready.extend(behind)
        return Taken(share.requests, share.cost, share.large)

    def _take_only(self, session: Session) -> Taken | None:
        """The one small update that waits, where it is the only request: by far the commonest case."""
        inbox = session.inbox
        assert inbox is not None
        if len(inbox) != 1:
            return None
        request = inbox[0]
        if request.kind is not RequestKind.UPDATE or request.summary is not None or request.cost > self._quantum_bytes:
            return None
        inbox.clear()
        self._ready.clear()
        self.updates -= 1
        session.queued_bytes -= request.cost
        if session.paused & BACKLOG:
            session.resume(BACKLOG)
        return Taken([request], request.cost, 0)

    def _take_share(self, session: Session, share: _Share, members: dict[Session, None]) -> None:
        inbox = session.inbox
        assert inbox is not None
        quantum = quantum_bytes = self._quantum_bytes
        while inbox and quantum > 0:
            request = inbox[0]
            kind, cost = request.kind, request.cost
            is_update = kind is RequestKind.UPDATE
            reads = JUDGED_BYTES if is_update and self._has_schema else 0
            if kind is RequestKind.DIFF:
                if not (session in members or session.origin is Origin.REMOTE):
                    del inbox[0]
                    session.queued_bytes -= cost
                    continue  # no session waits for the answer
                reads = _read_bytes(request, share)
            elif kind in _READ_ALL:
                reads = min(share.document_bytes, DIFF_STEP_BYTES)
            elif kind is RequestKind.COMMAND:
                reads = quantum_bytes  # 90 bytes, a move, have it sort all records of any document of the wedding
            if request.summary is not None or cost + reads > quantum_bytes:
                if share.large == share.large_left:
                    break
                share.large += 1
            del inbox[0]
            session.queued_bytes -= cost
            if kind is RequestKind.DIFF:
                share.state_vectors.add(request.payload)
            share.requests.append(request)
            share.cost += cost + reads
            quantum -= cost + (JUDGED_SHARE_BYTES if is_update and self._has_schema else reads)
            if is_update:
                self.updates -= 1
                if len(request.payload) > DRY_RUN_BYTES:
                    break  # it may have to come again, and what follows must not overtake it

    def discard(self, session: Session) -> list[Request]:
        """Drop the requests of a session that wait. Returns them."""
        inbox = session.inbox
        dropped = list(inbox or ())
        if inbox:
            self.updates -= sum(request.kind is RequestKind.UPDATE for request in inbox)
            inbox.clear()
        if session.stash:
            dropped += session.stash
            session.stash.clear()
        session.queued_bytes -= sum(request.cost for request in dropped)
        return dropped

    def pop_first_diff(self, session: Session) -> Request | None:
        """Take out a session's sync step 1 of a newcomer, where no edit of its own waits before it."""
        for request in session.inbox or ():
            if request.kind is RequestKind.STATE_VECTOR:
                continue
            if request.kind is not RequestKind.DIFF or request.payload != EMPTY_STATE_VECTOR:
                return None
            assert session.inbox is not None
            session.inbox.remove(request)
            session.queued_bytes -= request.cost
            return request
        return None

    def pop_newcomer(self, session: Session) -> list[Request]:
        """Take out the requests of a session, where they are only those of a client that holds nothing."""
        inbox = session.inbox
        if not inbox or not all(map(_of_newcomer, inbox)):
            return []
        requests = list(inbox)
        inbox.clear()
        self._ready.remove(session)
        session.queued_bytes -= sum(request.cost for request in requests)
        if session.paused & BACKLOG:
            session.resume(BACKLOG)
        return requests

    def clear(self) -> None:
        """Forget every session: the room has ended."""
        self._ready.clear()


def _of_newcomer(request: Request) -> bool:
    kind = request.kind
    return kind is RequestKind.STATE_VECTOR or (kind is RequestKind.DIFF and request.payload == EMPTY_STATE_VECTOR)


def _read_bytes(request: Request, share: _Share) -> int:
    """Bytes of the document that a host reads for a sync step 1: once for all with the same state vector."""
    state_vector = request.payload
    if state_vector in share.state_vectors or state_vector == EMPTY_STATE_VECTOR:
        return 0
    return min(share.document_bytes, DIFF_STEP_BYTES)

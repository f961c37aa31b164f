"""A room: one document while it is in use, without I/O.

Messages come in through `receive`, requests for the document's host go out through `take`, the host's answer comes back
through `judge`, and what is owed to the sessions leaves through `release`, once it is stored. Who calls these, and
when, is the hub's business; a test calls them by hand in any order it likes.

Rules of this file:
- No await, no clock, no randomness.
- What changes a document is sent only by `release`, which follows the commit; so are answers that may contain it.
- No single update of a living session is dropped: it is applied, known, or its sender is asked again or closed.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from crdt_server.counters import Counters
from crdt_server.errors import CLOSE_CODES, CrdtServerError, ProtocolError
from crdt_server.pipe import DIFF_STEP_BYTES, DRY_RUN_BYTES, NO_OVERLAP, REFUSALS, RequestKind, Status
from crdt_server.protocol.messages import AwarenessUpdate, PermissionDenied, Received, SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from crdt_server.rooms.awareness import MAX_MESSAGE_BYTES, Awareness, Presence
from crdt_server.rooms.session import Request, Session
from crdt_server.rooms.sync_replies import SyncReplyCache, answer_messages
from documents.kind import MAX_UPDATE_BYTES
from documents.registry import kind_of

STORED_MESSAGES = 1000  # an answer of more rows than that is put together in a host first
PRESENCE_KEPT = 8  # awareness messages of one session in one tick
# An update of a document with a schema, however small, takes a host as long as so much text; of its sender's share of
# a batch it takes more, so that who floods a room waits rather than everybody else.
JUDGED_BYTES, JUDGED_SHARE_BYTES = 512, 2048
NO_STATES = Outgoing(AwarenessUpdate(b"\x00"))


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


class Phase(enum.Enum):
    """LOADING until the host holds the document, then LIVE, DEAD for ever after."""

    LOADING = "loading"
    LIVE = "live"
    DEAD = "dead"


@dataclass(slots=True)
class Verdict:
    """What a host said about the requests of one room, on its way to the store and then to the sessions."""

    room: Room
    requests: Sequence[Request]
    merged: bytes | None
    faults: dict[int, Status]
    answers: dict[int, Any]
    facts: Any = None  # what is stored with `merged`: rows, events, owners, answers; see `storage.DerivedRecords`
    notices: Sequence[tuple[int, bytes]] = ()  # index of a request, and JSON to tell its sender
    last: bool = True  # of its batch in this room
    seq: int = 0  # the document's newest row as of this verdict: `merged` itself where there is one

    @property
    def refuses(self) -> bool:
        """Whether somebody is refused by what the document holds: for good, or perhaps a command."""
        if any(status in REFUSALS for status in self.faults.values()):
            return True
        return self.facts is None and any(request.kind is RequestKind.COMMAND for request in self.requests)

    @property
    def wants_settling(self) -> bool:
        """Whether somebody waits for more than the echo."""
        return any(request.session.gaps or request.session.exchange for request in self.requests)


class Room:
    """See the head of the file. ``vet`` takes a large update to be checked elsewhere and ends with `vetted`;
    ``oversteps`` counts what had to be undone of a session, and says when it is too much."""

    def __init__(
        self,
        room_id: int,
        wedding: str,
        document: str,
        limits: RoomLimits,
        counters: Counters,
        *,
        vet: Callable[[Room, Request], None],
        blame: Callable[[Session], None],
        oversteps: Callable[[Session], bool] = lambda session: False,
    ) -> None:
        self.id = room_id
        self.wedding = wedding
        self.document = document
        self.name = f"{wedding}/{document}"
        self.limits = limits
        self.counters = counters
        self.phase = Phase.LOADING
        self.sessions: dict[Session, None] = {}
        self.awareness = Awareness(limits.max_awareness_bytes)
        self.awareness_waiting: dict[Session, None] = {}
        self.head_seq = 0
        self.released_seq = 0  # of the newest verdict that was told
        self.relay: Callable[[int, bytes], None] | None = None  # hears what is told to everybody, for other nodes
        self.share: Callable[[Sequence[Presence]], None] | None = None  # hears who is here, for other nodes
        self.size = 0
        self.warm = False
        self.unsettled = 0  # verdicts on their way to the store
        self.queued_updates = 0
        self.load_deaths = 0  # hosts that died of reading what is stored
        self.heavy = False  # keeps others waiting: to be moved to the heavy lane
        self.moved = False  # is there
        self.away = False  # another node judges it, or may do so
        self.bytes_only = False  # no Doc of it survives: its host keeps bytes
        self.marked = False  # waits in its lane
        self._ready: deque[Session] = deque()
        self._state_vector: bytes | None = None
        self._answers = SyncReplyCache(limits.answer_cache_bytes, limits.newcomer_cache_bytes)
        self._sent: list[Outgoing] = []  # of the batch that is being released
        self._vet = vet
        self._blame = blame
        self._oversteps = oversteps
        kind = kind_of(document)
        self.checked = kind is not None and not kind.free  # whether it has a schema

    # -- coming and going

    def join(self, session: Session) -> None:
        """Let a session in: it is greeted with the server's step 1 and everybody's presence."""
        self.sessions[session] = None
        if self._state_vector is not None and self.phase is Phase.LIVE:
            session.connection.send(Outgoing(SyncStep1(self._state_vector)))
        else:
            self.ask(Request(session, RequestKind.HELLO, b""))
        states = self.awareness.all_states()
        if states is not None:
            session.connection.send(Outgoing(AwarenessUpdate(states)))

    @property
    def belongs_elsewhere(self) -> bool:
        """Whether it is to move to the heavy lane. The documents of a wedding that have a schema stay together."""
        return self.heavy and not self.checked

    @property
    def full(self) -> bool:
        return 0 < self.limits.max_sessions <= len(self.sessions)

    def leave(self, session: Session) -> None:
        """The socket is gone. What it had sent before is still applied."""
        self.sessions.pop(session, None)
        self.awareness_waiting.pop(session, None)
        self.awareness.leave(session)

    def fail(self, code: int, reason: str) -> None:
        """End the room: its document could not be stored, read or held. Clients keep their edits and come again."""
        self.phase = Phase.DEAD
        self._ready.clear()
        sessions, self.sessions = self.sessions, {}
        for session in sessions:
            self.close(session, code, reason)

    def close(self, session: Session, code: int, reason: str) -> None:
        self.counters.closed[code] = self.counters.closed.get(code, 0) + 1
        session.connection.close(code, reason)

    # -- what comes in

    def receive(self, session: Session, messages: Iterable[Received]) -> None:
        """Take the messages of one frame of a session. What no client may send closes it with 4400."""
        if self.phase is Phase.DEAD or session not in self.sessions:
            return
        queried = False
        try:
            for message in messages:
                kind = type(message)
                if kind is SyncUpdate or kind is SyncStep2:
                    self._receive_update(session, message.update, echo=kind is SyncUpdate)  # type: ignore[union-attr]
                elif kind is SyncStep1:
                    self._receive_step1(session, message.state_vector)  # type: ignore[union-attr]
                elif kind is AwarenessUpdate:
                    self._receive_presence(session, message.payload)  # type: ignore[union-attr]
                else:
                    queried = True
            if queried:  # once, however often a frame asks
                states = self.awareness.all_states()
                session.connection.send(NO_STATES if states is None else Outgoing(AwarenessUpdate(states)))
        except ProtocolError as error:
            self.reject(session, error)

    def reject(self, session: Session, error: CrdtServerError) -> None:
        """Close a session for what it sent."""
        self.counters.protocol_errors += 1
        self._blame(session)
        self.give_up(session)
        self.close(session, error.close_code, error.code)

    def _receive_update(self, session: Session, update: bytes, *, echo: bool) -> None:
        if not echo:
            session.asked = False
        if update == EMPTY_UPDATE:
            return
        request = Request(session, RequestKind.UPDATE, update, echo=echo)
        if self.checked and not echo:
            request.knows = session.knows
        self.ask(request)

    def _receive_presence(self, session: Session, payload: bytes) -> None:
        """Keep it for the next tick. A stock client's own state and its echo of others come as separate messages."""
        if len(payload) > MAX_MESSAGE_BYTES:
            raise ProtocolError("awareness_limit", "awareness message too large")
        if session.awareness_raw is None:
            session.awareness_raw = []
        elif len(session.awareness_raw) == PRESENCE_KEPT:
            del session.awareness_raw[1]  # not the first: it may be the one that says who this is
        session.awareness_raw.append(payload)
        self.awareness_waiting[session] = None

    def _receive_step1(self, session: Session, state_vector: bytes) -> None:
        if self.checked:
            session.knows = state_vector
        if not self._answer_again(session, state_vector):
            self.ask(Request(session, RequestKind.DIFF, state_vector))

    def _answer_again(self, session: Session, state_vector: bytes) -> bool:
        """Answer with what is remembered, where there is such and no edit of the session's own is on its way."""
        if session.inbox or session.held:
            return False
        known = self._answers.find(state_vector)
        if known is not None:
            self._send_answer(session, known)
        return known is not None

    def ask(self, request: Request) -> None:
        """Queue a request of a session behind its earlier ones. Raises ProtocolError where it is too large."""
        session = request.session
        size = len(request.payload)
        if self.checked and request.kind is RequestKind.UPDATE and size > MAX_UPDATE_BYTES:
            raise ProtocolError("update_too_large", f"an update of {size} bytes, of at most {MAX_UPDATE_BYTES}")
        session.queued_bytes += request.cost
        if session.held:
            assert session.stash is not None
            session.stash.append(request)
        elif request.kind is RequestKind.UPDATE and size > self.limits.big_update_bytes:
            session.held, session.stash = True, []
            self.heavy = self.heavy or size > self.limits.heavy_update_bytes
            self._vet(self, request)
        else:
            self.queue(request)
        if session.queued_bytes > self.limits.session_queue_bytes and not session.paused:
            session.paused = True
            session.connection.pause()

    def queue(self, request: Request) -> None:
        """Let a request wait for a batch that has been counted, and checked where it is large."""
        session = request.session
        if session.inbox is None:
            session.inbox = deque()
        if not session.inbox:
            self._ready.append(session)
        session.inbox.append(request)
        self.queued_updates += request.kind is RequestKind.UPDATE

    def vetted(self, request: Request, pieces: Sequence[tuple[bytes, Any]] | None) -> None:
        """A large update came back from its check: in pieces with their summaries, or None when it is malformed."""
        session = request.session
        stash, session.stash, session.held = session.stash or [], None, False
        if self.phase is Phase.DEAD:
            return
        if pieces is None:
            session.queued_bytes = 0
            self.reject(session, ProtocolError("malformed_update", "a large update did not decode"))
            return
        session.queued_bytes -= request.cost
        *earlier, (request.payload, request.extra) = pieces
        for piece, summary in earlier:
            part = Request(session, RequestKind.UPDATE, piece, summary, echo=request.echo)
            part.whole, part.knows = request, request.knows
            session.queued_bytes += part.cost
            self.queue(part)
        session.queued_bytes += request.cost
        self.queue(request)
        for later in stash:
            session.queued_bytes -= later.cost  # `ask` counts it again
            self.ask(later)

    # -- to the host and back

    @property
    def dirty(self) -> bool:
        """Whether a batch would find something to do here."""
        return bool(self._ready)

    def take(self, budget: int, *, large: int = 1 << 30) -> tuple[list[Request], int, int]:
        """Requests for the next batch, a fair share of every session; what they cost of ``budget``; how many are large.

        No more than ``large`` of them are (pieces of what was large, too): each keeps everybody who has a document in
        the same host waiting.
        """
        taken: list[Request] = []
        used = taken_large = 0
        compared: set[bytes] = set()
        ready = self._ready
        for _ in range(len(ready)):
            session = ready.popleft()
            inbox = session.inbox
            assert inbox is not None
            quantum = self.limits.session_quantum_bytes
            while inbox and quantum > 0:
                request = inbox[0]
                cost = request.cost
                judged = self.checked and request.kind is RequestKind.UPDATE
                reads = JUDGED_BYTES if judged else 0
                if request.kind is RequestKind.DIFF and request.payload not in compared:
                    # The host reads the document for it, but only once for all who have the same.
                    reads = 0 if request.payload == EMPTY_STATE_VECTOR else min(self.size, DIFF_STEP_BYTES)
                is_large = request.extra is not None or cost + reads > self.limits.session_quantum_bytes
                if is_large and taken_large == large:
                    break
                del inbox[0]
                session.queued_bytes -= cost
                if request.kind is RequestKind.DIFF:
                    if not self._waits(session):
                        continue  # nobody waits for the answer
                    compared.add(request.payload)
                taken_large += is_large
                taken.append(request)
                used += cost + reads
                quantum -= cost + (JUDGED_SHARE_BYTES if judged else reads)
                if request.kind is RequestKind.UPDATE:
                    self.queued_updates -= 1
                    if len(request.payload) > DRY_RUN_BYTES:
                        break  # it may have to be asked again, and what follows must not overtake it
            if inbox:
                ready.append(session)
            if session.paused and session.queued_bytes <= self.limits.session_queue_bytes // 2:
                session.paused = False
                session.connection.resume()
            if used >= budget:
                break
        return taken, used, taken_large

    def serve_from_store(self, updates: Sequence[bytes]) -> None:
        """Answer those who have nothing yet with the stored updates as they are, before a host has read them.

        To be called with all that is stored and while no verdict of this room is under way.
        """
        if not 0 < len(updates) <= STORED_MESSAGES:
            return
        messages = answer_messages(updates)
        for session in list(self.sessions):
            request = _first_question(session)
            if request is None or request.payload != EMPTY_STATE_VECTOR:
                continue
            assert session.inbox is not None
            session.inbox.remove(request)
            session.queued_bytes -= request.cost
            if not session.settle(request, Status.OK, updates):
                self._send_answer(session, messages)

    def put_back(self, request: Request) -> None:
        """What is not finished goes first again. A question nobody waits for is dropped, an edit never."""
        session = request.session
        if self.phase is Phase.DEAD or (request.kind is not RequestKind.UPDATE and not self._waits(session)):
            return
        if not session.inbox:
            self.queue(request)
        else:
            session.inbox.appendleft(request)
            self.queued_updates += request.kind is RequestKind.UPDATE
        session.queued_bytes += request.cost

    def give_up(self, session: Session) -> None:
        """What this session sent after something that is refused for good is not looked at any more."""
        self.queued_updates -= sum(request.kind is RequestKind.UPDATE for request in session.inbox or ())
        given_up = [*(session.inbox or ()), *(session.stash or ())]
        session.queued_bytes -= sum(request.cost for request in given_up)
        for waiting in (session.inbox, session.stash):
            if waiting:
                waiting.clear()
        if session.remote:  # its node keeps them until it is answered
            for request in given_up:
                session.settle(request, Status.VIOLATION, None)

    def judge(self, verdict: Verdict) -> None:
        """Take a host's verdict: number what is to be stored. Nothing is sent yet."""
        if verdict.merged is not None:
            self.head_seq += 1
            self._state_vector = None
            self._answers.edited()
        verdict.seq = self.head_seq

    def release(self, verdict: Verdict) -> None:
        """The verdict is stored: tell everybody who is in the room, and answer who asked."""
        if self.phase is Phase.DEAD:
            return
        if verdict.merged is not None:
            self._sent.append(self._tell_all(verdict.merged))
            if self.relay is not None:
                self.relay(verdict.seq, verdict.merged)
        self.released_seq = verdict.seq
        for index, notice in verdict.notices:
            session = verdict.requests[index].session
            if not session.tell(notice):
                self.tell(session, notice)
        if verdict.faults or verdict.answers or verdict.wants_settling:
            self._settle(verdict)
        if verdict.last:
            self._sent.clear()
        self.counters.updates += len(verdict.requests) - len(verdict.answers) - len(verdict.faults)

    def follow(self, seq: int, update: bytes) -> None:
        """Tell everybody what another node has stored under this number."""
        self.head_seq = seq
        self._state_vector = None
        self._answers.edited()
        self._tell_all(update)

    def _tell_all(self, update: bytes) -> Outgoing:
        message = Outgoing(SyncUpdate(update))
        self._broadcast(message)
        self._answers.sent(message)
        return message

    def _broadcast(self, message: Outgoing) -> None:
        size_bytes = message.size_bytes
        sessions = self.sessions
        self.counters.fan_out_messages += len(sessions)
        self.counters.fan_out_bytes += len(sessions) * size_bytes
        large = size_bytes > self.limits.big_update_bytes  # then nobody is slow who has not read it at once
        for session in sessions:
            if large:
                session.connection.allow(size_bytes)
            session.connection.send(message)

    def tell(self, session: Session, notice: bytes) -> None:
        """Something that a session wrote has been undone, or refused."""
        if session not in self.sessions:
            return
        self.counters.reverted += 1
        session.connection.send(Outgoing(PermissionDenied(notice.decode())))
        if self._oversteps(session):
            self.give_up(session)
            self.close(session, CLOSE_CODES["forbidden"], "too much had to be undone")

    def _settle(self, verdict: Verdict) -> None:
        # An answer stands for later askers only while nothing was accepted in or after its batch.
        current = verdict.merged is None and verdict.seq == self.head_seq
        made: dict[int, tuple[Outgoing, ...]] = {}  # by identity: many ask the same
        for index, request in enumerate(verdict.requests):
            session = request.session
            status = verdict.faults.get(index, Status.OK)
            if status is Status.LATER:
                continue
            answer: Any = verdict.answers.get(index)
            if request.kind is RequestKind.DIFF and answer == NO_OVERLAP:
                self._answer_stranger(request)
                continue
            if session.settle(request, status, answer) or session not in self.sessions:
                continue
            if status is not Status.OK:
                self._fault(request, status)
            elif request.kind is RequestKind.HELLO:
                if current:
                    self._state_vector = answer
                session.connection.send(Outgoing(SyncStep1(answer)))
            elif request.kind is RequestKind.DIFF:
                messages = made.get(id(answer))
                if messages is None:
                    messages = made[id(answer)] = answer_messages(answer)
                    self._remember(request.payload, answer, messages, current=current)
                self._send_answer(session, messages)
            else:
                session.gaps = 0

    def _fault(self, request: Request, status: Status) -> None:
        session = request.session
        if status is Status.KNOWN:
            self.counters.known_updates += 1
            if request.echo:
                session.connection.send(Outgoing(SyncUpdate(request.payload)))
        elif status is Status.GAP:
            self._ask_again(session)
        elif status is Status.MALFORMED:
            self.reject(session, ProtocolError("malformed_update", "an update or state vector did not decode"))
        else:
            self.counters.violations += 1
            self._blame(session)
            self.give_up(session)
            self.close(session, CLOSE_CODES["violation"], status.name.lower())

    def _ask_again(self, session: Session) -> None:
        """The client has more than it sent, or is itself behind: ask for all that is missing, once at a time."""
        self.counters.gaps += 1
        if session.asked:
            return  # what follows a hole lies behind it too; the answer is under way
        session.gaps += 1
        if session.gaps > self.limits.max_gaps:
            self.close(session, CLOSE_CODES["try_again"], "gap")
        else:
            session.asked = True
            self.ask(Request(session, RequestKind.HELLO, b""))

    def _answer_stranger(self, request: Request) -> None:
        """Who has something, but nothing of this document, gets what a newcomer gets."""
        session = request.session
        if not self._waits(session):
            return
        request.payload = EMPTY_STATE_VECTOR
        if session.exchange or not self._answer_again(session, EMPTY_STATE_VECTOR):
            self.ask(request)

    def _remember(
        self, state_vector: bytes, parts: Sequence[bytes], messages: tuple[Outgoing, ...], *, current: bool
    ) -> None:
        if state_vector == EMPTY_STATE_VECTOR:
            self._answers.remember_newcomer(parts, messages)
            for message in self._sent:  # it may have been asked before the edits of its batch
                self._answers.sent(message)
        elif current:
            self._answers.remember(state_vector, messages)

    def _send_answer(self, session: Session, messages: Sequence[Outgoing]) -> None:
        session.connection.allow(sum(message.size_bytes for message in messages))
        for message in messages:
            session.connection.send(message)

    def _waits(self, session: Session) -> bool:
        """Whether somebody is there for an answer."""
        return session.remote or session in self.sessions

    # -- presence

    def tell_presence(self, now: float) -> None:
        """Read what the sessions said of themselves since the last tick, and tell the room what changed."""
        waiting, self.awareness_waiting = self.awareness_waiting, {}
        for session in waiting:
            payloads, session.awareness_raw = session.awareness_raw, None
            try:
                for payload in payloads or ():
                    self.awareness.receive(session, payload, now)
            except ProtocolError as error:
                self.reject(session, error)
        if self.share is not None and (said := self.awareness.take_said()):
            self.share(said)
        changes = self.awareness.take_changes()
        if changes is not None:
            self._send_presence(Outgoing(AwarenessUpdate(changes)))

    def keep_alive(self) -> None:
        """Say nothing, audibly: stock clients drop a link on which they heard nothing for 30 s."""
        self._send_presence(NO_STATES)

    def _send_presence(self, message: Outgoing) -> None:
        size_bytes = message.size_bytes
        for session in self.sessions:
            if session.connection.congested:
                self.counters.awareness_shed += 1
                continue
            self.counters.awareness_messages += 1
            self.counters.fan_out_bytes += size_bytes
            session.connection.send(message)


def _first_question(session: Session) -> Request | None:
    """A session's waiting sync step 1, where no edit of its own waits before it."""
    for request in session.inbox or ():
        if request.kind is not RequestKind.HELLO:
            return request if request.kind is RequestKind.DIFF else None
    return None

"""The way to documents that another node owns: in the place of the lane to a host.

What sessions here ask is sent to the owner and kept until it is answered; what the owner has stored is told here. The
rules:

- An update that was not answered is sent again, to whoever owns the wedding then: documents take it once. A command is
  not: who sent it hears that it may not have been carried out.
- What the owner stored comes under sequence numbers. A number that is missing is read from the store.
- Who has nothing yet gets what is stored from here while the owner is silent; so does anybody where its answer is too
  long for the bus.
- Bounded: so many bytes of a room are on their way, then its sockets are not read. What has waited for too long ends
  the room with 1013; clients keep their edits and come again.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import structlog

from crdt_server.access.identity import SERVER
from crdt_server.cluster.messenger import MessageKind, Messenger, question
from crdt_server.cluster.owners import Owners
from crdt_server.cluster.port import Rooms
from crdt_server.errors import CLOSE_CODES
from crdt_server.pipe import RequestKind, Status
from crdt_server.protocol.update import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from crdt_server.rooms.room import Phase, Room, Verdict
from crdt_server.rooms.session import Request
from storage import DocumentKey, Storage, StorageError

log = structlog.get_logger(__name__)

WINDOW_BYTES = 256 * 1024
"""Of one room, on their way to its owner."""

TICK_SECONDS = 0.25
SILENCE_SECONDS = 1.0
"""Without an answer: then it is asked again who owns the wedding."""

PATIENCE_SECONDS = 10.0
"""Without an answer: then the room ends."""

AGAIN_SECONDS = 0.05
GREETING = 0
"""The number of the question that only says: this node follows the room."""


class RemoteRoom:
    """One room whose owner is another node."""

    def __init__(self, room: Room, now: float) -> None:
        self.room = room
        self.key = _key(room)
        self.asked: str | None = None  # the node that was told that we follow
        self.greeted = False  # and has answered
        self.known = False  # `room.head_seq` is a number of this document
        self.seen = 0  # the newest number heard of
        self.pending: dict[int, Request] = {}
        self.pending_bytes = 0
        self.same: dict[
            tuple[RequestKind, bytes], list[Request]
        ] = {}  # of a question that is pending: who asked the same since
        self.heard = now
        self.waits_since: float | None = None  # for the answer to the oldest question
        self.reading = False
        self.looked_up: set[int] = set()  # questions that are being answered from the store

    def unfollow(self) -> None:
        """Whom we asked may not tell us anything any more."""
        self.asked, self.greeted = None, False

    def expect(self, number: int, request: Request) -> None:
        self.pending[number] = request
        self.pending_bytes += request.cost
        if _may_be_shared(request):
            self.same[request.kind, request.payload] = []

    def joins(self, request: Request) -> bool:
        """Whether a pending question is the same, so that its answer will do: a thousand who come back at once."""
        if not _may_be_shared(request) or (request.kind, request.payload) not in self.same:
            return False
        self.same[request.kind, request.payload].append(request)
        return True

    def pop(self, number: int) -> list[Request]:
        """Who waits for this answer."""
        request = self.pending.pop(number, None)
        if request is None:
            return []
        self.pending_bytes -= request.cost
        return [request, *(self.same.pop((request.kind, request.payload), ()) if _may_be_shared(request) else ())]


class RemoteDispatcher:
    """See the head of the file."""

    def __init__(self, storage: Storage, owners: Owners, post: Messenger, rooms: Rooms) -> None:
        self._storage = storage
        self._owners = owners
        self._post = post
        self._rooms = rooms
        self._aways: dict[DocumentKey, RemoteRoom] = {}
        self._dirty: dict[Room, None] = {}
        self._unowned: set[str] = set()
        self._claiming = False
        self._numbers = itertools.count(GREETING + 1)

    # -- called by the hub, like a lane to a host

    def mark(self, room: Room) -> None:
        """The room has something for its owner."""
        if not room.marked:
            room.marked = True
            self._want(room)

    def busy(self, room: Room) -> bool:
        """Whether something of the room is under way."""
        away = self._aways.get(_key(room))
        return away is not None and (bool(away.pending) or away.reading)

    def drop(self, room: Room) -> None:
        """The room has ended here."""
        away = self._aways.pop(_key(room), None)
        self._dirty.pop(room, None)
        self._owners.forget(room.wedding)  # there are many weddings
        if away is not None and away.asked is not None:
            self._post.send(away.asked, MessageKind.LEFT, self._owners.node, away.key)

    # -- out

    def _want(self, room: Room) -> None:
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty[room] = None

    def _flush(self) -> None:
        rooms, self._dirty = self._dirty, {}
        for room in rooms:
            room.marked = False
            if room.phase is not Phase.DEAD and room.away:
                self._forward(self._away(room))

    def _away(self, room: Room) -> RemoteRoom:
        away = self._aways.get(_key(room))
        if away is None:
            away = self._aways[_key(room)] = RemoteRoom(room, self._rooms.time())
        return away

    def _forward(self, away: RemoteRoom) -> None:
        """Send what the room has to whoever owns it; or find out first who that is."""
        room = away.room
        if away.waits_since is None:
            away.waits_since = self._rooms.time()
        owner = self._owners.other(room.wedding)
        if owner is None:
            self._claim(room.wedding)
            return
        if away.asked != owner:
            self._greet(away, owner)
        questions = []
        while away.pending_bytes < WINDOW_BYTES and room.dirty:
            for request in room.take(WINDOW_BYTES - away.pending_bytes)[0]:
                # What another node asked us when the wedding seemed to be ours, it asks its owner itself.
                if not request.session.remote and not away.joins(request):
                    number = next(self._numbers)
                    away.expect(number, request)
                    questions.append(question(number, request))
        if questions:
            self._post.send(owner, MessageKind.ASK, self._owners.node, away.key, questions)

    def _greet(self, away: RemoteRoom, owner: str) -> None:
        """Follow the room there, and ask again what nobody has answered. What was not asked yet comes behind it."""
        self._give_up_commands(away)
        greeting = [GREETING, 0, [*SERVER], "", RequestKind.HELLO, b"", None, None, False]
        questions = [greeting, *(question(number, request) for number, request in away.pending.items())]
        away.asked, away.greeted, away.heard = owner, False, self._rooms.time()
        self._post.send(owner, MessageKind.ASK, self._owners.node, away.key, questions)

    def _give_up_commands(self, away: RemoteRoom) -> None:
        """They may have been carried out, or not."""
        for number, request in list(away.pending.items()):
            if request.kind is RequestKind.COMMAND:
                away.pop(number)
                request.session.connection.close(CLOSE_CODES["try_again"], "the owner of the wedding has changed")

    # -- in

    def hear_answer(self, key: Sequence[str], seq: int, number: int, status: int, answer: Any) -> None:
        """The owner's answer, and up to which number it had stored everything then."""
        away = self._aways.get(DocumentKey(*key))
        if away is None:
            return
        room = away.room
        self._note(away, seq)
        if number == GREETING:
            away.greeted = True
            room.phase = Phase.LIVE
        is_oldest = number == next(iter(away.pending), None)
        requests = away.pop(number)
        if requests and requests[0].kind in (RequestKind.HELLO, RequestKind.DIFF) and seq < room.head_seq:
            for request in requests:
                room.put_back(request)  # what was told since would be missing for these sessions alone
        elif requests:
            self._settle(away, requests, Status(status), answer)
        if is_oldest:
            away.waits_since = away.heard
        self._go_on(away)

    def _go_on(self, away: RemoteRoom) -> None:
        """Something was answered."""
        if away.greeted and not away.pending:
            away.waits_since = None
        if away.room.dirty:
            self.mark(away.room)

    def hear_stored(self, key: Sequence[str], seq: int, number: int) -> None:
        """The answer is what is stored up to a number."""
        away = self._aways.get(DocumentKey(*key))
        if away is not None:
            self._note(away, seq)
            away.waits_since = away.heard
            self._look_up(away, number)

    def _settle(self, away: RemoteRoom, requests: Sequence[Request], status: Status, answer: Any) -> None:
        which = range(len(requests))
        faults: dict[int, Status] = {} if status is Status.OK else dict.fromkeys(which, status)
        answers = {} if faults or requests[0].kind is RequestKind.UPDATE else dict.fromkeys(which, answer)
        room = away.room
        room.release(Verdict(room, requests, None, faults, answers, seq=room.head_seq))

    def hear_update(self, key: Sequence[str], seq: int, update: bytes) -> None:
        """Something was stored."""
        away = self._aways.get(DocumentKey(*key))
        if away is None:
            return
        if not away.reading and (not away.known or seq == away.room.head_seq + 1):
            away.known, away.heard = True, self._rooms.time()
            away.room.follow(seq, update)
        else:
            self._note(away, seq)

    def _note(self, away: RemoteRoom, seq: int) -> None:
        """The owner says that the document is at this number at least."""
        away.heard = self._rooms.time()
        self._is_at(away, seq)

    def _is_at(self, away: RemoteRoom, seq: int) -> None:
        if not away.known:
            away.known, away.room.head_seq = True, seq
        away.seen = max(away.seen, seq)
        self._read_up(away)

    def hear_notice(self, key: Sequence[str], session_id: int, notice: bytes) -> None:
        """Something of a session was undone."""
        away = self._aways.get(DocumentKey(*key))
        if away is not None:
            for session in [each for each in away.room.sessions if each.id == session_id]:
                away.room.tell(session, notice)

    def hear_lost(self, key: Sequence[str]) -> None:
        """Whom we asked does not hold it."""
        away = self._aways.get(DocumentKey(*key))
        if away is not None:
            self._owners.forget(away.key.wedding)
            away.unfollow()
            asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._again, away)

    def again(self, weddings: Iterable[str] | None = None) -> None:
        """Messages may have been missed, or these weddings have no owner any more: follow and ask anew."""
        some = None if weddings is None else set(weddings)
        for wedding in some or ():
            self._owners.forget(wedding)
        self._follow_anew(away for away in self._aways.values() if some is None or away.room.wedding in some)

    def gone(self, nodes: Collection[str]) -> None:
        """These nodes are no more; what they stored last they may not have told."""
        self._follow_anew(away for away in self._aways.values() if away.asked in nodes)

    def _follow_anew(self, aways: Iterable[RemoteRoom]) -> None:
        for away in list(aways):
            away.unfollow()
            self._again(away)

    def _again(self, away: RemoteRoom) -> None:
        if self._aways.get(away.key) is away:
            self._want(away.room)

    # -- what is missing

    def _read_up(self, away: RemoteRoom) -> None:
        if away.seen > away.room.head_seq and not away.reading:
            away.reading = True
            self._rooms.spawn(self._read_missing(away))

    async def _read_missing(self, away: RemoteRoom) -> None:
        room = away.room
        try:
            while away.seen > room.head_seq and room.away and room.phase is not Phase.DEAD:
                await self._tell_stored(away)
        except StorageError as error:
            log.warning("missing_updates_not_read", room=room.name, error=str(error))
            if room.away:
                self._rooms.fail(room)
        finally:
            away.reading = False

    async def _tell_stored(self, away: RemoteRoom) -> None:
        """Tell the room what is stored behind the number it is at."""
        room = away.room
        rows = await self._storage.updates_after(away.key, room.head_seq)
        if room.phase is Phase.DEAD or not room.away:
            return
        for row in rows:
            if row.last_seq > room.head_seq:  # else it was heard meanwhile
                room.follow(row.last_seq, row.update)
        away.seen = max(away.seen, room.head_seq) if rows else room.head_seq

    def _look_up(self, away: RemoteRoom, number: int) -> None:
        if number not in away.looked_up:
            away.looked_up.add(number)
            self._rooms.spawn(self._answer_from_store(away, number))

    async def _answer_from_store(self, away: RemoteRoom, number: int) -> None:
        """Give who asked what they lack all there is: it may be more than that."""
        try:
            rows = await self._storage.updates_after(away.key, 0)
            while rows and rows[-1].last_seq < away.room.head_seq:  # it is edited meanwhile
                rows += await self._storage.updates_after(away.key, rows[-1].last_seq)
        except StorageError as error:
            # It is asked again after some silence.
            log.warning("question_not_answered", room=away.room.name, error=str(error))
            return
        finally:
            away.looked_up.discard(number)
        if self._aways.get(away.key) is not away or away.room.phase is Phase.DEAD:
            return
        self._is_at(away, rows[-1].last_seq if rows else 0)
        requests = away.pop(number)
        if requests:
            self._settle(away, requests, Status.OK, [row.update for row in rows] or [EMPTY_UPDATE])
        self._go_on(away)

    # -- who owns it

    def _claim(self, wedding: str) -> None:
        self._unowned.add(wedding)
        if not self._claiming:
            self._claiming = True
            self._rooms.spawn(self._claim_unowned())

    async def _claim_unowned(self) -> None:
        """Find out who owns the weddings that were asked for: all that gather meanwhile in one question."""
        try:
            while self._unowned:
                weddings, self._unowned = list(self._unowned), set()
                await self._owners.claim(weddings)
                for wedding in weddings:
                    if self._owners.owns(wedding):
                        self._rooms.spawn(self._come_home(wedding))
                    else:
                        for away in self._of(wedding):
                            self._want(away.room)
        except StorageError as error:
            log.warning("weddings_not_claimed", error=str(error))  # asked again after some silence
        finally:
            self._claiming = False

    def _of(self, wedding: str) -> list[RemoteRoom]:
        return [away for away in self._aways.values() if away.room.wedding == wedding]

    async def _come_home(self, wedding: str) -> None:
        """The wedding is ours: tell what its last owner stored and could not say, then judge it here."""
        aways, fence = self._of(wedding), self._owners.fences.get(wedding)
        try:
            await asyncio.gather(*(self._tell_stored(away) for away in aways if away.known))
        except StorageError as error:
            log.warning("wedding_not_taken_over", wedding=wedding, error=str(error))
            return  # asked again after some silence
        if fence is None or self._owners.fences.get(wedding) != fence:  # another has owned it, and may have stored more
            self.again([wedding])
            return
        for away in aways:
            if self._aways.pop(away.key, None) is away and away.room.phase is not Phase.DEAD:
                self._rooms.look(self._take_home(away))

    def _take_home(self, away: RemoteRoom) -> Room:
        room = away.room
        self._dirty.pop(room, None)
        room.away, room.marked, room.phase = False, False, Phase.LOADING
        self._give_up_commands(away)
        for number in reversed(list(away.pending)):
            for request in reversed(away.pop(number)):
                room.put_back(request)
        return room

    # -- time

    async def run(self) -> None:
        """Ask again where there is silence, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = self._rooms.time()
            for away in self._silent(now):
                if away.waits_since is not None and now - away.waits_since > PATIENCE_SECONDS:
                    log.warning("owner_not_reached", room=away.room.name, owner=away.asked)
                    self._rooms.fail(away.room)
                else:
                    for number, request in away.pending.items():
                        if request.kind is RequestKind.DIFF and request.payload == EMPTY_STATE_VECTOR:
                            self._look_up(away, number)
                    away.unfollow()
                    away.heard = now
                    self._owners.forget(away.room.wedding)
                    self._want(away.room)

    def _silent(self, now: float) -> Iterator[RemoteRoom]:
        """Rooms that wait for an answer, and heard nothing for some time."""
        for away in list(self._aways.values()):
            waits = bool(away.pending) or away.asked is None or not away.greeted or away.room.dirty
            if waits and now - away.heard > SILENCE_SECONDS:
                yield away


def _may_be_shared(request: Request) -> bool:
    return request.kind in (RequestKind.HELLO, RequestKind.DIFF) and not request.session.exchange


def _key(room: Room) -> DocumentKey:
    return DocumentKey(room.wedding, room.document)

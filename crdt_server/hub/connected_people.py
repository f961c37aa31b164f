"""The people who have sockets at this node, and the rows that are stored of them (`storage.last_seen`).

- A row is written when somebody comes, opens or closes a document, shows a first state there, changes something after
  a pause, or leaves, and every STAY_SECONDS of those who stay. Nothing is written or awaited in the way of a message: a
  task writes what has gathered, every FLUSH_SECONDS, at most ROWS_AT_ONCE.
- Sockets count, HTTP requests do not. A person may have many, in many documents.
- Times are seconds of the loop's clock; in rows they are moments.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import structlog

from crdt_server.counters import Counters
from crdt_server.rooms.awareness_fields import fields_of
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Origin, Session
from storage import LastSeen, Storage, StorageError

log = structlog.get_logger(__name__)

FLUSH_SECONDS = 0.5
STAY_SECONDS = 60.0
STALE_SECONDS = 90.0
"""A row that is older says nothing about now, whatever it says: the node has died."""
GRACE_SECONDS = 30.0
"""For so long after the last socket has ended somebody counts as there: sockets break."""
ROWS_AT_ONCE = 200  # 5 ms of a thread; more would keep updates waiting
ROWS_PER_TURN = 50  # made in one turn of the loop: about a millisecond
WATCHED_AT_ONCE = 1_000  # people whose next change is written at once; so many are compared in a flush
DETAIL_BYTES = 4096
"""Documents and their fields in one row, the newest first; fields that do not fit are left out."""
MOST_GONE = 10_000
"""People without sockets whose rows could not be written yet; beyond that the oldest are dropped."""
END_SECONDS = 2.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Person:
    """Somebody with sockets here, or whose last one has just ended."""

    __slots__ = ("changed", "left", "left_at", "name", "role", "sessions", "user", "wedding", "written_changed")

    def __init__(self, wedding: str, user: str) -> None:
        self.wedding = wedding
        self.user = user
        self.role = self.name = ""
        self.sessions: dict[Session, str] = {}  # with the document of each
        self.left: dict[str, float] | None = None  # documents that were closed lately
        self.left_at = 0.0
        self.changed = 0.0  # when the presence of a session that has ended changed
        self.written_changed = 0.0

    def changed_at(self) -> float:
        """When the presence of this person became another one."""
        changed = self.changed
        for session in self.sessions:
            changed = max(changed, session.awareness_changed)
        return changed


class ConnectedPeople:
    """See the head of the file. ``clock``: the loop's; ``moment``: the time of day."""

    def __init__(
        self,
        storage: Storage,
        node: str,
        counters: Counters,
        clock: Callable[[], float],
        moment: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.node = node
        self._storage = storage
        self._counters = counters
        self.clock = clock
        self.moment = moment
        self._weddings: dict[str, dict[str, _Person]] = {}
        self._due: dict[_Person, None] = {}  # to be written at the next flush
        self._waiting: dict[_Person, float] = {}  # were written then; the oldest first
        self._watched: dict[_Person, None] = {}  # paused, or have shown nothing yet
        self._joined: dict[str, None] = {}  # weddings with new rows
        self._writing = asyncio.Lock()  # the row that was made last is written last

    def join(self, room: Room, session: Session) -> None:
        """A session has entered a room."""
        if session.origin is not Origin.SOCKET:
            return
        people = self._weddings.setdefault(room.wedding, {})
        person = people.get(session.user)
        if person is None:
            person = people[session.user] = _Person(room.wedding, session.user)
        session.awareness_changed = self.clock()
        person.sessions[session] = room.document
        if person.left:
            person.left.pop(room.document, None)
        self._due[person] = None
        self._joined[room.wedding] = None

    def leave(self, room: Room, session: Session) -> None:
        """A session has left its room."""
        person = self._weddings.get(room.wedding, {}).get(session.user)
        if person is not None and session in person.sessions:
            self._leave(person, session)

    def _leave(self, person: _Person, session: Session) -> None:
        now, document = self.clock(), person.sessions.pop(session)
        person.changed = max(person.changed, session.awareness_changed)
        person.role, person.name = session.identity.role, session.identity.name
        person.left = {name: at for name, at in (person.left or {}).items() if now - at < GRACE_SECONDS}
        person.left[document] = person.left_at = now
        self._due[person] = None

    async def rows(self, wedding: str) -> list[LastSeen]:
        """The people of a wedding, as they are now; of those who left, some may be in the store only."""
        return await self._rows(list(self._weddings.get(wedding, {}).values()), self.clock(), self.moment())

    async def run(self) -> None:
        """Write rows until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Write the rows that are due, as far as they are not too many."""
        async with self._writing:
            await self._flush()

    async def _flush(self) -> None:
        people = list(islice(self._find_due(), ROWS_AT_ONCE))
        if not people:
            return
        now, moment = self.clock(), self.moment()
        for person in people:
            self._due.pop(person, None)
            self._waiting.pop(person, None)
            self._watched.pop(person, None)
            person.written_changed = person.changed_at()
        joined, self._joined = self._joined, {}
        try:
            await self._storage.save_last_seen(await self._rows(people, now, moment))
            self._counters.last_seen_rows += len(people)
            if joined:
                await self._storage.trim_last_seen(joined, moment - timedelta(seconds=STALE_SECONDS))
        except StorageError as error:
            log.warning("last_seen_not_written", people=len(people), error=str(error))
            self._joined |= joined
            self._put_back(people)
            return
        for person in people:
            self._written(person, now)

    def _find_due(self) -> Iterator[_Person]:
        yield from self._due
        now = self.clock()
        for person, written in self._waiting.items():
            if now - written < STAY_SECONDS:
                break
            if person not in self._due:
                yield person
        for person in list(islice(self._watched, WATCHED_AT_ONCE)):
            if person in self._due or now - self._waiting[person] >= STAY_SECONDS:
                continue
            del self._watched[person]
            if person.changed_at() > person.written_changed:
                yield person
            else:
                self._watched[person] = None  # behind the others

    def _written(self, person: _Person, now: float) -> None:
        if person in self._due:
            return  # something has happened since
        if not person.sessions:
            self._forget(person)
            return
        self._waiting[person] = now
        shows_all = all(session.awareness_text for session in person.sessions)
        if not shows_all or now - person.written_changed >= STAY_SECONDS:
            self._watched[person] = None

    def _put_back(self, people: list[_Person]) -> None:
        self._due.update(dict.fromkeys(people))
        gone = [person for person in self._due if not person.sessions]
        for person in gone[: max(0, len(gone) - MOST_GONE)]:
            del self._due[person]
            self._forget(person)

    def _forget(self, person: _Person) -> None:
        people = self._weddings[person.wedding]
        del people[person.user]
        if not people:
            del self._weddings[person.wedding]

    async def close(self) -> None:
        """The node stops: write the rows of everybody as of people who have left. Gives up after END_SECONDS."""
        for people in self._weddings.values():
            for person in people.values():
                for session in list(person.sessions):
                    self._leave(person, session)
        try:
            async with asyncio.timeout(END_SECONDS):
                while self._due:
                    left = len(self._due)
                    await self.flush()
                    if len(self._due) >= left:
                        break
        except TimeoutError:
            log.warning("last_seen_not_written", people=len(self._due), error="the store takes too long")

    async def _rows(self, people: list[_Person], now: float, moment: datetime) -> list[LastSeen]:
        rows = []
        for count, person in enumerate(people, 1):
            rows.append(self._row(person, now, moment))
            if count % ROWS_PER_TURN == 0:
                await asyncio.sleep(0)
        return rows

    def _row(self, person: _Person, now: float, moment: datetime) -> LastSeen:
        connected = bool(person.sessions)
        for session in person.sessions:
            person.role, person.name = session.identity.role, session.identity.name
        return LastSeen(
            person.wedding,
            person.user,
            self.node,
            person.role,
            person.name,
            moment if connected else moment - timedelta(seconds=now - person.left_at),
            moment - timedelta(seconds=max(0.0, now - person.changed_at())),
            connected,
            _documents(person),
        )


def _documents(person: _Person) -> str:
    newest = sorted(person.sessions, key=lambda session: session.awareness_changed, reverse=True)
    documents: dict[str, str] = {}
    left_bytes = DETAIL_BYTES
    for session in newest:
        document = person.sessions[session]
        if document in documents:
            continue
        fields = json.dumps(fields_of(session.awareness_text)) if session.awareness_text else "{}"
        if len(fields) + len(document) > left_bytes:
            fields = "{}"
        left_bytes -= len(fields) + len(document)
        if left_bytes < 0:
            break
        documents[document] = fields
    if not newest:
        documents = dict.fromkeys(islice(person.left or (), DETAIL_BYTES // 128), "null")
    return "{" + ",".join(f"{json.dumps(document)}:{fields}" for document, fields in documents.items()) + "}"

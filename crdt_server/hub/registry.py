"""The open rooms of the process: opening, ending, and eviction of empty ones."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection

import structlog

from crdt_server.counters import Counters
from crdt_server.errors import CLOSE_CODES, AdmissionError
from crdt_server.hub.cluster_port import ClusterPort, RoomDispatcher
from crdt_server.rooms.hosted_document import Placement
from crdt_server.rooms.inbox import RoomLimits
from crdt_server.rooms.room import Phase, Room, RoomEvents
from storage import DocumentKey

# A document that no host could read is refused for so long: each try may cost others of its host a second.
UNREADABLE_SECONDS = 30.0
COUNTED_ROOMS, COUNT_SECONDS = 200, 0.1  # with more rooms their bytes are summed up that often, not for each new one

log = structlog.get_logger(__name__)


def key_of(room: Room) -> DocumentKey:
    """The name of its document in the store."""
    return DocumentKey(room.wedding, room.document)


class RoomRegistry:
    """See the head of the file. ``dispatcher_for`` returns the dispatcher of a room; ``evicted`` is called with a
    room that ends because it was empty, and then ``closed`` as with every room that has ended."""

    def __init__(
        self,
        limits: RoomLimits,
        counters: Counters,
        *,
        most_bytes: int,
        dispatcher_for: Callable[[Room], RoomDispatcher],
        closed: Callable[[Room], None],
        evicted: Callable[[Room], None],
        cluster: ClusterPort | None,
    ) -> None:
        self.rooms: dict[tuple[str, str], Room] = {}
        self._of_weddings: dict[str, dict[str, Room]] = {}  # the same, by wedding and document
        self._limits = limits
        self._counters = counters
        self._most_bytes = most_bytes
        self._dispatcher_for = dispatcher_for
        self._closed = closed
        self._evicted = evicted
        self._cluster = cluster
        self._room_ids = itertools.count(1)
        self._empty_since: dict[Room, float] = {}
        self._unreadable: dict[tuple[str, str], float] = {}  # until when it is refused
        self._full, self._count_again = False, 0.0

    @property
    def loaded_bytes(self) -> int:
        """Stored bytes of all open documents."""
        return sum(room.hosted.size for room in self.rooms.values())

    @property
    def weddings(self) -> Collection[str]:
        """The weddings with open rooms."""
        return self._of_weddings.keys()

    def rooms_of(self, wedding: str) -> list[Room]:
        """The open rooms of a wedding."""
        return list(self._of_weddings.get(wedding, {}).values())

    def open(self, wedding: str, document: str, events: RoomEvents, now: float) -> Room:
        """The open room of a document, opened where needed. Raises AdmissionError."""
        room = self.rooms.get((wedding, document))
        if room is not None:
            return room
        if now < self._unreadable.get((wedding, document), now):
            raise AdmissionError("unreadable", "the document cannot be read")
        if self._out_of_memory(now):
            self.evict_idle(now, 0)
            if self.loaded_bytes > self._most_bytes:
                raise AdmissionError("memory", "too many documents are open")
        room = Room(next(self._room_ids), wedding, document, self._limits, self._counters, events)
        self.rooms[wedding, document] = self._of_weddings.setdefault(wedding, {})[document] = room
        if self._cluster is not None:
            self._cluster.opened(room)
        return room

    def _out_of_memory(self, now: float) -> bool:
        if len(self.rooms) < COUNTED_ROOMS or now >= self._count_again:
            self._full, self._count_again = self.loaded_bytes > self._most_bytes, now + COUNT_SECONDS
        return self._full

    def occupied(self, room: Room) -> None:
        """A session joins the room."""
        self._empty_since.pop(room, None)

    def idle(self, room: Room, now: float) -> None:
        """A session or a node has left the room: it may stand empty now."""
        if not room.members and room.phase is not Phase.DEAD:
            self._empty_since[room] = now

    def in_use(self, room: Room) -> bool:
        """Whether something of the room waits or is in flight."""
        return bool(room.inbox) or room.pins > 0 or self._dispatcher_for(room).busy(room)

    def fail(self, room: Room, reason: str = "try again") -> None:
        """A room's host does not hold what is stored: it ends, and comes back from the store."""
        if room.phase is Phase.DEAD:
            return
        self._fail_alone(room, reason)
        if room.hosted.has_schema and room.hosted.placement is not Placement.REMOTE:
            # The state of the wedding in their host is ahead of the store: all of it is loaded again from there.
            for other in self.rooms_of(room.wedding):
                if other.hosted.has_schema and other.hosted.placement is not Placement.REMOTE:
                    self.fail(other)

    def refuse(self, room: Room, now: float | None) -> None:
        """The document of a room cannot be read: it ends alone, and is refused for some time from ``now`` on (None: it
        may be readable at once)."""
        if now is not None:
            self._unreadable = {key: until for key, until in self._unreadable.items() if until > now}
            self._unreadable[room.wedding, room.document] = now + UNREADABLE_SECONDS
        self._fail_alone(room, "the document cannot be read")

    def _fail_alone(self, room: Room, reason: str) -> None:
        log.warning("room_failed", room=room.name, sessions=len(room.members), why=reason)
        self.end(room, CLOSE_CODES["try_again"], reason)

    def end(self, room: Room, code: int, reason: str) -> None:
        """End a room; its sessions are closed."""
        self._forget(room)
        room.fail(code, reason)

    def evict_idle(self, now: float, grace_seconds: float, among: Collection[Room] | None = None) -> None:
        """End rooms (``among`` these) that have been empty for long enough, the longest empty first."""
        for room, since in [each for each in self._empty_since.items() if among is None or each[0] in among]:
            followed = room.update_subscriber is not None
            if now - since < grace_seconds or room.members or followed or self.in_use(room):
                continue
            self._evicted(room)
            self.end(room, CLOSE_CODES["going_away"], "idle")

    def _forget(self, room: Room) -> None:
        if self.rooms.get((room.wedding, room.document)) is room:
            del self.rooms[room.wedding, room.document]
            del self._of_weddings[room.wedding][room.document]
            if not self._of_weddings[room.wedding]:
                del self._of_weddings[room.wedding]
        self._empty_since.pop(room, None)
        self._dispatcher_for(room).drop(room)
        self._closed(room)
        if self._cluster is not None:
            self._cluster.closed(room)

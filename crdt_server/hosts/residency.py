"""The documents of one host: those being loaded, those it holds, and those it is to forget."""

from __future__ import annotations

from collections.abc import Mapping

from crdt_server.hosts.batch import LoadPlan
from crdt_server.hosts.loads import Loads
from crdt_server.rooms.room import Phase, Room


def has_to_be_held(room: Room) -> bool:
    """Whether its host has to hold it though nothing is requested of it: it follows its sources, and somebody is to be
    sent what it shows."""
    return room.hosted.derived and (bool(room.members) or room.update_subscriber is not None)


class Residency:
    """See the head of the file."""

    def __init__(self) -> None:
        self.loads = Loads()
        self._resident: set[Room] = set()
        self._forget: list[int] = []
        self._weddings: dict[str, set[Room]] = {}  # documents with a schema that the host was sent
        self._known: dict[int, Room] = {}  # the same by id, until the host has forgotten them

    def __contains__(self, room: Room) -> bool:
        """Whether the host holds the whole document."""
        return room in self._resident

    @property
    def is_empty(self) -> bool:
        """Whether the host holds nothing, and is sent nothing."""
        return not (self._resident or self._weddings or self._known or self._forget or any(True for _ in self.loads))

    @property
    def known(self) -> Mapping[int, Room]:
        """Id -> room of the documents with a schema: the host may write into each of them."""
        return self._known

    def is_loading(self, room: Room) -> bool:
        """Whether a load step of the room is still to come."""
        return room in self.loads

    def holds_wedding(self, wedding: str) -> bool:
        """Whether the host holds the rows of a wedding."""
        return wedding in self._weddings

    def siblings(self, room: Room) -> set[Room]:
        """The rooms with a schema of the same wedding that the host was sent."""
        return self._weddings.get(room.wedding, set())

    def register(self, room: Room) -> None:
        """The host is about to be sent the document."""
        if room.hosted.has_schema:
            self._weddings.setdefault(room.wedding, set()).add(room)
            self._known[room.id] = room

    def add_load(self, room: Room, plan: LoadPlan) -> None:
        """Bring a document into the host, step by step."""
        self.loads.add(room, plan)
        self.register(room)

    def cancel_load(self, room: Room) -> None:
        """The host lacks the rows of its wedding: no step of it is to come."""
        self.loads.cancel(room)
        self.loads.forget_wedding(room.wedding)

    def loaded(self, room: Room) -> bool:
        """The host holds the whole document. Returns whether the room is still there to use it."""
        if room.phase is Phase.DEAD:
            self._forget.append(room.id)
            return False
        self._resident.add(room)
        return True

    def drop(self, room: Room, *, in_flight: bool) -> bool:
        """The room has ended. Returns whether the host has something to forget."""
        partly = self.loads.cancel(room)
        forgets = partly or in_flight or room in self._resident
        if forgets:
            self._resident.discard(room)
            self._forget.append(room.id)
        if room.hosted.has_schema and (rooms := self._weddings.get(room.wedding)):
            rooms.discard(room)
            if not rooms:
                del self._weddings[room.wedding]
                self.loads.forget_wedding(room.wedding)
        return forgets

    def take_forget(self) -> list[int]:
        """Ids of the rooms whose documents the host is to forget with the next batch."""
        forget, self._forget = self._forget, []
        return forget

    def forgotten(self, room_ids: list[int]) -> None:
        """The host has forgotten them."""
        for room_id in room_ids:
            self._known.pop(room_id, None)

    def clear(self) -> list[Room]:
        """The host is gone, with all it held. Returns the rooms that are to be loaded again."""
        held, loading = list(self._resident), list(self.loads)
        for room in held:
            room.hosted.host_lost()
            if room.hosted.derived:
                room.replies.forget()  # its sources may be edited before it is loaded again
        lost = [room for room in (*held, *loading) if room.inbox or has_to_be_held(room)]
        self._resident.clear()
        self.loads.clear()
        self._forget.clear()
        self._weddings.clear()
        self._known.clear()
        return lost

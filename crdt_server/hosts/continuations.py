"""Weddings whose rules have more to do than fits into one batch: each gets the next slice in its turn."""

from __future__ import annotations

from crdt_server.hosts.batch import BatchEntry
from crdt_server.hosts.residency import Residency
from crdt_server.pipe import RequestKind
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request


class Continuations:
    """One wedding in a batch, round robin: whatever they have to do, a batch is longer by one slice at most."""

    def __init__(self, residency: Residency) -> None:
        self._residency = residency
        self._weddings: dict[str, Room] = {}  # name -> one of its rooms

    def __contains__(self, room: Room) -> bool:
        """Whether the wedding of a room is unfinished."""
        return room.wedding in self._weddings

    def add(self, room: Room) -> None:
        """The host has reported that the wedding of a room is unfinished."""
        self._weddings[room.wedding] = room

    def take(self) -> list[BatchEntry]:
        """The entry of the wedding whose turn it is, if any. One that is unfinished then is reported again."""
        while self._weddings:
            reported = self._weddings.pop(next(iter(self._weddings)))
            for room in self._residency.siblings(reported):
                if room in self._residency:
                    return [BatchEntry(room, [Request(None, RequestKind.RESUME, b"")])]
        return []

    def clear(self) -> None:
        """The host is gone: what was left is found again when the documents are loaded."""
        self._weddings.clear()

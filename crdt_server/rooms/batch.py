"""The part of one room in a batch, from its inbox to a host, to the store, and back to its sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from crdt_server.pipe import REFUSALS, IndexedNotice, RequestKind, Response, Status
from crdt_server.records import BatchRecords
from crdt_server.rooms.session import Request

if TYPE_CHECKING:
    from crdt_server.rooms.room import Room

NO_STATUSES: Mapping[int, Status] = {}
NO_RESPONSES: Mapping[int, Response] = {}


class RoomBatch:
    """Requests of one room, and the verdict of its host on them. There is one object per room and batch: it is made
    with the requests, and completed with what the host returned.

    Indexes are those of ``requests``. ``statuses`` holds what is not OK; ``update`` is to be stored and sent.
    """

    __slots__ = ("derived", "notices", "requests", "responses", "room", "seq", "statuses", "update")

    def __init__(
        self,
        room: Room,
        requests: Sequence[Request] = (),
        update: bytes | None = None,
        statuses: Mapping[int, Status] = NO_STATUSES,
        responses: Mapping[int, Response] = NO_RESPONSES,
    ) -> None:
        self.room = room
        self.requests = requests
        self.update = update
        self.statuses = statuses
        self.responses = responses
        self.derived: BatchRecords | None = None  # committed with the update
        self.notices: Sequence[IndexedNotice] = ()
        self.seq = 0  # the document's newest row as of this batch: the update itself where there is one

    @property
    def needs_owner(self) -> bool:
        """Whether its results hold only while this node owns the wedding: what is shown of a derived document, and
        what is refused by what the document holds."""
        return self._refuses or (self.room.hosted.confirmed and bool(self.responses))

    @property
    def _refuses(self) -> bool:
        """Whether a request is refused for good, or perhaps a command."""
        if self.statuses and not REFUSALS.isdisjoint(self.statuses.values()):
            return True
        if self.derived is not None or not self.responses:
            return False
        return any(request.kind is RequestKind.COMMAND for request in self.requests)

    @property
    def needs_settling(self) -> bool:
        """Whether a session waits for more than the echo."""
        if self.statuses or self.responses:
            return True
        return any(
            request.session.gaps or request.session.takes_responses or request.claim is not None
            for request in self.requests
        )

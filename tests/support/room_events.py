"""Record what rooms report."""

from __future__ import annotations

from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request, Session


class RecordingRoomEvents:
    """The `RoomEvents` of a test: a list for each kind of report."""

    def __init__(self) -> None:
        self.with_requests: list[Room] = []
        self.with_presence: list[Room] = []
        self.large_updates: list[Request] = []
        self.refused: list[Session] = []
        self.reverted: list[Session] = []

    def on_requests(self, room: Room) -> None:
        self.with_requests.append(room)

    def on_presence(self, room: Room) -> None:
        self.with_presence.append(room)

    def on_large_update(self, room: Room, request: Request) -> None:
        self.large_updates.append(request)

    def on_refusal(self, room: Room, session: Session) -> None:
        self.refused.append(session)

    def on_revert(self, room: Room, session: Session) -> None:
        self.reverted.append(session)

"""The end of a hub: its sockets are closed over a moment."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from random import shuffle

from crdt_server.errors import CLOSE_CODES
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Origin

CLOSING_SECONDS, CLOSED_PER_SECOND, CLOSED_AT_ONCE = 2.0, 1000, 20


async def close_sockets(rooms: Iterable[Room]) -> None:
    """Close the sockets in random order over a moment: stock clients reconnect at once, and to the other nodes."""
    sessions = [(room, session) for room in rooms for session in room.members]
    shuffle(sessions)
    pause = min(CLOSING_SECONDS, len(sessions) / CLOSED_PER_SECOND) / (len(sessions) or 1)
    for count, (room, session) in enumerate(sessions, 1):
        if session.origin is Origin.SOCKET:
            room.members.close(session, CLOSE_CODES["restarting"], "restarting")
        if count % CLOSED_AT_ONCE == 0:
            await asyncio.sleep(CLOSED_AT_ONCE * pause)

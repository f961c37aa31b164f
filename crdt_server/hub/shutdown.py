"""The end of a hub: its sockets are closed over a moment, and its background tasks are cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Iterator
from random import shuffle
from typing import Any

import structlog

from crdt_server.errors import CLOSE_CODES
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Origin

log = structlog.get_logger(__name__)

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


class BackgroundTasks:
    """Tasks that run until the end of the hub. One that fails is logged, and ends no other."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        return iter(self._tasks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", task=str(task.get_coro()), exc_info=error)

    async def cancel(self) -> None:
        """Cancel all tasks, and wait for their end."""
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("task_failed_at_stop", error=repr(result))

"""When weddings are tended: what has its time is looked at then, whatever is still on its way to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from crdt_server.counters import Counters
from crdt_server.hub.scheduler import Scheduler
from crdt_server.rooms.room import Room, RoomLimits
from crdt_server.rooms.session import Request
from storage import DocumentKey

ROOM = Room(1, "w_1", "seating", RoomLimits(), Counters(), vet=lambda *_: None, blame=lambda _: None)


class Desk:
    """Takes what is asked, and answers when the test says so."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[DocumentKey] = asyncio.Queue()
        self.stored = asyncio.Semaphore(0)
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, key: DocumentKey, user: str, role: str, request: Request) -> Any:
        self.asked.put_nowait(key)
        await self.stored.acquire()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def test_what_is_due_before_the_last_answer_is_stored_is_not_forgotten() -> None:
    desk = Desk()
    tending = Scheduler(desk.ask, desk.spawn)
    tending.hear(ROOM, 0.0, [])
    async with asyncio.timeout(5):
        assert await desk.asked.get() == ("w_1", "seating")
        tending.hear(ROOM, 0.0, [])  # the host has answered that more is due at once; the commit takes its time
        for _ in range(3):
            await asyncio.sleep(0)
        assert not tending._timers
        assert desk.asked.empty()
        desk.stored.release()
        assert await desk.asked.get() == ("w_1", "seating")
        desk.stored.release()
        await asyncio.wait(set(desk._tasks))
    assert desk.asked.empty()


async def test_who_cannot_be_opened_is_not_asked_for_ever() -> None:
    desk = Desk()
    tending = Scheduler(desk.ask, desk.spawn)
    tending.hear(ROOM, None, ["care"])
    async with asyncio.timeout(5):
        assert await desk.asked.get() == ("w_1", "care")
        tending.hear(ROOM, None, ["care"])
        desk.stored.release()
        await asyncio.wait(set(desk._tasks))
    assert desk.asked.empty()

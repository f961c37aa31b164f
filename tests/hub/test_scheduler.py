"""Scheduled work of weddings: what is due is run then, whatever is still on its way to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from crdt_server.access.identity import SERVER, Identity
from crdt_server.hub.scheduler import Scheduler
from crdt_server.pipe import (
    Done,
    RequestKind,
    Response,
)
from crdt_server.rooms.session import Request
from storage import DocumentKey


class Desk:
    """Takes requests, and responds when the test says so."""

    def __init__(self) -> None:
        self.requested: asyncio.Queue[DocumentKey] = asyncio.Queue()
        self.stored = asyncio.Semaphore(0)
        self._tasks: set[asyncio.Task[None]] = set()

    async def request(self, key: DocumentKey, identity: Identity, address: str, request: Request) -> Response:
        assert (identity, request.kind) == (SERVER, RequestKind.RUN_SCHEDULED)
        self.requested.put_nowait(key)
        await self.stored.acquire()
        return Done()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def test_what_is_due_before_the_last_run_is_stored_is_not_forgotten() -> None:
    desk = Desk()
    scheduler = Scheduler(desk.request, desk.spawn)
    scheduler.schedule("w_1", "seating", 0.0, [])
    async with asyncio.timeout(60):
        assert await desk.requested.get() == ("w_1", "seating")
        scheduler.schedule(
            "w_1", "seating", 0.0, []
        )  # the host has responded that more is due at once; the commit takes its time
        for _ in range(3):
            await asyncio.sleep(0)
        assert not scheduler._timers
        assert desk.requested.empty()
        desk.stored.release()
        assert await desk.requested.get() == ("w_1", "seating")
        desk.stored.release()
        await asyncio.wait(set(desk._tasks))
    assert desk.requested.empty()


async def test_a_document_that_cannot_be_opened_is_not_requested_for_ever() -> None:
    desk = Desk()
    scheduler = Scheduler(desk.request, desk.spawn)
    scheduler.schedule("w_1", "seating", None, ["care"])
    async with asyncio.timeout(60):
        assert await desk.requested.get() == ("w_1", "care")
        scheduler.schedule("w_1", "seating", None, ["care"])
        desk.stored.release()
        await asyncio.wait(set(desk._tasks))
    assert desk.requested.empty()

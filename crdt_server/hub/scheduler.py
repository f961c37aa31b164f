"""What weddings have to do by themselves: when their time has come, and when they want a document open for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from crdt_server.access.identity import SERVER
from crdt_server.errors import CrdtServerError
from crdt_server.hub.request_session import Ask
from crdt_server.pipe import RequestKind
from crdt_server.rooms.room import Room
from crdt_server.rooms.session import Request
from storage import DocumentKey

log = structlog.get_logger(__name__)


class Scheduler:
    """Timers, one for each wedding. ``ask`` is `Hub.ask`; ``spawn`` starts a task."""

    def __init__(self, ask: Ask, spawn: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        self._ask = ask
        self._spawn = spawn
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._wanted: set[DocumentKey] = set()  # being opened because the rules of their wedding ask for it
        self._overtaken: set[DocumentKey] = set()  # those whose time came before the answer to the last time was stored
        self._ended = False

    def hear(self, room: Room, seconds: float | None, wanted: Sequence[str]) -> None:
        """A wedding has something to do in some seconds, and wants these documents open for it."""
        for document in wanted:
            self._want(room.wedding, document)
        if seconds is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        timer = self._timers.get(room.wedding)
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timers[room.wedding] = loop.call_at(at, self._tend_now, room.wedding, room.document)

    def end(self) -> None:
        """Begin nothing any more."""
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()

    def _tend_now(self, wedding: str, document: str) -> None:
        del self._timers[wedding]
        key = DocumentKey(wedding, document)
        if key in self._wanted:
            self._overtaken.add(key)
        else:
            self._want(wedding, document)

    def _want(self, wedding: str, document: str) -> None:
        key = DocumentKey(wedding, document)
        if key not in self._wanted and not self._ended:
            self._wanted.add(key)
            self._spawn(self._tend(key))

    async def _tend(self, key: DocumentKey) -> None:
        try:
            await self._ask(key, SERVER, "server", Request(None, RequestKind.TEND, b""))
        except CrdtServerError as error:
            log.warning("wedding_not_tended", room=str(key), why=error.code)
        finally:
            self._wanted.discard(key)
            if key in self._overtaken:
                self._overtaken.discard(key)
                self._want(*key)

"""Scheduled work of weddings: each is due at some moment, and names documents that have to be open for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from crdt_server.access.identity import SERVER
from crdt_server.errors import CrdtServerError
from crdt_server.hub.background_tasks import Spawn
from crdt_server.hub.request_session import Requester
from crdt_server.pipe import RequestKind
from crdt_server.rooms.session import Request
from storage import DocumentKey

FAILED_SECONDS = 1.0  # until a document that could not be opened is tried again

log = structlog.get_logger(__name__)


class Scheduler:
    """Timers, one for each wedding. ``request`` is `Hub.request`; ``spawn`` starts a task."""

    def __init__(self, request: Requester, spawn: Spawn) -> None:
        self._request = request
        self._spawn = spawn
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._running: set[DocumentKey] = set()  # documents whose request is in flight
        self._due_again: set[DocumentKey] = set()  # those that became due before the last run was stored
        self._stopped = False

    def schedule(self, wedding: str, document: str, seconds: float | None, needed: Sequence[str]) -> None:
        """Run the work of a wedding in some seconds (None: it has none), with a request to one of its documents. The
        ``needed`` documents are opened at once."""
        for name in needed:
            self._start(DocumentKey(wedding, name))
        if seconds is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + seconds
        timer = self._timers.get(wedding)
        if timer is not None:
            if timer.when() <= at:
                return
            timer.cancel()
        self._timers[wedding] = loop.call_at(at, self._on_due, DocumentKey(wedding, document))

    def stop(self) -> None:
        """Start no more work."""
        self._stopped = True
        for timer in self._timers.values():
            timer.cancel()

    def _on_due(self, key: DocumentKey) -> None:
        del self._timers[key.wedding]
        if key in self._running:
            self._due_again.add(key)
        else:
            self._start(key)

    def _start(self, key: DocumentKey) -> None:
        if key not in self._running and not self._stopped:
            self._running.add(key)
            self._spawn(self._run(key))

    async def _run(self, key: DocumentKey) -> None:
        try:
            await self._request(key, SERVER, "server", Request(None, RequestKind.RUN_SCHEDULED, b""))
        except CrdtServerError as error:
            log.warning("scheduled_work_failed", room=str(key), why=error.code)
            await asyncio.sleep(FAILED_SECONDS)  # it is needed again and again while an edit waits for it
        finally:
            self._running.discard(key)
            if key in self._due_again:
                self._due_again.discard(key)
                self._start(key)

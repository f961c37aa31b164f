"""Documents of a store outside of any server: opened in a host of their own as they are opened for a client, with the
rows, the rules and the bookings of their wedding."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from crdt_server.hosts.supervisor import HostFactory, Supervisor
from crdt_server.hub.bookings import read_vouched
from crdt_server.hub.stored_documents import plan_load
from crdt_server.pipe import (
    BatchResponse,
    ForgetRooms,
    HostRequest,
    LoadRefused,
    RequestKind,
    RoomRequests,
    RoomResult,
)
from crdt_server.settings import Settings
from documents.registry import kind_of
from storage import DocumentKey, Storage


class CannotOpen(Exception):
    """A document that no client can open, and why."""


class HostWrite(NamedTuple):
    """A write in one document that followed from opening documents: to be stored, or only reported."""

    key: DocumentKey
    result: RoomResult


@asynccontextmanager
async def document_host(settings: Settings) -> AsyncIterator[Supervisor]:
    """A host for as long as the context lasts."""
    factory = HostFactory(memory_bytes=settings.host_memory_bytes, max_document_bytes=settings.max_document_bytes)
    supervisor = Supervisor("maintenance", factory, timeout_seconds=settings.host_timeout_seconds)
    try:
        yield supervisor
    finally:
        await supervisor.stop()
        await factory.stop()


class OfflineWedding:
    """The documents of one wedding that are open in a host. `written` takes what it wrote since the last call."""

    def __init__(self, settings: Settings, storage: Storage, host: Supervisor, wedding: str) -> None:
        self.heads: dict[str, int] = {}
        """Sequence numbers of the documents when they were read."""
        self.needed: set[str] = set()
        """Documents that the rules need open besides."""
        self._storage = storage
        self._host = host
        self._wedding = wedding
        self._vouched = read_vouched(settings.vouched_organizations)
        self._rooms: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._numbers = itertools.count(1)
        self._results: list[RoomResult] = []
        self._unfinished = False  # the rules need further slices

    async def open(self, document: str) -> int:
        """Open a document, with its Doc, its rows, and the rules of the wedding. Returns its size in bytes.

        Raises CorruptDocument, CannotOpen, and HostDied, after which nothing of the wedding is open.
        """
        key, kind = DocumentKey(self._wedding, document), kind_of(document)
        stored = await self._storage.load(key)
        has_schema = kind is not None and not kind.free
        plan = await plan_load(
            self._storage, key, stored, self._vouched, has_schema=has_schema, with_rows=not self._rooms
        )
        room = self._rooms[document] = next(self._numbers)
        self._names[room] = document
        self.heads[document] = stored.head_seq
        for step in plan.load_steps():
            await self._run(RoomRequests(room, [], step))
        while True:
            result = await self._run(RoomRequests(room, [HostRequest(RequestKind.BUILD_DOC, b"")]))
            if result.built:
                await self._finish(room)
                return result.size

    async def run_scheduled(self, document: str) -> None:
        """Do the scheduled work of the wedding that is due. Raises HostDied."""
        request = HostRequest(RequestKind.RUN_SCHEDULED, b"")
        await self._run(RoomRequests(self._rooms[document], [request]))
        await self._finish(self._rooms[document])

    async def _finish(self, room: int) -> None:
        """Have the rules of the wedding finished, slice by slice."""
        while self._unfinished:
            await self._run(RoomRequests(room, [HostRequest(RequestKind.RESUME, b"")]))

    async def close(self) -> None:
        """Close all its documents. Raises HostDied."""
        rooms = list(self._rooms.values())
        self._rooms.clear()
        await self._host.run((), [ForgetRooms(rooms)])

    def written(self) -> Iterator[HostWrite]:
        """The writes of the host since the last call."""
        results, self._results = self._results, []
        for result in results:
            if result.updates or result.derived is not None:
                yield HostWrite(DocumentKey(self._wedding, self._names[result.room]), result)

    async def _run(self, requests: RoomRequests) -> RoomResult:
        response: BatchResponse = await self._host.run([requests])
        result = response.results[0]
        if isinstance(result, LoadRefused):
            raise CannotOpen(result.reason)
        if not isinstance(result, RoomResult):
            raise CannotOpen("its host does not hold the wedding")
        others: Sequence[RoomResult] = response.others
        self._results += [result, *others]
        self._unfinished = False
        for state in response.weddings:
            self.needed.update(state.needed)
            self._unfinished = self._unfinished or state.unfinished
        return result

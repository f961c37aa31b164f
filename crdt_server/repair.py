"""`crdt-server repair`: brings weddings back into the form in which a server keeps them.

Each wedding is opened in a host as for its clients; what the host derives and writes is stored as a server would store
it: rows and events that were missing, and the server's own updates, such as resolutions and collapsed records of
`review`. Nothing else is written into a document, and no document is made anew. Then what is kept long enough is
removed, and the quarantine is cut to its bound.

Done under the fence of each wedding: a wedding that a living node of a cluster owns is left alone. A single node holds
no fences: end it first; where it runs, an update of the one or the other fails, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from crdt_server.hosts.supervisor import HostDied, Supervisor
from crdt_server.hub.commit import derived_records
from crdt_server.hub.retention import Kept, expire
from crdt_server.offline import CannotOpen, HostWrite, OfflineWedding, document_host
from crdt_server.settings import Settings
from documents.registry import kind_of
from storage import (
    Append,
    CorruptDocument,
    NotOwner,
    SequenceConflict,
    Storage,
    open_storage,
)

LEASE_SECONDS = 30.0
ROUNDS = 20  # of opening documents that the rules need besides
SCHEDULED_ROUNDS = 200  # of scheduled work, of which each removes a bounded number of records

Output = Callable[[str], None]


async def repair_store(settings: Settings, wedding: str | None, output: Output, *, dry_run: bool) -> int:
    """Repair all weddings, or one. Returns how many could not be repaired. ``dry_run``: only report."""
    storage = await open_storage(settings.database_url)
    failed = 0
    try:
        async with document_host(settings) as host, _node(storage) as node:
            names = [wedding] if wedding is not None else [name async for name in storage.weddings()]
            for name in names:
                failed += not await _Repair(settings, storage, node, output, dry_run=dry_run).wedding(host, name)
        await _trim_quarantine(storage, output, dry_run=dry_run)
    finally:
        await storage.close()
    return failed


@asynccontextmanager
async def _node(storage: Storage) -> AsyncIterator[str]:
    """A node that lives for as long as the context lasts."""
    node = f"repair-{uuid.uuid4().hex}"
    await storage.heartbeat(node, LEASE_SECONDS)

    async def live() -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            await storage.heartbeat(node, LEASE_SECONDS)

    living = asyncio.create_task(live())
    try:
        yield node
    finally:
        living.cancel()
        await storage.release(node)


async def _trim_quarantine(storage: Storage, output: Output, *, dry_run: bool) -> None:
    if dry_run:
        output(f"quarantine: {await storage.quarantine_bytes()} bytes")
    elif removed := await storage.trim_quarantine():
        output(f"quarantine: {removed} updates removed")


class _Repair:
    """The repair of one wedding."""

    def __init__(self, settings: Settings, storage: Storage, node: str, output: Output, *, dry_run: bool) -> None:
        self._settings = settings
        self._storage = storage
        self._node = node
        self._output = output
        self._dry_run = dry_run
        self._fences: dict[str, int] = {}

    async def wedding(self, host: Supervisor, name: str) -> bool:
        """Whether all of it is as it should be now, or in a dry run, would be."""
        (owner,) = await self._storage.claim([name], self._node)
        if owner.node != self._node:
            self._output(f"{name}: left alone, a node that is running owns it")
            return False
        self._fences = {name: owner.fence}
        try:
            good = await self._documents(host, name)
            await self._expire(name)
        except (NotOwner, SequenceConflict) as error:
            self._output(f"{name}: written by another process meanwhile: {error}")
            return False
        finally:
            await self._storage.release(self._node, [name])
        return good

    async def _documents(self, host: Supervisor, name: str) -> bool:
        """Open all documents with a schema together, and store what comes of it."""
        keys = [key async for key in self._storage.keys(name)]
        due = [key.document for key in keys if (kind := kind_of(key.document)) is not None and not kind.free]
        wedding = OfflineWedding(self._settings, self._storage, host, name)
        good = True
        for _ in range(ROUNDS):
            for document in due:
                try:
                    await wedding.open(document)
                except (CorruptDocument, CannotOpen) as error:
                    self._output(f"{name}/{document}: left as it is: {error}")
                    good = False
                except HostDied as death:
                    self._output(f"{name}/{document}: it cannot be opened: its host ends: {death.cause}")
                    return False
                await self._store(wedding)
            due = sorted(wedding.needed - wedding.heads.keys())
            if not due:
                break
        for document in list(wedding.heads)[:1]:
            for _ in range(SCHEDULED_ROUNDS):
                await wedding.run_scheduled(document)
                if not await self._store(wedding):
                    break
        await wedding.close()
        return good

    async def _store(self, wedding: OfflineWedding) -> bool:
        """Store what was written since the last call. Returns whether there was anything."""
        written = None
        for written in wedding.written():
            key, result = written
            updates = []
            for update in result.updates:
                wedding.heads[key.document] += 1
                updates.append(Append(key, wedding.heads[key.document], update))
            self._report(written)
            if not self._dry_run:
                derived = [] if result.derived is None else [derived_records(key, result.derived)]
                await self._storage.append(updates, derived, self._fences, self._node)
        return written is not None

    def _report(self, written: HostWrite) -> None:
        key, result = written
        counts = [(len(result.updates), "updates"), (sum(map(len, result.updates)), "bytes")]
        if result.derived is not None:
            counts += [(len(result.derived.rows), "rows"), (len(result.derived.events), "events")]
        told = ", ".join(f"{count} {what}" for count, what in counts if count)
        self._output(f"{key}: {told or 'other records'} {'missing' if self._dry_run else 'written'}")

    async def _expire(self, name: str) -> None:
        settings = self._settings
        kept = Kept(settings.event_days, settings.event_bytes, settings.removed_record_days)
        freed, rows = await expire(self._storage, name, kept, datetime.now(UTC), dry_run=self._dry_run)
        if freed:
            self._output(f"{name}: {freed} bytes of events {'too many' if self._dry_run else 'removed'}")
        if rows:
            self._output(f"{name}: {rows} rows of removed records {'too many' if self._dry_run else 'removed'}")

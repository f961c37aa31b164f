"""Full weddings: their documents are written anew without what is deleted, so that deletions free bytes.

All documents of a wedding once it is full, and then those that are written, each time before it is measured again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from crdt_server.hosts.jobs import JobWorker
from crdt_server.hub.compaction import collect
from storage import Append, CorruptDocument, DerivedRecords, DocumentKey, SequenceConflict, Storage

log = structlog.get_logger(__name__)

MOST_BYTES = 1 << 20  # of one document: the proof takes 1.7 s for each MB; larger ones wait for `crdt-server compact`


class Shrinking:
    """See the head of the file."""

    def __init__(self, storage: Storage, job_worker: JobWorker) -> None:
        self._storage = storage
        self._job_worker = job_worker
        self._turn = asyncio.Lock()  # one document at a time: weddings take turns
        self._written: dict[str, dict[DocumentKey, None]] = {}  # full weddings -> documents written since

    def stored(self, updates: Sequence[Append], derived: Sequence[DerivedRecords]) -> None:
        """These were stored just now."""
        for update in updates if self._written else ():
            written = self._written.get(update.key.wedding)
            if written is not None:
                written[update.key] = None

    async def shrink(self, wedding: str) -> None:
        """Free what is deleted in a wedding that is full. Raises storage errors."""
        written = self._written.get(wedding)
        self._written[wedding] = {}
        for key in [key async for key in self._storage.keys(wedding)] if written is None else written:
            async with self._turn:
                await self._collect(key)

    async def _collect(self, key: DocumentKey) -> None:
        try:
            await collect(self._storage, self._job_worker, key, MOST_BYTES)
        except (SequenceConflict, CorruptDocument) as error:  # it may be compacted just now
            log.info("document_not_collected", room=str(key), error=str(error))

    def forget(self, wedding: str) -> None:
        """A wedding has room again."""
        self._written.pop(wedding, None)

"""Documents in which a message was redacted are written anew without its text.

The message is empty in the document at once, but stored updates keep what was deleted, and so does the host that holds
them and sends them to newcomers. The work is in the store (`purges`), put there in the transaction in which
the redaction is routed: a crash delays it. The owner of the wedding does it, one document after the other. The room is
closed with 1013 then, so that its host and all nodes load what is left; clients come back by themselves.

Free pages of the database hold old bytes until it is vacuumed: `crdt-server compact` does that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from crdt_server.hosts.jobs import JobFailed, JobWorker
from crdt_server.hub.compaction import collect
from storage import CorruptDocument, DocumentKey, SequenceConflict, Storage, StorageError

log = structlog.get_logger(__name__)

POLL_SECONDS = 5.0
RETRY_SECONDS = 600.0
"""Until a document is tried again that could not be written anew, unless there is another redaction."""

AT_ONCE = 100
"""Documents that are looked up at a time."""


class Purger:
    """See the head of the file. ``node``: the name of this one; empty where there are no others. ``reload`` is called
    with a document that was written anew."""

    def __init__(
        self, storage: Storage, job_worker: JobWorker, node: str, reload: Callable[[DocumentKey], Awaitable[None]]
    ) -> None:
        self._storage = storage
        self._job_worker = job_worker
        self._node = node
        self._reload = reload
        self._failed: dict[DocumentKey, tuple[int, float]] = {}  # the redaction, and when it is tried again
        self.pending = 0
        """Documents that are to be written anew, as of the last look."""

    async def run(self) -> None:
        """Do what is to be done, for ever."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                while await self.purge_pending():
                    pass
            except StorageError as error:
                log.warning("purge_failed", error=str(error))

    async def purge_pending(self) -> bool:
        """Write anew what is due at this node, one document of each wedding: others do not wait for one with many.
        Returns whether there is more to be done. Raises StorageError."""
        pending, after = 0, ("", "")
        purged: set[str] = set()
        more = False
        # All of them, in pages: those of other nodes, and those that fail, must not hide what comes behind.
        while page := await self._storage.pending_purges(AT_ONCE, after):
            for wedding, document, event in page:
                key = DocumentKey(wedding, document)
                is_due = self._is_due(key, event)
                if wedding in purged:
                    more |= is_due
                elif is_due and await self._is_owner(wedding):
                    purged.add(wedding)
                    pending -= await self._purge(key, event)
                pending += 1
            after = page[-1][:2]
        self.pending = pending
        return more

    def _is_due(self, key: DocumentKey, event: int) -> bool:
        """Whether a document that could not be written anew is to be tried again, or was not tried yet."""
        tried, until = self._failed.get(key, (0, 0.0))
        return tried < event or asyncio.get_running_loop().time() >= until

    async def _purge(self, key: DocumentKey, event: int) -> bool:
        """Write a document anew; whether that is done."""
        try:
            await collect(self._storage, self._job_worker, key, always=True)
            await self._reload(key)
            await self._storage.purged(key.wedding, key.document, event)
        except SequenceConflict:
            log.info("purge_later", room=str(key))  # it is compacted just now
            self._failed[key] = event, asyncio.get_running_loop().time() + POLL_SECONDS
            return False
        except (JobFailed, CorruptDocument) as error:
            self._failed[key] = event, asyncio.get_running_loop().time() + RETRY_SECONDS
            log.error("document_not_purged", room=str(key), error=str(error))
            return False
        self._failed.pop(key, None)
        return True

    async def _is_owner(self, wedding: str) -> bool:
        owner = await self._storage.owner(wedding)
        return owner is None or owner.node == self._node

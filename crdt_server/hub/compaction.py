"""Compaction: runs of small stored rows become one row with the same content. Online, crash-safe, bounded steps.

A row never grows beyond `PIECE_BYTES`, so that no later step (loading, merging, checking) is long.

Rows keep the content that was deleted. Where bytes have to become free, a document is collected: its rows are written
anew from its Doc, which has only what is not deleted, if that provably holds all the rest.

All rows of a derived document become one, of what its Doc still holds: values that are not shown any more are removed
from the store. It is as large as its rows are, some 100 KB for the guests of a wedding.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from math import inf

import structlog

from crdt_server.hosts.jobs import JobFailed, JobWorker
from crdt_server.metrics import Metrics
from crdt_server.pipe import PIECE_BYTES
from documents.registry import kind_of
from storage import DocumentKey, SequenceConflict, Storage, StorageError, StoredUpdate

log = structlog.get_logger(__name__)

WAITING = 10_000  # documents; what does not fit is compacted when its next rows come
REST = 3  # parts of rest after each part of work: rooms that fill alike are due at one moment, and editing goes on


def plan(rows: Sequence[StoredUpdate], *, whole: bool) -> Iterator[Sequence[StoredUpdate]]:
    """Runs of neighbouring rows to merge, newest first.

    With ``whole`` every row may take part. Without, only the newest run, and a row joins it only while it is no larger
    than all that follow: rewriting a large row for every few small ones would be quadratic.
    """
    end = len(rows)
    while end > 0:
        start, size = end, 0
        while start > 0 and (start == end or size + len(rows[start - 1].update) <= PIECE_BYTES):
            newcomer = len(rows[start - 1].update)
            if not whole and end - start >= 2 and newcomer > size:
                break
            start -= 1
            size += newcomer
        if end - start > 1:
            yield rows[start:end]
        end = start
        if not whole and end and len(rows[end - 1].update) > PIECE_BYTES // 4:
            return


async def compact(storage: Storage, job_worker: JobWorker, key: DocumentKey, *, whole: bool) -> int:
    """Merge stored rows of one document; ``whole``: all of them, and without what is deleted. Returns by how many their
    number has decreased.

    Raises storage errors, JobFailed, and SequenceConflict when another process compacts it at the same time.
    """
    kind = kind_of(key.document)
    if kind is not None and kind.derived:
        return await _collect_derived(storage, job_worker, key)
    fewer = await collect(storage, job_worker, key) if whole else 0
    stored = await storage.load(key)
    for run in plan(stored.updates, whole=whole):
        merged = await job_worker.merge([row.update for row in run])
        await storage.replace(key, run[0].first_seq, run[-1].last_seq, merged)
        fewer += len(run) - 1
    return fewer


async def collect(
    storage: Storage, job_worker: JobWorker, key: DocumentKey, most_bytes: float = inf, *, always: bool = False
) -> int:
    """Write a document of at most so many bytes anew without what is deleted, where that is proved to lose nothing and
    makes it smaller. Returns by how many its rows have decreased.

    ``always``: also where it is not smaller. Raises storage errors, SequenceConflict as `compact` does, and with
    ``always`` JobFailed where it is not proved.
    """
    rows = (await storage.load(key)).updates
    before = sum(len(row.update) for row in rows)
    if not 0 < before <= most_bytes:
        return 0
    try:
        collected = await job_worker.collect([row.update for row in rows], rows[-1].last_seq)
    except JobFailed as error:
        if always:
            raise
        log.info("document_not_collected", room=str(key), error=str(error))
        return 0
    if sum(map(len, collected)) >= before and not always:
        return 0
    await storage.replace(key, rows[0].first_seq, rows[-1].last_seq, *collected)
    return len(rows) - len(collected)


async def _collect_derived(storage: Storage, job_worker: JobWorker, key: DocumentKey) -> int:
    rows = (await storage.load(key)).updates
    if not rows:
        return 0
    (collected,) = await job_worker.collect([row.update for row in rows], 1)
    if len(rows) > 1 or collected != rows[0].update:
        await storage.replace(key, rows[0].first_seq, rows[-1].last_seq, collected)
    return len(rows) - 1


class Compactor:
    """Compacts documents one after the other, in the background of a serving process."""

    def __init__(self, storage: Storage, job_worker: JobWorker, metrics: Metrics) -> None:
        self._storage = storage
        self._job_worker = job_worker
        self._metrics = metrics
        self._due: dict[DocumentKey, None] = {}
        self._wake = asyncio.Event()
        self.idle = asyncio.Event()
        self.idle.set()

    def schedule(self, key: DocumentKey) -> None:
        """Let a document be compacted when its turn comes."""
        if len(self._due) < WAITING:
            self._due[key] = None
            self._wake.set()
            self.idle.clear()

    async def run(self) -> None:
        """The worker, until cancelled."""
        while True:
            await self._wake.wait()
            if not self._due:
                self._wake.clear()
                self.idle.set()
                continue
            key = next(iter(self._due))
            del self._due[key]
            began = time.monotonic()
            await self._compact(key)
            await asyncio.sleep(REST * (time.monotonic() - began) if self._due else 0)

    async def _compact(self, key: DocumentKey) -> None:
        try:
            if await compact(self._storage, self._job_worker, key, whole=False):
                self._metrics.compactions.inc()
        except (StorageError, SequenceConflict, JobFailed) as error:
            log.error("compaction_failed", room=str(key), error=str(error))

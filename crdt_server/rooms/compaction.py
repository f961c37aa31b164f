"""Compaction: runs of small stored rows become one row with the same content. Online, crash-safe, bounded steps.

A row never grows beyond `PIECE_BYTES`, so that no later step (loading, merging, checking) is long.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crdt_server.hosts.workshop import Workshop
from storage import DocumentKey, Storage, StoredUpdate

PIECE_BYTES = 256 * 1024


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


async def compact(storage: Storage, workshop: Workshop, key: DocumentKey, *, whole: bool) -> int:
    """Merge stored rows of one document; how many rows there are fewer.

    Raises storage errors, JobFailed, and SequenceConflict when somebody else compacts it at the same time.
    """
    stored = await storage.load(key)
    fewer = 0
    for run in plan(stored.updates, whole=whole):
        merged = await workshop.merge([row.update for row in run])
        await storage.replace(key, run[0].first_seq, run[-1].last_seq, merged)
        fewer += len(run) - 1
    return fewer

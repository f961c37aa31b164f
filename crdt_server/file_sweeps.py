"""The periodic work of a node on files and on the search index."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import structlog

from crdt_server.files.store import FileStoreError
from crdt_server.metrics import Metrics
from crdt_server.services.attachments import AttachmentService
from crdt_server.services.search import SearchService
from storage import StorageError

log = structlog.get_logger(__name__)

FILES_SECONDS: Final = 3600.0
SEARCH_SECONDS: Final = 5.0
REST: Final = 20
"""How many times as long as a purge has taken the next one waits."""


async def sweep_files(attachments: AttachmentService, metrics: Metrics, seconds: float = FILES_SECONDS) -> None:
    """Remove files that nothing refers to, at once and then every ``seconds``."""
    while True:
        try:
            metrics.files.removed.inc(await attachments.sweep())
        except (FileStoreError, StorageError) as error:
            log.warning("files_not_swept", error=str(error))
        await asyncio.sleep(seconds)


async def sweep_search(search: SearchService, seconds: float = SEARCH_SECONDS) -> None:
    """Purge the index of the words of removed texts, every ``seconds``: where it is large, the less often."""
    if not await search.needs_purges():
        return
    while True:
        began = time.monotonic()
        try:
            await search.purge()
        except StorageError as error:
            log.warning("search_not_purged", error=str(error))
        await asyncio.sleep(max(seconds, REST * (time.monotonic() - began)))

"""`crdt-server verify` and `compact`: work on a whole store, outside or beside a serving process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

from crdt_server.files.opening import open_files
from crdt_server.files.store import FileKey
from crdt_server.hosts.jobs import JobFailed, JobWorker
from crdt_server.hosts.supervisor import HostDied, Supervisor
from crdt_server.hub.compaction import collect, compact
from crdt_server.offline import CannotOpen, OfflineWedding, document_host
from crdt_server.pipe import ReadRows, StoredRows
from crdt_server.settings import Settings
from documents.kind import MAX_DOCUMENT_BYTES
from documents.readers import canonical_json
from documents.registry import kind_of
from storage import CorruptDocument, DocumentKey, SequenceConflict, Storage, WeddingUsage, open_storage

MOMENTS = 5
NEARLY = 0.9
PROGRESS_SECONDS = 5.0
PURGES_PAGE = 100

Output = Callable[[str], None]


class Progress:
    """Lines about long work, every few seconds."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._documents = 0
        self._next = time.monotonic() + PROGRESS_SECONDS

    def passed(self, key: DocumentKey) -> None:
        """One more document is done."""
        self._documents += 1
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + PROGRESS_SECONDS
            self._output(f"{self._documents} documents, the last of them {key}")


async def verify_store(settings: Settings, wedding: str | None, output: Output, progress: Output) -> int:
    """Open every document as a client would, compare each wedding with its quota, look for the files of attachments,
    and walk its audit log. Returns the number of problems. Raises WrongFileStore and FileStoreError.

    ``progress`` gets a line now and then.
    """
    storage = await open_storage(settings.database_url)
    check = _Verification(settings, storage, output)
    reported = Progress(progress)
    try:
        async with document_host(settings) as host:
            before = ""
            async for key in storage.keys(wedding):
                if key.wedding != before:
                    await check.usage(key.wedding)
                    before = key.wedding
                await check.document(host, key)
                reported.passed(key)
        for item in await storage.quarantined(wedding):
            at = f"{item.at:%Y-%m-%d %H:%M:%S} UTC"
            output(
                f"{item.key}: quarantined update {item.id} of {len(item.update)} bytes, {at}, "
                f"from {item.sender}: {item.reason}"
            )
        await check.files(wedding)
        async for audited in storage.audited_weddings():
            if wedding in (None, audited):
                await check.audit(audited)
        output(f"{check.documents} documents, {check.problems} problems")
    finally:
        await storage.close()
    return check.problems


class _Verification:
    """Counts and reports."""

    def __init__(self, settings: Settings, storage: Storage, output: Output) -> None:
        self.documents = self.problems = 0
        self._settings = settings
        self._storage = storage
        self._output = output

    def _problem(self, subject: object, text: str) -> None:
        self.problems += 1
        self._output(f"{subject}: {text}")

    async def document(self, host: Supervisor, key: DocumentKey) -> None:
        """Open one document, and compare its rows with the stored ones."""
        self.documents += 1
        kind = kind_of(key.document)
        has_schema = kind is not None and not kind.free
        try:
            wedding = OfflineWedding(self._settings, self._storage, host, key.wedding)
            size = await wedding.open(key.document)
            await wedding.close()
            different = has_schema and not await _rows_agree(self._storage, host, key)
        except (CorruptDocument, CannotOpen) as error:
            self._problem(key, str(error))
        except HostDied as death:
            if has_schema:
                self._problem(key, f"it cannot be opened: its host ends: {death.cause}")
            else:  # Not lost: its room goes on without a Doc, which reads and keeps it as bytes.
                self._output(f"{key}: served without a Doc: reading it kills a document host: {death.cause}")
        else:
            if different:
                self._problem(key, "the stored rows are not those of the document")
            most = MAX_DOCUMENT_BYTES if has_schema else self._settings.max_document_bytes
            self._compare(key, "document", size, most, "bytes")

    async def audit(self, wedding: str) -> None:
        """Walk the audit log of a wedding. Its head is printed: kept elsewhere, it shows later what the log was."""
        head, fault = await self._storage.check_audit(wedding)
        if fault is not None:
            self._problem(wedding, f"entry {fault.seq} of the audit log {fault.reason}")
        else:
            self._output(f"{wedding}: audit log of {head.seq} entries, the newest {head.digest}")

    async def files(self, wedding: str | None) -> None:
        """Search the store of files for those of all attachments."""
        files = open_files(self._settings.files, self._settings.database_url)
        async for of_wedding, each in self._storage.attachments(wedding):
            if not await files.exists(FileKey(of_wedding, each.sha256)):
                self._problem(f"{of_wedding}/{each.thread}", f"attachment {each.id} has no file {each.sha256}")

    async def usage(self, wedding: str) -> None:
        """Compare what a wedding takes with its quota."""
        usage: WeddingUsage = await self._storage.usage(wedding)
        settings = self._settings
        self._compare(wedding, "wedding", usage.size_bytes, settings.max_wedding_bytes, "bytes")
        self._compare(wedding, "wedding", usage.records, settings.max_wedding_records, "records")
        self._compare(wedding, "wedding", usage.documents, settings.max_wedding_documents, "documents")

    def _compare(self, subject: object, what: str, count: int, most: int, unit: str) -> None:
        if 0 < most <= count:
            self._problem(subject, f"the {what} is full: {count} of {most} {unit}")
        elif most and count >= NEARLY * most:
            self._output(f"{subject}: the {what} is nearly full: {count} of {most} {unit}")


async def _rows_agree(storage: Storage, host: Supervisor, key: DocumentKey) -> bool:
    """Whether the stored rows are those of the document, both of one moment. Raises CannotOpen."""
    for _ in range(MOMENTS):
        stored = await storage.load(key)
        rows = await storage.document_rows(key)
        if (await storage.load(key)).head_seq == stored.head_seq:
            break
    else:
        return True  # it is written all the time; its rows are compared when it is next opened, too
    if not rows:
        return True  # imported, and not opened since
    response = await host.run((), [ReadRows(key.document, [row.update for row in stored.updates])])
    result = response.jobs[0]
    if not isinstance(result, StoredRows):
        raise CannotOpen("the rows of the document cannot be read")
    mirror: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.fields is not None:
            mirror.setdefault(row.root, {})[row.record] = json.loads(row.fields)
    return canonical_json(mirror).encode() == result.rows


async def compact_store(settings: Settings, wedding: str | None, output: Output) -> int:
    """Merge the rows of every document, purge the index of search, then give free pages back. Returns the number of
    corrupt documents."""
    storage = await open_storage(settings.database_url)
    problems = 0
    before = await storage.size_bytes()
    try:
        async with document_host(settings) as host:
            job_worker = JobWorker(host)
            worker = asyncio.create_task(job_worker.run())
            problems += await _purge_all(storage, job_worker, wedding, output)
            async for key in storage.keys(wedding):
                try:
                    fewer = await compact(storage, job_worker, key, whole=True)
                except (CorruptDocument, JobFailed, SequenceConflict) as error:
                    output(f"{key}: left as it is: {error}")
                    problems += isinstance(error, CorruptDocument)
                    continue
                if fewer:
                    output(f"{key}: {fewer} rows fewer")
            worker.cancel()
        await storage.purge_search()
        await storage.vacuum()
        output(f"{before} bytes before, {await storage.size_bytes()} after")
    finally:
        await storage.close()
    return problems


async def _purge_all(storage: Storage, job_worker: JobWorker, wedding: str | None, output: Output) -> int:
    """Write documents anew in which messages were redacted. Returns how many cannot be. A server that runs, or the next
    one, does it once more, and has its hosts forget the text, too."""
    problems, after = 0, ("", "")
    while page := await storage.pending_purges(PURGES_PAGE, after, wedding):
        after = page[-1][:2]
        for name, document, _ in page:
            key = DocumentKey(name, document)
            try:
                await collect(storage, job_worker, key, always=True)
            except (CorruptDocument, JobFailed, SequenceConflict) as error:
                output(f"{key}: text of redacted messages stays: {error}")
                problems += 1
    return problems

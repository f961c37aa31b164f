"""`crdt-server verify` and `compact`: work on a whole store, outside or beside a serving process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from crdt_server.hosts.batch import slices
from crdt_server.hosts.jobs import JobFailed, JobWorker
from crdt_server.hosts.supervisor import HostDied, HostFactory, Supervisor
from crdt_server.hub.compaction import compact
from crdt_server.pipe import (
    ForgetRooms,
    HostRequest,
    LoadRefused,
    LoadStep,
    ReadRows,
    RequestKind,
    RoomRequests,
    RoomResult,
    StoredRows,
)
from crdt_server.settings import Settings
from documents.readers import canonical_json
from documents.registry import kind_of
from storage import CorruptDocument, DocumentKey, SequenceConflict, Storage, open_storage

ROOM = 1
MOMENTS = 5


@asynccontextmanager
async def _host(settings: Settings) -> AsyncIterator[Supervisor]:
    factory = HostFactory(memory_bytes=settings.host_memory_bytes, max_document_bytes=settings.max_document_bytes)
    supervisor = Supervisor("maintenance", factory, timeout_seconds=settings.host_timeout_seconds)
    try:
        yield supervisor
    finally:
        await supervisor.stop()
        await factory.stop()


async def verify_store(settings: Settings, wedding: str | None, output: Callable[[str], None]) -> int:
    """Load every document in a host, from checksum to pycrdt Doc. Returns the number of problems."""
    storage = await open_storage(settings.database_url)
    problems = documents = 0
    try:
        async with _host(settings) as host:
            async for key in storage.keys(wedding):
                documents += 1
                try:
                    problem = await _verify(storage, host, key)
                except HostDied as death:
                    # Not lost: its room goes on without a Doc, which reads and keeps it as bytes.
                    output(f"{key}: served without a Doc: reading it kills a document host: {death.cause}")
                    continue
                if problem is not None:
                    problems += 1
                    output(f"{key}: {problem}")
        for item in await storage.quarantined(wedding):
            at = f"{item.at:%Y-%m-%d %H:%M:%S} UTC"
            output(
                f"{item.key}: quarantined update {item.id} of {len(item.update)} bytes, {at}, "
                f"from {item.sender}: {item.reason}"
            )
        output(f"{documents} documents, {problems} problems")
    finally:
        await storage.close()
    return problems


async def _verify(storage: Storage, host: Supervisor, key: DocumentKey) -> str | None:
    try:
        stored = await storage.load(key)
    except CorruptDocument as error:
        return str(error)
    parts = slices([row.update for row in stored.updates])
    while parts:
        load = parts.popleft()
        response = await host.run([RoomRequests(ROOM, [], LoadStep(load, last=not parts))])
        if isinstance(response.results[0], LoadRefused):
            return response.results[0].reason
    built = False
    while not built:
        response = await host.run([RoomRequests(ROOM, [HostRequest(RequestKind.BUILD_DOC, b"")])])
        result = response.results[0]
        built = isinstance(result, RoomResult) and result.built
    await host.run((), [ForgetRooms([ROOM])])
    return await _verify_rows(storage, host, key)


async def _verify_rows(storage: Storage, host: Supervisor, key: DocumentKey) -> str | None:
    """Compare the stored rows with those of the document, both of one moment."""
    kind = kind_of(key.document)
    if kind is None or kind.free:
        return None
    for _ in range(MOMENTS):
        stored = await storage.load(key)
        rows = await storage.document_rows(key)
        if (await storage.load(key)).head_seq == stored.head_seq:
            break
    else:
        return None  # it is written all the time; its rows are compared when it is next opened, too
    if not rows:
        return None  # imported, and not opened since
    response = await host.run((), [ReadRows(key.document, [row.update for row in stored.updates])])
    result = response.jobs[0]
    if not isinstance(result, StoredRows):
        return "the rows of the document cannot be read"
    mirror: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row.fields is not None:
            mirror.setdefault(row.root, {})[row.record] = json.loads(row.fields)
    return None if canonical_json(mirror).encode() == result.rows else "the stored rows are not those of the document"


async def compact_store(settings: Settings, wedding: str | None, output: Callable[[str], None]) -> int:
    """Merge the rows of every document, then give free pages back. Returns the number of corrupt documents."""
    storage = await open_storage(settings.database_url)
    problems = 0
    before = await storage.size_bytes()
    try:
        async with _host(settings) as host:
            job_worker = JobWorker(host)
            worker = asyncio.create_task(job_worker.run())
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
        await storage.vacuum()
        output(f"{before} bytes before, {await storage.size_bytes()} after")
    finally:
        await storage.close()
    return problems

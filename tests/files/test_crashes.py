"""A process that is killed between the bytes of a file and its row, and what the next one finds."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from crdt_server.files.local import LocalFiles
from crdt_server.services.attachments import AttachmentService, FileLimits
from storage import Storage, open_storage

ROOT = Path(__file__).parents[2]
NOW = datetime(2100, 1, 1, tzinfo=UTC)  # long after whatever the clock says

KILLED = """
import asyncio, os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from crdt_server.files.local import LocalFiles
from crdt_server.services.attachments import AttachmentService, FileLimits
from storage import open_storage

async def main(folder, url, point):
    storage = await open_storage(url, migrate=True)
    files = LocalFiles(Path(folder))
    service = AttachmentService(storage, files, lambda: datetime.now(UTC), FileLimits(1 << 20, 0))

    async def kill(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    owner, name = point.split(".")
    setattr({"storage": storage, "files": files}[owner], name, kill)
    received = service.receive()
    await received.add(b"a" * 300_000)
    await service.keep("w", "thread.t", "ada", "a.txt", received)

asyncio.run(main(*sys.argv[1:]))
"""


async def keep(storage: Storage, files: LocalFiles, at: datetime) -> str:
    service = AttachmentService(storage, files, lambda: at, FileLimits(1 << 20, 0))
    received = service.receive()
    await received.add(b"a" * 300_000)
    kept = await service.keep("w", "thread.t", "ada", "a.txt", received)
    return kept.id


@pytest.mark.parametrize(
    ("point", "left"),
    [("files.put", "incoming"), ("storage.add_attachment", "weddings"), ("files.exists", "weddings")],
)
async def test_a_killed_process_leaves_an_orphan_that_is_swept(
    tmp_path: Path, database_url: str, point: str, left: str
) -> None:
    folder = tmp_path / "files"
    command = [sys.executable, "-c", KILLED, str(folder), database_url, point]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    found = [path.relative_to(folder).parts[0] for path in folder.rglob("*") if path.is_file()]
    assert found == [left]

    storage, files = await open_storage(database_url), LocalFiles(folder)
    try:
        service = AttachmentService(storage, files, lambda: NOW, FileLimits(1 << 20, 0))
        id_ = await keep(storage, files, NOW)  # the same file again, before it is swept
        assert await service.sweep() == 0
        assert [path.parent.name for path in folder.rglob("*") if path.is_file()] == ["w"]
        attachment = await service.find("w", "thread.t", id_)
        content = b"".join([part async for part in service.read("w", attachment, 0, attachment.size)])
        assert content == b"a" * 300_000
        later = AttachmentService(storage, files, lambda: NOW + timedelta(days=2), FileLimits(1 << 20, 0))
        assert await later.sweep() == 1
        assert [path for path in folder.rglob("*") if path.is_file()] == []
        assert await storage.attachment_bytes("w") == 0
    finally:
        await storage.close()


async def test_a_file_that_is_needed_again_while_it_is_swept(tmp_path: Path, database_url: str) -> None:
    """Its row is stored between the moment when it is found unused and the one when it is discarded."""
    storage, files = await open_storage(database_url, migrate=True), LocalFiles(tmp_path)
    later = AttachmentService(storage, files, lambda: NOW, FileLimits(1 << 20, 0))
    try:
        await storage.remove_attachment("w", await keep(storage, files, datetime.now(UTC)))
        set_aside = files.set_aside

        async def set_aside_late(*arguments: object) -> None:
            await keep(storage, files, NOW)
            await set_aside(*arguments)  # type: ignore[arg-type]

        files.set_aside = set_aside_late  # type: ignore[method-assign]
        await later.sweep()
        assert [path.parent.parent.name for path in tmp_path.rglob("*") if path.name.isalnum() and path.is_file()] == [
            "weddings"
        ]
    finally:
        await storage.close()

"""What every store of files does, on a folder and on an object store over HTTP."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from crdt_server.files.local import LocalFiles
from crdt_server.files.opening import WrongFileStore, open_files
from crdt_server.files.store import (
    HEAD_BYTES,
    READ_BYTES,
    WRITE_BYTES,
    FileKey,
    FileMissingError,
    FileStore,
    FileStoreError,
    ReceivedFile,
)
from tests.support.s3 import BUCKET, ObjectServer, object_server

ROOT = Path(__file__).parents[2]
CONTENT = bytes(range(256)) * 5_000  # more than is written or read at once


@pytest.fixture
async def objects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[ObjectServer]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    async with object_server() as running:
        yield running


@pytest.fixture(params=["folder", "objects"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    if request.param == "folder":
        return open_files(str(tmp_path / "files"), "")
    running: ObjectServer = request.getfixturevalue("objects")
    return open_files(f"s3://{BUCKET}/some/where?endpoint={running.url}&region=eu-1", "")


async def put(store: FileStore, content: bytes = CONTENT, wedding: str = "w.1~x") -> FileKey:
    received = ReceivedFile(store.incoming)
    try:
        for start in range(0, len(content), 70_000):
            await received.add(content[start : start + 70_000])
        await received.finish()
        key = FileKey(wedding, received.sha256)
        await store.put(key, received.path)
    finally:
        await received.close()
    return key


async def read(store: FileStore, key: FileKey, start: int = 0, stop: int = len(CONTENT)) -> bytes:
    return b"".join([part async for part in store.read(key, start, stop)])


async def test_bytes_come_back(store: FileStore) -> None:
    assert len(CONTENT) > max(WRITE_BYTES, READ_BYTES)
    key = await put(store)
    assert key.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert await read(store, key) == CONTENT
    for start, stop in ((0, 1), (100, 300_000), (len(CONTENT) - 5, len(CONTENT))):
        assert await read(store, key, start, stop) == CONTENT[start:stop]
    assert await store.exists(key)
    assert not await store.exists(FileKey("w_2", key.sha256))
    assert list(store.incoming.glob("*")) == []


async def test_equal_bytes_are_there_once_and_of_each_wedding(store: FileStore) -> None:
    keys = {await put(store), await put(store), await put(store, wedding="w_2")}
    listed = {each.key async for page in store.stored() for each in page}
    assert listed == keys
    assert len(keys) == 2


async def test_what_is_not_there(store: FileStore) -> None:
    key = FileKey("w", "0" * 64)
    with pytest.raises(FileMissingError):
        await read(store, key)
    await store.set_aside(key)
    await store.restore(key)
    await store.discard(key)
    assert [page async for page in store.stored()] == []
    assert [each async for each in store.aside()] == []


async def test_what_is_set_aside_comes_back_or_is_discarded(store: FileStore) -> None:
    key = await put(store)
    await store.set_aside(key)
    assert not await store.exists(key)
    assert [each async for each in store.aside()] == [key]
    await store.restore(key)
    assert await read(store, key) == CONTENT
    await store.set_aside(key)
    await store.discard(key)
    assert [each async for each in store.aside()] == []
    assert not await store.exists(key)


async def test_a_file_is_as_old_as_its_last_upload(tmp_path: Path) -> None:
    store = LocalFiles(tmp_path)
    key = await put(store)
    path = tmp_path / "weddings" / key.wedding / key.sha256
    os.utime(path, (0, 0))
    await put(store)
    (page,) = [each async for each in store.stored()]
    assert page[0].at > time.time() - 3600


async def test_a_received_file_that_is_not_kept_leaves_nothing(tmp_path: Path) -> None:
    received = ReceivedFile(tmp_path / "in")
    await received.close()
    await received.add(CONTENT + CONTENT)
    assert received.head == CONTENT[:HEAD_BYTES]
    assert len(list((tmp_path / "in").iterdir())) == 1
    await received.close()
    assert list((tmp_path / "in").iterdir()) == []


async def test_an_object_store_that_fails(objects: ObjectServer) -> None:
    store = open_files(f"s3://{BUCKET}?endpoint={objects.url}", "")
    key = await put(store, b"abc")
    objects.failing = 403
    with pytest.raises(FileStoreError):
        await put(store, b"abc")
    with pytest.raises(FileStoreError):
        await read(store, key)
    assert list(store.incoming.glob("*")) == []


def test_where_files_rest(tmp_path: Path) -> None:
    places = {
        ("", f"sqlite:///{tmp_path}/a.db"): tmp_path / "files",
        ("", "sqlite+aiosqlite:///a.db"): Path("files"),
        ("", "postgresql://host/a"): Path("files"),
        ("/srv/files", "postgresql://host/a"): Path("/srv/files"),
    }
    for given, folder in places.items():
        assert open_files(*given).incoming == folder / "incoming"
    for wrong in ("gs://bucket", "s3://", "s3:///prefix", "s3://bucket?key=secret"):
        with pytest.raises(WrongFileStore):
            open_files(wrong, "")


DISK_FULL = """
import asyncio, os, resource, sys
from pathlib import Path
import httpx
from crdt_server import Settings, create_app

async def main(folder):
    database = Path(folder) / "a.db"
    app = create_app(Settings(database_url=f"sqlite:///{database}", document_hosts=1, dev=True))
    async with app.router.lifespan_context(app), httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test/api/weddings/w"
    ) as client:
        async def upload(size):
            answer = await client.post("/documents/thread.t/attachments?filename=a.txt", content=b"a" * size)
            print(answer.status_code, answer.json().get("code"), flush=True)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        await upload(1_000)
        largest = max(each.stat().st_size for each in Path(folder).rglob("*") if each.is_file())
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest + 100_000, hard))
        await upload(largest + 200_000)
        await upload(2_000)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        await upload(largest + 200_000)
        print(len(list((Path(folder) / "files" / "incoming").iterdir())))

asyncio.run(main(sys.argv[1]))
"""


def test_a_full_disk_is_reported_and_recovers(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DISK_FULL, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("2026")]
    assert [line for line in lines if line[:1].isdigit()] == [
        "201 None",
        "507 disk_full",
        "201 None",
        "201 None",
        "0",
    ], done.stdout + done.stderr

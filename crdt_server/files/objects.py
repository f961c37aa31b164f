"""An object store as the store of files, through `obstore`: what speaks the protocol of Amazon S3.

An object comes into sight whole, and is durable when the store has acknowledged it.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError, NotFoundError

from crdt_server.files.local import remove_older
from crdt_server.files.store import READ_BYTES, FileKey, FileMissingError, FileStoreError, StoredFile, to_end

if TYPE_CHECKING:
    from obstore.store import ObjectStore

LISTED: Final = 1_000
"""Objects in a page of a list."""


class ObjectFiles:
    """See `FileStore`. Files are received into a directory of this machine."""

    def __init__(self, store: ObjectStore, incoming: Path | None = None) -> None:
        self._store = store
        self._incoming = incoming or Path(tempfile.gettempdir()) / "crdt-server-incoming"

    @property
    def incoming(self) -> Path:
        """The directory for files that are being received."""
        return self._incoming

    async def put(self, key: FileKey, source: Path) -> None:
        with _translated():
            await obstore.put_async(self._store, _path("weddings", key), source)

    async def read(self, key: FileKey, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        with _translated():
            found = await obstore.get_async(self._store, _path("weddings", key), options={"range": (start, stop)})
            async for part in found.stream(min_chunk_size=READ_BYTES):
                yield bytes(part)

    async def exists(self, key: FileKey) -> bool:
        try:
            with _translated():
                await obstore.head_async(self._store, _path("weddings", key))
        except FileMissingError:
            return False
        return True

    async def stored(self) -> AsyncIterator[list[StoredFile]]:
        with _translated():
            async for page in obstore.list(self._store, "weddings/", chunk_size=LISTED):
                by_wedding: dict[str, list[StoredFile]] = {}
                for each in page:
                    key = _key(each["path"])
                    by_wedding.setdefault(key.wedding, []).append(StoredFile(key, each["last_modified"].timestamp()))
                for files in by_wedding.values():
                    yield files

    async def set_aside(self, key: FileKey) -> None:
        await self._move(_path("weddings", key), _path("aside", key))

    async def restore(self, key: FileKey) -> None:
        await self._move(_path("aside", key), _path("weddings", key))

    async def discard(self, key: FileKey) -> None:
        try:
            with _translated():
                await obstore.delete_async(self._store, _path("aside", key))
        except FileMissingError:
            return

    async def aside(self) -> AsyncIterator[FileKey]:
        with _translated():
            async for page in obstore.list(self._store, "aside/", chunk_size=LISTED):
                for each in page:
                    yield _key(each["path"])

    async def remove_unfinished(self, before: float) -> int:
        return await to_end(lambda: remove_older(self._incoming, before))

    async def _move(self, source: str, target: str) -> None:
        try:
            with _translated():
                await obstore.copy_async(self._store, source, target)
                await obstore.delete_async(self._store, source)
        except FileMissingError:
            return


def _path(part: str, key: FileKey) -> str:
    return f"{part}/{key.wedding}/{key.sha256}"


def _key(path: str) -> FileKey:
    return FileKey(*path.split("/")[-2:])


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotFoundError) as error:
        raise FileMissingError("file_missing", "the file is not in the store") from error
    except (BaseError, OSError) as error:
        first_line = str(error).partition("\n")[0]  # the others repeat it for programmers
        raise FileStoreError("files_unavailable", f"the store of files cannot be used: {first_line}") from error

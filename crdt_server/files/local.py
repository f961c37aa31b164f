"""A folder as the store of files: `weddings/{wedding}/{sha256}`, beside `incoming` and `aside`.

Files come into sight whole: they are written and synced in `incoming`, then renamed. Several nodes may share the
folder.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from crdt_server.files.store import READ_BYTES, FileKey, StoredFile, to_end, translated


class LocalFiles:
    """See `FileStore`. The folder is made when the first file comes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def incoming(self) -> Path:
        """The directory for files that are being received."""
        return self._folder / "incoming"

    def _path(self, key: FileKey) -> Path:
        return self._folder / "weddings" / key.wedding / key.sha256

    def _aside(self, key: FileKey) -> Path:
        return self._folder / "aside" / key.wedding / key.sha256

    async def put(self, key: FileKey, source: Path) -> None:
        await to_end(lambda: _move(source, self._path(key)))

    async def read(self, key: FileKey, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        with translated():
            file = await to_end(lambda: os.open(self._path(key), os.O_RDONLY | os.O_CLOEXEC))
            try:
                while start < stop:
                    part = await to_end(lambda at=start: os.pread(file, min(READ_BYTES, stop - at), at))  # type: ignore[misc]
                    if not part:
                        raise OSError(f"the file {key.sha256} is shorter than it was")
                    start += len(part)
                    yield part
            finally:
                os.close(file)

    async def exists(self, key: FileKey) -> bool:
        return await to_end(self._path(key).exists)

    async def stored(self) -> AsyncIterator[list[StoredFile]]:
        for wedding in await to_end(lambda: _names(self._folder / "weddings")):
            yield await to_end(lambda name=wedding: _files(self._folder / "weddings" / name, name))  # type: ignore[misc]

    async def set_aside(self, key: FileKey) -> None:
        await to_end(lambda: _move_if_there(self._path(key), self._aside(key)))

    async def restore(self, key: FileKey) -> None:
        await to_end(lambda: _move_if_there(self._aside(key), self._path(key)))

    async def discard(self, key: FileKey) -> None:
        await to_end(lambda: self._aside(key).unlink(missing_ok=True))

    async def aside(self) -> AsyncIterator[FileKey]:
        for wedding in await to_end(lambda: _names(self._folder / "aside")):
            for name in await to_end(lambda of=wedding: _names(self._folder / "aside" / of)):  # type: ignore[misc]
                yield FileKey(wedding, name)

    async def remove_unfinished(self, before: float) -> int:
        return await to_end(lambda: remove_older(self.incoming, before))


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.utime(source)
    os.replace(source, target)
    _sync(target.parent)
    _sync(target.parent.parent)  # the directory of the wedding may be new


def _move_if_there(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)


def _sync(directory: Path) -> None:
    file = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)


def _names(directory: Path) -> list[str]:
    return sorted(os.listdir(directory)) if directory.is_dir() else []


def _files(directory: Path, wedding: str) -> list[StoredFile]:
    with os.scandir(directory) as entries:
        return [StoredFile(FileKey(wedding, each.name), each.stat().st_mtime) for each in entries]


def remove_older(directory: Path, before: float) -> int:
    """Remove the received files of a directory that were last written before a moment; how many."""
    removed = 0
    for path in directory.glob("*.part"):
        if path.stat().st_mtime < before:
            path.unlink(missing_ok=True)
            removed += 1
    return removed

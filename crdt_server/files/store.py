"""The port behind which the bytes of files rest, and the file that an upload is received into.

Bytes are kept under their SHA-256, for each wedding by itself: what two people of a wedding send is there once, and no
wedding learns that another one has the same file. They are durable before anything refers to them. Content without
a reference is first set aside, then discarded: see `AttachmentService.sweep`.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Protocol, TypeVar

from crdt_server.errors import CrdtServerError

HEAD_BYTES: Final = 4096
"""The beginning of a file, from which its type is known."""
WRITE_BYTES: Final = 1 << 20
"""Received bytes that are written at once; they are in memory until then."""
READ_BYTES: Final = 1 << 18
"""Bytes that are read at once."""

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

T = TypeVar("T")


class FileStoreError(CrdtServerError):
    """The store of files cannot be used now."""


class FileStoreFullError(FileStoreError):
    """There is no room for the file."""


class FileMissingError(FileStoreError):
    """The bytes of a file are not there."""


class FileKey(NamedTuple):
    """The name of some bytes."""

    wedding: str
    sha256: str


class StoredFile(NamedTuple):
    """Bytes in the store. ``at``: when they were put there the last time, in seconds since 1970."""

    key: FileKey
    at: float


class FileStore(Protocol):
    """See the head of the file. Methods raise FileStoreError."""

    @property
    def incoming(self) -> Path:
        """The directory for files that are being received. It is there when `receive` needs it."""

    async def put(self, key: FileKey, source: Path) -> None:
        """Move a received file here; durable on return. Its age begins anew where it is here already. Raises
        FileStoreFullError."""

    def read(self, key: FileKey, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from ``start`` to before ``stop``, in parts. Raises FileMissingError with the first one."""

    async def exists(self, key: FileKey) -> bool:
        """Whether the bytes are here, and not set aside."""

    def stored(self) -> AsyncIterator[list[StoredFile]]:
        """All files, in lists of one wedding each."""

    async def set_aside(self, key: FileKey) -> None:
        """Take a file out of sight. Does nothing where it is not here."""

    async def restore(self, key: FileKey) -> None:
        """Undo `set_aside`. Does nothing where the file is not aside."""

    async def discard(self, key: FileKey) -> None:
        """Remove a file that was set aside, if it is there."""

    def aside(self) -> AsyncIterator[FileKey]:
        """The files that are set aside."""

    async def remove_unfinished(self, before: float) -> int:
        """Remove files that were being received, and were last written before a moment. Returns how many."""


async def to_end(work: Callable[[], T]) -> T:
    """The result of some work in a thread. A caller that is cancelled waits for its end: nothing writes into a file
    that is closed. Raises FileStoreError."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        with translated():
            return await asyncio.shield(running)
    except asyncio.CancelledError:
        if not running.done():
            await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # retrieved, so that the loop does not report it as forgotten
        raise


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the operating system as FileStoreError."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileMissingError("file_missing", f"the file is not in the store: {error}") from error
    except OSError as error:
        if error.errno in _FULL:
            raise FileStoreFullError("disk_full", "there is no room for the file") from error
        raise FileStoreError("files_unavailable", f"the store of files cannot be used: {error}") from error


class ReceivedFile:
    """A file that is being received, in a temporary file of its own; `close` removes what `FileStore.put` has not
    moved. Methods raise FileStoreError."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / f"{secrets.token_hex(16)}.part"
        self.size = 0
        self.head = b""
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self._directory = directory
        self._file = -1

    @property
    def sha256(self) -> str:
        """In hexadecimal digits; complete after `finish`."""
        return self._digest.hexdigest()

    async def add(self, part: bytes) -> None:
        """More bytes have come."""
        self.size += len(part)
        if len(self.head) < HEAD_BYTES:
            self.head += part[: HEAD_BYTES - len(self.head)]
        self._waiting += part
        if len(self._waiting) >= WRITE_BYTES:
            await self._write(flush=False)

    async def finish(self) -> None:
        """All bytes have come: they are durable on return."""
        await self._write(flush=True)

    async def _write(self, *, flush: bool) -> None:
        waiting, self._waiting = self._waiting, bytearray()

        def write() -> None:
            if self._file < 0:
                self._directory.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._digest.update(waiting)
            rest = memoryview(waiting)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if flush:
                os.fsync(self._file)

        await to_end(write)

    async def close(self) -> None:
        """Remove it."""
        await to_end(self._close)

    def _close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            self.path.unlink(missing_ok=True)

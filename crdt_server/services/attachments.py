"""Files of conversations: kept for a wedding up to a bound in bytes, found again as long as their message is there.

The bytes are durable in the store of files before the row that refers to them is. Where a process ends in between, and
where no message names an attachment within a day, its bytes are an orphan: `sweep` removes it. A file is set aside
before it is discarded, and comes back where a row refers to it by then; and whoever has stored a row makes sure that
the bytes are there still. So no row that was reported stored is without its bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator
from datetime import timedelta
from typing import Final, NamedTuple

from crdt_server.errors import CrdtServerError, NotFoundError
from crdt_server.files.media_types import media_type
from crdt_server.files.names import safe_name
from crdt_server.files.store import FileKey, FileStore, FileStoreError, ReceivedFile
from crdt_server.services.changes import UNLIMITED, ChangeLimit
from crdt_server.services.entries import Now, audit_entry, cursor_of, read_cursor
from storage import ATTACHMENT_BYTES, Storage, StoredAttachment, ValuesRefused

ORPHAN_AGE: Final = timedelta(days=1)
"""How old what nothing refers to is when it is removed."""


class FileLimits(NamedTuple):
    """The most bytes of one file, and of all files of a wedding; the latter 0: no limit."""

    file_bytes: int
    wedding_bytes: int


class FileQuotaError(CrdtServerError):
    """The wedding has as many bytes of files as it may have."""


class UnacceptableFileError(CrdtServerError):
    """A file that nobody can use."""


class AttachmentService:
    """See the head of the file. Methods raise FileStoreError."""

    def __init__(
        self, storage: Storage, files: FileStore, now: Now, limits: FileLimits, *, changes: ChangeLimit = UNLIMITED
    ) -> None:
        self._storage = storage
        self._files = files
        self._now = now
        self._changes = changes
        self.limits = limits

    async def require_room(self, wedding: str, size_bytes: int) -> None:
        """Raise FileQuotaError where a file of this size would be one too many."""
        most = self.limits.wedding_bytes
        if most and await self._storage.attachment_bytes(wedding) + size_bytes + ATTACHMENT_BYTES > most:
            raise _over_quota(most)

    def receive(self) -> ReceivedFile:
        """A file to receive bytes into."""
        return ReceivedFile(self._files.incoming)

    async def keep(self, wedding: str, thread: str, by: str, name: str, received: ReceivedFile) -> StoredAttachment:
        """Keep a file that has been received whole. Raises RefusedFileError, UnacceptableFileError, FileQuotaError and
        FileStoreFullError."""
        if not received.size:
            raise UnacceptableFileError("empty_file", "the file is empty")
        safe = safe_name(name)
        found = media_type(safe, received.head)
        await received.finish()
        key = FileKey(wedding, received.sha256)
        is_new = await self._storage.unused_files(wedding, [key.sha256])
        await self.require_room(wedding, received.size if is_new else 0)
        id_ = f"at_{secrets.token_hex(16)}"
        attachment = StoredAttachment(id_, thread, "", safe, found, received.size, key.sha256, by, self._now())
        await self._files.put(key, received.path)
        try:
            await self._storage.add_attachment(wedding, attachment, self.limits.wedding_bytes)
        except ValuesRefused as error:
            await self._remove_unused(wedding, [key])
            raise _over_quota(self.limits.wedding_bytes) from error
        if not await self._files.exists(key):  # it was an orphan, and was removed just now
            await self._storage.remove_attachment(wedding, id_)
            raise FileStoreError("files_unavailable", "the file was not kept, send it again")
        return attachment

    async def find(self, wedding: str, thread: str, id_: str) -> StoredAttachment:
        """An attachment of a conversation. Raises NotFoundError, also where its message was taken back."""
        found = await self._storage.attachment(wedding, thread, id_)
        if found is None:
            raise NotFoundError("not_found", "no such attachment")
        return found

    async def page(
        self, wedding: str, thread: str, user: str, after: str, limit: int
    ) -> tuple[list[StoredAttachment], str | None]:
        """The next attachments of a conversation, the newest first, and the cursor behind them; None: these were the
        last. One that no message names is in it for its uploader."""
        before = read_cursor(after)
        found = await self._storage.thread_attachments(wedding, thread, user, before, limit)
        return found, cursor_of(found[-1].at, found[-1].id) if len(found) == limit else None

    async def delete(self, wedding: str, attachment: StoredAttachment, by: str) -> None:
        """Delete an attachment, and its bytes where no other has the same. Raises NotFoundError, and
        RateLimitError for more ``changes`` than one person makes."""
        detail = {"thread": attachment.thread, "attachment": attachment.id, "uploader": attachment.by}
        entry = audit_entry(self._now(), by, "attachment.deleted", **detail)
        with self._changes.count(wedding, by):
            if not await self._storage.delete_attachment(wedding, attachment.id, entry):
                raise NotFoundError("not_found", "no such attachment")
        await self._remove_unused(wedding, [FileKey(wedding, attachment.sha256)])

    def read(self, wedding: str, attachment: StoredAttachment, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """Its bytes from ``start`` to before ``stop``."""
        return self._files.read(FileKey(wedding, attachment.sha256), start, stop)

    async def sweep(self) -> int:
        """Remove what nothing refers to; returns how many files. Several nodes may do this at a time."""
        oldest = self._now() - ORPHAN_AGE
        await self._files.remove_unfinished(oldest.timestamp())
        page = 1
        while page:
            page = await self._storage.remove_orphans(oldest)
        async for key in self._files.aside():  # by a process that has ended
            await self._settle(key)
        removed = 0
        async for files in self._files.stored():
            old = [each.key for each in files if each.at < oldest.timestamp()]
            removed += await self._remove_unused(old[0].wedding, old) if old else 0
        return removed

    async def _remove_unused(self, wedding: str, keys: list[FileKey]) -> int:
        """Remove those of the files of a wedding to which nothing refers; how many."""
        unused = await self._storage.unused_files(wedding, [key.sha256 for key in keys])
        for sha256 in sorted(unused):
            key = FileKey(wedding, sha256)
            await self._files.set_aside(key)
            await self._settle(key)
        return len(unused)

    async def _settle(self, key: FileKey) -> None:
        """Discard a file that was set aside, unless something refers to it."""
        if await self._storage.unused_files(key.wedding, [key.sha256]):
            await self._files.discard(key)
        else:
            await self._files.restore(key)


def _over_quota(most: int) -> FileQuotaError:
    return FileQuotaError("over_quota", f"the files of the wedding take {most} bytes already, with this one")

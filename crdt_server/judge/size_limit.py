"""The limit of the bytes of one document.

- It is a limit of what clients write. Writes of the server (conflicts, moved seats, values that it puts back, and
  commands over HTTP) have an allowance of their own, as large as the limit; beyond that they count with the rest.
- Beyond the limit a document can still be repaired by its people: what only deletes is taken up to twice the limit, and
  small edits as long as a reserve lasts.
"""

from __future__ import annotations

from typing import Final

from crdt_server.protocol.update import Update, decode_structs

SMALL_EDIT_BYTES: Final = 1024
RESERVE_SHARE: Final = 64
"""The reserve for small edits is the limit divided by this: 80 KB of 5 MB."""


class SizeLimit:
    """See the head of the file. ``client_id``: that of the server's own writes, None where it writes nothing."""

    def __init__(self, max_bytes: int, client_id: int | None) -> None:
        self.max_bytes = max_bytes
        self._client_id = client_id
        self._server_bytes = 0

    def count(self, update: Update) -> None:
        """Count what the server has written of an update that is part of the document now."""
        for client, size in update.sizes:
            if client == self._client_id:
                self._server_bytes += size

    def takes(self, whole_bytes: int, size_bytes: int, *, frees: bool) -> bool:
        """Whether a document of ``whole_bytes`` takes so many more. ``frees``: they only delete."""
        size = whole_bytes + size_bytes - min(self._server_bytes, self.max_bytes)
        if size <= self.max_bytes:
            return True
        if size_bytes <= SMALL_EDIT_BYTES and size <= self.max_bytes + self.max_bytes // RESERVE_SHARE:
            return True
        return frees and size <= 2 * self.max_bytes


def only_deletes(update: Update) -> bool:
    """Whether an update does nothing but delete."""
    return not update.ranges


def only_deletes_records(update: Update) -> bool:
    """Whether an update of a document with a schema does nothing but delete, for good or for the first time softly."""
    if not update.ranges:
        return True
    structs = update.structs or decode_structs(update.data).structs
    return all(each.key == "deleted" and each.origin is None for each in structs)

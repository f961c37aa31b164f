"""Where documents rest: bytes under sequence numbers, written in batches, durable before the call returns.

Knows no Yjs, no HTTP and no kinds of documents.
"""

from storage.bus import Bus, BusClosed, BusOverflow, LocalBus, Subscription
from storage.errors import CorruptDocument, SchemaOutdated, SequenceConflict, StorageError, StorageUnavailable
from storage.quarantine import QuarantinedUpdate
from storage.store import Storage, migrate, open_storage
from storage.updates import Append, DocumentKey, StoredDocument, StoredUpdate

__all__ = [
    "Append",
    "Bus",
    "BusClosed",
    "BusOverflow",
    "CorruptDocument",
    "DocumentKey",
    "LocalBus",
    "QuarantinedUpdate",
    "SchemaOutdated",
    "SequenceConflict",
    "Storage",
    "StorageError",
    "StorageUnavailable",
    "StoredDocument",
    "StoredUpdate",
    "Subscription",
    "migrate",
    "open_storage",
]

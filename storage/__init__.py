"""Where documents rest: bytes under sequence numbers, written in batches, durable before the call returns.

Knows no Yjs, no HTTP and no kinds of documents.
"""

from storage.bus import Bus, Listener, LocalBus, LocalWire, Subscription
from storage.errors import (
    AnswerTaken,
    CorruptDocument,
    NotOwner,
    SchemaOutdated,
    SequenceConflict,
    StorageError,
    StorageUnavailable,
)
from storage.facts import Answer, BookingImage, EventImage, Facts, RowImage, StoredBooking, StoredEvent
from storage.owners import Owner
from storage.postgres_lane import Timeouts
from storage.quarantine import QuarantinedUpdate
from storage.store import Storage, migrate, open_storage
from storage.updates import Append, DocumentKey, StoredDocument, StoredUpdate

__all__ = [
    "Answer",
    "AnswerTaken",
    "Append",
    "BookingImage",
    "Bus",
    "CorruptDocument",
    "DocumentKey",
    "EventImage",
    "Facts",
    "Listener",
    "LocalBus",
    "LocalWire",
    "NotOwner",
    "Owner",
    "QuarantinedUpdate",
    "RowImage",
    "SchemaOutdated",
    "SequenceConflict",
    "Storage",
    "StorageError",
    "StorageUnavailable",
    "StoredBooking",
    "StoredDocument",
    "StoredEvent",
    "StoredUpdate",
    "Subscription",
    "Timeouts",
    "migrate",
    "open_storage",
]

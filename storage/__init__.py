"""Where documents are stored: bytes under sequence numbers, written in batches, durable before the call returns.

Knows no Yjs, no HTTP and no kinds of documents.
"""

from storage.appends import Append
from storage.attachments import ATTACHMENT_BYTES, StoredAttachment, project_attachments
from storage.audit import AuditEntry, AuditFault, AuditHead, AuditValues, NewAuditEntry
from storage.bus import Bus, Listener, LocalBus, LocalWire, Subscription
from storage.callers import begin_call
from storage.contacts import Confirmed, NewCode, SentCodes, StoredContact
from storage.conversations import (
    StoredParticipant,
    StoredThread,
    ThreadChange,
    ThreadFilter,
    ThreadRights,
    ThreadState,
)
from storage.derived import (
    AnswerValues,
    BookingValues,
    ClientUser,
    ClientValues,
    DerivedRecords,
    EventValues,
    NewEvent,
    RowValues,
    StoredAnswer,
    StoredBooking,
    StoredEvent,
    StoredRow,
    VendorBooking,
)
from storage.errors import (
    AnswerTaken,
    BoundReached,
    CorruptDocument,
    NotOwner,
    ReadTooLong,
    SchemaOutdated,
    SequenceConflict,
    StorageError,
    StorageUnavailable,
    ValuesRefused,
)
from storage.grants import GrantChange, PolicyOverride, StoredGrant, StoredRights
from storage.inbox import StoredItem
from storage.last_seen import LastSeen
from storage.members import (
    MemberChange,
    NewDevice,
    SignedIn,
    StoredDevice,
    StoredInvitation,
    StoredMember,
    TokenReused,
)
from storage.messages import ThreadMessage, ThreadReading
from storage.messages import mirror as mirror_messages
from storage.outbox import ChannelDepth, InboxCount, MessageCount, NewMessage, StoredMessage
from storage.outbox_addresses import MessageAddress, Resolved
from storage.outbox_claims import ClaimOf, MessageOutcome
from storage.owners import Owner
from storage.postgres_executor import Timeouts
from storage.preferences import (
    DueDigest,
    HeldMessage,
    HeldMessages,
    NewDigest,
    PreferenceChange,
    StoredPreferences,
)
from storage.quarantine import QuarantinedUpdate
from storage.retention import RowKey
from storage.routing import (
    DeliveryValues,
    EventSpan,
    ItemValues,
    Projection,
    RoutedCursor,
    RoutedPage,
    StoredPage,
    UnroutedWedding,
)
from storage.routing_reader import EarlierEvent, RoutingOverride, RoutingReader
from storage.search import Indexer, SearchHit, SearchRecord, SearchTerm, SearchText
from storage.store import Storage, migrate, open_storage
from storage.updates import DocumentKey, StoredDocument, StoredUpdate
from storage.usage import AUDIT_BYTES, WeddingUsage
from storage.webhooks import StoredWebhook, WebhookChange

__all__ = [
    "ATTACHMENT_BYTES",
    "AUDIT_BYTES",
    "AnswerTaken",
    "AnswerValues",
    "Append",
    "AuditEntry",
    "AuditFault",
    "AuditHead",
    "AuditValues",
    "BookingValues",
    "BoundReached",
    "Bus",
    "ChannelDepth",
    "ClaimOf",
    "ClientUser",
    "ClientValues",
    "Confirmed",
    "CorruptDocument",
    "DeliveryValues",
    "DerivedRecords",
    "DocumentKey",
    "DueDigest",
    "EarlierEvent",
    "EventSpan",
    "EventValues",
    "GrantChange",
    "HeldMessage",
    "HeldMessages",
    "InboxCount",
    "Indexer",
    "ItemValues",
    "LastSeen",
    "Listener",
    "LocalBus",
    "LocalWire",
    "MemberChange",
    "MessageAddress",
    "MessageCount",
    "MessageOutcome",
    "NewAuditEntry",
    "NewCode",
    "NewDevice",
    "NewDigest",
    "NewEvent",
    "NewMessage",
    "NotOwner",
    "Owner",
    "PolicyOverride",
    "PreferenceChange",
    "Projection",
    "QuarantinedUpdate",
    "ReadTooLong",
    "Resolved",
    "RoutedCursor",
    "RoutedPage",
    "RoutingOverride",
    "RoutingReader",
    "RowKey",
    "RowValues",
    "SchemaOutdated",
    "SearchHit",
    "SearchRecord",
    "SearchTerm",
    "SearchText",
    "SentCodes",
    "SequenceConflict",
    "SignedIn",
    "Storage",
    "StorageError",
    "StorageUnavailable",
    "StoredAnswer",
    "StoredAttachment",
    "StoredBooking",
    "StoredContact",
    "StoredDevice",
    "StoredDocument",
    "StoredEvent",
    "StoredGrant",
    "StoredInvitation",
    "StoredItem",
    "StoredMember",
    "StoredMessage",
    "StoredPage",
    "StoredParticipant",
    "StoredPreferences",
    "StoredRights",
    "StoredRow",
    "StoredThread",
    "StoredUpdate",
    "StoredWebhook",
    "Subscription",
    "ThreadChange",
    "ThreadFilter",
    "ThreadMessage",
    "ThreadReading",
    "ThreadRights",
    "ThreadState",
    "Timeouts",
    "TokenReused",
    "UnroutedWedding",
    "ValuesRefused",
    "VendorBooking",
    "WebhookChange",
    "WeddingUsage",
    "begin_call",
    "migrate",
    "mirror_messages",
    "open_storage",
    "project_attachments",
]

"""The messages between nodes, as structs that the decoder checks.

A batch is a msgpack array of messages, each encoded by itself, so that a message that cannot be decoded (of a node of
another version, perhaps) does not take the others with it. Nodes trust each other: a publisher on the bus may do
everything that a node may.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

import msgspec

from crdt_server.access.identity import Identity
from crdt_server.pipe import RequestKind, Response, Status
from crdt_server.records import ClientOwner
from crdt_server.rooms.awareness_states import Presence
from crdt_server.rooms.session import SessionId
from storage import DocumentKey

BATCH_BYTES = 1 << 20
"""Messages sent at once: requests of many rooms must not become one message that is too large for the bus."""

SUBSCRIBE = 0
"""The number of the request that does nothing but subscribe."""


class _Message(msgspec.Struct, array_like=True, gc=False):
    """A value on the bus: an array in msgpack."""


class RemoteRequest(_Message):
    """A request of a session at another node. ``number`` and ``session`` are numbers of that node."""

    number: int
    session: SessionId
    identity: Identity
    address: str
    kind: RequestKind
    payload: bytes
    summary: bytes | None = None
    client_state_vector: bytes | None = None
    echo: bool = False
    device: str = ""
    by_members: bool = False


class RequestMessage(_Message, tag=0):
    """To the owner of a document: subscribe ``node`` to it, and execute the requests, behind the claims of client ids
    that the node has learned of."""

    node: str
    key: DocumentKey
    requests: list[RemoteRequest]
    claims: list[ClientOwner] = []


class ResponseMessage(_Message, tag=1):
    """The response to a request; ``seq`` is the number of the newest update that is stored and was sent before."""

    key: DocumentKey
    seq: int
    number: int
    status: Status
    response: Response | None


class UpdateMessage(_Message, tag=2):
    """An update was stored under a sequence number."""

    key: DocumentKey
    seq: int
    update: bytes


class NoticeMessage(_Message, tag=3):
    """For one session: JSON about something of its that was undone."""

    key: DocumentKey
    session: SessionId
    notice: bytes


class NotOwnerMessage(_Message, tag=4):
    """The sender does not own the document, or has closed it: subscribe again, at its owner."""

    key: DocumentKey


class UnsubscribeMessage(_Message, tag=5):
    """To the owner of a document: ``node`` has closed it."""

    node: str
    key: DocumentKey


class EventsMessage(_Message, tag=6):
    """To all: events of a wedding are stored up to the number ``head``."""

    wedding: str
    head: int


class ReleasedMessage(_Message, tag=7):
    """To all: ``node`` has stopped, and these weddings have no owner."""

    node: str
    weddings: list[str]


class InStoreMessage(_Message, tag=8):
    """In place of a response that is too long for the bus: it is in the store, up to the number ``seq``."""

    key: DocumentKey
    seq: int
    number: int


class RightsMessage(_Message, tag=9):
    """To all: rights in a wedding have changed."""

    wedding: str


class InboxMessage(_Message, tag=10):
    """To all: the inboxes of these users of a wedding have new items."""

    wedding: str
    users: list[str]


NodeMessage = (
    RequestMessage
    | ResponseMessage
    | UpdateMessage
    | NoticeMessage
    | NotOwnerMessage
    | UnsubscribeMessage
    | EventsMessage
    | ReleasedMessage
    | InStoreMessage
    | RightsMessage
    | InboxMessage
)


class PresenceKind(enum.IntEnum):
    """The purpose of a `PresenceMessage`."""

    STATES = 0
    QUERY = 1  # states, to be answered with the states of the receiver
    CLOSED = 2  # the sender has closed the room


class PresenceMessage(_Message):
    """The states of the sessions that ``node`` has in a room."""

    node: str
    kind: PresenceKind
    states: list[Presence]


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
"""One message as msgpack."""

decode_message = msgspec.msgpack.Decoder(NodeMessage).decode
decode_presence = msgspec.msgpack.Decoder(PresenceMessage).decode
"""Raises msgspec.DecodeError on anything else."""
split_batch = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
"""The messages of a batch, not decoded. Raises msgspec.DecodeError."""


def encode_batches(messages: Iterable[NodeMessage]) -> Iterator[bytes]:
    """Batches of at most BATCH_BYTES, or of one message."""
    encoded: list[bytes] = []
    size = 0
    for message in map(encode, messages):
        if encoded and size + len(message) > BATCH_BYTES:
            yield _join(encoded)
            encoded, size = [], 0
        encoded.append(message)
        size += len(message)
    if encoded:
        yield _join(encoded)


def _join(encoded: list[bytes]) -> bytes:
    # a msgpack array of 32 bits, of values that are encoded already
    return b"\xdd" + len(encoded).to_bytes(4, "big") + b"".join(encoded)

"""Messages between nodes: batches, and what the decoder refuses."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from crdt_server.access.identity import Identity
from crdt_server.cluster.messages import (
    BATCH_BYTES,
    EventsMessage,
    InboxMessage,
    InStoreMessage,
    NodeMessage,
    NoticeMessage,
    NotOwnerMessage,
    ReleasedMessage,
    RemoteRequest,
    RequestMessage,
    ResponseMessage,
    RightsMessage,
    UnsubscribeMessage,
    UpdateMessage,
    decode_message,
    encode,
    encode_batches,
    split_batch,
)
from crdt_server.cluster.messenger import Messenger
from crdt_server.pipe import Bytes, Diff, NoOverlap, RequestKind, Status
from crdt_server.rooms.session import SessionId
from storage import DocumentKey, LocalBus
from tests.support.recorder import RecordingListener

KEY = DocumentKey("w", "guests")
ANN = Identity("ann", "vendor", vendor="v_1")
REQUEST = RemoteRequest(7, SessionId(3), ANN, "192.0.2.1", RequestKind.UPDATE, b"\x00\x01", b"s", b"\x00", True)
MESSAGES: list[NodeMessage] = [
    RequestMessage("node-1", KEY, [REQUEST]),
    ResponseMessage(KEY, 5, 7, Status.OK, Diff([b"\x00\x00"])),
    ResponseMessage(KEY, 5, 8, Status.OK, Bytes(b"\x00")),
    ResponseMessage(KEY, 5, 9, Status.OK, NoOverlap()),
    ResponseMessage(KEY, 5, 10, Status.GAP, None),
    UpdateMessage(KEY, 6, b"\x00\x00"),
    NoticeMessage(KEY, SessionId(3), b"{}"),
    NotOwnerMessage(KEY),
    UnsubscribeMessage("node-1", KEY),
    EventsMessage("w", 12),
    ReleasedMessage("node-1", ["w", "v"]),
    InStoreMessage(KEY, 6, 11),
    RightsMessage("w"),
    InboxMessage("w", ["u_1", "u_2"]),
]
MALFORMED: list[Any] = [
    [99, "node-1"],  # an unknown tag
    ["node-1"],
    [2, ["w", "guests"], "6", b""],  # a number that is a string
    [2, ["w", "guests"], 6],  # too short
    [2, ["w"], 6, b""],  # half a key
    [0, "node-1", ["w", "guests"], [[7, 3, ["ann"], "", 0, b""]]],  # an identity without a role
    [0, "node-1", ["w", "guests"], [[7, 3, ["ann", "couple"], "", 77, b""]]],  # an unknown kind of request
    [1, ["w", "guests"], 5, 7, 0, [99]],  # an unknown response
    {"tag": 2},
    None,
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_is_read_as_it_was_written(message: NodeMessage) -> None:
    assert decode_message(encode(message)) == message


def test_every_kind_of_message_has_a_tag_of_its_own() -> None:
    kinds = NodeMessage.__args__
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds) == len({type(each) for each in MESSAGES})


@pytest.mark.parametrize("value", MALFORMED, ids=repr)
def test_a_malformed_message_is_refused(value: Any) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_message(msgspec.msgpack.encode(value))


def test_a_batch_is_bounded() -> None:
    small, large = UpdateMessage(KEY, 1, b"x" * 100), UpdateMessage(KEY, 2, b"y" * (BATCH_BYTES // 3))
    messages = [small, large, large, small, large, UpdateMessage(KEY, 3, b"z" * 2 * BATCH_BYTES), small]
    batches = list(encode_batches(messages))
    assert len(batches) > 2
    assert all(len(batch) <= BATCH_BYTES + 10 or len(split_batch(batch)) == 1 for batch in batches)
    assert [decode_message(each) for batch in batches for each in split_batch(batch)] == messages
    assert list(encode_batches([])) == []


class Node:
    """A messenger on a bus of its own, and the messages that it handles."""

    def __init__(self) -> None:
        self.handled: list[NodeMessage] = []
        self.bus = LocalBus()
        self.messenger = Messenger(self.bus, "here", lambda: None)
        self.messenger.handlers = dict.fromkeys(NodeMessage.__args__, self._handle)

    def _handle(self, message: NodeMessage) -> None:
        self.handled.append(message)
        if isinstance(message, NotOwnerMessage):
            raise RuntimeError("of the test")

    async def receive(self, *batches: bytes) -> None:
        """Return when these have arrived."""
        fence = RecordingListener()
        self.bus.subscribe("nodes", fence)
        for batch in batches:
            self.bus.publish("nodes", batch)
        await fence.until_last(*batches)


@pytest.fixture
async def node() -> Node:
    node = Node()
    await node.bus.start()
    node.messenger.open()
    return node


async def test_a_malformed_message_is_logged_once_and_leaves_the_others_of_its_batch(node: Node) -> None:
    good = [UpdateMessage(KEY, seq, b"") for seq in range(len(MALFORMED) + 1)]
    mixed = [value for pair in zip(good, MALFORMED, strict=False) for value in pair]
    batch = msgspec.msgpack.encode([*mixed, good[-1]])
    with capture_logs() as logs:
        await node.receive(batch, batch)
    assert node.handled == [*good, *good]
    reasons = [entry["reason"] for entry in logs]
    assert {entry["event"] for entry in logs} == {"node_message_malformed"}
    assert len(set(reasons)) == len(reasons) > 4


@pytest.mark.parametrize(
    "batch", [b"", b"\xc1", b"\x92\x01", msgspec.msgpack.encode({"a": 1}), b"\xdd\xff\xff\xff\xff"]
)
async def test_a_malformed_batch_is_dropped(node: Node, batch: bytes) -> None:
    with capture_logs() as logs:
        await node.receive(batch, next(encode_batches(MESSAGES[:1])))
    assert node.handled == MESSAGES[:1]
    assert [entry["event"] for entry in logs] == ["node_message_malformed"]


async def test_a_message_that_cannot_be_handled_leaves_the_others(node: Node) -> None:
    with capture_logs() as logs:
        await node.receive(*encode_batches(MESSAGES))
    assert node.handled == MESSAGES
    assert [(entry["event"], entry["kind"]) for entry in logs] == [("node_message_failed", "NotOwnerMessage")]


async def test_messages_of_one_turn_are_one_batch(node: Node) -> None:
    batches = RecordingListener()
    node.bus.subscribe("nodes", batches)
    for message in MESSAGES[:5]:
        node.messenger.broadcast(message)
    node.messenger.send("here", MESSAGES[5])
    await batches.until(lambda received: len(received) == 2)
    assert [decode_message(each) for each in split_batch(batches.received[1])] == MESSAGES[:5]
    assert node.handled[:5] == MESSAGES[:5]
    assert node.handled[5:] == [MESSAGES[5]]

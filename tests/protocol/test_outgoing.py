from __future__ import annotations

import pytest

from crdt_server.protocol.frames import server_frame
from crdt_server.protocol.messages import AwarenessUpdate, Message, QueryAwareness, Received, SyncStep1, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.protocol.ywebsocket import YWEBSOCKET


class NamedCodec:
    """A wire that puts the name of a document before each message."""

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.encoded = 0

    def decode(self, frame: bytes | memoryview) -> list[Received]:
        return YWEBSOCKET.decode(frame[len(self.name) :])

    def encode(self, message: Message) -> bytes:
        self.encoded += 1
        return self.name + YWEBSOCKET.encode(message)


def test_a_message_is_encoded_once_per_codec() -> None:
    message = Outgoing(SyncUpdate(b"u"))
    one, two = NamedCodec(b"one"), NamedCodec(b"two")
    for _ in range(3):
        assert message.encoded(one) == b"one\0\2\1u"
        assert message.encoded(two) == b"two\0\2\1u"
    assert (one.encoded, two.encoded) == (1, 1)
    assert message.encoded(YWEBSOCKET) is message.payload
    assert message.frame is message.frame
    assert message.frame == server_frame(message.payload)


@pytest.mark.parametrize(("size", "head"), [(125, "827d"), (126, "827e007e"), (65536, "827f0000000000010000")])
def test_a_frame_is_one_of_a_server(size: int, head: str) -> None:
    assert server_frame(bytes(size)) == bytes.fromhex(head) + bytes(size)


@pytest.mark.parametrize(
    ("message", "size"),
    [(SyncUpdate(b"123"), 3), (AwarenessUpdate(b"12"), 2), (SyncStep1(b"1"), 0), (QueryAwareness(), 0)],
)
def test_the_size_is_that_of_the_content(message: Message, size: int) -> None:
    assert Outgoing(message).size_bytes == size


def test_an_unknown_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError):
        Outgoing(QueryAwareness()).nothing  # noqa: B018

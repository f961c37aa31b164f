"""Hocuspocus' wire: bytes as stock providers send them, bytes that nobody sends, and any bytes at all."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.errors import ProtocolError
from crdt_server.protocol.hocuspocus import (
    ADDRESS_BYTES,
    HocuspocusCodec,
    codec_of,
    is_authenticate,
    read_address,
    read_message,
)
from crdt_server.protocol.lib0 import write_var_bytes
from crdt_server.protocol.messages import (
    Authenticate,
    AwarenessUpdate,
    CloseDocument,
    DocumentMessage,
    DocumentOpened,
    DocumentReceived,
    DocumentRefused,
    PermissionDenied,
    QueryAwareness,
    Stateless,
    SyncStatus,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
    TokenRequest,
)

NAME = b"w/notes.a"
HEAD = b"\x09w/notes.a"


def read(payload: bytes) -> tuple[bytes, DocumentReceived]:
    address, pos = read_address(payload)
    return address, read_message(payload, pos)


FROM_CLIENTS: list[tuple[bytes, DocumentReceived]] = [
    (b"\0\0\x01\0", SyncStep1(b"\0")),
    (b"\0\1\x02ab", SyncStep2(b"ab")),
    (b"\0\2\x02ab", SyncUpdate(b"ab")),
    (b"\4\0\x01\0", SyncStep1(b"\0")),
    (b"\1\x01\0", AwarenessUpdate(b"\0")),
    (b"\2\0\x03abc", Authenticate("abc")),  # version 3
    (b"\2\0\x03abc\x054.8.0", Authenticate("abc")),
    (b"\2\0\0", Authenticate("")),
    (b"\3", QueryAwareness()),
    (b"\5\x04Chlo", Stateless("Chlo")),
    (b"\7", CloseDocument()),
]


@pytest.mark.parametrize(("body", "message"), FROM_CLIENTS)
def test_messages_of_clients(body: bytes, message: DocumentReceived) -> None:
    for payload in (HEAD + body, memoryview(HEAD + body)):
        assert read(payload) == (NAME, message)  # type: ignore[arg-type]
    assert is_authenticate(HEAD + body, len(HEAD)) == isinstance(message, Authenticate)


MALFORMED = [
    (b"", "truncated"),
    (b"\x09", "truncated"),
    (b"\x80", "truncated"),
    (b"\0", "address"),
    (b"\0\0\2\1a", "address"),
    (write_var_bytes(b"n" * (ADDRESS_BYTES + 1)) + b"\3", "address"),
    (b"\xff\xff\xff\xff\xff\xff\xff\x7f", "varint"),
    (HEAD, "truncated"),
    (HEAD + b"\0", "truncated"),
    (HEAD + b"\0\2", "truncated"),
    (HEAD + b"\0\2\x05ab", "truncated"),
    (HEAD + b"\0\3\x01a", "unknown_message"),
    (HEAD + b"\0\2\x01ab", "trailing_bytes"),
    (HEAD + b"\1", "truncated"),
    (HEAD + b"\2", "truncated"),
    (HEAD + b"\2\0", "truncated"),
    (HEAD + b"\2\0\x01\xff", "utf8"),
    (HEAD + b"\2\0\x01a\x01\xff", "utf8"),
    (HEAD + b"\2\0\x01a\x01bc", "trailing_bytes"),
    (HEAD + b"\2\1\x01a", "unexpected_message"),
    (HEAD + b"\2\2\x01a", "unexpected_message"),
    (HEAD + b"\3\0", "trailing_bytes"),
    (HEAD + b"\5\x01\xff", "utf8"),
    (HEAD + b"\6\x01a", "unexpected_message"),
    (HEAD + b"\7\0", "trailing_bytes"),
    (HEAD + b"\x08\1", "unexpected_message"),
    (HEAD + b"\x09", "unknown_message"),
    (HEAD + b"\xff\xff", "unknown_message"),
]


@pytest.mark.parametrize(("payload", "code"), MALFORMED)
def test_malformed_messages(payload: bytes, code: str) -> None:
    with pytest.raises(ProtocolError) as raised:
        read(payload)
    assert raised.value.code == code


TO_CLIENTS: list[tuple[DocumentMessage, bytes]] = [
    (SyncStep1(b"\0"), b"\0\0\x01\0"),
    (SyncStep2(b"ab"), b"\0\1\x02ab"),
    (SyncUpdate(b"ab"), b"\0\2\x02ab"),
    (AwarenessUpdate(b"\0"), b"\1\x01\0"),
    (QueryAwareness(), b"\3"),
    (PermissionDenied("{}"), b"\5\x02{}"),  # in this protocol it would end the session of the client
    (Stateless("{}"), b"\5\x02{}"),
    (TokenRequest(), b"\2\0"),
    (DocumentRefused("no"), b"\2\1\x02no"),
    (DocumentOpened(reads_only=False), b"\2\2\x0aread-write"),
    (DocumentOpened(reads_only=True), b"\2\2\x08readonly"),
    (CloseDocument("why"), b"\7\x03why"),
    (SyncStatus(stored=True), b"\x08\1"),
    (SyncStatus(stored=False), b"\x08\0"),
]


@pytest.mark.parametrize(("message", "body"), TO_CLIENTS)
def test_messages_of_the_server(message: DocumentMessage, body: bytes) -> None:
    assert HocuspocusCodec(NAME).encode(message) == HEAD + body


def test_sessions_of_a_document_have_addresses_of_their_own() -> None:
    assert codec_of(NAME) is codec_of(NAME)
    assert HocuspocusCodec(NAME + b"\0x1").encode(QueryAwareness()) == b"\x0c" + NAME + b"\0x1\3"


BODIES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([body for body, _ in FROM_CLIENTS]).flatmap(
        lambda body: st.tuples(st.integers(0, len(body)), st.binary(max_size=3)).map(
            lambda cut: body[: cut[0]] + cut[1] + body[cut[0] + len(cut[1]) :]
        )
    ),
)


@given(st.one_of(st.binary(max_size=40), BODIES.map(lambda body: HEAD + body)))
def test_any_bytes_are_a_message_or_malformed(payload: bytes) -> None:
    try:
        address, message = read(payload)
    except ProtocolError:
        return
    if isinstance(message, (SyncStep1, SyncStep2, SyncUpdate, AwarenessUpdate, QueryAwareness, Stateless)):
        encoded = HocuspocusCodec(address).encode(message)
        assert read(encoded) == (address, message)

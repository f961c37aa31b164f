import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdt_server.errors import ProtocolError
from crdt_server.protocol.messages import (
    AwarenessUpdate,
    PermissionDenied,
    QueryAwareness,
    Received,
    SyncStep1,
    SyncStep2,
    SyncUpdate,
)
from crdt_server.protocol.ywebsocket import MAX_MESSAGES_PER_FRAME, YWEBSOCKET

QUERY = b"\3"
encode, decode_messages = YWEBSOCKET.encode, YWEBSOCKET.decode

payloads = st.binary(max_size=200)
messages = st.one_of(
    st.builds(SyncStep1, payloads),
    st.builds(SyncStep2, payloads),
    st.builds(SyncUpdate, payloads),
    st.builds(AwarenessUpdate, payloads),
    st.just(QueryAwareness()),
)


def test_the_bytes_are_those_of_y_websocket() -> None:
    assert encode(SyncStep1(b"\0")) == bytes.fromhex("00000100")
    assert encode(SyncStep2(b"\0\0")) == bytes.fromhex("0001020000")
    assert encode(SyncUpdate(b"\0\0")) == bytes.fromhex("0002020000")
    assert encode(AwarenessUpdate(b"x" * 200)) == bytes.fromhex("01c801") + b"x" * 200
    assert encode(PermissionDenied("né")) == bytes.fromhex("0201036ec3a9")


@given(st.lists(messages, min_size=1, max_size=12))
def test_messages_come_back_however_many_share_a_frame(sent: list[Received]) -> None:
    assert decode_messages(b"".join(map(encode, sent))) == sent


@given(st.lists(messages, min_size=1, max_size=4), st.data())
def test_a_frame_cut_anywhere_holds_whole_messages_or_is_refused(sent: list[Received], data: st.DataObject) -> None:
    encoded = [encode(message) for message in sent]
    frame = b"".join(encoded)
    cut = data.draw(st.integers(0, len(frame) - 1))
    ends = [sum(map(len, encoded[:count])) for count in range(len(sent) + 1)]
    if cut in ends[1:]:
        assert decode_messages(frame[:cut]) == sent[: ends.index(cut)]
    else:
        with pytest.raises(ProtocolError):
            decode_messages(frame[:cut])


@given(st.binary(max_size=100))
def test_any_bytes_are_messages_or_refused(frame: bytes) -> None:
    try:
        decoded = decode_messages(frame)
    except ProtocolError:
        return
    assert b"".join(map(encode, decoded)) == frame


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty_frame"),
        ("00", "truncated"),
        ("0002", "truncated"),
        ("000205000000", "truncated"),
        ("0003020000", "unknown_message"),
        ("0080020000", "unknown_message"),
        ("04", "unknown_message"),
        ("8001", "unknown_message"),
        ("ff" * 1000, "unknown_message"),
        ("020003616263", "unexpected_message"),
        ("000202000005", "unknown_message"),
        ("0002ffffffffffffffff", "varint"),
    ],
)
def test_malformed_frames_are_refused(text: str, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_messages(bytes.fromhex(text))
    assert (caught.value.code, caught.value.close_code) == (code, 4400)


def test_a_frame_holds_a_bounded_number_of_messages() -> None:
    assert len(decode_messages(QUERY * MAX_MESSAGES_PER_FRAME)) == MAX_MESSAGES_PER_FRAME
    with pytest.raises(ProtocolError) as caught:
        decode_messages(QUERY * (MAX_MESSAGES_PER_FRAME + 1))
    assert caught.value.code == "limit"

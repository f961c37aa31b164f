"""A client by hand (the `websockets` library) beside stock ones: how messages may lie in frames, and the receipt."""

from collections.abc import Iterator

import pytest
from pycrdt import Doc, Text, create_sync_message, create_update_message, merge_updates
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.sync.client import ClientConnection, connect

from crdt_server.protocol.lib0 import read_var_bytes
from tests.interop.clients import SECONDS, Room

SYNC, STEP1, STEP2, UPDATE = 0, 0, 1, 2
AWARENESS, QUERY_AWARENESS = 1, 3


def typed(text: str, client_id: int = 5) -> list[bytes]:
    """One Yjs update for each character."""
    doc: Doc[Text] = Doc(client_id=client_id)
    root = doc.get("text", type=Text)
    updates = []
    for character in text:
        before = doc.get_state()
        root.insert(len(root), character)
        updates.append(doc.get_update(before))
    return updates


def next_sync(socket: ClientConnection, kind: int) -> bytes:
    """The body of the next sync message of this kind; others are skipped."""
    while True:
        message = socket.recv(timeout=SECONDS)
        assert isinstance(message, bytes)
        if message[:2] == bytes((SYNC, kind)):
            body, end = read_var_bytes(message, 2)
            assert end == len(message), "one message in a frame: older clients read no second"
            return body


@pytest.fixture
def socket(room: Room) -> Iterator[ClientConnection]:
    with connect(room.address, compression=None, max_size=None) as socket:
        yield socket


def test_server_speaks_first(socket: ClientConnection) -> None:
    assert next_sync(socket, STEP1) == b"\x00"


def test_several_messages_in_one_frame(room: Room, socket: ClientConnection) -> None:
    ann = room.join("ann")
    doc: Doc[Text] = Doc()
    frame = create_sync_message(doc) + b"".join(create_update_message(update) for update in typed("hello"))
    socket.send(frame + bytes((QUERY_AWARENESS,)))
    next_sync(socket, STEP2)
    ann.wait("doc.getText('text').toString() === 'hello'")
    room.settle()


def test_fragmented_frames(room: Room, socket: ClientConnection) -> None:
    ann = room.join("ann")
    frame = b"".join(create_update_message(update) for update in typed("in pieces"))
    socket.send(frame[i : i + 3] for i in range(0, len(frame), 3))
    ann.wait("doc.getText('text').toString() === 'in pieces'")
    room.settle()


def test_ping_between_fragments(room: Room, socket: ClientConnection) -> None:
    ann = room.join("ann")
    frame = create_update_message(typed("x")[0])

    def pieces() -> Iterator[bytes]:
        yield frame[:4]
        socket.protocol.send_ping(b"?")
        yield frame[4:]

    socket.send(pieces())
    ann.wait("doc.getText('text').toString() === 'x'")


def test_text_frames_are_refused(socket: ClientConnection) -> None:
    socket.send("hello")
    with pytest.raises(ConnectionClosed) as closed:
        next_sync(socket, UPDATE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400


@pytest.mark.parametrize("frame", ["", "0002", "000205ff", "07", "0002020000" + "ff", "0003020000"])
def test_malformed_frames_are_refused(socket: ClientConnection, frame: str) -> None:
    socket.send(bytes.fromhex(frame))
    with pytest.raises(ConnectionClosed) as closed:
        next_sync(socket, UPDATE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400


def test_echo_is_the_receipt(room: Room, socket: ClientConnection) -> None:
    """What came back to the writer survives `kill -9`."""
    (update,) = typed("k")
    socket.send(create_update_message(update))
    assert next_sync(socket, UPDATE) == update
    room.server.kill9()
    room.server.start()
    assert room.join("ann").run("return doc.getText('text').toString()") == "k"


def test_repeated_update_changes_nothing(room: Room, socket: ClientConnection) -> None:
    update = typed("once")[0]
    for _ in range(3):
        socket.send(create_update_message(update))
    next_sync(socket, UPDATE)
    ann = room.join("ann")
    assert ann.run("return doc.getText('text').toString()") == "o"
    room.settle()


def test_gap_is_asked_for(room: Room, socket: ClientConnection) -> None:
    """An update over a hole is not integrated; the server asks again with its step 1."""
    first, second, third = typed("abc")
    next_sync(socket, STEP1)
    socket.send(create_update_message(first) + create_update_message(third))
    assert next_sync(socket, STEP1) != b"\x00"
    ann = room.join("ann")
    socket.send(create_update_message(second) + create_update_message(third))
    ann.wait("doc.getText('text').toString() === 'abc'")
    room.settle()


def test_burst_over_a_hole_keeps_its_socket(room: Room, socket: ClientConnection) -> None:
    """However many updates were under way when the first was lost: the client gets asked before it is given up."""
    lost, *others = typed("twenty-five quick letters")
    next_sync(socket, STEP1)
    for update in others:
        socket.send(create_update_message(update))
    assert next_sync(socket, STEP1) == b"\x00"
    socket.send(create_update_message(merge_updates(lost, *others)))
    assert room.join("ann").wait("doc.getText('text').toString()", seconds=5) == "twenty-five quick letters"


def test_close_without_a_status_is_answered_without_one(room: Room) -> None:
    """Stock clients close like this; 0 is no status that may be sent (RFC 6455, 7.4.1)."""
    with connect(room.address, compression=None) as socket:
        next_sync(socket, STEP1)
        with socket.protocol_mutex:
            socket.protocol.send_close()
            socket.send_data()
        with pytest.raises(ConnectionClosed) as closed:
            next_sync(socket, UPDATE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == CloseCode.NO_STATUS_RCVD


def send_until_closed(socket: ClientConnection) -> None:
    while True:
        socket.send(create_sync_message(Doc()))


def test_close_code_arrives_while_more_is_sent(room: Room) -> None:
    """A stock client comes back for ever unless it reads the final code, and it has always sent its step 1 by then."""
    codes = set()
    for _ in range(50):
        with connect(f"{room.url}/no-such-kind", compression=None) as socket:
            with pytest.raises(ConnectionClosed) as closed:
                send_until_closed(socket)
            codes.add(closed.value.rcvd.code if closed.value.rcvd else None)
    assert codes == {4404}

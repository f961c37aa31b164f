"""The queue of a socket with several documents: their turns, its bound, and a transport that does not drain."""

from __future__ import annotations

import asyncio

import pytest

from crdt_server.transport import send_queue
from crdt_server.transport.send_queue import QueuedSender, SharedSendQueue
from tests.support.sockets import HandSocket

LIMIT_BYTES = 1000


class Queue:
    """A queue on a socket that takes 100 bytes, and the senders that it closes."""

    def __init__(self) -> None:
        self.socket = HandSocket()
        self.socket.high_bytes = 100
        self.closed: list[QueuedSender] = []
        self.stalled = 0
        self.closes = True
        self.queue = SharedSendQueue(self.socket, LIMIT_BYTES, self._overflow)
        self.socket.control_flow(self.queue)
        self.one, self.two = QueuedSender(), QueuedSender()

    def _overflow(self, sender: QueuedSender | None) -> bool:
        if sender is None:
            self.stalled += 1
            return False
        self.closed.append(sender)
        self.queue.drop(sender)
        return self.closes

    def fill(self) -> None:
        self.queue.send(self.one, bytes(101))
        assert self.queue.full


@pytest.fixture
def queue() -> Queue:
    return Queue()


async def test_a_message_leaves_at_once_as_long_as_the_transport_takes_it(queue: Queue) -> None:
    queue.queue.send(queue.one, b"1")
    queue.queue.send(queue.two, b"2")
    assert (queue.socket.flush(), queue.queue.waiting_bytes) == ([b"1", b"2"], 0)


async def test_documents_take_turns_and_each_keeps_its_order(queue: Queue) -> None:
    queue.fill()
    for number in range(3):
        queue.queue.send(queue.one, b"1%d" % number)
    queue.queue.send(queue.two, b"20")
    queue.queue.send(queue.two, b"21")
    assert len(queue.socket.flush()) == 1
    assert queue.socket.flush() == [b"10", b"20", b"11", b"21", b"12"]
    assert (queue.queue.waiting_bytes, queue.queue.full) == (0, False)


async def test_what_leaves_may_fill_the_transport_again(queue: Queue) -> None:
    queue.fill()
    for _ in range(4):
        queue.queue.send(queue.one, bytes(60))
    for left in (120, 0):
        queue.socket.flush()
        assert (queue.queue.waiting_bytes, queue.queue.full) == (left, True)
    assert [len(payload) for payload in queue.socket.flush()] == [60, 60]


async def test_the_document_of_which_most_waits_is_closed_and_the_others_stay(queue: Queue) -> None:
    queue.fill()
    queue.queue.send(queue.one, bytes(300))
    queue.queue.send(queue.two, bytes(600))
    assert not queue.closed
    queue.queue.send(queue.one, bytes(200))
    assert (queue.closed, queue.queue.waiting_bytes) == ([queue.two], 500)
    queue.socket.flush()
    assert [len(payload) for payload in queue.socket.flush()] == [300]
    assert queue.socket.closed is None


async def test_something_large_may_wait(queue: Queue) -> None:
    queue.fill()
    queue.queue.allow(5000)
    queue.queue.allow(4000)
    queue.queue.send(queue.one, bytes(5900))
    assert not queue.closed
    queue.queue.send(queue.one, bytes(200))
    assert queue.closed == [queue.one]


async def test_where_no_document_can_be_closed_the_socket_is(queue: Queue) -> None:
    queue.fill()
    queue.closes = False
    queue.queue.send(queue.one, bytes(LIMIT_BYTES + 1))
    assert queue.socket.close_code == 1013


@pytest.mark.parametrize(("progress", "closed"), [(1, None), (0, (1013, "slow consumer"))])
async def test_a_transport_without_progress_is_closed(
    queue: Queue, progress: int, closed: tuple[int, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_queue, "STALLED_SECONDS", 0.01)
    queue.queue.send(queue.two, bytes(60))
    queue.fill()
    monkeypatch.setattr(send_queue, "STALLED_SECONDS", 1000)
    queue.socket.flush(progress)
    checked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(0.05, checked.set_result, None)
    await checked
    assert (queue.socket.closed, queue.stalled) == (closed, 0 if closed is None else 1)
    queue.queue.stop()

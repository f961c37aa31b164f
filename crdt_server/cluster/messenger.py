"""What nodes say to one another, and the post that carries it.

A message is a list: its kind, then what `MessageKind` says. Nodes trust one another: whoever may publish on the bus
may do what a node may.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import structlog

from crdt_server.pipe import encode, unpack
from crdt_server.rooms.session import Request
from storage import Bus

log = structlog.get_logger(__name__)

EVERYBODY = "nodes"
"""The channel that all nodes hear."""


class MessageKind(enum.IntEnum):
    """The kinds of messages. A room is its wedding and its document."""

    ASK = 0  # sender, room, questions: to the owner, for its host
    ANSWER = 1  # room, sequence number as of the answer, number of the question, status, answer
    UPDATE = 2  # room, sequence number, update: it is stored
    TOLD = 3  # room, session, notice: something of its was undone
    LOST = 4  # room: who sends this does not hold it (any more)
    LEFT = 5  # sender, room: nobody there is interested any more
    EVENTS = 6  # wedding, number of its newest event
    RELEASED = 7  # sender, weddings: they are nobody's now
    STORED = 8  # room, sequence number, number of the question: the answer is too long to send, but in the store


LETTER_BYTES = 1 << 20
"""Messages that travel together: many rooms that ask at once must not make one that no bus takes."""

ANSWER_BYTES = 4 << 20
"""What a client lacks is read from the store by its own node when it is longer: a bus has other things to carry."""


class BusListener:
    """A listener made of two functions."""

    def __init__(self, hear: Callable[[bytes], None], gained: Callable[[], None]) -> None:
        self.on_message = hear
        self.on_resync = gained


class Messenger:
    """Messages to and from other nodes. Those of one moment to one place travel together.

    ``receive(message)`` takes each that arrives; ``gained`` is called when messages may have been missed.
    """

    def __init__(self, bus: Bus, node: str, receive: Callable[[list[Any]], None], gained: Callable[[], None]) -> None:
        self._bus = bus
        self._receive = receive
        self._waiting: dict[str, list[Sequence[Any]]] = {}
        self._ear = BusListener(self._hear, gained)
        self._channels = (_channel(node), EVERYBODY)
        self._subscriptions: list[Any] = []

    def open(self) -> None:
        """Begin to listen."""
        self._loop = asyncio.get_running_loop()
        self._subscriptions = [self._bus.subscribe(channel, self._ear) for channel in self._channels]

    def close(self) -> None:
        """Send what waits, and listen no more."""
        self._flush()
        for subscription in self._subscriptions:
            subscription.close()

    def send(self, node: str, *message: Any) -> None:
        """Send to one node. What is lost on the way, the other side notices."""
        self._put(_channel(node), message)

    def send_all(self, *message: Any) -> None:
        """Send to every node, this one included."""
        self._put(EVERYBODY, message)

    def _put(self, channel: str, message: Sequence[Any]) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.setdefault(channel, []).append(message)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for channel, messages in waiting.items():
            for letter in letters(messages):
                self._bus.publish(channel, letter)

    def _hear(self, data: bytes) -> None:
        for message in unpack(data):
            try:
                self._receive(message)
            except Exception:
                # A defect, or a node of another version: it must not take with it what else has come.
                log.exception("node_message_failed", kind=message[:1])


def letters(messages: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """Messages as they travel: lists of them, each no longer than LETTER_BYTES or of one message."""
    packed: list[bytes] = []
    size = 0
    for message in map(encode, messages):
        if packed and size + len(message) > LETTER_BYTES:
            yield _letter(packed)
            packed, size = [], 0
        packed.append(message)
        size += len(message)
    if packed:
        yield _letter(packed)


def _letter(packed: Sequence[bytes]) -> bytes:
    # as msgpack writes a list of what is packed already
    return b"\xdd" + len(packed).to_bytes(4, "big") + b"".join(packed)


def _channel(node: str) -> str:
    return f"node.{node}"


def question(number: int, request: Request) -> list[Any]:
    """A request as its room's owner is asked it."""
    session = request.session
    return [
        number,
        session.id,
        [*session.identity],
        session.connection.address,
        request.kind,
        request.payload,
        request.extra,
        request.knows,
        request.echo,
    ]

"""A hand-flushed socket: what a room sends waits in `outbox` until the test says that it travelled."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from crdt_server.protocol.messages import AwarenessUpdate, Message, SyncStep1, SyncStep2, SyncUpdate
from crdt_server.protocol.outgoing import Outgoing
from crdt_server.transport.endpoint import FlowControl
from tests.support.codec import decode_messages


class HandSocket:
    """A `Connection` under the test's control. ``limit_bytes`` unsent bytes close it with 1013, like the real ones."""

    def __init__(self, address: str = "192.0.2.1", limit_bytes: int = 1 << 30) -> None:
        self.address = address
        self.outbox: deque[bytes] = deque()
        self.arrived: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.paused = False
        self.congested = False
        self.pauses = 0
        self._usual_bytes = self._limit_bytes = limit_bytes
        self._unsent_bytes = 0
        self.flow: FlowControl | None = None
        self.high_bytes = 1 << 16  # unsent, from which on the flow is controlled
        self._something = asyncio.Event()

    def send(self, message: Outgoing) -> None:
        self.send_payload(message.payload)

    def send_payload(self, payload: bytes) -> None:
        self._something.set()
        if self.closed is None:
            self.outbox.append(payload)
            self._unsent_bytes += len(payload)
            if self.flow is not None and self._unsent_bytes > self.high_bytes:
                self.flow.pause_writing()
            if self._unsent_bytes > self._limit_bytes:
                self.close(1013, "slow consumer")

    def control_flow(self, flow: FlowControl) -> None:
        self.flow = flow

    @property
    def unsent_bytes(self) -> int:
        return self._unsent_bytes

    def allow(self, size_bytes: int) -> None:
        self._limit_bytes = max(self._limit_bytes, self._usual_bytes + size_bytes)

    def close(self, code: int, reason: str) -> None:
        self._something.set()
        if self.closed is None:
            self.closed = (code, reason)

    def pause(self) -> None:
        self.paused = True
        self.pauses += 1

    def resume(self) -> None:
        self.paused = False

    async def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        """Wait for messages (or the close) until the condition holds. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while not condition():
                self._something.clear()
                await self._something.wait()

    @property
    def closing(self) -> bool:
        return self.closed is not None

    @property
    def close_code(self) -> int | None:
        return self.closed[0] if self.closed else None

    def flush(self, count: int | None = None) -> list[bytes]:
        """Let the oldest ``count`` messages (or all) arrive; they are returned."""
        count = len(self.outbox) if count is None else min(count, len(self.outbox))
        moved = [self.outbox.popleft() for _ in range(count)]
        self.arrived += moved
        self._unsent_bytes -= sum(map(len, moved))
        if self.flow is not None and self._unsent_bytes <= self.high_bytes // 4:
            self.flow.resume_writing()
        return moved

    def drop(self) -> None:
        """The link is cut: what has not arrived never will."""
        self.outbox.clear()
        self._unsent_bytes = 0

    def messages(self) -> list[Message]:
        """What arrives now, decoded."""
        return [message for payload in self.flush() for message in decode_messages(payload)]

    def updates(self) -> list[bytes]:
        """The updates among what arrives now."""
        return [message.update for message in self.messages() if isinstance(message, SyncUpdate)]

    def answers(self) -> list[bytes]:
        """The sync step 2 updates among what arrives now."""
        return [message.update for message in self.messages() if isinstance(message, SyncStep2)]

    def questions(self) -> list[bytes]:
        """The state vectors of the sync step 1 messages among what arrives now."""
        return [message.state_vector for message in self.messages() if isinstance(message, SyncStep1)]

    def presence(self) -> list[bytes]:
        """The awareness payloads among what arrives now."""
        return [message.payload for message in self.messages() if isinstance(message, AwarenessUpdate)]

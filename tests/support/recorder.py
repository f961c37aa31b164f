"""Record what a bus delivers, and how its connection changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

RESYNC = b"<resync>"
DEADLINE_SECONDS = 60.0


class RecordingListener:
    """Records messages, with `RESYNC` for each `on_resync`."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self._changed = asyncio.Event()

    def on_message(self, message: bytes) -> None:
        self.received.append(message)
        self._changed.set()

    def on_resync(self) -> None:
        self.on_message(RESYNC)

    async def until(self, met: Callable[[list[bytes]], bool]) -> None:
        """Wait until all that was received meets the condition."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not met(self.received):
                self._changed.clear()
                await self._changed.wait()

    async def until_received(self, *messages: bytes) -> None:
        """Wait for as many messages as these, and compare."""
        await self.until(lambda received: len(received) >= len(messages))
        assert self.received == list(messages)

    async def until_last(self, *messages: bytes) -> None:
        """Wait until these are the last messages."""
        await self.until(lambda received: received[-len(messages) :] == list(messages))


class ConnectionRecorder:
    """For `Bus.watch`: records the values of `connected`."""

    def __init__(self) -> None:
        self.changes: list[bool] = []
        self._changed = asyncio.Event()

    def __call__(self, connected: bool) -> None:
        self.changes.append(connected)
        self._changed.set()

    async def until(self, connected: bool, *, within_seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until this is the last change."""
        async with asyncio.timeout(within_seconds):
            while self.changes[-1:] != [connected]:
                self._changed.clear()
                await self._changed.wait()

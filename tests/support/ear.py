"""Who listens to a bus in tests, and who watches it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

GAINED = b"<gained>"
DEADLINE_SECONDS = 20.0


class BusListener:
    """Keeps what it heard, `GAINED` in between, and wakes who waits for it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._news = asyncio.Event()

    def hear(self, message: bytes) -> None:
        self.heard.append(message)
        self._news.set()

    def gained(self) -> None:
        self.hear(GAINED)

    async def until(self, met: Callable[[list[bytes]], bool]) -> None:
        """Wait until all that was heard so far meets the condition."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not met(self.heard):
                self._news.clear()
                await self._news.wait()

    async def until_heard(self, *messages: bytes) -> None:
        """Wait for as many as these and compare."""
        await self.until(lambda heard: len(heard) >= len(messages))
        assert self.heard == list(messages)

    async def until_last(self, *messages: bytes) -> None:
        """Wait until these are the last that were heard."""
        await self.until(lambda heard: heard[-len(messages) :] == list(messages))


class Watch:
    """Given to `watch`, keeps what `connected` became."""

    def __init__(self) -> None:
        self.changes: list[bool] = []
        self._news = asyncio.Event()

    def __call__(self, connected: bool) -> None:
        self.changes.append(connected)
        self._news.set()

    async def until(self, connected: bool, *, within_seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until this is the last change."""
        async with asyncio.timeout(within_seconds):
            while self.changes[-1:] != [connected]:
                self._news.clear()
                await self._news.wait()

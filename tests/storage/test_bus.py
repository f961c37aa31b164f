"""One contract for every bus between nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from storage import Bus, LocalBus, LocalWire

GAINED = b"<gained>"
DEADLINE_SECONDS = 10


class Ear:
    """Keeps what it heard, `GAINED` in between, and wakes who waits for it."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._changed = asyncio.Condition()
        self._news = asyncio.Event()

    def hear(self, message: bytes) -> None:
        self.heard.append(message)
        self._news.set()

    def gained(self) -> None:
        self.hear(GAINED)

    async def until(self, met: Callable[[list[bytes]], bool]) -> None:
        """Wait until what was heard so far meets the condition."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not met(self.heard):
                self._news.clear()
                await self._news.wait()

    async def until_heard(self, *messages: bytes) -> None:
        """Wait for as many as these, and compare."""
        await self.until(lambda heard: len(heard) >= len(messages))
        assert self.heard == list(messages)

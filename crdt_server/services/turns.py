"""Turns at long reads of the store: few at a time, and of each person one in the line of all.

A store reads for few at a time. Without turns a person with eight long requests has all of it, and everybody else waits
behind them, also those who open a document.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class PersonTurns:
    """``at_once``: how many have their turn at a time."""

    def __init__(self, at_once: int) -> None:
        self._line = asyncio.Semaphore(at_once)
        self._own: dict[str, tuple[asyncio.Lock, int]] = {}  # person -> lock, and how many have or wait for it

    @asynccontextmanager
    async def turn(self, person: str) -> AsyncIterator[None]:
        """Wait for the turn of a person, and have it for as long as the context lasts."""
        lock, number = self._own.get(person) or (asyncio.Lock(), 0)
        self._own[person] = lock, number + 1
        try:
            async with lock, self._line:
                yield
        finally:
            _, number = self._own[person]
            if number == 1:
                del self._own[person]
            else:
                self._own[person] = lock, number - 1

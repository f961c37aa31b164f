"""Turns at what only few may use at a time: whoever calls often waits behind its own calls, not others behind them.

Persons take turns, and the calls of one person keep their order. The server works for everybody, and has every second
turn while it waits.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

from storage.callers import SERVER
from storage.errors import StorageUnavailable

T = TypeVar("T")


class CallerQueue(Generic[T]):
    """What waits, in the order of its turns. Not safe from several threads at a time."""

    def __init__(self) -> None:
        self._server: deque[T] = deque()
        self._persons: OrderedDict[str, deque[T]] = OrderedDict()
        self._server_was_last = False

    def __bool__(self) -> bool:
        return bool(self._server or self._persons)

    def put(self, caller: str, item: T) -> None:
        """Add to what waits for a caller."""
        waiting = self._server if caller == SERVER else self._persons.setdefault(caller, deque())
        waiting.append(item)

    def pop(self) -> T:
        """Take what is next."""
        self._server_was_last = bool(self._server) and not (self._persons and self._server_was_last)
        if self._server_was_last:
            return self._server.popleft()
        person, waiting = self._persons.popitem(last=False)
        item = waiting.popleft()
        if waiting:
            self._persons[person] = waiting  # behind all others
        return item


class Turns:
    """``at_once`` calls go on at a time. After ``seconds`` one that still waits fails. Use from one event loop."""

    def __init__(self, at_once: int, seconds: float | None = None) -> None:
        self._free = at_once
        self._seconds = seconds
        self._waiting: CallerQueue[asyncio.Future[None]] = CallerQueue()

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """Wait for a turn. Raises StorageUnavailable where it takes too long."""
        if self._free:
            self._free -= 1
        else:
            await self._wait(caller)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, caller: str) -> None:
        granted = asyncio.get_running_loop().create_future()
        self._waiting.put(caller, granted)
        try:
            async with asyncio.timeout(self._seconds):
                await granted
        except BaseException as error:
            if not granted.cancelled():  # its turn had come
                self._pass_on()
            if isinstance(error, TimeoutError):
                raise StorageUnavailable("the calls before this one take too long") from error
            raise

    def _pass_on(self) -> None:
        while self._waiting:
            granted = self._waiting.pop()
            if not granted.done():  # else its caller has gone
                granted.set_result(None)
                return
        self._free += 1

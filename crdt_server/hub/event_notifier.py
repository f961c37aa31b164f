"""Who waits for new events of a wedding. The events themselves are read from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class EventListener:
    """One who waits. ``head`` is the newest sequence number heard of."""

    def __init__(self) -> None:
        self.head = 0
        self._news = asyncio.Event()

    def hear(self, head: int) -> None:
        self.head = max(self.head, head)
        self._news.set()

    async def wait(self, seconds: float) -> bool:
        """Whether there was news within that time."""
        try:
            await asyncio.wait_for(self._news.wait(), seconds)
        except TimeoutError:
            return False
        self._news.clear()
        return True


class EventNotifier:
    """Tells listeners that there are new events. Holds nothing of weddings nobody listens to."""

    def __init__(self) -> None:
        self.closed = False
        self._listeners: dict[str, set[EventListener]] = {}

    def close(self) -> None:
        """Wake all who listen, for the last time: the server is going away."""
        self.closed = True
        self.look()

    def look(self) -> None:
        """There may be news of every wedding."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.hear(listener.head)

    def announce(self, wedding: str, head: int) -> None:
        """The wedding has events up to this number."""
        for listener in self._listeners.get(wedding, ()):
            listener.hear(head)

    @contextmanager
    def listen(self, wedding: str) -> Iterator[EventListener]:
        """A listener for as long as the context lasts."""
        listener = EventListener()
        listeners = self._listeners.setdefault(wedding, set())
        listeners.add(listener)
        try:
            yield listener
        finally:
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(wedding, None)

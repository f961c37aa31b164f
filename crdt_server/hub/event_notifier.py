"""Notifies the readers that wait for new events of a wedding, or for new items in an inbox. Those themselves are read
from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager

from crdt_server.errors import CrdtServerError
from storage import StoredEvent


class EventsExpiredError(CrdtServerError):
    """Events behind the number that was given were removed. ``after``: the number behind which all are kept."""

    def __init__(self, after: int) -> None:
        super().__init__("events_expired", f"events up to number {after} are not kept any more")
        self.after = after


class EventListener:
    """One waiting reader. ``head`` is the newest sequence number it was woken with; ``user``: whose inbox it reads,
    None: it reads events."""

    def __init__(self, user: str | None = None) -> None:
        self.head = 0
        self.user = user
        self._woken = asyncio.Event()

    def wake(self, head: int) -> None:
        self.head = max(self.head, head)
        self._woken.set()

    async def wait(self, seconds: float) -> bool:
        """Whether it was woken within that time."""
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return False
        self._woken.clear()
        return True


class EventNotifier:
    """Wakes the listeners of a wedding. It holds nothing of weddings without listeners."""

    def __init__(self) -> None:
        self.closed = False
        self._listeners: dict[str, set[EventListener]] = {}

    def close(self) -> None:
        """Wake all listeners for the last time: the server is going away."""
        self.closed = True
        self.wake_all()

    def wake_all(self) -> None:
        """There may be new events of every wedding."""
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.wake(listener.head)

    def publish(self, wedding: str, head: int) -> None:
        """The wedding has events up to this number."""
        for listener in self._listeners.get(wedding, ()):
            if listener.user is None:
                listener.wake(head)

    def publish_inbox(self, wedding: str, users: Collection[str]) -> None:
        """The inboxes of these users have new items."""
        for listener in self._listeners.get(wedding, ()):
            if listener.user is not None and listener.user in users:
                listener.wake(listener.head)

    def wake(self, wedding: str) -> None:
        """There may be something new for every listener of a wedding."""
        for listener in self._listeners.get(wedding, ()):
            listener.wake(listener.head)

    @contextmanager
    def listen(self, wedding: str, user: str | None = None) -> Iterator[EventListener]:
        """A listener for as long as the context lasts."""
        listener = EventListener(user)
        self.add(wedding, listener)
        try:
            yield listener
        finally:
            self.remove(wedding, listener)

    def add(self, wedding: str, listener: EventListener) -> None:
        """Wake a listener, until `remove`."""
        self._listeners.setdefault(wedding, set()).add(listener)

    def remove(self, wedding: str, listener: EventListener) -> None:
        """Wake a listener no more."""
        listeners = self._listeners.get(wedding, set())
        listeners.discard(listener)
        if not listeners:
            self._listeners.pop(wedding, None)


class EventPublisher:
    """Publishes that events were stored here. ``listeners`` are called with each wedding, its newest number, and the
    events up to that one, as far as they are at hand."""

    def __init__(self, publish: Callable[[str, int], None]) -> None:
        self.listeners: list[Callable[[str, int, Sequence[StoredEvent]], None]] = []
        self._publish = publish

    def __call__(self, wedding: str, head: int, events: Sequence[StoredEvent] = ()) -> None:
        self._publish(wedding, head)
        for listener in self.listeners:
            listener(wedding, head, events)

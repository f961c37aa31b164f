"""The event streams that are open here, each with the right by which it was opened."""

from __future__ import annotations

from collections.abc import Collection

from crdt_server.access.identity import Authenticated


class HeldStream:
    """An event stream of a wedding. It ends when it is not ``admitted`` any more."""

    __slots__ = ("admitted", "authenticated", "wedding")

    def __init__(self, wedding: str, authenticated: Authenticated) -> None:
        self.wedding = wedding
        self.authenticated = authenticated
        self.admitted = True


class HeldStreams:
    """See the head of the file."""

    def __init__(self) -> None:
        self._by_wedding: dict[str, set[HeldStream]] = {}

    @property
    def weddings(self) -> Collection[str]:
        """The weddings with streams."""
        return self._by_wedding.keys()

    def of(self, wedding: str) -> list[HeldStream]:
        """The streams of a wedding."""
        return list(self._by_wedding.get(wedding, ()))

    def hold(self, wedding: str, authenticated: Authenticated) -> HeldStream:
        """A stream is opened; `release` follows."""
        stream = HeldStream(wedding, authenticated)
        self._by_wedding.setdefault(wedding, set()).add(stream)
        return stream

    def release(self, stream: HeldStream) -> None:
        """The stream has ended."""
        streams = self._by_wedding[stream.wedding]
        streams.discard(stream)
        if not streams:
            del self._by_wedding[stream.wedding]

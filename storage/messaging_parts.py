"""The parts of `Storage` for messages: routing, and inboxes. See `routing`, `routing_reader` and `inbox`.

Moments carry their time zone, and come from the caller.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

from storage import inbox, messages, routing, routing_reader
from storage.audit import NewAuditEntry
from storage.inbox import StoredItem
from storage.routing import EventSpan, Projection, RoutedCursor, RoutedPage, StoredPage, UnroutedWedding
from storage.routing_reader import RoutingOverride, RoutingReader
from storage.store_parts import StorePart

T = TypeVar("T")

UNROUTED_PAGE = 1_000
"""Weddings whose cursors one read compares with their events."""


class RoutingStore(StorePart):
    """Routing of events."""

    async def unrouted(self, after: str = "") -> tuple[list[UnroutedWedding], str | None]:
        """Of the next 1,000 weddings behind a name those with events to route, and the last name; None: there are no
        more."""
        return await self._executor.read(lambda connection: routing.unrouted(connection, after, UNROUTED_PAGE))

    async def plan_routing(self, wedding: str, plan: Callable[[RoutingReader], T]) -> T:
        """The result of `plan` on what it reads. It runs where the query runs: it may take some milliseconds."""
        return await self._executor.read(lambda connection: plan(RoutingReader(connection, wedding)))

    async def store_routed(
        self, pages: Sequence[RoutedPage], projections: Sequence[Projection] = ()
    ) -> list[StoredPage]:
        """Store pages of several weddings with their cursors, in one transaction. Those are left out that another
        router has stored, or whose rights have changed."""
        return await self._executor.write(lambda connection: routing.commit(connection, pages, projections))

    async def pass_over(self, spans: Sequence[EventSpan]) -> list[RoutedCursor]:
        """Move the cursors of weddings over events that nobody is informed of, see `routing.pass_over`; one span of
        each. Returns the cursors as they are then."""
        return await self._executor.write(lambda connection: routing.pass_over(connection, spans))

    async def routing_overrides(self, wedding: str) -> list[RoutingOverride]:
        """The rules that a wedding has otherwise, by name."""
        return await self._executor.read(lambda connection: routing_reader.list_overrides(connection, wedding))

    async def set_routing_override(
        self, wedding: str, override: RoutingOverride, entry: NewAuditEntry, *, keep: bool = True
    ) -> bool:
        """Put an override in the place of the one of its rule, or without `keep` remove that one; whether that
        changed anything."""
        return await self._executor.write(
            lambda connection: routing_reader.set_override(connection, wedding, override, entry, keep=keep)
        )


class InboxStore(StorePart):
    """Inboxes of the people of weddings."""

    async def inbox(self, wedding: str, user: str, *, after: int = 0, limit: int = 100) -> list[StoredItem]:
        """The next items behind an id, the oldest first; fewer where they are long."""
        return await self._executor.read(lambda connection: inbox.page(connection, wedding, user, after, limit))

    async def newest_inbox(self, wedding: str, user: str, *, before: int, limit: int = 100) -> list[StoredItem]:
        """The items before an id, the newest first; fewer where they are long."""
        return await self._executor.read(lambda connection: inbox.newest(connection, wedding, user, before, limit))

    async def inbox_head(self, wedding: str, user: str) -> int:
        """The id of somebody's newest item; 0 where there is none."""
        return await self._executor.read(lambda connection: inbox.newest_id(connection, wedding, user))

    async def unread(self, wedding: str, user: str) -> int:
        """How many items are unread; 1,001: more than 1,000."""
        return await self._executor.read(lambda connection: inbox.unread(connection, wedding, user))

    async def mark_read(self, wedding: str, user: str, which: Collection[int] | int, at: datetime) -> list[int]:
        """Mark unread items as read, those of the given ids or the oldest up to one id: at most 1,000, whose ids are
        returned. Of a message that is read in an inbox its thread is read up to there."""
        return await self._executor.write(
            lambda connection: messages.mark_items_read(connection, wedding, user, which, at)
        )

    async def trim_inbox(self, before: datetime) -> int:
        """Delete up to 500 of the oldest items, those from before a moment; returns how many."""
        return await self._executor.write(lambda connection: inbox.trim(connection, before))

    async def oldest_inbox_beyond(self, wedding: str, most_bytes: int) -> int:
        """The newest of the oldest items without which the inboxes of a wedding have ``most_bytes``; 0: they have no
        more."""
        return await self._executor.read(lambda connection: inbox.oldest_beyond(connection, wedding, most_bytes))

    async def trim_wedding_inboxes(self, wedding: str, until: int) -> int:
        """Delete up to 500 items of a wedding up to an id; returns how many."""
        return await self._executor.write(lambda connection: inbox.trim_wedding(connection, wedding, until))

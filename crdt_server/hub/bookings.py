"""Notifies weddings that others have booked the same organization for the same time, once that is stored (W2).

A change of bookings is sent to all weddings whose bookings overlap its times, and to the one that made it: each gets
all bookings of others that overlap its own. They are read before any wedding can react, so that all that clash are
notified; the next change of an organization is sent when all have responded, so that no wedding gets outdated bookings.
A wedding that cannot be notified now reads the same from the store when it is next opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from crdt_server.access.identity import SERVER
from crdt_server.errors import CrdtServerError
from crdt_server.hub.background_tasks import Spawn
from crdt_server.hub.request_session import Requester
from crdt_server.pipe import OtherBooking, OtherBookings, RequestKind, encode
from crdt_server.rooms.session import Request
from storage import BookingValues, DocumentKey, Storage, StorageError, StoredBooking

log = structlog.get_logger(__name__)

MOST_WEDDINGS = 100  # others that are notified of the changes of one organization at a time


class BookingNotifier:
    """See the head of the file. ``request`` is `Hub.request`; ``spawn`` starts a task."""

    def __init__(self, storage: Storage, request: Requester, spawn: Spawn) -> None:
        self._storage = storage
        self._request = request
        self._spawn = spawn
        self._changes: dict[str, dict[str, set[tuple[int, int]]]] = {}  # organization -> wedding -> times

    def changed(self, wedding: str, images: Sequence[BookingValues]) -> None:
        """These changes of a wedding's bookings are stored."""
        for image in images:
            if image.organization not in self._changes:
                self._changes[image.organization] = {}
                self._spawn(self._notify_of_changes(image.organization))
            times = self._changes[image.organization].setdefault(wedding, set())
            times.add((image.start, image.until))

    async def _notify_of_changes(self, organization: str) -> None:
        try:
            while changes := self._changes[organization]:
                self._changes[organization] = {}
                try:
                    await self._notify_all(organization, changes)
                except StorageError as error:
                    log.error("bookings_not_notified", organization=organization, error=str(error))
        finally:
            del self._changes[organization]

    async def _notify_all(self, organization: str, changes: dict[str, set[tuple[int, int]]]) -> None:
        found = await self._storage.booked(organization, sorted(set().union(*changes.values())))
        notified: dict[str, list[StoredBooking]] = {}
        left = [wedding for wedding in found if wedding not in changes]
        due, most = [*changes, *left[:MOST_WEDDINGS]], len(changes) + MOST_WEDDINGS
        # A wedding that is mentioned is notified as well: a booking may have been stored since.
        while due and len(notified) < most:
            notified.update(await self._clashes(organization, due))
            left = sorted({each.wedding for others in notified.values() for each in others} - notified.keys())
            due = left[: most - len(notified)]
        if left:
            log.warning("bookings_not_all_notified", organization=organization, weddings=len(left))
        await asyncio.gather(*(self._notify(wedding, organization, others) for wedding, others in notified.items()))

    async def _clashes(self, organization: str, weddings: Sequence[str]) -> dict[str, list[StoredBooking]]:
        """For each wedding, the bookings of others with the organization that overlap its own."""
        found = await asyncio.gather(*map(self._storage.overlapping, weddings))
        return {
            wedding: [each for each in others if each.organization == organization]
            for wedding, others in zip(weddings, found, strict=True)
        }

    async def _notify(self, wedding: str, organization: str, others: Sequence[StoredBooking]) -> None:
        found = [OtherBooking(*each) for each in others]
        request = Request(None, RequestKind.SET_BOOKINGS, encode(OtherBookings(organization, found)))
        try:
            await self._request(DocumentKey(wedding, "wedding"), SERVER, "server", request)
        except CrdtServerError as error:
            log.warning("bookings_not_notified", wedding=wedding, why=error.code)

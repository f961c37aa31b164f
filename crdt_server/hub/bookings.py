"""Notifies weddings that others have booked the same organization for the same time, once that is stored (W2).

Anybody may name any organization in a wedding of their own. So bookings count for others as they are only where the
organization is vouched for by the operator:
- A change of bookings of such an organization is sent to the weddings whose bookings overlap its times, and to the one
  that made it: each gets all bookings of others that overlap its own. They are read before any wedding can react, so
  that all that clash are notified; the next change of an organization is sent when all have responded, so that no
  wedding gets outdated bookings.
- Of any other organization, the wedding that made a change gets the bookings of others, with rough times, and others
  are notified only of times that are free again; in all only so many times an hour for the changes of one wedding.

A wedding that cannot be notified now reads the same from the store when it is next opened.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from crdt_server.access.identity import SERVER
from crdt_server.access.limits import Allowance
from crdt_server.errors import CrdtServerError
from crdt_server.hub.background_tasks import Spawn
from crdt_server.hub.request_session import Requester
from crdt_server.pipe import OtherBookings, RequestKind, encode
from crdt_server.records import OtherBooking
from crdt_server.rooms.session import Request
from storage import BookingValues, DocumentKey, Storage, StorageError, StoredBooking

log = structlog.get_logger(__name__)

MOST_WEDDINGS = 16  # others that are notified of the changes of one organization at a time,
WEDDINGS_AT_ONCE = 4  # so many at once: each opens a document
BLOCK_MINUTES = 6 * 60  # of a booking that nobody vouches for, others learn its times in such blocks
# Changes of one wedding to organizations that nobody vouches for: each response tells whether others have booked one.
RESPONSES, SECONDS_PER_RESPONSE = 10, 300.0
MOST_DELAYED = 20  # organizations of one wedding


def read_vouched(path: str) -> frozenset[str]:
    """The organizations that the operator vouches for: one in each line of a file. Raises StorageError."""
    if not path:
        return frozenset()
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"the vouched organizations cannot be read: {error}") from error
    return frozenset(line.strip() for line in lines if line.strip())


def others_of(found: Iterable[StoredBooking], vouched: frozenset[str]) -> Iterator[OtherBooking]:
    """Bookings of other weddings as a wedding's host gets them."""
    for each in found:
        if each.organization in vouched:
            yield OtherBooking(*each, vouched=True)
        else:
            start, until = _block(each.start, each.until)
            yield OtherBooking(*each._replace(start=start, until=until), vouched=False)


def _block(start: int, until: int) -> tuple[int, int]:
    return start - start % BLOCK_MINUTES, until + -until % BLOCK_MINUTES


@dataclass(slots=True)
class _Change:
    """The changes of one wedding's bookings of one organization: all times, and those that are free again."""

    times: set[tuple[int, int]] = field(default_factory=set)
    freed: set[tuple[int, int]] = field(default_factory=set)

    def add(self, image: BookingValues) -> None:
        """One more."""
        span = (image.start, image.until)
        self.times.add(span)
        if image.stage is None:
            self.freed.add(span)


class BookingNotifier:
    """See the head of the file. ``request`` is `Hub.request`; ``spawn`` starts a task."""

    def __init__(
        self, storage: Storage, request: Requester, spawn: Spawn, vouched: frozenset[str] = frozenset()
    ) -> None:
        self._storage = storage
        self._request = request
        self._spawn = spawn
        self._vouched = vouched
        self._changes: dict[str, dict[str, _Change]] = {}  # organization -> wedding -> change
        self._allowance = Allowance(RESPONSES, SECONDS_PER_RESPONSE)
        self._delayed: dict[str, dict[str, _Change]] = {}  # wedding -> organization -> change

    def changed(self, wedding: str, images: Sequence[BookingValues]) -> None:
        """These changes of a wedding's bookings are stored."""
        changes: dict[str, _Change] = {}
        for image in images:
            changes.setdefault(image.organization, _Change()).add(image)
        for organization, change in changes.items():
            if organization in self._vouched:
                self._notify_soon(wedding, organization, change)
            else:
                self._notify_within_allowance(wedding, organization, change)

    def _notify_soon(self, wedding: str, organization: str, change: _Change) -> None:
        if organization not in self._changes:
            self._changes[organization] = {}
            self._spawn(self._notify_of_changes(organization))
        pending = self._changes[organization].setdefault(wedding, _Change())
        pending.times |= change.times
        pending.freed |= change.freed

    def _notify_within_allowance(self, wedding: str, organization: str, change: _Change) -> None:
        delayed = self._delayed.get(wedding)
        if delayed is None and self._allowance.take(wedding, asyncio.get_running_loop().time()):
            self._notify_soon(wedding, organization, change)
            return
        if delayed is None:
            delayed = self._delayed[wedding] = {}
            self._spawn(self._notify_later(wedding))
        if organization in delayed or len(delayed) < MOST_DELAYED:
            pending = delayed.setdefault(organization, _Change())
            pending.times = change.times  # the newest: the store has what counts
            pending.freed = change.freed

    async def _notify_later(self, wedding: str) -> None:
        delayed = self._delayed[wedding]
        now = asyncio.get_running_loop().time
        try:
            while delayed:
                await asyncio.sleep(self._allowance.wait(wedding, now()))
                if self._allowance.take(wedding, now()):
                    organization = next(iter(delayed))
                    self._notify_soon(wedding, organization, delayed.pop(organization))
        finally:
            del self._delayed[wedding]

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

    async def _notify_all(self, organization: str, changes: dict[str, _Change]) -> None:
        vouched = organization in self._vouched
        if vouched:
            spans = sorted(set().union(*(change.times for change in changes.values())))
        else:
            spans = [_block(*span) for span in sorted(set().union(*(change.freed for change in changes.values())))]
        found = await self._storage.booked(organization, spans)
        notified: dict[str, list[StoredBooking]] = {}
        left = [wedding for wedding in found if wedding not in changes]
        due, most = [*changes, *left[:MOST_WEDDINGS]], len(changes) + MOST_WEDDINGS
        left = left[MOST_WEDDINGS:]
        # A wedding that is mentioned is notified as well: a booking may have been stored since.
        while due and len(notified) < most:
            notified.update(await self._clashes(organization, due))
            if not vouched:
                break
            left = sorted({each.wedding for others in notified.values() for each in others} - notified.keys())
            due = left[: most - len(notified)]
        if left:
            log.warning("bookings_not_all_notified", organization=organization, weddings=len(left))
        await self._notify_each(organization, notified)

    async def _notify_each(self, organization: str, notified: dict[str, list[StoredBooking]]) -> None:
        left = iter(notified.items())

        async def notify_next() -> None:
            for wedding, others in left:
                await self._notify(wedding, organization, others)

        await asyncio.gather(*(notify_next() for _ in range(WEDDINGS_AT_ONCE)))

    async def _clashes(self, organization: str, weddings: Sequence[str]) -> dict[str, list[StoredBooking]]:
        """For each wedding, the bookings of others with the organization that overlap its own."""
        found, unit = {}, 1 if organization in self._vouched else BLOCK_MINUTES
        for wedding in weddings:
            others = await self._storage.overlapping(wedding, unit)
            found[wedding] = [each for each in others if each.organization == organization]
        return found

    async def _notify(self, wedding: str, organization: str, others: Sequence[StoredBooking]) -> None:
        found = list(others_of(others, self._vouched))
        request = Request(None, RequestKind.SET_BOOKINGS, encode(OtherBookings(organization, found)))
        try:
            await self._request(DocumentKey(wedding, "wedding"), SERVER, "server", request)
        except CrdtServerError as error:
            log.warning("bookings_not_notified", wedding=wedding, why=error.code)

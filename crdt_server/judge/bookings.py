"""Whom a wedding has booked when, and which of them other weddings have booked too (W2).

The store compares the bookings of all weddings: what changes here goes there, what overlaps comes back. Of the other
weddings nothing is known but ids and times, and of these only times get into a document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from documents.invariants import TRAVEL_MINUTES, Booking, Change, Field, Finding, Subject, Wedding, bookings, clash

MOST = 500  # bookings of one wedding; those beyond it are compared with no others

_META_KEYS: Final = frozenset({"date", "timeZone", "strategy:W2"})
_VENDOR_KEYS: Final = frozenset({"name", "organization", "stage", "bookedWindow", "deleted", None})


class BookingIndex:
    """See the head of the file. The rows of ``wedding`` change under it: `update` has to hear of it.

    ``stored``: the wedding's bookings as the store has them, each ``[vendor, organization, start, until, stage, seq]``.
    ``others``: those that overlap them, each ``[organization, wedding, vendor, start, until, stage, seq]``.
    """

    def __init__(
        self, name: str, wedding: Wedding, stored: Sequence[Sequence[Any]], others: Sequence[Sequence[Any]]
    ) -> None:
        self._name = name
        self._wedding = wedding
        self._stored = {vendor: image for vendor, *image in stored}
        self._news: list[list[Any]] = []
        self._own: dict[str, Booking] = {}
        self._others: dict[str, list[Booking]] = {}
        for other in map(_booking, others):
            self._others.setdefault(other.organization, []).append(other)
        self._read()

    def subjects(self) -> set[Subject]:
        """Every booking."""
        return _subjects(self._own)

    def find(self, subject: Subject) -> Finding | None:
        """Whether others have booked a vendor too."""
        (vendor,) = subject.ids
        own = self._own.get(vendor)
        finding = None if own is None else clash(own, self._others.get(own.organization, ()))
        return finding and replace(finding, parties=(self._wedding.party("wedding", "vendors", vendor, "stage"),))

    def take_news(self) -> list[list[Any]]:
        """What the store is to be told, each as in ``stored``; without a stage: there is no such booking any more."""
        news, self._news = self._news, []
        return news

    def learn(self, organization: str, others: Iterable[Sequence[Any]]) -> set[Subject]:
        """Replace what is known of an organization's other bookings. Returns what may have another finding."""
        self._others[organization] = [_booking(each) for each in others]
        if not self._others[organization]:
            del self._others[organization]
        return _subjects(vendor for vendor, own in self._own.items() if own.organization == organization)

    def update(self, changes: Iterable[Change]) -> set[Subject]:
        """The rows have changed. Returns what may have another finding."""
        vendors = set()
        for document, root, record, key, *_ in changes:
            if document != "wedding":
                break  # they are all of one document
            if root == "meta" and key in _META_KEYS:
                return self._read()
            if root == "vendors" and key in _VENDOR_KEYS:
                vendors.add(record)
        if not vendors:
            return set()
        return self._replace(vendors, self._booked(vendors, MOST - len(self._own.keys() - vendors)))

    def _read(self) -> set[Subject]:
        vendors = self._wedding.rows("wedding", "vendors").keys()
        return self._replace({*self._own, *self._stored}, self._booked(vendors, MOST))

    def _booked(self, vendors: Iterable[str], most: int) -> dict[str, Booking]:
        seqs = {vendor: self._seq(vendor) for vendor in vendors}
        return {each.vendor: each for each in islice(bookings(self._name, self._wedding, seqs, seqs), most)}

    def _seq(self, vendor: str) -> int:
        """When the stage was set. Who sets it to the same once more has not booked later."""
        stage = Field("wedding", "vendors", vendor, "stage")
        stored = self._stored.get(vendor)
        if stored is not None and stored[-2] == self._wedding.value(stage):
            return int(stored[-1])
        return self._wedding.writer(*stage).seq

    def _replace(self, old: Iterable[str], new: Mapping[str, Booking]) -> set[Subject]:
        """Take in bookings in the place of those of some vendors."""
        changed = set()
        for vendor in sorted({*old, *new}):
            before, after = self._own.pop(vendor, None), new.get(vendor)
            if after is not None:
                self._own[vendor] = after
            if before != after:
                changed.add(vendor)
            self._compare(vendor, after)
        return _subjects(changed)

    def _compare(self, vendor: str, own: Booking | None) -> None:
        """Note what the store does not know yet; also of times that were taken, for who looks at those."""
        stored, image = self._stored.pop(vendor, None), None if own is None else _image(own)
        if image is not None:
            self._stored[vendor] = image
        if image != stored:
            self._news += [[vendor, *stored[:3], None, 0]] if stored is not None else []
            self._news += [[vendor, *image]] if image is not None else []


def _subjects(vendors: Iterable[str]) -> set[Subject]:
    return {Subject("W2", (vendor,)) for vendor in vendors}


def _image(booking: Booking) -> list[Any]:
    """A vendor is free for others when they have travelled: two bookings clash where these times overlap."""
    return [booking.organization, booking.start, booking.end + TRAVEL_MINUTES, booking.stage, booking.seq]


def _booking(row: Sequence[Any]) -> Booking:
    organization, wedding, vendor, start, until, stage, seq = row
    return Booking(organization, wedding, vendor, start, until - TRAVEL_MINUTES, stage, seq)

"""The vendors that a wedding has booked and when, and which of them other weddings have booked too (W2).

The store compares the bookings of all weddings: what changes here goes there, what overlaps comes back. Of the other
weddings nothing is known but ids and times, and of these only times get into a document, where the organization is
vouched for. Of any other, already the times that come here are rough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest
from typing import Final

from crdt_server.records import BookingChange, OtherBooking
from documents.invariants import TRAVEL_MINUTES, Booking, Field, Finding, Subject, Wedding, bookings, clash, is_booked
from documents.invariants.part import Part, Route, Touched
from documents.kind import WHOLE

MOST = 500  # bookings of one wedding; those beyond it are compared with no others
MOST_IN_DOUBT = 4  # bookings of one organization that nobody vouches for: each finding tells when others have booked it

_META_KEYS: Final = frozenset({"date", "timeZone", "strategy:W2"})
_TIME_KEYS: Final = ("date", "timeZone")
_TIME_OF_VENDOR: Final = ("stage", "organization", "bookedWindow")
_VENDOR_KEYS: Final = frozenset({"name", "organization", "stage", "bookedWindow", "deleted"})


class Bookings(Part):
    """See the head of the file. ``stored``: the wedding's bookings as the store has them; ``others``: those of other
    weddings that overlap them."""

    invariants = ("W2",)

    def __init__(
        self,
        name: str,
        wedding: Wedding,
        stored: Sequence[BookingChange] = (),
        others: Sequence[OtherBooking] = (),
    ) -> None:
        super().__init__(wedding)
        self._name = name
        self._stored = {each.vendor: each for each in stored}
        self._changes: list[BookingChange] = []
        self._own: dict[str, Booking] = {}
        self._booked: set[str] = set()  # vendors with a booking once the wedding has a date
        self._others: dict[str, list[Booking]] = {}
        for other in map(_booking, others):
            self._others.setdefault(other.organization, []).append(other)

    def read(self) -> Iterator[None]:
        self._booked.clear()
        for vendor in list(self.wedding.rows("wedding", "vendors")):
            yield
            if is_booked(self.wedding, vendor):
                self._booked.add(vendor)
        self._compare_all()

    def routes(self) -> Iterable[Route]:
        return (
            Route("wedding", "vendors", self._vendor, _VENDOR_KEYS),
            Route("wedding", "meta", self._meta, _META_KEYS),
        )

    def candidates(self) -> Iterator[Subject]:
        return map(_subject, self._own)

    def find(self, subject: Subject) -> Finding | None:
        (vendor,) = subject.ids
        own = self._own.get(vendor)
        finding = None if own is None else clash(own, self._others_of(own))
        return finding and replace(finding, parties=(self.wedding.party("wedding", "vendors", vendor, "stage"),))

    def _others_of(self, own: Booking) -> list[Booking]:
        """The bookings of others that one is compared with."""
        others = self._others.get(own.organization, [])
        if all(other.vouched for other in others):
            return others
        mine = (own.seq, own.vendor)
        earlier = sum(each.organization == own.organization and (each.seq, each.vendor) < mine
                      for each in self._own.values())  # fmt: skip
        return others if earlier < MOST_IN_DOUBT else [other for other in others if other.vouched]

    def take_changes(self) -> list[BookingChange]:
        """The bookings that the store has to be sent."""
        changes, self._changes = self._changes, []
        return changes

    def replace_others(self, organization: str, others: Iterable[OtherBooking]) -> set[Subject]:
        """Replace the other bookings of an organization. Returns the subjects that may have another finding."""
        self._others[organization] = [_booking(each) for each in others]
        if not self._others[organization]:
            del self._others[organization]
        return {_subject(vendor) for vendor, own in self._own.items() if own.organization == organization}

    def _vendor(self, _: str, vendor: str, touched: Touched) -> None:
        (self._booked.add if is_booked(self.wedding, vendor) else self._booked.discard)(vendor)
        is_free = len(self._own) < MOST or vendor in self._own
        touched |= self._replace((vendor,), self._bookings((vendor,) if is_free else ()))

    def _meta(self, _: str, __: str, touched: Touched) -> None:
        touched |= self._compare_all()

    def _compare_all(self) -> set[Subject]:
        return self._replace({*self._own, *self._stored}, self._bookings(nsmallest(MOST, self._booked)))

    def _bookings(self, vendors: Iterable[str]) -> dict[str, Booking]:
        found = bookings(self._name, self.wedding, {}, vendors)
        return {each.vendor: each._replace(seq=self._seq(each)) for each in found}

    def _seq(self, own: Booking) -> int:
        """When the time was booked. Confirming it, or setting it to the same once more, is no later booking; moving a
        booking is: else one could take any time with an old one."""
        stored = self._stored.get(own.vendor)
        if stored is not None and stored[1:4] == _image(own)[1:4]:
            return stored.seq
        fields = [Field("wedding", "vendors", own.vendor, key) for key in _TIME_OF_VENDOR]
        fields += [Field("wedding", "meta", WHOLE, key) for key in _TIME_KEYS]
        return max(self.wedding.writer(*field).seq for field in fields)

    def _replace(self, old: Iterable[str], new: Mapping[str, Booking]) -> set[Subject]:
        """Put bookings in the place of those of some vendors."""
        changed = set()
        for vendor in sorted({*old, *new}):
            before, after = self._own.pop(vendor, None), new.get(vendor)
            if after is not None:
                self._own[vendor] = after
            if before != after:
                changed.add(_subject(vendor))
            self._compare(vendor, after)
        return changed

    def _compare(self, vendor: str, own: Booking | None) -> None:
        """Record what the store does not have yet; also times that are free again, for the weddings that wait."""
        stored, image = self._stored.pop(vendor, None), None if own is None else _image(own)
        if image is not None:
            self._stored[vendor] = image
        if image != stored:
            if stored is not None:
                self._changes.append(stored._replace(stage=None, seq=0))
            if image is not None:
                self._changes.append(image)


def _subject(vendor: str) -> Subject:
    return Subject("W2", (vendor,))


def _image(own: Booking) -> BookingChange:
    """A vendor is free for others when they have travelled: two bookings clash where these times overlap."""
    return BookingChange(own.vendor, own.organization, own.start, own.end + TRAVEL_MINUTES, own.stage, own.seq)


def _booking(other: OtherBooking) -> Booking:
    end = other.until - TRAVEL_MINUTES
    known = (other.organization, other.wedding, other.vendor, other.start, end, other.stage, other.seq)
    return Booking(*known, vouched=other.vouched)

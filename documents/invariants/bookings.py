"""W2: a vendor works at one wedding at a time. Across weddings: the family of the index is `judge.bookings`, which has
the bookings of the others.

Anybody may write any organization into a wedding of their own, so its bookings count for others only as far as the
organization is vouched for, from outside of both weddings:
- Of an organization that is vouched for, both weddings learn when the vendor is busy, and nothing else of each other;
  the later one is set back to quoted where it has chosen that.
- Of any other, the later one learns that the vendor may not be available then, and nothing is changed. The earlier one
  learns nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final, NamedTuple

from documents.invariants.catalogue import INVARIANTS, MANUAL
from documents.invariants.instants import zone
from documents.invariants.model import Field, Finding, Op, Option, Party, Subject, Wedding, string, whole
from documents.invariants.part import LEAVE
from documents.sentences import Sentence, Value, listed, sentence, span, unnamed

TRAVEL_MINUTES: Final = 60
"""Assumed between any two weddings."""

_STAGES: Final = {"confirmed": 0, "booked": 1, "quoted": 2, "shortlisted": 3}
_MOST_WINDOWS: Final = 20  # more do not fit into a summary
_MOST_MINUTES: Final = 100 * 24 * 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Booking(NamedTuple):
    """One vendor of one wedding, for a span of time."""

    organization: str
    """The same business in other weddings has the same."""
    wedding: str
    vendor: str
    """Its id in this wedding."""
    start: int
    """Minutes from 1970-01-01 in UTC."""
    end: int
    stage: str
    seq: int
    """Order in which the bookings were made, over all weddings."""
    name: str = ""
    time_zone: str = "UTC"
    strategy: str = MANUAL
    """The strategy of the wedding for W2."""
    vouched: bool = False
    """Whether the organization is vouched for."""


def bookings(
    name: str, wedding: Wedding, seqs: Mapping[str, int], vendors: Iterable[str] | None = None
) -> Iterator[Booking]:
    """The bookings of a wedding, of vendors with an organization and a window that are booked or confirmed.

    `seqs`: vendor -> order in which the stage was set, over all weddings. `vendors`: only of these.
    """
    meta = wedding.meta("wedding")
    midnight = _midnight(string(meta, "date"), string(meta, "timeZone"))
    if midnight is None:
        return
    for vendor in sorted(wedding.rows("wedding", "vendors") if vendors is None else vendors):
        row = wedding.record("wedding", "vendors", vendor)
        window = None if row is None else _booked_window(row)
        if row is None or window is None:
            continue
        yield Booking(
            string(row, "organization"), name, vendor, midnight + window[0], midnight + window[1], string(row, "stage"),
            seqs.get(vendor, 0), string(row, "name"), string(meta, "timeZone"), wedding.strategy("W2"),
        )  # fmt: skip


def is_booked(wedding: Wedding, vendor: str) -> bool:
    """Whether there is a booking of a vendor, once the wedding has a date."""
    row = wedding.record("wedding", "vendors", vendor)
    return row is not None and _booked_window(row) is not None


def _booked_window(row: Mapping[str, Any]) -> tuple[int, int] | None:
    """Start and end of a booking in minutes of the day of the wedding; None: there is none."""
    window = row.get("bookedWindow")
    if type(window) is not dict or row.get("stage") not in ("booked", "confirmed"):
        return None
    start, end = whole(window, "start"), whole(window, "end")
    if start is None or end is None or not string(row, "organization"):
        return None
    return None if max(abs(start), abs(end)) > _MOST_MINUTES else (start, end)


def clashes(bookings: Iterable[Booking], travel: int = TRAVEL_MINUTES) -> dict[str, list[Finding]]:
    """Wedding -> findings: bookings of one organization by other weddings that overlap, `travel` minutes included.

    Where the organization is vouched for, confirmed comes before booked, then the earlier booking keeps the vendor; the
    other is set back to quoted. Where the other wedding keeps the vendor, the finding has automatic operations, if the
    strategy is to decide; where this one does, there is nothing to do.
    """
    by_organization: dict[str, list[Booking]] = {}
    for booking in bookings:
        if booking.stage in ("booked", "confirmed"):
            by_organization.setdefault(booking.organization, []).append(booking)
    found: dict[str, list[Finding]] = {}
    for _, group in sorted(by_organization.items()):
        for booking in sorted(group, key=lambda each: (each.wedding, each.vendor)):
            finding = clash(booking, group, travel)
            if finding is not None:
                found.setdefault(booking.wedding, []).append(finding)
    return found


def clash(booking: Booking, others: Iterable[Booking], travel: int = TRAVEL_MINUTES) -> Finding | None:
    """The finding of `clashes` about one booking. `others`: of the same organization, booked or confirmed."""
    met = [other for other in others if _meet(booking, other, travel)]
    vouched = [other for other in met if other.vouched]
    if vouched:
        return _finding(booking, vouched)
    return _doubt(booking) if any(_arrival(other) < _arrival(booking) for other in met) else None


def _meet(one: Booking, other: Booking, travel: int) -> bool:
    return one.wedding != other.wedding and one.start < other.end + travel and other.start < one.end + travel


def _precedence(booking: Booking) -> tuple[int, int, str, str]:
    return (_STAGES.get(booking.stage, 9), booking.seq, booking.wedding, booking.vendor)


def _arrival(booking: Booking) -> tuple[int, str, str]:
    return booking.seq, booking.wedding, booking.vendor


def _doubt(booking: Booking) -> Finding:
    """The finding about a booking of which another, earlier one is only claimed."""
    name = _name(booking)
    ops = (Op("set", "wedding", "vendors", booking.vendor, "stage", "quoted"),)
    return Finding(
        Subject("W2", (booking.vendor,)),
        INVARIANTS["W2"].severity,
        sentence("W2.doubt", vendor=name),
        MANUAL,
        (Party(Field("wedding", "vendors", booking.vendor, "stage"), booking.stage),),
        (Option(0, sentence("W2.off", vendor=name), ops), Option(1, LEAVE, ())),
        None,
        facts=(str(booking.seq),),  # of this wedding only: to book once more is another doubt
    )


def _finding(booking: Booking, others: list[Booking]) -> Finding:
    ops = (Op("set", "wedding", "vendors", booking.vendor, "stage", "quoted"),)
    keeps = _precedence(booking) < min(map(_precedence, others))
    name = _name(booking)
    spans = sorted({(other.start, other.end) for other in others})[:_MOST_WINDOWS]
    busy = [_window(*span, booking.time_zone) for span in spans]
    automatic: tuple[Op, ...] | None = () if keeps else ops
    if booking.strategy == MANUAL:
        automatic = None
    texts: list[tuple[Sentence, tuple[Op, ...]]] = [(sentence("W2.off", vendor=name), ops)]
    if automatic is None:
        texts.append((LEAVE, ()))
    return Finding(
        Subject("W2", (booking.vendor,)),
        INVARIANTS["W2"].severity,
        sentence("W2", vendor=name, times=listed(_span(*each, booking.time_zone) for each in spans)),
        booking.strategy,
        (Party(Field("wedding", "vendors", booking.vendor, "stage"), booking.stage),),
        tuple(Option(i, text, each) for i, (text, each) in enumerate(texts)),
        automatic,
        facts=tuple(busy),
    )


def _name(booking: Booking) -> Value:
    return booking.name or unnamed("vendors")


def _span(first: int, last: int, time_zone: str) -> Value:
    start, end = ((_EPOCH + timedelta(minutes=minutes)).isoformat() for minutes in (first, last))
    return span(start, end, time_zone)


def _window(first: int, last: int, time_zone: str) -> str:
    start, end = ((_EPOCH + timedelta(minutes=minutes)).astimezone(zone(time_zone)) for minutes in (first, last))
    until = f"{end:%H:%M}" if start.date() == end.date() else f"{end:%Y-%m-%d %H:%M}"
    return f"{start:%Y-%m-%d %H:%M} to {until}"


def _midnight(day: str, time_zone: str) -> int | None:
    """00:00 on a day where the wedding is, in minutes from 1970-01-01 in UTC."""
    try:
        midnight = datetime.combine(date.fromisoformat(day), time(), zone(time_zone))
        if not 1970 < midnight.year < 9000:
            return None
        return int((midnight - _EPOCH).total_seconds()) // 60
    except (ValueError, OverflowError):
        return None

"""Local times of a zone as moments: days on which clocks change have 23 to 25 hours, or lack a time, or have one twice.

- A local time that clocks skip means the moment of the change.
- Of one that comes twice, the first is meant, and for the end of quiet hours the second: nobody is woken in between.

Pure: moments come in and go out with their time zone, UTC.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

NO_ZONE: Final = "UTC"

_DAY: Final = timedelta(days=1)
_CHANGES_IN_A_ROW: Final = 3
"""Quiet hours of nearly a whole day meet those of the next one where clocks skip what is between them."""


class QuietHours(NamedTuple):
    """From one local time to another, across midnight where the end is the earlier one."""

    start: time
    end: time


@cache
def zone_names() -> frozenset[str]:
    """The zones of the IANA database."""
    return frozenset(files("tzdata").joinpath("zones").read_text("ascii").split())


@lru_cache(maxsize=1024)
def zone_of(name: str) -> ZoneInfo:
    """The zone of a name; UTC where there is none."""
    return ZoneInfo(name if name in zone_names() else NO_ZONE)


def moment_of(day: date, at: time, zone: ZoneInfo, *, last: bool = False) -> datetime:
    """The moment of a local time; `last`: of one that comes twice, the second."""
    first, second = (datetime.combine(day, at.replace(fold=fold), zone).astimezone(UTC) for fold in (0, 1))
    if first <= second:
        return second if last else first
    return _change_between(second, first, zone)  # it is skipped: by the clocks after the change it is before it


def _change_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The moment at which the clocks change that are not the same at two moments."""
    offset = before.astimezone(zone).utcoffset()
    low, high = int(before.timestamp()), int(after.timestamp())
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == offset:
            low = middle
        else:
            high = middle
    return datetime.fromtimestamp(high, UTC)


def quiet_until(quiet: QuietHours | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    """When the quiet hours end that a moment is in; None: it is in none."""
    found: datetime | None = None
    for _ in range(_CHANGES_IN_A_ROW):
        end = _end_of_quiet(quiet, zone, found or now)
        if end is None:
            break
        found = end
    return found


def _end_of_quiet(quiet: QuietHours | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    if quiet is None or quiet.start == quiet.end:
        return None
    today = now.astimezone(zone).date()
    for day in (today, today - _DAY):
        if moment_of(day, quiet.start, zone) <= now:
            end = moment_of(day + _DAY if quiet.end <= quiet.start else day, quiet.end, zone, last=True)
            if now < end:
                return end
    return None


def next_time(hour: int, quiet: QuietHours | None, zone: ZoneInfo, now: datetime) -> datetime:
    """The next moment, later than now, at which it is this hour, or the quiet hours end that it is in: once a day."""
    day = now.astimezone(zone).date() - 2 * _DAY  # what is in quiet hours now may be of yesterday
    while True:
        at = moment_of(day, time(hour), zone)
        at = quiet_until(quiet, zone, at) or at
        if at > now:
            return at
        day += _DAY

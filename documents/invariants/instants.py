"""Instants, days and time zones as rows hold them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo


def instant(text: str) -> datetime | None:
    """An RFC 3339 instant, None where it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


@lru_cache(maxsize=256)
def deadline(day: str, time_zone: str) -> datetime | None:
    """The end of a day where the wedding is; in UTC where the time zone is not known."""
    try:
        midnight = datetime.fromisoformat(day) + timedelta(days=1)
    except (ValueError, OverflowError):
        return None
    return midnight.replace(tzinfo=zone(time_zone))


@lru_cache(maxsize=256)
def zone(name: str) -> Any:
    """A time zone by its IANA name, UTC where there is none of this name."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return UTC

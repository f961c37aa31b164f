"""Amounts, moments and times of day as people write them in a language.

There are two languages, so a library of locales (30 MB of data) would be used for a few names of months and two
characters. What a locale would have to decide on beyond them is left out: an amount has the ISO 4217 code of its
currency, which is the same everywhere, where symbols are not (`$`, `kr`); a day has its month by name, so that no
country reads 6/7 as another day; a moment has its distance from UTC, because names of zones (`CST`) are ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from documents.invariants.amounts import exponent

_MINUTES_OF_DAY: Final = 24 * 60
_CURRENCY: Final = re.compile(r"[A-Z]{3}", re.ASCII).fullmatch
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII).fullmatch


class Convention(NamedTuple):
    """How a language writes."""

    months: tuple[str, ...]
    point: str
    """Before the decimals."""
    group: str
    """Between thousands."""
    amount: str
    day: str
    moment: str
    following_day: str
    """Of a time behind midnight, the number of days."""


CONVENTIONS: Final[Mapping[str, Convention]] = {
    "en": Convention(
        ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
         "December"),
        ".", ",", "{currency} {number}", "{day} {month} {year}", "{day} {month} {year}, {time} ({offset})",
        "{time} (+{days} d)",
    ),
    "de": Convention(
        ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
         "Dezember"),
        ",", ".", "{number} {currency}", "{day}. {month} {year}", "{day}. {month} {year}, {time} Uhr ({offset})",
        "{time} (+{days} T.)",
    ),
}  # fmt: skip
"""Language -> its convention. A language is shipped with templates and a line here."""


def amount(minor: str, currency: str, language: str) -> str:
    """An amount in minor units of a currency: `EUR 1,250.50`, `1.250,50 EUR`. What is no amount stays as it is."""
    if not _INTEGER(minor):
        return minor
    convention = CONVENTIONS[language]
    digits = exponent(currency)
    value = int(minor)
    whole, part = divmod(abs(value), 10**digits)
    number = f"{whole:,}".replace(",", convention.group)
    if digits:
        number += f"{convention.point}{part:0{digits}}"
    sign = "-" if value < 0 else ""
    code = currency if _CURRENCY(currency) else ""
    return sign + convention.amount.format(currency=code, number=number).strip()


def zone_of(name: str) -> tzinfo:
    """The time zone of an IANA name; of a name that is none, UTC."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def moment(at: datetime, zone: str, language: str) -> str:
    """A moment in a zone: `20 June 2026, 14:30 (UTC+02:00)`."""
    local = at.astimezone(zone_of(zone))
    convention = CONVENTIONS[language]
    return convention.moment.format(
        day=local.day,
        month=convention.months[local.month - 1],
        year=local.year,
        time=f"{local:%H:%M}",
        offset="UTC" + f"{local:%z}"[:3] + ":" + f"{local:%z}"[3:5],
    )


def day(date: str, language: str) -> str:
    """A day, given as `2026-06-20`: `20 June 2026`. What is none stays as it is."""
    try:
        parsed = datetime.strptime(date, "%Y-%m-%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return date
    convention = CONVENTIONS[language]
    return convention.day.format(day=parsed.day, month=convention.months[parsed.month - 1], year=parsed.year)


def typed_moment(at: str, zone: str, language: str) -> str:
    """An RFC 3339 moment in a zone. What is none stays as it is."""
    try:
        parsed = datetime.fromisoformat(at)
        return at if parsed.tzinfo is None else moment(parsed, zone, language)
    except (ValueError, OverflowError):
        return at


def time_of_day(minutes: str, language: str) -> str:
    """Minutes from midnight of the day of the wedding: `14:30`, in the time of the place, as the timeline has it. What
    is no number stays as it is."""
    if not _INTEGER(minutes):
        return minutes
    days, minute = divmod(int(minutes), _MINUTES_OF_DAY)
    time = f"{minute // 60:02}:{minute % 60:02}"
    return CONVENTIONS[language].following_day.format(time=time, days=days) if days > 0 else time

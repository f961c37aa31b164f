"""Amounts, moments and times of day as people write them in a language.

There are two languages, so a library of locales (30 MB of data) would be used for a few names of months and two
characters. Further decisions of a locale are left out: an amount has a symbol only where that means
one currency in every country (`£`, `US$`, not `$` or `kr`), else its ISO 4217 code; a day has its month by name, so
that no country reads 6/7 as another day; a moment has its distance from UTC, because names of zones (`CST`) are
ambiguous.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
    """With the symbol of a currency."""
    code_amount: str
    """With its code."""
    day: str
    moment: str
    span: str
    """Of times of one day."""
    long_span: str
    """Of times of several days."""


CONVENTIONS: Final[Mapping[str, Convention]] = {
    "en": Convention(
        ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
         "December"),
        ".", ",", "{currency}{number}", "{currency} {number}", "{day} {month} {year}",
        "{day} {month} {year}, {time} ({offset})", "{day}, {start} to {end}", "{day}, {start} to {last}, {end}",
    ),
    "de": Convention(
        ("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November",
         "Dezember"),
        ",", ".", "{number} {currency}", "{number} {currency}", "{day}. {month} {year}",
        "{day}. {month} {year}, {time} Uhr ({offset})", "{day}, {start} bis {end}", "{day}, {start} bis {last}, {end}",
    ),
}  # fmt: skip
"""Language -> its convention. A language is shipped with templates of messages, a catalogue and a line here."""

SYMBOLS: Final[Mapping[str, str]] = {
    "AUD": "A$", "BRL": "R$", "CAD": "CA$", "CNY": "CN¥", "EUR": "€", "GBP": "£", "HKD": "HK$", "ILS": "₪", "INR": "₹",
    "JPY": "¥", "KRW": "₩", "MXN": "MX$", "NZD": "NZ$", "PHP": "₱", "TWD": "NT$", "USD": "US$", "VND": "₫",
}  # fmt: skip
"""Symbols that mean one currency wherever they are read (those of CLDR for the whole world; `¥` alone is the yen)."""

_EXPONENTS: Final = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF",
                     "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}  # fmt: skip
"""Digits after the point of currencies that have not two (ISO 4217)."""


def exponent(currency: str) -> int:
    """How many digits the minor unit of a currency is after the point: 2 for GBP, 0 for JPY, 3 for KWD."""
    return _EXPONENTS.get(currency, 2)


def amount(minor: str, currency: str, language: str) -> str:
    """An amount in minor units of a currency: `€1,250.50`, `1.250,50 €`, `CHF 1,250.50`. Other text stays as it is."""
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
    symbol = SYMBOLS.get(currency)
    if symbol is not None:
        return sign + convention.amount.format(currency=symbol, number=number)
    code = currency if _CURRENCY(currency) else ""
    return sign + convention.code_amount.format(currency=code, number=number).strip()


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
    """A day, given as `2026-06-20`: `20 June 2026`. Other text stays as it is."""
    try:
        parsed = datetime.strptime(date, "%Y-%m-%d")  # noqa: DTZ007 - a day has no zone
    except ValueError:
        return date
    convention = CONVENTIONS[language]
    return convention.day.format(day=parsed.day, month=convention.months[parsed.month - 1], year=parsed.year)


def typed_moment(at: str, zone: str, language: str) -> str:
    """An RFC 3339 moment in a zone. Other text stays as it is."""
    try:
        parsed = datetime.fromisoformat(at)
        return at if parsed.tzinfo is None else moment(parsed, zone, language)
    except (ValueError, OverflowError):
        return at


def span(start: str, end: str, zone: str, language: str) -> str:
    """From one moment to another (RFC 3339): `20 June 2026, 14:00 to 22:00`. Other text stays as it is."""
    try:
        first, last = (datetime.fromisoformat(each).astimezone(zone_of(zone)) for each in (start, end))
    except (ValueError, OverflowError):
        return f"{start} - {end}"
    convention = CONVENTIONS[language]
    form = convention.span if first.date() == last.date() else convention.long_span
    days = (day(each.date().isoformat(), language) for each in (first, last))
    return form.format(day=next(days), last=next(days), start=f"{first:%H:%M}", end=f"{last:%H:%M}")


def time_of_day(minutes: int) -> str:
    """Minutes from midnight of the day of the wedding, in the time of the place: `14:30`; on other days `01:00 +1`,
    `18:00 -1`, as the timeline has it."""
    days, minute = divmod(minutes, _MINUTES_OF_DAY)
    time = f"{minute // 60:02}:{minute % 60:02}"
    return f"{time} {days:+}" if days else time


def typed_time(minutes: str) -> str:
    """`time_of_day` of a number. Other text stays as it is."""
    return time_of_day(int(minutes)) if _INTEGER(minutes) else minutes


def length(minutes: int) -> str:
    """How long something takes: `45 min`, `1 h 30`, `2 h`. The same in both languages."""
    hours, rest = divmod(abs(minutes), 60)
    sign = "-" if minutes < 0 else ""
    if not hours:
        return f"{sign}{rest} min"
    return f"{sign}{hours} h {rest:02}" if rest else f"{sign}{hours} h"

"""SMS in parts, amounts and moments."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crdt_server.services.messaging.plain_text import cut
from crdt_server.services.messaging.sms_text import fitted, parts_of
from documents.sentences.formats import amount, length, moment, span, typed_moment, typed_time


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        *(("", 1), ("a" * 160, 1), ("a" * 161, 2), ("a" * 306, 2), ("a" * 307, 3), ("a" * 459, 3), ("a" * 460, 4)),
        *(("€" * 80, 1), ("€" * 81, 2), ("€" * 152, 2), ("€" * 153, 3), ("ä" * 160, 1), ("ß€" * 53, 1)),
        *(("ж" * 70, 1), ("ж" * 71, 2), ("ж" * 201, 3), ("ж" * 202, 4), ("a" * 69 + "ж", 1)),
        *(("🌳" * 35, 1), ("🌳" * 36, 2), ("🌳" * 66, 2), ("🌳" * 67, 3), ("ç" * 71, 2)),
    ],
)
def test_parts(text: str, parts: int) -> None:
    assert parts_of(text) == parts


@pytest.mark.parametrize("character", ["a", "€", "ж", "🌳", "👨‍👩‍👧 ", "a ж"])
def test_a_text_is_cut_to_its_parts_and_no_shorter(character: str) -> None:
    text = character * 500
    for most in (1, 2, 3):
        found = fitted(text, most)
        assert parts_of(found) == most
        assert found.endswith("...")
        longer = text[: len(found) + len(character)] + "..."
        assert parts_of(longer) > most


def test_typographic_characters_do_not_halve_the_room() -> None:
    assert fitted("“Shall we?” \u2013 it\u2019s\u00a0late…\n→ now", 3) == '"Shall we?" - it\'s late... -> now'


def test_a_text_is_cut_between_characters_as_people_see_them() -> None:
    assert cut("abcdef", 6) == "abcdef"
    assert cut("abcdefg", 6) == "abcde…"
    assert cut("e\u0301" * 4, 6) == "e\u0301e\u0301…"
    assert cut("👩🏽‍🚀" * 2, 5) == "👩🏽‍🚀…"
    assert cut("👩🏽‍🚀" * 2, 4) == "…"


@pytest.mark.parametrize(
    ("minor", "currency", "english", "german"),
    [
        ("0", "EUR", "€0.00", "0,00 €"),
        ("-123456789", "USD", "-US$1,234,567.89", "-1.234.567,89 US$"),
        ("5", "GBP", "£0.05", "0,05 £"),
        ("125000", "GBP", "£1,250.00", "1.250,00 £"),
        ("125050", "CHF", "CHF 1,250.50", "1.250,50 CHF"),
        ("1234567", "KWD", "KWD 1,234.567", "1.234,567 KWD"),
        ("1234567", "JPY", "¥1,234,567", "1.234.567 ¥"),
        ("100", "", "1.00", "1,00"),
        ("100", "<b>", "1.00", "1,00"),
        ("12.5", "EUR", "12.5", "12.5"),
        ("٣", "EUR", "٣", "٣"),
    ],
)
def test_amounts(minor: str, currency: str, english: str, german: str) -> None:
    assert amount(minor, currency, "en") == english
    assert amount(minor, currency, "de") == german


def test_moments_follow_daylight_saving() -> None:
    before, after = datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert moment(before, "Europe/Berlin", "de") == "29. März 2026, 01:59 Uhr (UTC+01:00)"
    assert moment(after, "Europe/Berlin", "de") == "29. März 2026, 03:00 Uhr (UTC+02:00)"
    twice = [datetime(2026, 11, 1, hour, 30, tzinfo=UTC) for hour in (5, 6)]
    assert [moment(at, "America/New_York", "en") for at in twice] == [
        "1 November 2026, 01:30 (UTC-04:00)",
        "1 November 2026, 01:30 (UTC-05:00)",
    ]
    assert moment(before, "Pacific/Chatham", "en") == "29 March 2026, 14:44 (UTC+13:45)"


def test_what_is_no_time_stays_as_it_is() -> None:
    assert typed_moment("2026-06-20T12:30:00Z", "Asia/Tokyo", "en") == "20 June 2026, 21:30 (UTC+09:00)"
    assert typed_moment("2026-06-20T12:30:00", "Asia/Tokyo", "en") == "2026-06-20T12:30:00"
    assert typed_moment("0001-01-01T00:00:00Z", "America/New_York", "en") == "0001-01-01T00:00:00Z"
    assert typed_moment("soon", "Asia/Tokyo", "en") == "soon"
    assert [typed_time(each) for each in ("870", "1500", "-360", "noon")] == ["14:30", "01:00 +1", "18:00 -1", "noon"]
    assert [length(each) for each in (45, 60, 90, 125)] == ["45 min", "1 h", "1 h 30", "2 h 05"]


def test_spans() -> None:
    afternoon = "2026-06-20T12:00:00Z", "2026-06-20T20:00:00Z"
    night = "2026-06-20T21:00:00Z", "2026-06-21T01:00:00Z"
    assert span(*afternoon, "Europe/Vienna", "en") == "20 June 2026, 14:00 to 22:00"
    assert span(*night, "UTC", "de") == "20. Juni 2026, 21:00 bis 21. Juni 2026, 01:00"
    assert span("soon", "later", "UTC", "en") == "soon - later"

"""The length of an SMS: 160 characters of the GSM alphabet (3GPP TS 23.038) or 70 of UTF-16, of a longer one 153 or 67
in each part, because six bytes of each part number it."""

from __future__ import annotations

from typing import Final

from crdt_server.services.messaging.plain_text import one_line

_BASIC: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""These take the place of two."""

# Typographic characters that would make a message of the GSM alphabet one of UTF-16, with less than half the room.
_PLAIN: Final = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb", '"'),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f", " "),
        **dict.fromkeys("\u200b\u2060\u00ad", ""),
        "…": "...",
        "•": "-",
        "·": "-",
        "→": "->",
        "\t": " ",
    }
)
_GSM: Final = (160, 153)
_UTF16: Final = (70, 67)


def plain(text: str) -> str:
    """A text in one line, with plain characters for typographic ones."""
    return one_line(text.translate(_PLAIN))


def parts_of(text: str) -> int:
    """The number of parts in which a text is sent."""
    extended = any(character not in _BASIC and character not in _EXTENDED for character in text)
    single, part = _UTF16 if extended else _GSM
    sizes = [_units(character) if extended else 1 + (character in _EXTENDED) for character in text]
    if sum(sizes) <= single:
        return 1
    parts, room = 1, part
    for size in sizes:  # nothing that takes two places is divided
        if size > room:
            parts, room = parts + 1, part
        room -= size
    return parts


def _units(character: str) -> int:
    return 2 if ord(character) > 0xFFFF else 1


def fitted(text: str, most_parts: int) -> str:
    """A text in one line that is sent in at most so many parts; a longer one ends with three points."""
    text = plain(text)
    if parts_of(text) <= most_parts:
        return text
    low, high = 0, min(len(text), most_parts * _GSM[0])
    while low < high:  # parts grow with the length
        middle = (low + high + 1) // 2
        if parts_of(_ended(text, middle)) <= most_parts:
            low = middle
        else:
            high = middle - 1
    return _ended(text, low)


def _ended(text: str, length: int) -> str:
    return text[:length].rstrip("\u200d\ufe0f ") + "..."
